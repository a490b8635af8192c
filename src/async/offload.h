/* SPDX-License-Identifier: MIT */
/*
 * offload.h - what a blocking call on a pool's thread knows of its caller
 */
#ifndef WEFT_ASYNC_OFFLOAD_H
#define WEFT_ASYNC_OFFLOAD_H

#include <weft/offload.h>

#include "runtime/strand.h"

/* The task that waits for the call that the calling thread runs: false when it runs
 * none, or when the caller has abandoned it.  While held, it waits on. */
bool weft__host_hold(struct weft_runtime **rt, struct weft__ambient *in);
void weft__host_release(void);

/* The calling thread runs such a call. */
bool weft__host_exists(void);

/* The bindings of that call, which it may lengthen; NULL on other threads. */
const struct weft_local **weft__host_locals(void);

#endif
