/* SPDX-License-Identifier: MIT */
/*
 * fork.c - weft_both when somebody is hungry
 *
 * The quiet path is inline in weft/fork.h.  Here the caller saw the byte set,
 * which may be stale, or mean a sleeper whom this region is too young to wake:
 * then the fork is two calls after all.
 */
#include <weft/error.h>
#include <weft/fork.h>

#include "deque/atomic.h"
#include "runtime/frame.h"
#include "runtime/region.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"
#include "runtime/worker.h"

static int fork_in_region(struct weft__worker *w, weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	if (!weft__region_offers(w))
		return weft__frame_in_turn(fa, a, fb, b);
	return weft__frame_fork(w, fa, a, fb, b);
}

/* The outermost fork: how long it takes is worth knowing next time, unless it is
 * so short that asking would be felt. */
static int region(struct weft__worker *w, weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	const void *key = (const void *)(uintptr_t)fb;
	double expected = (double)weft__region_duration(w, key);
	int rc;

	weft__region_enter(w, expected);
	if (weft__region_is_short(w, key, expected)) {
		rc = weft__frame_in_turn(fa, a, fb, b);
	} else {
		uint64_t began = weft__ticks();
		rc = fork_in_region(w, fa, a, fb, b);
		weft__region_learn_duration(key, weft__ticks() - began);
	}
	weft__region_leave();
	return rc;
}

int weft_both_offered(weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	struct weft__worker *w = weft__worker_self();

	if (!w)
		return weft__frame_in_turn(fa, a, fb, b);
	/* A cancel sets the byte: it is seen here, and costs the quiet path nothing. */
	if (WEFT_UNLIKELY(weft__strand_check(weft__worker_fiber(w)->strand) != 0))
		return WEFT_ECANCELED;
	if (w->runtime->worker_count == 1) {
		store_relaxed(w->hungry, 0);
		return weft__frame_in_turn(fa, a, fb, b);
	}
	if (load_relaxed(&w->region.state) == WEFT__REGION_NONE)
		return region(w, fa, a, fb, b);
	return fork_in_region(w, fa, a, fb, b);
}
