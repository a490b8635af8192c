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

/* The outermost fork: how long it takes is worth knowing next time. */
static int region(struct weft__worker *w, weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	const void *key = (const void *)(uintptr_t)fb;
	double expected = (double)weft__region_duration(w, key);
	bool measured = !weft__region_is_short(w, key, expected);

	weft__region_enter(w, expected);
	uint64_t began = measured ? weft__ticks() : 0;
	int rc = fork_in_region(w, fa, a, fb, b);
	uint64_t took = measured ? weft__ticks() - began : 0;

	weft__region_leave();
	if (measured)
		weft__region_learn_duration(key, took);
	return rc;
}

int weft_both_offered(weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	struct weft__worker *w = weft__worker_self();

	if (!w || w->runtime->worker_count == 1)
		return weft__frame_in_turn(fa, a, fb, b);
	if (load_relaxed(&w->region.state) == WEFT__REGION_NONE)
		return region(w, fa, a, fb, b);
	return fork_in_region(w, fa, a, fb, b);
}
