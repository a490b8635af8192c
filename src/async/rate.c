/* SPDX-License-Identifier: MIT */
/*
 * rate.c - so many per second
 *
 *   The generic cell rate algorithm (ITU-T I.371, annex A), as a virtual schedule: n units
 *   take n * per / rate.  Whoever comes at `now` may pass when what was taken so far, and
 *   this, fits into a burst that begins now.
 *
 *	        burst * per / rate
 *	   |------------------------|
 *	  now           (ns, part)  ^ not beyond this with the n units added
 *
 * The fraction is kept in units of 1 / rate of a nanosecond, so nothing is rounded but
 * the time to wait until, and that upwards.
 */
#include "async/rate.h"

#include <weft/error.h>
#include <weft/rate.h>
#include <weft/scope.h>
#include <weft/time.h>

typedef __int128 wide;

struct limiter {
	struct weft__gcra gcra; /* under the lock of the line */
};

_Static_assert(sizeof(struct limiter) <= sizeof(((struct weft_rate_limiter *)0)->weft__private),
	       "struct weft_rate_limiter is too small");

bool weft__gcra_init(struct weft__gcra *g, uint64_t rate, int64_t per, uint64_t burst)
{
	if (rate == 0 || per <= 0 || burst == 0 || burst > INT64_MAX ||
	    (wide)burst * per / rate > INT64_MAX / 4)
		return false;
	*g = (struct weft__gcra){ .rate = rate, .per = per, .burst = burst };
	return true;
}

int64_t weft__gcra_when(const struct weft__gcra *g, uint64_t n, int64_t now)
{
	/* In units of 1 / rate: where the schedule ends less a burst, from g->ns on. */
	wide late = (wide)g->part - (wide)(g->burst - n) * g->per;
	wide up = late > 0 ? g->rate - 1 : 0; /* division rounds to 0 */

	return g->begun ? (int64_t)(g->ns + (late + up) / g->rate) : now;
}

void weft__gcra_take(struct weft__gcra *g, uint64_t n, int64_t now)
{
	if (!g->begun || g->ns < now) {
		g->ns = now;
		g->part = 0;
		g->begun = true;
	}
	wide part = (wide)n * g->per + g->part;
	g->ns += (int64_t)(part / g->rate);
	g->part = (uint64_t)(part % g->rate);
}

/* --- the limiter ------------------------------------------------------------- */

static struct weft__gcra *gcra_of(struct weft_rate_limiter *l)
{
	return &((struct limiter *)(void *)l->weft__private)->gcra;
}

int weft_rate_limiter_init(struct weft_rate_limiter *l, uint64_t rate, int64_t per, uint64_t burst)
{
	if (!l || !weft__gcra_init(gcra_of(l), rate, per, burst))
		return WEFT_EINVAL;
	weft_lock_init(&l->weft__line);
	return 0;
}

/* The first in the line, which the lock is. */
static int acquire(struct weft__gcra *g, uint64_t n)
{
	int64_t now = weft_now(), at = weft__gcra_when(g, n, now);
	int rc = at > now ? weft_sleep_until(at) : 0;

	if (rc == 0)
		weft__gcra_take(g, n, now);
	return rc;
}

int weft_rate_acquire(struct weft_rate_limiter *l, uint64_t n)
{
	if (!l || n > gcra_of(l)->burst)
		return WEFT_EINVAL;
	int rc = weft_lock_acquire(&l->weft__line);
	if (rc != 0)
		return rc;
	rc = acquire(gcra_of(l), n);
	weft_lock_release(&l->weft__line);
	return rc;
}

int weft_rate_try_acquire(struct weft_rate_limiter *l, uint64_t n)
{
	if (!l || n > gcra_of(l)->burst)
		return WEFT_EINVAL;
	if (weft_lock_try_acquire(&l->weft__line) != 0)
		return WEFT_EAGAIN;
	int64_t now = weft_now();
	bool passes = weft__gcra_when(gcra_of(l), n, now) <= now;
	if (passes)
		weft__gcra_take(gcra_of(l), n, now);
	weft_lock_release(&l->weft__line);
	return passes ? 0 : WEFT_EAGAIN;
}
