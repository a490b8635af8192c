/* SPDX-License-Identifier: MIT */
/*
 * region.c - young and old regions (see region.h)
 *
 * The memory is a small direct-mapped table per worker: no lock, no sharing.  A
 * worker that has not seen a function wakes somebody once for nothing; a
 * collision costs the same.
 */
#include "runtime/region.h"

#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"
#include "runtime/worker.h"

enum {
	LOOK_EVERY = 16,    /* forks between two looks at the counter */
	MEASURE_EVERY = 16, /* short regions between two measured ones */
};

struct weft__memory *weft__region_recall(struct weft__worker *w, const void *key)
{
	uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
	struct weft__memory *m = &w->region.memory[hash >> 59];

	_Static_assert(WEFT__MEMORIES == 1 << (64 - 59), "the hash must cover the table");
	if (m->key != key)
		*m = (struct weft__memory){ .key = key };
	return m;
}

bool weft__region_enter(struct weft__worker *w, double expected)
{
	struct weft__region *r = &w->region;
	double us = expected / (double)w->runtime->ticks_per_us;

	if (r->state != WEFT__REGION_NONE)
		return false;
	r->state = us == 0 || us > WEFT__WAKE_US ? WEFT__REGION_OLD : WEFT__REGION_YOUNG;
	r->shared = us > WEFT__SHARE_US;
	r->forks = 0;
	r->began = 0;
	return true;
}

void weft__region_leave(void)
{
	struct weft__worker *w = weft__worker_self();
	if (w)
		w->region.state = WEFT__REGION_NONE;
}

bool weft__region_is_short(struct weft__worker *w, struct weft__memory *m, double expected)
{
	if (expected == 0 || expected > WEFT__SHARE_US * (double)w->runtime->ticks_per_us)
		return false;
	return ++m->unmeasured % MEASURE_EVERY != 0;
}

/* A region that has lasted for one wake-up may ask for one. */
static bool ripens(struct weft__worker *w)
{
	struct weft__region *r = &w->region;

	if (r->began == 0)
		r->began = weft__ticks();
	if (weft__ticks() - r->began < WEFT__RIPEN_US * w->runtime->ticks_per_us)
		return false;
	r->state = WEFT__REGION_OLD;
	return true;
}

bool weft__region_offers(struct weft__worker *w)
{
	struct weft__region *r = &w->region;

	if (r->state == WEFT__REGION_OLD)
		return true;
	if (++r->forks % LOOK_EVERY == 0 && ripens(w))
		return true;
	return r->shared && weft__idle_searching(&w->runtime->idle);
}
