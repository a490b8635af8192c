/* SPDX-License-Identifier: MIT */
/*
 * fifo.h - a queue with one producer, from which everybody takes the oldest
 *
 * The ring of the deque, used first in, first out: the owner pushes at the
 * bottom, and everybody, the owner included, takes at the top.  Each worker
 * keeps its ready fibers in one.
 *
 *   threads    push, init, fini, check: the owner.  take, is_empty: any thread.
 *   memory     the caller owns the struct and the jobs; the queue owns its
 *              rings.  fini frees the rings and never touches a job.
 *   errors     0 or a negative WEFT_E code.
 *   blocking   no call waits; only a push that grows allocates.
 *
 * Invariants
 *
 *   I1  Only the owner writes bottom, ring and the slots, and bottom only grows.
 *   I2  top only grows, and only by a successful CAS: whoever moves it from i
 *       to i + 1 owns job i.  There is no other way to a job.
 *   I3  top <= bottom, and bottom - top <= capacity: a slot is overwritten only
 *       after top has passed it.
 *   I4  A ring that was ever published stays allocated, and unwritten once it is
 *       replaced, until fini.
 *
 * Orderings
 *
 *   O1  job -> taker      release bottom (push) => acquire bottom (take)
 *   O2  slot -> owner     release half of the CAS on top => acquire top (push)
 *   O3  copy -> taker     release ring (push_full) => acquire ring (take)
 *   O4  top, then bottom  acquire top, before the load of bottom (take)
 *       A top of the past with a bottom of now is harmless: the CAS fails.  A
 *       bottom older than the top would show an empty queue, or one with fewer
 *       than no jobs, where there is work.
 *   O5  push -> the next push    release bottom => acquire bottom (push)
 *       The owner is one thread, and for the machine a relaxed load does.  But it runs
 *       many fibers, to ThreadSanitizer a thread each: the release of one hands on the
 *       jobs of another only if that one was acquired before.
 *
 * Why take has no fence where the deque's steal has one.  That fence pairs with
 * an owner who takes the newest job by lowering bottom and skips the CAS when
 * top is far enough away; a thief that had not seen the lowered bottom would
 * take the same job.  Here bottom never goes down, so whatever bottom a taker
 * has seen stays true, and no job leaves but by the CAS on top, which has one
 * winner for each index (I2).  Two takers are ordered by the CAS alone, as they
 * are in the deque.
 *
 * take may say that the queue is empty while a push is under way.  Who sleeps on
 * that answer needs a full fence between announcing itself and asking again, and
 * the owner one between the push and looking for sleepers.
 *
 * ThreadSanitizer can check O1 and O3; a mistake in O2 or O4 is a wrong job, a
 * matter for a model checker.
 */
#ifndef WEFT_DEQUE_FIFO_H
#define WEFT_DEQUE_FIFO_H

#include <stdalign.h>

#include <weft/base.h>
#include <weft/error.h>

#include "deque/check.h"
#include "deque/ring.h"

struct weft__fifo {
	alignas(WEFT_CACHELINE) int64_t top;
	alignas(WEFT_CACHELINE) int64_t bottom;
	struct weft__ring *ring;
};

/* Room for at least `capacity` jobs before the first growth.
 * WEFT_EINVAL when it is not 1 .. 2^30, WEFT_ENOMEM. */
static inline int weft__fifo_init(struct weft__fifo *fifo, size_t capacity)
{
	if (capacity < 1 || capacity > WEFT__RING_MAX)
		return WEFT_EINVAL;

	struct weft__ring *ring = weft__ring_create(capacity);
	if (!ring)
		return WEFT_ENOMEM;
	fifo->top = 0;
	fifo->bottom = 0;
	fifo->ring = ring;
	return 0;
}

/* Nobody else may be using the queue any more.  Jobs still inside are the
 * caller's to release. */
static inline void weft__fifo_fini(struct weft__fifo *fifo)
{
	weft__ring_destroy(fifo->ring);
	fifo->ring = NULL;
}

/* Aborts when the queue is not sound; no other thread may be using it. */
static inline void weft__fifo_check(struct weft__fifo *fifo)
{
	int64_t t = fifo->top, b = fifo->bottom;

	if (b < t || (uint64_t)(b - t) > fifo->ring->mask + 1)
		weft__bug("top %lld, bottom %lld, %llu slots", (long long)t, (long long)b,
			  (unsigned long long)fifo->ring->mask + 1);
	for (int64_t i = t; i < b; i++)
		if (!weft__ring_get(fifo->ring, i))
			weft__bug("no job at index %lld", (long long)i);
}

/* Private: a push into a full ring. */
static inline int weft__fifo_push_full(struct weft__fifo *fifo, struct weft__job *job, int64_t t,
				       int64_t b)
{
	struct weft__ring *ring = weft__ring_grow(load_relaxed(&fifo->ring), t, b); /* I1 */

	if (!ring)
		return WEFT_ENOMEM;
	weft__ring_put(ring, b, job);
	store_release(&fifo->ring, ring);    /* O3 */
	store_release(&fifo->bottom, b + 1); /* O1 */
	return 0;
}

/* Private: bottom, for the owner. */
static inline int64_t weft__fifo_own_bottom(const struct weft__fifo *fifo)
{
	return WEFT__TSAN ? load_acquire(&fifo->bottom) : load_relaxed(&fifo->bottom); /* O5 */
}

/* `job` may not be NULL.  WEFT_ENOMEM when a full queue cannot grow; the queue
 * is then unchanged and the job still the caller's. */
static inline int weft__fifo_push(struct weft__fifo *fifo, struct weft__job *job)
{
	int64_t b = weft__fifo_own_bottom(fifo);	     /* I1, O5 */
	struct weft__ring *ring = load_relaxed(&fifo->ring); /* I1 */
	int64_t t = load_acquire(&fifo->top);		     /* O2 */

	if (WEFT_UNLIKELY((uint64_t)(b - t) > ring->mask))
		return weft__fifo_push_full(fifo, job, t, b);

	weft__ring_put(ring, b, job);
	store_release(&fifo->bottom, b + 1); /* O1 */
	return 0;
}

/* The oldest job, or NULL when there is none.  A race that is lost was won by
 * somebody else, so the retry is lock-free. */
static inline struct weft__job *weft__fifo_take(struct weft__fifo *fifo)
{
	for (;;) {
		int64_t t = load_acquire(&fifo->top); /* O4 */

		if (t >= load_acquire(&fifo->bottom)) /* O1 */
			return NULL;

		/* Read first, claim second: the moment top moves, the owner may
		 * reuse the slot (O2). */
		struct weft__job *job = weft__ring_get(load_acquire(&fifo->ring), t); /* O3 */

		if (WEFT_LIKELY(cas_seqcst(&fifo->top, t, t + 1))) /* I2, O2 */
			return job;
	}
}

/* How many there are: likewise a hint to all but an owner who is alone. */
static inline uint64_t weft__fifo_size(const struct weft__fifo *fifo)
{
	int64_t t = load_relaxed(&fifo->top);
	int64_t b = load_relaxed(&fifo->bottom);

	return b > t ? (uint64_t)(b - t) : 0;
}

/* As take, for an owner that has no thieves: nobody else ever takes.  One thread needs no
 * order; the acquire is for ThreadSanitizer, to which fibers are threads. */
static inline struct weft__job *weft__fifo_take_alone(struct weft__fifo *fifo)
{
	int64_t t = load_relaxed(&fifo->top);

	if (t >= load_acquire(&fifo->bottom)) /* O1 */
		return NULL;
	store_relaxed(&fifo->top, t + 1);
	return weft__ring_get(load_relaxed(&fifo->ring), t);
}

/* A hint, already stale when the caller reads it.  The order of the loads makes
 * a push that comes in between show, rather than hide what was there. */
static inline bool weft__fifo_is_empty(const struct weft__fifo *fifo)
{
	int64_t t = load_relaxed(&fifo->top);

	return t >= load_relaxed(&fifo->bottom);
}

#endif
