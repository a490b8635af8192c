/* SPDX-License-Identifier: MIT */
/*
 * deque.c - the Chase-Lev deque, in the weak-memory form of Le et al.
 *
 *   D. Chase, Y. Lev.  Dynamic circular work-stealing deque.  SPAA 2005.
 *   N. M. Le, A. Pop, A. Cohen, F. Zappa Nardelli.  Correct and efficient
 *   work-stealing for weak memory models.  PPoPP 2013.
 *
 *          top                     bottom
 *           v                         v
 *     . . [ t ][   ][   ][   ][ b-1 ] .  .      indices grow to the right and
 *       thieves ->          <- owner            never come back (int64)
 *
 * Job i lives in slot i & mask.  The jobs present are top <= i < bottom.  At a
 * thousand million pushes a second the indices last 292 years, so nothing looks
 * for their end; they may start anywhere, below 0 too, and differences of them
 * stay within the capacity.
 *
 * Invariants
 *
 *   I1  Only the owner writes bottom, ring and the slots.
 *   I2  top only grows, and only by a successful CAS: whoever moves it from i
 *       to i + 1, thief or owner, owns job i.  One path alone takes a job without
 *       that: the owner, job b while top < b, after it has lowered bottom to b;
 *       O3 is what makes it safe.
 *   I3  bottom - top <= capacity.  A slot is overwritten only after top has
 *       passed it, so a thief that read the new value loses its CAS.
 *   I4  A ring that was ever published stays allocated until fini, and is never
 *       written again once it is replaced: a thief that reads an old ring finds
 *       there every job that was present when it was replaced.
 *   I5  A push and a pop leave bottom >= top as the owner sees it; bottom = top - 1
 *       is seen by others only while claim_bottom is under way.
 *
 * Orderings (each atomic access names the one it serves)
 *
 *   O1  job -> thief      release bottom (push, claim_bottom)
 *                                            => acquire bottom (steal)
 *       A thief that sees index i inside sees slot i and what job i points to.
 *       The stores that restore bottom are releases too, and so is the exchange
 *       that lowers it: the value that a thief reads may be any of them.
 *   O2  slot -> owner     release half of the CAS on top => acquire top (push)
 *       The thief has finished reading a slot before the owner reuses it (I3).
 *   O3  one taker         exchange of bottom, then load of top (claim_bottom)
 *                                            <=>  fence in steal
 *       Store-load, the Dekker shape: claim_bottom lowers bottom, then reads
 *       top; steal reads top, then bottom.  The exchange is a full barrier.
 *       Without both, the owner can believe that two jobs are left and take job
 *       b unclaimed, while a thief that has not seen the lowered bottom claims b
 *       as well.
 *   O4  copy -> thief     release ring (push_full)    => acquire ring (steal)
 *       A thief that saw an old bottom may still meet the new ring; it must see
 *       the copied slots.
 *   O5  top is old or true   relaxed top (pop, claim_bottom)
 *       Before any barrier the owner may read a top of the past.  As top only
 *       grows (I2), top > b is final: job b is gone.  top == b means that b is
 *       the only job that can be left, and the CAS decides.  top < b decides
 *       nothing, and goes on to O3.
 *
 * Rejected
 *
 *   - Store of bottom and mfence, as in the paper: 20 ns more than the exchange.
 *   - Lowering bottom for the last job too.  The owner can take it the way
 *     thieves do, and bottom need not move: one locked instruction, not two.  An
 *     empty pop costs none at all (O5).
 *   - A private copy of top for push, to leave the thieves' line alone: the fork
 *     path asks for the size anyway, and that reads top.
 *   - Freeing old rings early: needs to know that no thief is inside.  Together
 *     they are smaller than the live one (I4).
 *   - A split deque with a private part: the hungry byte already keeps the deque
 *     empty while nobody steals, so there is nothing to save.
 *
 * What can check what: no edge that publishes plain memory rests on a fence,
 * so ThreadSanitizer, which does not model fences, can check O1 and (timing
 * willing) O4.  O2, O3 and O5 guard atomics: a mistake there is a wrong job and
 * not a data race, and only a model checker can show it.  aarch64_barriers.sh
 * shows that the instructions of O1 to O4 are in the aarch64 object.
 */
#include "deque/deque.h"

#include <weft/error.h>

#include "deque/check.h"

/* True when this caller moved top from t to t + 1, and so owns job t (I2).  A
 * loser has learnt nothing that it will use. */
static bool claim_top(struct weft__deque *dq, int64_t t)
{
	return cas_seqcst(&dq->top, t, t + 1); /* O2, O3 */
}

int weft__deque_init(struct weft__deque *dq, size_t capacity)
{
	return weft__deque_init_at(dq, capacity, 0);
}

int weft__deque_init_at(struct weft__deque *dq, size_t capacity, int64_t start)
{
	if (capacity < 1 || capacity > WEFT__RING_MAX)
		return WEFT_EINVAL;

	struct weft__ring *ring = weft__ring_create(capacity);
	if (!ring)
		return WEFT_ENOMEM;
	dq->top = start;
	dq->bottom = start;
	dq->ring = ring;
	return 0;
}

void weft__deque_fini(struct weft__deque *dq)
{
	weft__ring_destroy(dq->ring);
	dq->ring = NULL;
}

/* The copy is complete before the ring is published (O4), and the ring before
 * the bottom that needs it (O1). */
int weft__deque_push_full(struct weft__deque *dq, struct weft__job *job)
{
	int64_t b = load_relaxed(&dq->bottom); /* I1 */
	int64_t t = load_acquire(&dq->top);    /* O2 */
	struct weft__ring *ring = weft__ring_grow(load_relaxed(&dq->ring), t, b);

	if (!ring)
		return WEFT_ENOMEM;
	weft__ring_put(ring, b, job);
	store_release(&dq->ring, ring);	   /* O4 */
	store_release(&dq->bottom, b + 1); /* O1 */
	return 0;
}

/* True when the owner has taken job b = bottom - 1.  False: it is gone, or was
 * never there, and bottom is as it was. */
bool weft__deque_claim_bottom(struct weft__deque *dq, int64_t b)
{
	int64_t t = load_relaxed(&dq->top); /* O5 */

	if (t > b)
		return false;
	if (t == b)
		return claim_top(dq, b);

	/* Say which job we want before asking whether a thief has it. */
	(void)exchange_seqcst(&dq->bottom, b); /* O1, O3 */
	t = load_relaxed(&dq->top);	       /* O3 */
	if (WEFT_LIKELY(t < b))
		return true; /* two or more: no thief can reach b */

	/* The last one, to be won like a thief would, or none.  Either way the
	 * deque ends up empty with bottom back where it was. */
	bool won = t == b && claim_top(dq, b);

	store_release(&dq->bottom, b + 1); /* O1 */
	return won;
}

struct weft__job *weft__deque_pop(struct weft__deque *dq)
{
	int64_t b = load_relaxed(&dq->bottom) - 1; /* I1 */

	if (!weft__deque_claim_bottom(dq, b))
		return NULL;
	return weft__ring_get(load_relaxed(&dq->ring), b); /* I1 */
}

enum weft__steal weft__deque_steal(struct weft__deque *dq, struct weft__job **job)
{
	int64_t t = load_acquire(&dq->top);    /* O3: top before bottom */
	fence_seqcst();			       /* O3 */
	int64_t b = load_acquire(&dq->bottom); /* O1 */

	if (t >= b)
		return WEFT__STEAL_EMPTY;

	/* Read first, claim second: the moment top moves, the owner may reuse
	 * the slot (O2).  A value read and then not won is thrown away. */
	struct weft__job *found = weft__ring_get(load_acquire(&dq->ring), t); /* O4 */

	if (!claim_top(dq, t))
		return WEFT__STEAL_LOST;
	*job = found;
	return WEFT__STEAL_TAKEN;
}

void weft__deque_check(struct weft__deque *dq)
{
	int64_t t = dq->top, b = dq->bottom;

	if (b < t || (uint64_t)(b - t) > dq->ring->mask + 1)
		weft__bug("top %lld, bottom %lld, %llu slots", (long long)t, (long long)b,
			  (unsigned long long)dq->ring->mask + 1);
	for (int64_t i = t; i < b; i++)
		if (!weft__ring_get(dq->ring, i))
			weft__bug("no job at index %lld", (long long)i);
}
