/* SPDX-License-Identifier: MIT */
/*
 * clock.c - clocks and timers
 *
 * Orderings
 *
 *   O1  a new first timer against the event thread going to sleep.  The thread stores
 *       wake_at, then looks at every wheel once more, each under its lock; arm pushes
 *       and reads wake_at, both under the lock of its wheel.  Whoever has the lock
 *       second sees what the other did: the thread the timer, or arm the time, and
 *       then it wakes the thread.
 *   O2  a timer that fired -> disarm    release of home = NULL => acquire.  It is the
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
#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum {
	BATCH = 64,    /* timers fired, and moved, under one hold of the lock */
	PATIENCE = 64, /* timers looked at to find the earliest */
};

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
	clock->timers = weft__alloc_aligned(WEFT_CACHELINE, (workers + 1) * sizeof *clock->timers);
	if (!clock->timers)
		return WEFT_ENOMEM;
	for (unsigned i = 0; i <= workers; i++) {
		weft__spin_init(&clock->timers[i].lock);
		weft__wheel_init(&clock->timers[i].wheel,
				 is_virtual ? VIRTUAL_BEGIN : weft__monotonic());
	}
	return 0;
}

void weft__clock_fini(struct weft__clock *clock, unsigned workers)
{
	weft__free(clock->timers, (workers + 1) * sizeof *clock->timers);
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

static struct weft__timers *timers_here(struct weft_runtime *rt)
{
	struct weft__worker *w = weft__worker_self();
	unsigned i = w && w->runtime == rt ? w->index : rt->async->clock.count - 1;

	return &rt->async->clock.timers[i];
}

int weft__clock_start(struct weft_runtime *rt)
{
	return rt->async->clock.is_virtual ? 0 : weft__events_start(rt);
}

/* The worker that falls asleep last looks at the timers (quiet.c): it may be so far. */
static void announce_virtual(struct weft_runtime *rt)
{
	struct weft__worker *w = weft__worker_self();

	if (!w || w->runtime != rt)
		weft__idle_notify(rt);
}

int weft__timer_arm(struct weft_runtime *rt, struct weft__timer *t, int64_t deadline)
{
	struct weft__clock *clock = &rt->async->clock;
	struct weft__timers *home = timers_here(rt);

	t->home = NULL;
	if (deadline == WEFT_NEVER)
		return 0;
	if (WEFT_UNLIKELY(!load_acquire(&rt->async->events.running))) {
		int rc = weft__clock_start(rt);
		if (rc != 0)
			return rc;
	}
	weft__spin_lock(&home->lock);
	weft__wheel_push(&home->wheel, &t->node, deadline);
	store_relaxed(&t->home, home);
	bool earlier = deadline < load_relaxed(&clock->wake_at); /* O1 */
	weft__spin_unlock(&home->lock);
	if (clock->is_virtual) {
		announce_virtual(rt);
	} else if (WEFT_UNLIKELY(earlier)) {
		store_relaxed(&clock->wake_at, deadline);
		weft__events_kick(rt);
	}
	return 0;
}

bool weft__timer_disarm(struct weft__timer *t)
{
	struct weft__timers *home = load_acquire(&t->home); /* O2 */

	if (!home)
		return false;
	weft__spin_lock(&home->lock);
	bool armed = load_relaxed(&t->home) != NULL;
	if (armed) {
		weft__wheel_remove(&home->wheel, &t->node);
		store_relaxed(&t->home, (struct weft__timers *)NULL);
	}
	weft__spin_unlock(&home->lock);
	return armed;
}

/* A virtual clock is moved to what this says, and so must have it exactly. */
int64_t weft__clock_next(struct weft_runtime *rt)
{
	struct weft__clock *clock = &rt->async->clock;
	size_t patience = clock->is_virtual ? SIZE_MAX : PATIENCE;
	int64_t next = WEFT_NEVER;

	for (unsigned i = 0; i < clock->count; i++) {
		struct weft__timers *timers = &clock->timers[i];
		weft__spin_lock(&timers->lock);
		int64_t first = weft__wheel_next(&timers->wheel, patience);
		if (first < next)
			next = first;
		weft__spin_unlock(&timers->lock);
	}
	return next;
}

static struct weft__timer *timer_of(struct weft__wheel_node *node)
{
	return WEFT__CONTAINER(node, struct weft__timer, node);
}

/* Takes out what is due, up to a batch, and leaves those to be done in `list`.  True
 * when there may be more.  With the lock held. */
static bool claim_some(struct weft__wheel *wheel, int64_t now, struct weft__list *list)
{
	unsigned budget = BATCH;

	for (int i = 0; i < BATCH; i++) {
		struct weft__wheel_node *node = weft__wheel_pop(wheel, now, &budget);
		if (!node)
			return budget == 0;
		bool claimed = timer_of(node)->claim(timer_of(node));
		if (claimed)
			weft__list_push_back(list, &node->link);
		/* The last touch, if it was not claimed. */
		store_release(&timer_of(node)->home, (struct weft__timers *)NULL); /* O2 */
	}
	return true;
}

static bool fire_some(struct weft__timers *timers, int64_t now, unsigned *fired)
{
	struct weft__list claimed, *link;

	weft__list_init(&claimed);
	weft__spin_lock(&timers->lock);
	bool more = claim_some(&timers->wheel, now, &claimed);
	weft__spin_unlock(&timers->lock);

	while ((link = weft__list_pop_front(&claimed))) {
		struct weft__wheel_node *node =
			WEFT__CONTAINER(link, struct weft__wheel_node, link);
		timer_of(node)->done(timer_of(node)); /* the timer may be gone now */
		++*fired;
	}
	return more;
}

unsigned weft__clock_fire(struct weft_runtime *rt, int64_t now)
{
	struct weft__clock *clock = &rt->async->clock;
	unsigned fired = 0;

	for (unsigned i = 0; i < clock->count; i++)
		while (fire_some(&clock->timers[i], now, &fired))
			continue;
	return fired;
}
