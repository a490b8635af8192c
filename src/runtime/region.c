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

/* An entry that was of another key is emptied first. */
WEFT__OF_THREAD static struct weft__memory *recall(struct weft__worker *w, const void *key)
{
	uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
	struct weft__memory *m = &w->region.memory[hash >> 59];

	_Static_assert(WEFT__MEMORIES == 1 << (64 - 59), "the hash must cover the table");
	if (m->key != key)
		*m = (struct weft__memory){ .key = key };
	return m;
}

WEFT__OF_THREAD uint64_t weft__region_duration(struct weft__worker *w, const void *key)
{
	return recall(w, key)->duration;
}

WEFT__OF_THREAD uint64_t weft__region_item_cost(struct weft__worker *w, const void *key)
{
	return recall(w, key)->item_cost;
}

/* There is no worker in the child of a fork(). */
WEFT__OF_THREAD void weft__region_learn_duration(const void *key, uint64_t ticks)
{
	struct weft__worker *w = weft__worker_self();
	if (w)
		recall(w, key)->duration = ticks;
}

WEFT__OF_THREAD void weft__region_learn_item_cost(const void *key, uint64_t cost)
{
	struct weft__worker *w = weft__worker_self();
	if (w)
		recall(w, key)->item_cost = cost;
}

WEFT__OF_THREAD bool weft__region_is_short(struct weft__worker *w, const void *key, double expected)
{
	if (expected == 0 || expected > WEFT__SHARE_US * (double)w->runtime->ticks_per_us)
		return false;
	return ++recall(w, key)->unmeasured % MEASURE_EVERY != 0;
}

WEFT__OF_THREAD bool weft__region_enter(struct weft__worker *w, double expected)
{
	struct weft__region *r = &w->region;
	double us = (double)w->runtime->ticks_per_us;
	bool old = expected == 0 || expected > WEFT__WAKE_US * us;

	if (r->state != WEFT__REGION_NONE)
		return false;
	r->state = old ? WEFT__REGION_OLD : WEFT__REGION_YOUNG;
	r->shared = expected > WEFT__SHARE_US * us;
	r->forks = 0;
	r->began = 0;
	return true;
}

WEFT__OF_THREAD void weft__region_leave(void)
{
	struct weft__worker *w = weft__worker_self();
	if (w)
		w->region.state = WEFT__REGION_NONE;
}

/* A region that has lasted for one wake-up may ask for one. */
WEFT__OF_THREAD static bool ripens(struct weft__worker *w)
{
	struct weft__region *r = &w->region;
	uint64_t now = weft__ticks();

	if (r->began == 0)
		r->began = now;
	if (now - r->began < WEFT__RIPEN_US * w->runtime->ticks_per_us)
		return false;
	r->state = WEFT__REGION_OLD;
	return true;
}

WEFT__OF_THREAD bool weft__region_offers(struct weft__worker *w)
{
	struct weft__region *r = &w->region;

	if (r->state == WEFT__REGION_OLD)
		return true;
	if (++r->forks % LOOK_EVERY == 0 && ripens(w))
		return true;
	return r->shared && weft__idle_searching(&w->runtime->idle);
}
