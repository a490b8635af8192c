/* SPDX-License-Identifier: MIT */
/*
 * inject.c - the injector: a ring with a list behind it
 *
 *	producers ->  [ ring of ck_ring, capacity - 1 ]  -> consumers
 *	         \->  oldest -> job -> job -> end        -/
 *	              (only once the ring is full)
 *
 * push goes to the ring unless jobs are waiting in the list or the ring is full;
 * pop looks into the ring first, then into the list.  While the list is in use
 * nothing new enters the ring, so the ring runs dry, then the list does: what
 * waits in the list waits for at most a ring of older jobs, and nothing starves.
 * The jobs of one producer leave in its order; those of two may pass each other
 * by the few that are on their way while the list begins or ends.
 *
 * Invariants
 *
 *   I1  `oldest`, `end` and the next of listed jobs are touched under the lock
 *       only; `waiting` is written under it, and is the length of the list.
 *   I2  A job is in one place, and whoever takes it out of there owns it.
 *   I3  A thread that has pushed a job sees an injector that is not empty until
 *       that job is popped: ck_ring returns only once the tail has passed the
 *       job, and so all the older ones too.
 *   I4  A job leaves the list only when the ring was seen empty by a thread that
 *       held the lock with the job in the list: what the same producer had put
 *       into the ring before has left.  One look before the lock is not enough, the
 *       ring may have filled since.
 *
 * Orderings
 *
 *   O1  job -> consumer   release fence, then the tail of the ring (push)
 *                                   => head of the ring, then acquire fence (pop)
 *   O2  job -> consumer   unlock (push) => lock (pop)
 *   O3  slot -> producer  the consumer has read a slot before it gives it back by
 *                         its CAS on c_head; see below.
 *   O4  hint              relaxed waiting (push, pop, is_empty).  A producer that
 *                         misses a job in the list puts its own into the ring,
 *                         where it may overtake; a consumer that misses one finds
 *                         it the next time.  Sleepers bring their own fences.
 *
 * ck_ring 0.7.1 on aarch64.  _ck_ring_dequeue_mc copies the slot and then moves
 * c_head by a CAS, with ck_pr_fence_store_atomic in between.  That orders stores,
 * and the copy is a load: it may happen after the CAS, when a producer has put a
 * newer job into the slot.  One job is then run twice and one never.  A fence
 * around the call is no help, so for the length of that header the fence is
 * another one, a full barrier on aarch64 and nothing on x86-64, where loads and
 * locked instructions keep their order.  The other edges hold: a producer stores
 * to the slot only after a branch on c_head and on its own CAS, and moves p_tail
 * only after a store-store fence and a branch on the p_tail before; aarch64 orders
 * a store behind a branch on a load, and its stores reach everybody at once.
 *
 * A producer that loses its CPU between its CAS and its store to p_tail holds up
 * the producers behind it, which spin.  The injector is the way in from foreign
 * threads and not a place where workers meet, so that this is rare.
 *
 * In sanitizer and model builds there is no ring: neither can see into ck_ring's
 * assembly, and would miss O1.  The list, which has to be right in any case, then
 * takes everything.
 *
 * ThreadSanitizer can check O2; a stress test on aarch64 hardware O1 and O3.
 */
#include "deque/atomic.h"

#ifdef __aarch64__
#define ck_pr_fence_store_atomic weft__fence_rmw /* O3 */
#endif
#include "deque/inject.h"
#ifdef __aarch64__
#undef ck_pr_fence_store_atomic
#endif

#include <weft/error.h>

#include "deque/alloc.h"
#include "deque/check.h"

#define CAPACITY_MAX ((size_t)1 << 30)

static bool is_power_of_two(size_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

#ifdef WEFT__INJECT_RING
static int ring_init(struct weft__inject *inject)
{
	inject->buffer = weft__alloc(inject->capacity * sizeof(*inject->buffer));
	if (!inject->buffer)
		return WEFT_ENOMEM;
	ck_ring_init(&inject->ring, (unsigned)inject->capacity);
	return 0;
}

static void ring_fini(struct weft__inject *inject)
{
	weft__free(inject->buffer, inject->capacity * sizeof(*inject->buffer));
}

static bool ring_push(struct weft__inject *inject, struct weft__job *job)
{
	weft__fence_release(); /* O1 */
	return ck_ring_enqueue_mpmc(&inject->ring, inject->buffer, job);
}

static struct weft__job *ring_pop(struct weft__inject *inject)
{
	void *job;

	if (!ck_ring_dequeue_mpmc(&inject->ring, inject->buffer, &job))
		return NULL;
	weft__fence_acquire(); /* O1 */
	return job;
}
#else
static int ring_init(struct weft__inject *inject)
{
	(void)inject;
	return 0;
}

static void ring_fini(struct weft__inject *inject)
{
	(void)inject;
}

static bool ring_push(struct weft__inject *inject, struct weft__job *job)
{
	(void)inject;
	(void)job;
	return false;
}

static struct weft__job *ring_pop(struct weft__inject *inject)
{
	(void)inject;
	return NULL;
}
#endif

static void list_push(struct weft__inject *inject, struct weft__job *job)
{
	weft__spin_lock(&inject->lock); /* O2 */
	job->next = NULL;		/* read by whoever popped it last, under the lock as well */
	*inject->end = job;
	inject->end = &job->next;
	store_relaxed(&inject->waiting, load_relaxed(&inject->waiting) + 1); /* I1, O4 */
	weft__spin_unlock(&inject->lock);				     /* O2 */
}

/* Under the lock, and only when the ring is empty (I4). */
static struct weft__job *list_unlink(struct weft__inject *inject)
{
	struct weft__job *job = inject->oldest;

	if (!job)
		return NULL;
	inject->oldest = job->next;
	if (!inject->oldest)
		inject->end = &inject->oldest;
	store_relaxed(&inject->waiting, load_relaxed(&inject->waiting) - 1); /* I1, O4 */
	return job;
}

static struct weft__job *pop_under_lock(struct weft__inject *inject)
{
	weft__spin_lock(&inject->lock);		  /* O2 */
	struct weft__job *job = ring_pop(inject); /* I4 */
	if (!job)
		job = list_unlink(inject);
	weft__spin_unlock(&inject->lock); /* O2 */
	return job;
}

int weft__inject_init(struct weft__inject *inject, size_t capacity)
{
	if (!is_power_of_two(capacity) || capacity < 2 || capacity > CAPACITY_MAX)
		return WEFT_EINVAL;
	inject->capacity = capacity;
	inject->waiting = 0;
	inject->oldest = NULL;
	inject->end = &inject->oldest;
	weft__spin_init(&inject->lock);
	return ring_init(inject);
}

void weft__inject_fini(struct weft__inject *inject)
{
	ring_fini(inject);
}

/* I1 */
void weft__inject_check(const struct weft__inject *inject)
{
	struct weft__job *const *end = &inject->oldest;
	uint64_t n = 0;

	for (struct weft__job *job = inject->oldest; job; job = job->next, n++)
		end = &job->next;
	if (n != inject->waiting)
		weft__bug("%llu jobs in a list of %llu", (unsigned long long)n,
			  (unsigned long long)inject->waiting);
	if (end != inject->end)
		weft__bug("the end of the list is somewhere else");
}

void weft__inject_push(struct weft__inject *inject, struct weft__job *job)
{
	if (load_relaxed(&inject->waiting) == 0 && ring_push(inject, job)) /* O4 */
		return;
	list_push(inject, job);
}

struct weft__job *weft__inject_pop(struct weft__inject *inject)
{
	struct weft__job *job = ring_pop(inject);

	if (job || load_relaxed(&inject->waiting) == 0) /* O4 */
		return job;
	return pop_under_lock(inject);
}
