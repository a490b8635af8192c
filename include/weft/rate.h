/* SPDX-License-Identifier: MIT */
/*
 * weft/rate.h - so many per second, shared by many tasks
 *
 * A rate limiter lets `rate` units pass per `per`, evenly spaced; after a pause up to
 * `burst` at once.  Times are exact, in whole nanoseconds without rounding errors that
 * add up (the generic cell rate algorithm, ITU-T I.371).
 *
 *	struct weft_rate_limiter calls;
 *	weft_rate_limiter_init(&calls, 100, WEFT_SEC(1), 10);
 *
 *	rc = weft_rate_acquire(&calls, 1);      in any task, before each call
 *
 * First come, first served: a large request is not passed by small ones.
 *
 *   threads    all calls but init: any task, and plain threads, which then sleep.
 *   memory     the caller's struct, all fields private.  Waiting allocates nothing.
 *   errors     0 or a negative code.
 *   blocking   acquire suspends the task; a cancel ends that with WEFT_ECANCELED, and
 *              nothing was taken.
 */
#ifndef WEFT_RATE_H
#define WEFT_RATE_H

#include <weft/base.h>
#include <weft/sync.h>

WEFT_BEGIN_DECLS

struct weft_rate_limiter {
	struct weft_lock weft__line;
	unsigned char weft__private[64] __attribute__((aligned(16)));
};

/* WEFT_EINVAL: rate, per or burst is 0 or less, or `burst` takes longer than there is
 * time. */
WEFT_API int weft_rate_limiter_init(struct weft_rate_limiter *l, uint64_t rate, int64_t per,
				    uint64_t burst);

/* Takes n units, when they are there.  WEFT_EINVAL: n is more than `burst`.  n of 0 takes
 * nothing, and waits for those before it. */
WEFT_API int weft_rate_acquire(struct weft_rate_limiter *l, uint64_t n);

/* Without waiting: WEFT_EAGAIN. */
WEFT_API int weft_rate_try_acquire(struct weft_rate_limiter *l, uint64_t n);

WEFT_END_DECLS

#endif
