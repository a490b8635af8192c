/* SPDX-License-Identifier: MIT */
/*
 * lock.c - a lock with an owner, handed on in the order of arrival
 *
 *   The rules are those of trio's Lock and ParkingLot (N. J. Smith, 2017).
 *
 * Invariants
 *
 *   I1  owner is not NULL while somebody waits: a release makes the first waiter the
 *       owner, in one step under the lock of the queue.
 *   I2  Only the owner itself finds its own id in `owner`.  So it may look without the
 *       lock, and everybody else sees that he is not it.
 *   I3  The lock is in the list of its owner's strand (held.h) from shortly after it got
 *       it until shortly before it lets go; it does not end in between.
 *
 * Rejected: one word with a compare-and-swap each for acquire and release.  It costs the
 * same two locked instructions as the lock of the queue, and the owner who has ended,
 * the count and the hand-off then need a second protocol beside it.
 */
#include "async/lock.h"

#include <sched.h>

#include <weft/error.h>

_Static_assert(sizeof(struct weft__lock) <= sizeof(struct weft_lock),
	       "struct weft_lock is too small");

static struct weft__lock *lock_of_held(struct weft__held *held)
{
	return WEFT__CONTAINER(held, struct weft__lock, held);
}

/* Its owner has ended. */
static void abandon(struct weft__held *held)
{
	struct weft__lock *l = lock_of_held(held);
	struct weft__wakes wakes = { 0 };

	weft__queue_lock(&l->queue);
	store_relaxed(&l->owner, WEFT__OWNER_BROKEN);
	weft__queue_wake_all(&l->queue, WEFT__BROKEN, &wakes);
	weft__queue_unlock_wake(&l->queue, &wakes);
}

static void own(struct weft__lock *l, struct weft__strand *s)
{
	l->held.abandon = abandon;
	weft__held_push(s, &l->held);
}

/* With the lock of the queue held: makes the first waiter that is still there the owner,
 * or nobody. */
static void hand_on(struct weft__lock *l, struct weft__wakes *wakes)
{
	struct weft__waiter *w;

	while ((w = l->queue.first)) {
		store_relaxed(&l->owner, w->id); /* before it may run */
		if (weft__queue_wake(&l->queue, w, WEFT__GRANTED, wakes)) {
			l->acquires++;
			return;
		}
	}
	store_relaxed(&l->owner, (const void *)NULL);
}

/* 0 when it was free; the lock of the queue is held either way. */
static inline int take(struct weft__lock *l, const void *id)
{
	const void *owner = load_relaxed(&l->owner);

	if (WEFT_UNLIKELY(owner != NULL))
		return owner == WEFT__OWNER_BROKEN ? WEFT_EBROKEN
		       : owner == id		   ? WEFT_EDEADLK
						   : WEFT_EAGAIN;
	store_relaxed(&l->owner, id);
	l->acquires++;
	return 0;
}

/* With the lock of the queue held. */
static __attribute__((noinline)) int wait_for(struct weft__lock *l, struct weft__strand *s,
					      unsigned flags)
{
	struct weft__waiter me = { .id = weft__owner_id(s) };

	l->contended++;
	int rc = weft__queue_wait(&l->queue, s, &me, flags, "lock", l);
	if (WEFT_UNLIKELY(rc != 0)) {
		weft__queue_withdraw(&l->queue, &me);
		weft__queue_unlock(&l->queue);
		return rc;
	}
	own(l, s);
	return 0;
}

static inline int acquire(struct weft__lock *l, struct weft__here me, unsigned flags)
{
	struct weft__strand *s = me.strand;

	weft__queue_lock_as(&l->queue, me.worker);
	int rc = take(l, weft__owner_id(s));
	if (WEFT_UNLIKELY(rc == WEFT_EAGAIN))
		return wait_for(l, s, flags);
	weft__queue_unlock(&l->queue);
	if (rc == 0)
		own(l, s);
	return rc;
}

int weft__lock_acquire(struct weft__lock *l, struct weft__here me)
{
	return acquire(l, me, WEFT__ABORTABLE);
}

int weft__lock_acquire_shielded(struct weft__lock *l, struct weft__strand *s)
{
	int rc;

	while ((rc = acquire(l, (struct weft__here){ s, NULL }, 0)) == WEFT_ENOMEM)
		sched_yield(); /* the owner goes on, or runs already: nothing is run on top */
	return rc;
}

int weft__lock_try_acquire(struct weft__lock *l, struct weft__here me)
{
	weft__queue_lock_as(&l->queue, me.worker);
	int rc = take(l, weft__owner_id(me.strand));
	weft__queue_unlock(&l->queue);
	if (rc == 0)
		own(l, me.strand);
	return rc;
}

static __attribute__((noinline)) void hand_on_and_unlock(struct weft__lock *l)
{
	struct weft__wakes wakes = { 0 };

	hand_on(l, &wakes);
	weft__queue_unlock_wake(&l->queue, &wakes);
}

void weft__lock_release(struct weft__lock *l, struct weft__here me)
{
	weft__held_remove(me.strand, &l->held);
	weft__queue_lock_as(&l->queue, me.worker);
	if (WEFT_UNLIKELY(!weft__queue_is_empty(&l->queue))) {
		hand_on_and_unlock(l);
		return;
	}
	store_relaxed(&l->owner, (const void *)NULL);
	weft__queue_unlock(&l->queue);
}

/* --- the public face ------------------------------------------------------- */

void weft_lock_init(struct weft_lock *lock)
{
	*weft__lock_of(lock) = (struct weft__lock){ 0 };
}

int weft_lock_acquire(struct weft_lock *lock)
{
	struct weft__here me;
	int rc = weft__point_me(&me);

	return WEFT_LIKELY(rc == 0) ? acquire(weft__lock_of(lock), me, WEFT__ABORTABLE) : rc;
}

int weft_lock_try_acquire(struct weft_lock *lock)
{
	return weft__lock_try_acquire(weft__lock_of(lock), weft__here());
}

int weft_lock_release(struct weft_lock *lock)
{
	struct weft__lock *l = weft__lock_of(lock);
	struct weft__here me = weft__here();

	if (WEFT_UNLIKELY(!weft__lock_is_owner(l, weft__owner_id(me.strand)))) /* I2 */
		return WEFT_EPERM;
	weft__lock_release(l, me);
	return 0;
}

bool weft_lock_is_held(struct weft_lock *lock)
{
	const void *owner = load_relaxed(&weft__lock_of(lock)->owner);
	return owner != NULL && owner != WEFT__OWNER_BROKEN;
}

bool weft_lock_is_mine(struct weft_lock *lock)
{
	return weft__lock_is_owner(weft__lock_of(lock), weft__owner_id(weft__strand_self()));
}

struct weft_lock_stats weft_lock_stats(struct weft_lock *lock)
{
	struct weft__lock *l = weft__lock_of(lock);

	weft__queue_lock_as(&l->queue, weft__here().worker);
	struct weft_lock_stats stats = { l->acquires, l->contended, l->queue.length };
	weft__queue_unlock(&l->queue);
	return stats;
}
