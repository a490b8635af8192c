/* SPDX-License-Identifier: MIT */
/*
 * rate.h - the generic cell rate algorithm, without its waiting
 */
#ifndef WEFT_ASYNC_RATE_H
#define WEFT_ASYNC_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* A point in time with its fraction: ns + part / rate. */
struct weft__gcra {
	uint64_t rate, burst;
	int64_t per;
	int64_t ns; /* when all that was taken would have arrived one by one */
	uint64_t part;
	bool begun;
};

bool weft__gcra_init(struct weft__gcra *g, uint64_t rate, int64_t per, uint64_t burst);

/* The earliest time at which n units, at most `burst`, may pass. */
int64_t weft__gcra_when(const struct weft__gcra *g, uint64_t n, int64_t now);

/* They pass, `now` being what that was asked with, and waited for: a wait is not idle time,
 * not the fraction by which it was rounded up, and not what it took longer. */
void weft__gcra_take(struct weft__gcra *g, uint64_t n, int64_t now);

#endif
