/* SPDX-License-Identifier: MIT */
/*
 * cond.c - waiting for a change of what a lock protects
 *
 * The waiter is in the queue before it releases the lock, so no notify by somebody who
 * has the lock can miss it.
 */
#include <weft/error.h>

#include "async/lock.h"

struct weft__cond {
	struct weft__queue queue;
};

_Static_assert(sizeof(struct weft__cond) <= sizeof(struct weft_cond),
	       "struct weft_cond is too small");

static struct weft__cond *cond_of(struct weft_cond *c)
{
	return (struct weft__cond *)(void *)c;
}

void weft_cond_init(struct weft_cond *cond)
{
	*cond_of(cond) = (struct weft__cond){ 0 };
}

/* Releases the lock and waits to be notified. */
static int await(struct weft__cond *c, struct weft__lock *l, struct weft__strand *s)
{
	struct weft__waiter me;

	weft__queue_lock(&c->queue);
	int rc = weft__queue_enter(&c->queue, s, &me, WEFT__ABORTABLE);
	if (rc != 0)
		return rc;
	weft__lock_release(l, weft__here());
	rc = weft__queue_park(&c->queue, &me, "condition", c);
	if (rc != 0) {
		weft__queue_withdraw(&c->queue, &me);
		weft__queue_unlock(&c->queue);
	}
	int again = weft__lock_acquire_shielded(l, s); /* SY-7 */
	return again ? again : rc;
}

int weft_cond_wait(struct weft_cond *cond, struct weft_lock *lock)
{
	struct weft__strand *s = weft__strand_self();
	struct weft__lock *l = weft__lock_of(lock);

	if (!weft__lock_is_owner(l, weft__owner_id(s)))
		return WEFT_EPERM;
	int rc = weft__point_here(s);
	return rc ? rc : await(cond_of(cond), l, s);
}

void weft_cond_notify(struct weft_cond *cond, size_t n)
{
	struct weft__queue *q = &cond_of(cond)->queue;
	struct weft__wakes wakes = { 0 };

	weft__queue_lock(q);
	while (n > 0 && q->first)
		if (weft__queue_wake(q, q->first, WEFT__GRANTED, &wakes))
			n--;
	weft__queue_unlock_wake(q, &wakes);
}

void weft_cond_notify_all(struct weft_cond *cond)
{
	weft_cond_notify(cond, SIZE_MAX);
}
