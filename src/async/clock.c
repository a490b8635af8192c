/* SPDX-License-Identifier: MIT */
/*
 * clock.c - clocks and timers
 *
 * Orderings
 *
 *   O1  a new first timer against the event thread going to sleep.  The thread stores
 *       wake_at, then looks at every heap once more, each under its lock; arm pushes
 *       and reads wake_at, both under the lock of its heap.  Whoever has the lock
 *       second sees what the other did: the thread the timer, or arm the time, and
 *       then it wakes the thread.
 *   O2  a timer that fired -> disarm    release of heap = NULL => acquire.  It is the
 *       last touch of a timer that claimed nothing, so disarm need not take the lock
 *       to know that nobody is at it any more.
 */
#include "async/clock.h"

#include <time.h>

#include <weft/error.h>

#include "async/async.h"
#include "async/events.h"
#include "deque/alloc.h"
#include "deque/list.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum { BATCH = 64 }; /* timers fired under one hold of the lock */

/* Where the virtual clock begins: no point in time is 0. */
#define VIRTUAL_BEGIN WEFT_SEC(1000)

int weft__clock_init(struct weft__clock *clock, unsigned workers, bool is_virtual)
{
	*clock = (struct weft__clock){
		.count = workers + 1,
		.is_virtual = is_virtual,
		.now = VIRTUAL_BEGIN,
		.wake_at = WEFT_NEVER,
	};
	clock->heaps = weft__alloc_aligned(WEFT_CACHELINE, (workers + 1) * sizeof *clock->heaps);
	if (!clock->heaps)
		return WEFT_ENOMEM;
	for (unsigned i = 0; i <= workers; i++) {
		weft__spin_init(&clock->heaps[i].lock);
		weft__heap_init(&clock->heaps[i].heap);
	}
	return 0;
}

void weft__clock_fini(struct weft__clock *clock, unsigned workers)
{
	weft__free(clock->heaps, (workers + 1) * sizeof *clock->heaps);
}

int64_t weft__monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t weft__clock_now(struct weft_runtime *rt)
{
	struct weft__clock *clock = rt ? &rt->async->clock : NULL;

	return clock && clock->is_virtual ? load_acquire(&clock->now) : weft__monotonic();
}

int64_t weft__later(int64_t from, int64_t duration)
{
	if (duration <= 0)
		return from;
	return duration > WEFT_NEVER - from ? WEFT_NEVER : from + duration;
}

int64_t weft__deadline_of(struct weft_runtime *rt, int64_t timeout, int64_t deadline)
{
	int64_t at = timeout == 0 || timeout == WEFT_NEVER
			     ? WEFT_NEVER
			     : weft__later(weft__clock_now(rt), timeout);

	return deadline != 0 && deadline < at ? deadline : at;
}

static struct weft_runtime *runtime_here(void)
{
	struct weft__worker *w = weft__worker_self();
	return w ? w->runtime : NULL;
}

int64_t weft_now(void)
{
	return weft__clock_now(runtime_here());
}

int64_t weft_after(int64_t duration)
{
	return duration == WEFT_NEVER ? WEFT_NEVER : weft__later(weft_now(), duration);
}

/* --- timers ------------------------------------------------------------ */

static struct weft__timers *heap_here(struct weft_runtime *rt)
{
	struct weft__worker *w = weft__worker_self();
	unsigned i = w && w->runtime == rt ? w->index : rt->async->clock.count - 1;

	return &rt->async->clock.heaps[i];
}

int weft__clock_start(struct weft_runtime *rt)
{
	return rt->async->clock.is_virtual ? 0 : weft__events_start(rt);
}

int weft__timer_arm(struct weft_runtime *rt, struct weft__timer *t, int64_t deadline)
{
	struct weft__clock *clock = &rt->async->clock;
	struct weft__timers *heap = heap_here(rt);

	t->heap = NULL;
	if (deadline == WEFT_NEVER)
		return 0;
	int rc = weft__clock_start(rt);
	if (rc != 0)
		return rc;

	weft__spin_lock(&heap->lock);
	weft__heap_push(&heap->heap, &t->node, deadline);
	store_relaxed(&t->heap, heap);
	bool earlier = deadline < load_relaxed(&clock->wake_at); /* O1 */
	weft__spin_unlock(&heap->lock);
	if (earlier && !clock->is_virtual) {
		store_relaxed(&clock->wake_at, deadline);
		weft__events_kick(rt);
	}
	return 0;
}

bool weft__timer_disarm(struct weft__timer *t)
{
	struct weft__timers *heap = load_acquire(&t->heap); /* O2 */

	if (!heap)
		return false;
	weft__spin_lock(&heap->lock);
	bool armed = load_relaxed(&t->heap) != NULL;
	if (armed) {
		weft__heap_remove(&heap->heap, &t->node);
		store_relaxed(&t->heap, (struct weft__timers *)NULL);
	}
	weft__spin_unlock(&heap->lock);
	return armed;
}

int64_t weft__clock_next(struct weft_runtime *rt)
{
	struct weft__clock *clock = &rt->async->clock;
	int64_t next = WEFT_NEVER;

	for (unsigned i = 0; i < clock->count; i++) {
		struct weft__timers *heap = &clock->heaps[i];
		weft__spin_lock(&heap->lock);
		struct weft__heap_node *first = weft__heap_peek(&heap->heap);
		if (first && first->key < next)
			next = first->key;
		weft__spin_unlock(&heap->lock);
	}
	return next;
}

static struct weft__timer *timer_of(struct weft__heap_node *node)
{
	return WEFT__CONTAINER(node, struct weft__timer, node);
}

/* Fires what is due in one heap, up to a batch.  A node that was taken out is free
 * to be linked into the list of those to be done. */
static unsigned fire_some(struct weft__timers *heap, int64_t now, unsigned *fired)
{
	struct weft__heap_node *first = NULL, **end = &first;
	unsigned due = 0;

	weft__spin_lock(&heap->lock);
	while (due < BATCH && !weft__heap_is_empty(&heap->heap) &&
	       weft__heap_peek(&heap->heap)->key <= now) {
		struct weft__heap_node *node = weft__heap_pop(&heap->heap);
		bool claimed = timer_of(node)->claim(timer_of(node));
		due++;
		store_release(&timer_of(node)->heap, (struct weft__timers *)NULL); /* O2 */
		if (!claimed)
			continue; /* and the timer may be gone */
		node->next = NULL;
		*end = node;
		end = &node->next;
	}
	weft__spin_unlock(&heap->lock);

	while (first) {
		struct weft__heap_node *next = first->next;
		timer_of(first)->done(timer_of(first)); /* the timer may be gone now */
		first = next;
		++*fired;
	}
	return due;
}

unsigned weft__clock_fire(struct weft_runtime *rt, int64_t now)
{
	struct weft__clock *clock = &rt->async->clock;
	unsigned fired = 0;

	for (unsigned i = 0; i < clock->count; i++)
		while (fire_some(&clock->heaps[i], now, &fired) == BATCH)
			continue;
	return fired;
}
