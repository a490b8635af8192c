/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - parties that wait until all have come
 *
 *	filling  --the last party comes-->  draining  --the last party leaves--> filling
 *
 * Who comes while it drains waits in the queue for the round after that.
 *
 * Invariants
 *
 *   I1  A round is complete when its parties have got their index, which is done for
 *       all of them in one step under the lock.  A claim that is lost does not matter:
 *       that party, cancelled in the same moment, takes the lock and finds its index.
 *   I2  draining counts those who have an index and have not left.  While it is not 0 no
 *       round completes.
 *   I3  With draining 0 fewer than `parties` wait.
 */
#include <weft/error.h>
#include <weft/sync.h>

#include "async/queue.h"

/* In the place of an index. */
#define WAITS  SIZE_MAX
#define BROKEN (SIZE_MAX - 1)

struct weft__barrier {
	struct weft__queue queue;
	uint32_t parties;
	uint32_t draining;
	bool broken, break_on_cancel;
};

_Static_assert(sizeof(struct weft__barrier) <= sizeof(struct weft_barrier),
	       "struct weft_barrier is too small");

static struct weft__barrier *barrier_of(struct weft_barrier *b)
{
	return (struct weft__barrier *)(void *)b;
}

int weft_barrier_init_opt(struct weft_barrier *b, unsigned parties,
			  const struct weft_barrier_opts *opts)
{
	if (parties == 0 || (opts && opts->size < sizeof *opts))
		return WEFT_EINVAL;
	*barrier_of(b) = (struct weft__barrier){
		.parties = parties,
		.break_on_cancel = opts && opts->break_on_cancel,
	};
	return 0;
}

/* With the lock held: the first n who wait have come through (I1). */
static void release(struct weft__barrier *b, uint32_t n, struct weft__wakes *wakes)
{
	for (uint32_t i = 0; i < n; i++) {
		b->queue.first->want = i;
		weft__queue_wake(&b->queue, b->queue.first, WEFT__GRANTED, wakes);
	}
	b->draining = n;
}

/* With the lock held. */
static void break_all(struct weft__barrier *b, struct weft__wakes *wakes)
{
	while (b->queue.first) {
		b->queue.first->want = BROKEN;
		weft__queue_wake(&b->queue, b->queue.first, WEFT__BROKEN, wakes);
	}
}

/* A party that came through leaves. */
static void depart(struct weft__barrier *b, struct weft__wakes *wakes)
{
	if (--b->draining == 0 && b->queue.length >= b->parties)
		release(b, b->parties, wakes); /* I3 */
}

/* The wait is over: what became of it, with the lock held. */
static int settle(struct weft__barrier *b, const struct weft__waiter *me, int rc,
		  struct weft__wakes *wakes)
{
	if (me->want == BROKEN)
		return WEFT_EBROKEN;
	if (me->want != WAITS) {
		depart(b, wakes);
		return 0;
	}
	if (b->break_on_cancel) {
		b->broken = true;
		break_all(b, wakes);
	}
	return rc;
}

/* With the lock held. */
static int wait_for(struct weft__barrier *b, struct weft__strand *s, unsigned *index)
{
	struct weft__waiter me = { .want = WAITS };
	struct weft__wakes wakes = { 0 };
	int rc = weft__queue_wait(&b->queue, s, &me, WEFT__ABORTABLE, "barrier", b);

	weft__queue_withdraw(&b->queue, &me);
	rc = settle(b, &me, rc, &wakes);
	weft__queue_unlock_wake(&b->queue, &wakes);
	if (rc == 0 && index)
		*index = (unsigned)me.want;
	return rc;
}

/* The last party, who need not wait; with the lock held. */
static int complete(struct weft__barrier *b, unsigned *index)
{
	struct weft__wakes wakes = { 0 };
	unsigned last = b->parties - 1;

	release(b, last, &wakes);
	weft__queue_unlock_wake(&b->queue, &wakes);
	if (index)
		*index = last;
	return 0;
}

int weft_barrier_wait(struct weft_barrier *barrier, unsigned *index)
{
	struct weft__barrier *b = barrier_of(barrier);
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	if (rc != 0)
		return rc;
	weft__queue_lock(&b->queue);
	if (b->broken || b->parties == 0) {
		rc = b->broken ? WEFT_EBROKEN : WEFT_EINVAL;
		weft__queue_unlock(&b->queue);
		return rc;
	}
	if (b->draining == 0 && b->queue.length + 1 == b->parties)
		return complete(b, index);
	return wait_for(b, s, index);
}

static void break_now(struct weft__barrier *b, bool broken)
{
	struct weft__wakes wakes = { 0 };

	weft__queue_lock(&b->queue);
	b->broken = broken;
	break_all(b, &wakes);
	weft__queue_unlock_wake(&b->queue, &wakes);
}

void weft_barrier_abort(struct weft_barrier *barrier)
{
	break_now(barrier_of(barrier), true);
}

void weft_barrier_reset(struct weft_barrier *barrier)
{
	break_now(barrier_of(barrier), false);
}

bool weft_barrier_is_broken(struct weft_barrier *barrier)
{
	struct weft__barrier *b = barrier_of(barrier);

	weft__queue_lock(&b->queue);
	bool broken = b->broken;
	weft__queue_unlock(&b->queue);
	return broken;
}

unsigned weft_barrier_waiters(struct weft_barrier *barrier)
{
	struct weft__barrier *b = barrier_of(barrier);

	weft__queue_lock(&b->queue);
	unsigned waiters = b->queue.length;
	weft__queue_unlock(&b->queue);
	return waiters;
}
