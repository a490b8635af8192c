/* SPDX-License-Identifier: MIT */
/*
 * queue.c - waiting in a line
 *
 * Orderings
 *
 *   O1  what the waker wrote to the object and to the waiter -> the waiter: the claim's
 *       O1 (wait.c).
 *   O2  the lock of the queue orders all else.
 *   O3  the waker's last touch -> the waiter, who may free the object: the waker holds
 *       the lock when it claims, so a waiter that has seen the claim and then the lock
 *       free, with acquire, comes after the unlock.
 *
 * The wait begins under the lock.  That makes what is held under it some 30 ns longer,
 * and saves those who wait from looking at the object twice.
 */
#include "async/queue.h"

#include <sched.h>

static void push(struct weft__queue *q, struct weft__waiter *w)
{
	w->next = NULL;
	w->prev = q->last;
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
	w->queued = true;
	q->length++;
}

void weft__queue_remove(struct weft__queue *q, struct weft__waiter *w)
{
	if (!w->queued)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		q->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		q->last = w->prev;
	w->queued = false;
	q->length--;
}

/* The waiter is parked, so that its memory stays until it is resumed. */
static void append(struct weft__wakes *wakes, struct weft__waiter *w)
{
	w->next = NULL;
	if (wakes->first)
		wakes->last->next = w;
	else
		wakes->first = w;
	wakes->last = w;
}

bool weft__queue_wake(struct weft__queue *q, struct weft__waiter *w, unsigned code,
		      struct weft__wakes *wakes)
{
	weft__queue_remove(q, w);
	enum weft__claim claim = weft__claim(w->strand, w->ticket, code); /* O1 */
	if (claim == WEFT__CLAIM_PARKED)
		append(wakes, w);
	return claim != WEFT__CLAIM_LOST;
}

void weft__queue_wake_all(struct weft__queue *q, unsigned code, struct weft__wakes *wakes)
{
	while (q->first)
		weft__queue_wake(q, q->first, code, wakes);
}

void weft__queue_unlock_wake(struct weft__queue *q, const struct weft__wakes *wakes)
{
	struct weft__waiter *w = wakes->first;

	weft__queue_unlock(q);
	while (w) {
		struct weft__waiter *next = w->next;
		weft__resume(w->strand);
		w = next;
	}
}

int weft__queue_enter(struct weft__queue *q, struct weft__strand *s, struct weft__waiter *me,
		      unsigned flags)
{
	me->queued = false;
	me->strand = s ? s : weft__strand_here(&me->thread);
	int rc = weft__wait_begin(me->strand, flags);
	if (rc == 0) {
		me->ticket = weft__wait_ticket(me->strand);
		push(q, me);
	}
	weft__queue_unlock(q);
	return rc;
}

/* O3: observed free, each way in once. */
static void await_waker(const struct weft__queue *q)
{
	unsigned tries = 0;

	while (!weft__guard_is_free(&q->guard)) {
		cpu_relax();
		if (++tries % WEFT__SPIN_TRIES == 0)
			sched_yield();
	}
}

int weft__queue_park(struct weft__queue *q, struct weft__waiter *me, const char *what,
		     const void *on)
{
	unsigned code = weft__wait_park(me->strand, what, on);

	await_waker(q);
	return weft__code_error(code);
}

int weft__queue_wait(struct weft__queue *q, struct weft__strand *s, struct weft__waiter *me,
		     unsigned flags, const char *what, const void *on)
{
	int rc = weft__queue_enter(q, s, me, flags);
	return rc ? rc : weft__queue_park(q, me, what, on);
}

void weft__queue_withdraw(struct weft__queue *q, struct weft__waiter *me)
{
	weft__queue_lock(q);
	weft__queue_remove(q, me);
}
