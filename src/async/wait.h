/* SPDX-License-Identifier: MIT */
/*
 * wait.h - how a strand waits and is woken, once
 *
 * Every wait of this floor is this one: a grant, a cancel and a time-out all try
 * to claim the same word, and one of them wins.
 *
 *	if ((rc = weft__wait_begin(s, WEFT__ABORTABLE)) != 0)
 *		return rc;                      cancelled: nothing happened
 *	... leave (s, weft__wait_ticket(s)) where a waker will find it ...
 *	code = weft__wait_park(s, "what", on);
 *	... unless the waker did, take it away again ...
 *
 * Who finds it claims it, under the lock that keeps it from being taken away, and
 * resumes it, at the latest when that lock is released:
 *
 *	if (weft__claim(s, ticket, WEFT__GRANTED) == WEFT__CLAIM_PARKED)
 *		weft__resume(s);
 *
 *	word   [ ticket 48 | code 8 | . . . SOFT ABORTABLE | state 2 ]
 *
 *	RUNNING --begin--> WAITING --park--> PARKED      (the strand itself)
 *	   ^ '--------park_locked------------^ |
 *	   '------claim-------'-----claim------'         (whoever wins)
 *
 *   threads    begin, park: the strand.  claim, resume: any.
 *   memory     a strand that was claimed PARKED stays until it is resumed; one that
 *              was claimed WAITING may be gone at once.
 */
#ifndef WEFT_ASYNC_WAIT_H
#define WEFT_ASYNC_WAIT_H

#include "async/guard.h"
#include "runtime/strand.h"

enum {
	WEFT__RUNNING = 0,
	WEFT__WAITING = 1,
	WEFT__PARKED = 2,
	WEFT__STATE = 3,
	WEFT__ABORTABLE = 4, /* a cancel ends the wait */
	WEFT__SOFT = 8,	     /* and so does one with grace, at once */
};

/* Why a wait ended. */
enum weft__code {
	WEFT__GRANTED = 1,
	WEFT__CANCELLED,
	WEFT__TIMED_OUT,
	WEFT__CLOSED,
	WEFT__BROKEN,
	WEFT__NO_STACK, /* there is none to go on with meanwhile */
};

enum weft__claim {
	WEFT__CLAIM_LOST,    /* the wait is over already */
	WEFT__CLAIM_WAITING, /* won; it has not parked yet and will see */
	WEFT__CLAIM_PARKED,  /* won; resume it */
};

/* 0, or WEFT_ECANCELED when an abortable wait is cancelled already; then no wait
 * has begun.  A full barrier. */
int weft__wait_begin(struct weft__strand *s, unsigned flags);

static inline uint64_t weft__wait_ticket(const struct weft__strand *s)
{
	return load_relaxed(&s->word) >> 16;
}

/* Ends a wait that has begun without parking: the code of who claimed it before,
 * or 0. */
unsigned weft__wait_end(struct weft__strand *s);

/* Waits; enum weft__code.  `what` and `on` are for reports: "lock", its address. */
unsigned weft__wait_park(struct weft__strand *s, const char *what, const void *on);

/* For those who cannot go on after WEFT__NO_STACK: lets something else happen. */
void weft__wait_without_stack(void);

/*
 * Begins and parks in one step, for who holds the lock under which it will be claimed
 * and has put {strand, weft__wait_next(s)} there already.  The lock is released once
 * it has parked, so the waker always finds it parked, and one atomic step is saved.
 * WEFT__CANCELLED also when it was cancelled before.  Abortable.
 */
static inline uint64_t weft__wait_next(const struct weft__strand *s)
{
	return weft__wait_ticket(s) + 1;
}

unsigned weft__wait_park_locked(struct weft__strand *s, struct weft__guard *lock, const char *what,
				const void *on);

static inline enum weft__claim weft__claim(struct weft__strand *s, uint64_t ticket, unsigned code)
{
	for (;;) {
		uint64_t word = load_acquire(&s->word);

		if (word >> 16 != ticket || (word & WEFT__STATE) == WEFT__RUNNING)
			return WEFT__CLAIM_LOST;
		/* O1, O2 of wait.c */
		if (cas_seqcst(&s->word, word, ticket << 16 | (uint64_t)code << 8))
			return (word & WEFT__STATE) == WEFT__PARKED ? WEFT__CLAIM_PARKED
								    : WEFT__CLAIM_WAITING;
	}
}

/* The strand that was claimed PARKED goes on.  Quietly: see weft__ready. */
void weft__resume(struct weft__strand *s);
void weft__resume_quietly(struct weft__strand *s);

/* Claim and resume; true when it won. */
static inline bool weft__wake(struct weft__strand *s, uint64_t ticket, unsigned code)
{
	enum weft__claim claim = weft__claim(s, ticket, code);

	if (claim == WEFT__CLAIM_PARKED)
		weft__resume(s);
	return claim != WEFT__CLAIM_LOST;
}

int weft__code_failure(unsigned code);

/* The error of a code: 0, WEFT_ECANCELED, WEFT_ETIMEDOUT ... */
static inline int weft__code_error(unsigned code)
{
	return WEFT_LIKELY(code == WEFT__GRANTED) ? 0 : weft__code_failure(code);
}

enum { WEFT__BUDGET = 128 }; /* points in a row (CO-5) */

int weft__point_slowly(struct weft__strand *s);

/* Counts a point; true when it is to look for a cancel, or to give way. */
static inline bool weft__is_due(struct weft__strand *s)
{
	return ++s->node.budget >= WEFT__BUDGET || load_relaxed(&weft__cancel_epoch) != s->seen;
}

/* Every call that may suspend begins with this: WEFT_ECANCELED, or 0 after giving
 * way if the strand has passed many such points in a row (CO-3, CO-5). */
static inline int weft__point(struct weft__strand *s)
{
	return WEFT_LIKELY(!weft__is_due(s)) ? 0 : weft__point_slowly(s);
}

/* Both at once: a point, and who and where the caller is after it, which may be on
 * another worker.  Outside of all tasks, where `strand` is NULL, it is none. */
static inline int weft__point_me(struct weft__here *me)
{
	struct weft__here here = weft__here();
	int rc = 0;

	if (WEFT_UNLIKELY(here.strand && weft__is_due(here.strand))) {
		rc = weft__point_slowly(here.strand);
		here = weft__here();
	}
	*me = here;
	return rc;
}

/* A plain thread that waits like a strand.  It has no scope: nothing cancels it. */
struct weft__thread_strand {
	struct weft__strand strand;
	uint32_t woken;
};

/* The strand that the caller is, or `local` made into one. */
struct weft__strand *weft__strand_here(struct weft__thread_strand *local);

#endif
