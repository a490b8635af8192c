/* SPDX-License-Identifier: MIT */
/*
 * queue.h - those who wait for one object, first come, first served
 *
 * All of lock.c, sem.c, event.c and so on is a few plain fields and such a queue, under
 * the lock of the queue.  Whoever gives something to a waiter does so under that lock:
 * takes it out of the queue, writes what it is given, and claims its wait.  A lost
 * claim means that it was cancelled: it gets nothing, and the next one is asked.  A won
 * claim is final, and nothing of the waiter may be touched after it but its strand,
 * which is resumed when the lock is free.
 *
 *	weft__queue_lock(q);
 *	if (there is some)
 *		take it, weft__queue_unlock(q), return 0;
 *	rc = weft__queue_wait(q, s, &me, WEFT__ABORTABLE, "semaphore", sem);
 *	if (rc != 0) {
 *		weft__queue_withdraw(q, &me);   the lock is held, me is in no list
 *		... see to those behind ...
 *		weft__queue_unlock(q);
 *	}
 *
 * A waiter that lost its claim cannot leave before it has had the lock, so its memory
 * stays while the lock is held.  One that was given something does not leave before its
 * waker has let go of the lock, so it may free the object.
 *
 *   threads    any, plain ones too: `s` is NULL then.
 *   memory     waiters lie on the stacks of those who wait.  Zeros are an empty queue.
 *   errors     WEFT_ECANCELED, and WEFT_ENOMEM when there is no stack to go on with.
 *   blocking   wait, park.
 */
#ifndef WEFT_ASYNC_QUEUE_H
#define WEFT_ASYNC_QUEUE_H

#include "async/guard.h"
#include "async/wait.h"

struct weft__waiter {
	struct weft__waiter *next, *prev;
	bool queued;
	struct weft__strand *strand;
	uint64_t ticket;
	const void *id;			   /* of the owner to be: weft__owner_id, or a key */
	size_t want;			   /* permits; or what for, each object as it likes */
	struct weft__thread_strand thread; /* of one that is no task */
};

struct weft__queue {
	struct weft__guard guard;
	struct weft__waiter *first, *last;
	uint32_t length;
};

/* Strands to be resumed when the lock is free, in the order in which they were woken. */
struct weft__wakes {
	struct weft__waiter *first, *last;
};

static inline void weft__queue_lock(struct weft__queue *q)
{
	weft__guard_lock(&q->guard, NULL);
}

/* The same, of an object that may be one worker's: the caller's is `worker`. */
static inline void weft__queue_lock_as(struct weft__queue *q, const void *worker)
{
	weft__guard_lock(&q->guard, worker);
}

static inline void weft__queue_unlock(struct weft__queue *q)
{
	weft__guard_unlock(&q->guard);
}

static inline bool weft__queue_is_empty(const struct weft__queue *q)
{
	return q->first == NULL;
}

/* Nothing, if it is in no queue. */
void weft__queue_remove(struct weft__queue *q, struct weft__waiter *w);

/* With the lock held: takes the waiter out and ends its wait; false when it is gone. */
bool weft__queue_wake(struct weft__queue *q, struct weft__waiter *w, unsigned code,
		      struct weft__wakes *wakes);

/* Everybody. */
void weft__queue_wake_all(struct weft__queue *q, unsigned code, struct weft__wakes *wakes);

/* Unlocks, and those who were woken go on. */
void weft__queue_unlock_wake(struct weft__queue *q, const struct weft__wakes *wakes);

/* With the lock held, which is free afterwards: begins to wait at the end of the queue;
 * park is the other half.  An error: nothing has begun. */
int weft__queue_enter(struct weft__queue *q, struct weft__strand *s, struct weft__waiter *me,
		      unsigned flags);
int weft__queue_park(struct weft__queue *q, struct weft__waiter *me, const char *what,
		     const void *on);

/* Both. */
int weft__queue_wait(struct weft__queue *q, struct weft__strand *s, struct weft__waiter *me,
		     unsigned flags, const char *what, const void *on);

/* After an error of park or wait: out of the queue, and the lock is held. */
void weft__queue_withdraw(struct weft__queue *q, struct weft__waiter *me);

/* As weft__point, for a caller that may be no task. */
static inline int weft__point_here(struct weft__strand *s)
{
	return WEFT_LIKELY(s) ? weft__point(s) : 0;
}

#endif
