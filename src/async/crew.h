/* SPDX-License-Identifier: MIT */
/*
 * crew.h - the tasks that a stage of a stream runs beside its reader
 *
 * A crew hangs in the tree below what its maker runs in, so a cancel from there reaches
 * it, but no strand is inside it: streams are closed in any order, by any task.  What it
 * hangs below must not end before it; the scope that does is told (scope.c).
 *
 * A bell is where one task waits until another one has changed something: a place for one
 * waiter, under the lock of what is changed.  Being rung hands nothing over, so a waiter
 * that was cancelled has lost nothing.
 *
 *	weft__spin_lock(&lock);
 *	while (rc == 0 && !there_is_some)
 *		rc = weft__bell_wait(&bell, &lock, "an item", stage);
 *	...
 *
 *	there_is_some = true;                           under the lock
 *	struct weft__strand *woken = weft__bell_ring(&bell);
 *	weft__spin_unlock(&lock);
 *	weft__bell_answer(woken);
 *
 *   threads    open: a task.  start: one at a time, or a task of the crew.  close: one
 *              at a time, a plain thread too.
 *   memory     the crew lies in its stage, zeroed at first; a bell is two words of it.
 *   errors     open: WEFT_ENOTASK.  start: WEFT_ENOMEM.
 *   blocking   close joins and is not cut short; bell_wait.
 */
#ifndef WEFT_ASYNC_CREW_H
#define WEFT_ASYNC_CREW_H

#include "async/group.h"
#include "async/wait.h"
#include "deque/spin.h"

struct weft__crew {
	struct weft__group group;
};

int weft__crew_open(struct weft__crew *c);

/* What fn returns is not looked at: it leaves that where the reader finds it. */
int weft__crew_start(struct weft__crew *c, weft_fn *fn, void *arg, const char *name);

/* Asks all of them to end; those to be started later, too. */
void weft__crew_cancel(struct weft__crew *c);

/* Cancels and joins.  Of one that is not open: nothing. */
void weft__crew_close(struct weft__crew *c);

struct weft__bell {
	struct weft__strand *strand; /* NULL: nobody waits */
	uint64_t ticket;
};

/* The lock is held before and after.  0: rung, so look again; or WEFT_ECANCELED,
 * WEFT_ENOMEM. */
int weft__bell_wait(struct weft__bell *b, struct weft__spin *lock, const char *what,
		    const void *on);

/* With the lock held: whom to answer when it is free, or NULL. */
static inline struct weft__strand *weft__bell_ring(struct weft__bell *b)
{
	struct weft__strand *s = b->strand;

	if (WEFT_LIKELY(!s))
		return NULL;
	b->strand = NULL;
	return weft__claim(s, b->ticket, WEFT__GRANTED) == WEFT__CLAIM_PARKED ? s : NULL;
}

static inline void weft__bell_answer(struct weft__strand *woken)
{
	if (woken)
		weft__resume(woken);
}

#endif
