/* SPDX-License-Identifier: MIT */
/*
 * rng.h - small random numbers: victims, back-off, test schedules
 *
 * One 64-bit word of state, one 128-bit product a number (wyrand, Wang Yi,
 * 2019).  Any seed is good, 0 too.  The same seed gives the same numbers on every
 * machine.  Not for secrets.
 *
 *   threads    one at a time; give each its own.
 */
#ifndef WEFT_DEQUE_RNG_H
#define WEFT_DEQUE_RNG_H

#include <stdint.h>

struct weft__rng {
	uint64_t state;
};

__extension__ typedef unsigned __int128 weft__uint128;

/* The two halves of the product, folded. */
static inline uint64_t weft__rng_mix(uint64_t a, uint64_t b)
{
	weft__uint128 product = (weft__uint128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Seeds 0, 1, 2 ... give unrelated sequences. */
static inline void weft__rng_init(struct weft__rng *rng, uint64_t seed)
{
	rng->state =
		weft__rng_mix(seed ^ UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xe7037ed1a0b428db));
}

static inline uint64_t weft__rng_next(struct weft__rng *rng)
{
	rng->state += UINT64_C(0xa0761d6478bd642f);
	return weft__rng_mix(rng->state, rng->state ^ UINT64_C(0xe7037ed1a0b428db));
}

/* 0 .. n - 1, n >= 1: a product in place of a division (Lemire, 2019).  Without
 * his second draw it favours some numbers by n parts in 2^64. */
static inline uint64_t weft__rng_below(struct weft__rng *rng, uint64_t n)
{
	return (uint64_t)(((weft__uint128)weft__rng_next(rng) * n) >> 64);
}

#endif
