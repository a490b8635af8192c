/* SPDX-License-Identifier: MIT */
/*
 * retry.h - the arithmetic of weft_retry, apart from its waiting
 */
#ifndef WEFT_ASYNC_RETRY_H
#define WEFT_ASYNC_RETRY_H

#include <weft/wait.h>

#include "deque/rng.h"

/* The delay behind one of `delay`, both of 0 .. limit. */
int64_t weft__retry_grow(int64_t delay, double backoff, int64_t limit);

int64_t weft__retry_jitter(struct weft__rng *rng, enum weft_jitter jitter, int64_t delay);

/* Takes what one retry costs; false when there is not enough. */
bool weft__retry_spend(struct weft_retry_budget *b);

/* A call has succeeded. */
void weft__retry_earn(struct weft_retry_budget *b);

#endif
