/* SPDX-License-Identifier: MIT */
/*
 * quiet.c - what happens when nothing can run
 *
 * The hook runs on the worker that fell asleep last, which is counted among the
 * sleepers already: whatever it makes ready wakes a worker, itself perhaps.  Two
 * workers may both find that they were the last; the lock lets one after the other
 * look, and the second finds work.  A timer that fires may make nothing ready (that of
 * a scope that was cancelled before): then the clock moves on.
 */
#include "async/quiet.h"

#include <weft/error.h>

#include "async/async.h"
#include "async/config.h"
#include "async/report.h"
#include "async/scope.h"
#include "async/wait.h"
#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"

/* A task that waits for all others to be blocked. */
struct waiter {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

void weft__quiet_init(struct weft__quiet *quiet)
{
	*quiet = (struct weft__quiet){ 0 };
	weft__list_init(&quiet->waiters);
}

void weft__quiet_hold(struct weft_runtime *rt)
{
	add_seqcst(&rt->async->quiet.pending, 1);
}

void weft__quiet_release(struct weft_runtime *rt)
{
	/* What it was about may have run and ended before this: a worker looks again. */
	if (add_seqcst(&rt->async->quiet.pending, (uint32_t)-1) == 1 &&
	    load_relaxed(&rt->watch_quiet))
		weft__idle_notify(rt);
}

static bool is_quiet(struct weft_runtime *rt)
{
	return weft__idle_all_asleep(rt) && !weft__work_anywhere(rt) &&
	       load_acquire(&rt->async->quiet.pending) == 0 && weft__idle_all_asleep(rt);
}

/* With the lock held. */
static bool wake_waiters(struct weft__quiet *quiet)
{
	struct weft__list *first;
	bool some = false;

	while ((first = weft__list_pop_front(&quiet->waiters))) {
		struct waiter *w = WEFT__CONTAINER(first, struct waiter, link);
		if (weft__claim(w->strand, w->ticket, WEFT__GRANTED) != WEFT__CLAIM_PARKED)
			continue;
		weft__resume_quietly(w->strand);
		some = true;
	}
	return some;
}

/* With the lock held: moves a virtual clock. */
static bool advance(struct weft_runtime *rt)
{
	struct weft__clock *clock = &rt->async->clock;
	int64_t next = clock->is_virtual ? weft__clock_next(rt) : WEFT_NEVER;

	if (next == WEFT_NEVER)
		return false;
	if (next > load_relaxed(&clock->now))
		store_release(&clock->now, next);
	weft__clock_fire(rt, next);
	return true;
}

static bool has_timers(struct weft_runtime *rt)
{
	return weft__clock_next(rt) != WEFT_NEVER;
}

/* With the lock held: nothing will ever run. */
static bool is_deadlock(struct weft_runtime *rt)
{
	return weft__config_on_deadlock(rt) > WEFT_DEADLOCK_IGNORE &&
	       load_acquire(&rt->roots_running) != 0 && !has_timers(rt);
}

static bool fail(struct weft__node *n)
{
	weft__spin_lock(&n->lock);
	bool fresh = !(n->flags & (WEFT__NODE_CANCELLED | WEFT__NODE_CURSOR));
	if (fresh)
		weft__node_set(n, WEFT__NODE_CANCELLED | WEFT__NODE_DEADLOCK);
	weft__spin_unlock(&n->lock);
	return fresh;
}

/* Cancels the roots, all of which wait and so are linked, and not the root of the tree:
 * those to come are not to suffer.  One may have come since, and may wait for something
 * that will happen: so this looks again, with the lock held that keeps others out. */
static void fail_roots(struct weft_runtime *rt)
{
	struct weft__quiet *quiet = &rt->async->quiet;
	struct weft__node *root = &rt->root;

	weft__spin_lock(&quiet->lock);
	weft__spin_lock(&root->lock);
	if (is_quiet(rt) && is_deadlock(rt)) {
		weft__list_for_each (link, &root->children) {
			struct weft__node *n = WEFT__CONTAINER(link, struct weft__node, link);
			if (fail(n))
				weft__walk_queue(rt, n);
		}
	}
	weft__spin_unlock(&root->lock);
	weft__spin_unlock(&quiet->lock);
	weft__walk_all(rt);
}

/* Said once, until a root ends; cancelled each time, since a task may go on when it is
 * cancelled, and then wait in vain again. */
static void deadlock(struct weft_runtime *rt)
{
	if (!exchange_seqcst(&rt->async->quiet.reported, 1))
		weft__report_deadlock(rt);
	if (weft__config_on_deadlock(rt) == WEFT_DEADLOCK_FAIL)
		fail_roots(rt);
}

void weft__quiet_root_ended(struct weft_runtime *rt)
{
	if (load_relaxed(&rt->async->quiet.reported))
		store_relaxed(&rt->async->quiet.reported, 0);
}

/* With the lock held: sees to it that something runs; true when nothing ever will.  A
 * timer may make nothing ready, one that reports for example, and then the next one
 * is due. */
static bool go_on(struct weft_runtime *rt)
{
	while (is_quiet(rt) && !wake_waiters(&rt->async->quiet))
		if (!advance(rt))
			return is_deadlock(rt);
	return false;
}

void weft__quiet(struct weft_runtime *rt)
{
	struct weft__quiet *quiet = &rt->async->quiet;

	weft__spin_lock(&quiet->lock);
	bool dead = go_on(rt);
	weft__spin_unlock(&quiet->lock);
	if (dead)
		deadlock(rt);
	if (weft__work_anywhere(rt))
		weft__idle_notify(rt);
}

int weft_wait_all_blocked(void)
{
	struct weft__strand *s = weft__strand_self();

	if (!s)
		return WEFT_ENOTASK;
	struct weft__quiet *quiet = &s->runtime->async->quiet;
	struct waiter me = { .strand = s };
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);
	if (rc != 0)
		return rc;

	me.ticket = weft__wait_ticket(s);
	store_release(&s->runtime->watch_quiet, 1);
	weft__spin_lock(&quiet->lock);
	weft__list_push_back(&quiet->waiters, &me.link);
	weft__spin_unlock(&quiet->lock);
	unsigned code = weft__wait_park(s, "all others to be blocked", NULL);
	weft__spin_lock(&quiet->lock);
	weft__list_remove(&me.link);
	weft__spin_unlock(&quiet->lock);
	return weft__code_error(code);
}
