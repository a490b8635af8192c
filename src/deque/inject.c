/* SPDX-License-Identifier: MIT */
/*
 * inject.c - the injector: a stack that producers push, a list that consumers pop
 *
 *	producers ->  newest -> job -> job -> NULL     one compare-and-swap each
 *	                  |
 *	                  |  all of it at once, turned around, when the list is empty
 *	                  v
 *	consumers <-  oldest -> job -> job -> NULL     under a lock
 *
 * The stack is that of R. K. Treiber (Systems Programming: Coping with Parallelism,
 * IBM RJ 5118, 1986).  Only all of it is ever taken, so a job that comes back to the
 * top in the meantime does no harm (no ABA).  Each job is turned around once.
 *
 * Invariants
 *
 *   I1  `oldest` and the next of what hangs there are touched under the lock only.  The
 *       accesses are atomic for ThreadSanitizer, which does not see that the fiber that
 *       popped a job has come before the one that pushes it again.
 *   I2  A job is in one place, and whoever takes it out of there owns it.
 *   I3  A thread that has pushed a job sees an injector that is not empty until that
 *       job is popped.  On its way from the stack to the list it is in neither, but
 *       the lock is held: who finds the stack empty and then the lock free finds the
 *       list as it was left.
 *   I4  Jobs leave in the order of their compare-and-swaps: the list holds older ones
 *       than the stack, since it is refilled only when it is empty.
 *
 * Orderings
 *
 *   O1  job -> consumer   release half of the CAS (push) => acquire half of the
 *                         exchange (turn_around)
 *   O2  job -> consumer   unlock => lock (pop)
 *   O3  I3                lock, exchange of newest, oldest, unlock (pop) => acquire
 *                         newest, acquire locked, oldest (is_empty)
 *
 * Rejected: ck_ring with a list behind it.  A producer of a ring for many that loses its
 * CPU between taking its slot and passing the tail on holds up all behind it, which
 * spin for it in the order of their slots.  Sixty threads of a pool on two CPUs that
 * report their results then get one job through in some hundred milliseconds.
 */
#include "deque/inject.h"

void weft__inject_init(struct weft__inject *inject)
{
	inject->newest = NULL;
	inject->oldest = NULL;
	weft__spin_init(&inject->lock);
}

void weft__inject_push(struct weft__inject *inject, struct weft__job *job)
{
	struct weft__job *next;

	do {
		next = load_relaxed(&inject->newest);
		store_relaxed(&job->next, next);
	} while (!cas_seqcst(&inject->newest, next, job)); /* O1 */
}

/* Takes the stack; what it returns is linked from the oldest on. */
static struct weft__job *turn_around(struct weft__inject *inject)
{
	struct weft__job *job = exchange_acqrel(&inject->newest, (struct weft__job *)NULL); /* O1 */
	struct weft__job *older = NULL;

	while (job) {
		struct weft__job *next = load_relaxed(&job->next);
		store_relaxed(&job->next, older);
		older = job;
		job = next;
	}
	return older;
}

struct weft__job *weft__inject_pop(struct weft__inject *inject)
{
	if (weft__inject_is_empty(inject))
		return NULL;

	weft__spin_lock(&inject->lock); /* O2, O3 */
	struct weft__job *job = load_relaxed(&inject->oldest);
	if (!job)
		job = turn_around(inject);
	if (job)
		store_relaxed(&inject->oldest, load_relaxed(&job->next));
	weft__spin_unlock(&inject->lock); /* O2, O3 */
	return job;
}
