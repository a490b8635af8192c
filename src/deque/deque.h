/* SPDX-License-Identifier: MIT */
/*
 * deque.h - a work-stealing deque: one owner, any number of thieves
 *
 * The owner pushes and pops at the bottom, newest first, so it keeps working
 * on what is warm in its cache.  Thieves take from the top, oldest first, so
 * one steal moves a large piece of work.  The deque grows and never shrinks.
 * The ledger of orderings (O1 ...) and invariants (I1 ...) is in deque.c.
 *
 *   threads    push, pop, pop_item, init, fini, check: the owner.
 *              steal, size: any thread.
 *   memory     the caller owns the struct and the jobs; the deque owns its
 *              rings.  fini frees the rings and never touches a job.
 *   errors     0 or a negative WEFT_E code.
 *   blocking   no call waits; only a push that grows allocates.
 */
#ifndef WEFT_DEQUE_DEQUE_H
#define WEFT_DEQUE_DEQUE_H

#include <stdalign.h>

#include <weft/base.h>

#include "deque/ring.h"

/* `top` is what thieves fight over and `bottom` is what the owner writes, hence
 * a line each. */
struct weft__deque {
	alignas(WEFT_CACHELINE) int64_t top;
	alignas(WEFT_CACHELINE) int64_t bottom;
	struct weft__ring *ring;
};

enum weft__steal {
	WEFT__STEAL_TAKEN, /* *job is yours */
	WEFT__STEAL_EMPTY, /* there was nothing: look elsewhere */
	WEFT__STEAL_LOST,  /* somebody won the race: the same victim may have more */
};

/* Room for at least `capacity` jobs before the first growth.
 * WEFT_EINVAL when it is not 1 .. 2^30, WEFT_ENOMEM. */
int weft__deque_init(struct weft__deque *dq, size_t capacity);

/* As init, with the first index given: tests start near interesting values. */
int weft__deque_init_at(struct weft__deque *dq, size_t capacity, int64_t start);

/* Every thief must be gone.  Jobs still inside are the caller's to release. */
void weft__deque_fini(struct weft__deque *dq);

/* Aborts when the deque is not sound; no other thread may be using it. */
void weft__deque_check(struct weft__deque *dq);

/* Private: the uncommon ends of the inline functions below. */
int weft__deque_push_full(struct weft__deque *dq, struct weft__job *job);
bool weft__deque_claim_bottom(struct weft__deque *dq, int64_t b);

/* `job` may not be NULL.  WEFT_ENOMEM when a full deque cannot grow; the deque
 * is then unchanged and the job still the caller's. */
static inline int weft__deque_push(struct weft__deque *dq, struct weft__job *job)
{
	int64_t b = load_relaxed(&dq->bottom);		   /* I1 */
	struct weft__ring *ring = load_relaxed(&dq->ring); /* I1 */
	int64_t t = load_acquire(&dq->top);		   /* O2 */

	if (WEFT_UNLIKELY((uint64_t)(b - t) > ring->mask))
		return weft__deque_push_full(dq, job);

	weft__ring_put(ring, b, job);
	store_release(&dq->bottom, b + 1); /* O1 */
	return 0;
}

/* Takes `job` if it is the newest one present; false, with the deque as it was,
 * when a thief has it or another job is newest.  That is read from the slot
 * first, and answered without a read-modify-write when it is not `job`. */
static inline bool weft__deque_pop_item(struct weft__deque *dq, struct weft__job *job)
{
	int64_t b = load_relaxed(&dq->bottom) - 1; /* I1 */

	if (weft__ring_get(load_relaxed(&dq->ring), b) != job) /* I1 */
		return false;
	return weft__deque_claim_bottom(dq, b);
}

/* The newest job, or NULL when the deque is empty. */
struct weft__job *weft__deque_pop(struct weft__deque *dq);

/* The oldest job.  `*job` is written only on WEFT__STEAL_TAKEN. */
enum weft__steal weft__deque_steal(struct weft__deque *dq, struct weft__job **job);

/* A hint, already stale when the caller reads it.  It is exact for the owner
 * while no thief is about. */
static inline size_t weft__deque_size(const struct weft__deque *dq)
{
	int64_t t = load_relaxed(&dq->top);
	int64_t b = load_relaxed(&dq->bottom);

	return b > t ? (size_t)(b - t) : 0;
}

#endif
