/* SPDX-License-Identifier: MIT */
/*
 * once.c - something that is done once, by whoever comes first and does not fail
 *
 *	IDLE --> RUNNING --fn succeeds--> DONE           all who wait go on
 *	  ^         | ^
 *	  |         '-'  fn fails: the first who waits runs it
 *	  '---------'    nobody waits
 *
 *   O1  what fn did -> who finds it done     release of DONE => acquire.
 *   O2  the runner's last touch -> who finds it done, and may free it: the lock of the
 *       queue, which the runner holds from DONE on, is observed free.
 */
#include <weft/error.h>
#include <weft/sync.h>

#include "async/queue.h"

enum { IDLE, RUNNING, DONE };

struct weft__once {
	struct weft__queue queue;
	const void *runner; /* weft__owner_id */
	uint32_t state;	    /* both are written under the lock of the queue */
};

_Static_assert(sizeof(struct weft__once) <= sizeof(struct weft_once),
	       "struct weft_once is too small");

/* With the lock held: the first who waits and is still there is the runner. */
static void next_runner(struct weft__once *o, struct weft__wakes *wakes)
{
	struct weft__waiter *w;

	while ((w = o->queue.first)) {
		o->runner = w->id;
		if (weft__queue_wake(&o->queue, w, WEFT__GRANTED, wakes))
			return;
	}
	o->runner = NULL;
	store_relaxed(&o->state, (uint32_t)IDLE);
}

/* The caller is the runner. */
static int run(struct weft__once *o, weft_fn *fn, void *arg)
{
	struct weft__wakes wakes = { 0 };
	int rc = fn(arg);

	weft__queue_lock(&o->queue);
	if (rc >= 0) {
		o->runner = NULL;
		store_release(&o->state, (uint32_t)DONE); /* O1 */
		weft__queue_wake_all(&o->queue, WEFT__GRANTED, &wakes);
	} else {
		next_runner(o, &wakes);
	}
	weft__queue_unlock_wake(&o->queue, &wakes);
	return rc;
}

/* With the lock held: 0 when it is done, or the caller is the runner. */
static int wait_for(struct weft__once *o, struct weft__strand *s)
{
	struct weft__waiter me = { .id = weft__owner_id(s) };
	int rc = weft__queue_wait(&o->queue, s, &me, WEFT__ABORTABLE, "once", o);

	if (rc == 0)
		return 0;
	weft__queue_withdraw(&o->queue, &me);
	weft__queue_unlock(&o->queue);
	return rc;
}

/* Likewise. */
static int enter(struct weft__once *o, struct weft__strand *s)
{
	const void *id = weft__owner_id(s);
	int rc = 0;

	weft__queue_lock(&o->queue);
	if (load_relaxed(&o->state) == RUNNING && o->runner != id)
		return wait_for(o, s);
	if (load_relaxed(&o->state) == RUNNING)
		rc = WEFT_EDEADLK;
	if (load_relaxed(&o->state) == IDLE) {
		o->runner = id;
		store_relaxed(&o->state, (uint32_t)RUNNING);
	}
	weft__queue_unlock(&o->queue);
	return rc;
}

int weft_once(struct weft_once *once, weft_fn *fn, void *arg)
{
	struct weft__once *o = (struct weft__once *)(void *)once;
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	if (rc != 0)
		return rc;
	if (load_acquire(&o->state) == DONE && weft__guard_is_free(&o->queue.guard)) /* O1, O2 */
		return 0;
	rc = enter(o, s);
	if (rc != 0 || load_acquire(&o->state) == DONE) /* O1 */
		return rc;
	return run(o, fn, arg);
}

bool weft_once_is_done(const struct weft_once *once)
{
	return load_acquire(&((const struct weft__once *)(const void *)once)->state) == DONE;
}
