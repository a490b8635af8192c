/* SPDX-License-Identifier: MIT */
/*
 * select.c - one of several sends and receives
 *
 *   After selectgo of the Go runtime (runtime/select.go, R. Cox, D. Vyukov).
 *
 * A select that has to wait has a node in the queue of each of its channels, all with
 * the same ticket of the same strand: whoever comes first claims the strand's one word
 * (wait.h), and so one case happens.  The others find a claim lost and pass over the
 * node.
 *
 * Two that face each other.  One select both looks for partners and may be found by
 * some, and so does the other; neither may serve the other while it is being served.
 * Here looking and queueing are one step, with the locks of all its channels held:
 *
 *   I1  A select claims others only before its own nodes are in any queue, so nobody
 *       can claim it at that time.
 *   I2  It puts its nodes into the queues only when, with all locks held, no case could
 *       happen.
 *
 * Of two selects with a channel in common, the one that gets that lock first has either
 * found its partner or put all its nodes into queues when the other gets it; the other
 * then finds these, and claims them or learns that somebody else has.  No claim waits
 * for another, none is taken back, nothing is tried again: no dead or live lock.
 *
 *   I3  Locks are taken in the order of the channels' addresses, each once.  Single
 *       calls take one, and no lock is taken inside of one but those of
 *       weft__wait_begin (channel.c).
 *
 * Once it was claimed the nodes are taken out one lock at a time; behind that nobody
 * looks at them (I2 of channel.c), and `code` is set in that of the case that happened.
 *
 * Rejected: a lock at a time, claiming oneself before a partner that is found on the
 * way (Reppy, Russo, Xiao, Parallel Concurrent ML, ICFP 2009): two that face each other
 * can both claim themselves, both fail, and have to begin again, without end in the
 * worst case.
 */
#include <limits.h>

#include <weft/error.h>

#include "async/channel.h"

struct private
{
	struct weft__channel_waiter node;
	uint32_t order; /* of the i-th case: which is the i-th in order of addresses */
};

_Static_assert(sizeof(struct private) <= sizeof(((struct weft_select_case *)0)->weft__private),
	       "struct weft_select_case is too small");

static struct private *private_of(struct weft_select_case *k)
{
	return (struct private *)(void *)k->weft__private;
}

static struct weft_select_case *in_order(struct weft_select_case *cases, size_t i)
{
	return &cases[private_of(&cases[i])->order];
}

/* Shell's sort, by the addresses of the channels. */
static void sort(struct weft_select_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		private_of(&cases[i])->order = (uint32_t)i;
	for (size_t gap = n / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < n; i++) {
			uint32_t moved = private_of(&cases[i])->order;
			uintptr_t key = (uintptr_t)cases[moved].channel;
			size_t at = i;

			for (; at >= gap && (uintptr_t)in_order(cases, at - gap)->channel > key;
			     at -= gap)
				private_of(&cases[at])->order = private_of(&cases[at - gap])->order;
			private_of(&cases[at])->order = moved;
		}
	}
}

static void lock_all(struct weft_select_case *cases, size_t n)
{
	const void *worker = weft__here().worker;
	const struct weft_channel *last = NULL;

	for (size_t i = 0; i < n; i++) {
		struct weft_channel *c = in_order(cases, i)->channel;
		if (c != last)
			weft__guard_lock(&weft__channel_of(c)->lock, worker); /* I3 */
		last = c;
	}
}

static void unlock_all(struct weft_select_case *cases, size_t n)
{
	const struct weft_channel *last = NULL;

	for (size_t i = 0; i < n; i++) {
		struct weft_channel *c = in_order(cases, i)->channel;
		if (c != last)
			weft__guard_unlock(&weft__channel_of(c)->lock);
		last = c;
	}
}

/* Lets the first case happen that can: its index, or WEFT_EAGAIN. */
static int poll_all(struct weft_select_case *cases, size_t n, struct weft__channel_waiter **served)
{
	for (size_t i = 0; i < n; i++) {
		struct weft_select_case *k = &cases[i];
		struct weft__channel *c = weft__channel_of(k->channel);

		if (!c)
			continue;
		int rc = k->op == WEFT_SELECT_SEND ? weft__channel_send_now(c, k->item, served)
						   : weft__channel_recv_now(c, k->item, served);
		if (rc != WEFT_EAGAIN) {
			k->rc = rc;
			return (int)i;
		}
	}
	return WEFT_EAGAIN;
}

static void enqueue_all(struct weft_select_case *cases, size_t n, struct weft__strand *s)
{
	for (size_t i = 0; i < n; i++) {
		struct weft_select_case *k = &cases[i];
		struct weft__channel *c = weft__channel_of(k->channel);

		if (c)
			weft__channel_enqueue(
				k->op == WEFT_SELECT_SEND ? &c->senders : &c->receivers,
				&private_of(k)->node, s, weft__wait_ticket(s), k->item);
	}
}

/* Takes the nodes out of the queues.  The index of the case that happened, or -1. */
static int withdraw_all(struct weft_select_case *cases, size_t n)
{
	const void *worker = weft__here().worker;
	int happened = -1;

	for (size_t i = 0; i < n; i++) {
		struct weft__channel_waiter *node = &private_of(&cases[i])->node;
		struct weft__channel *c = weft__channel_of(cases[i].channel);

		if (!c)
			continue;
		weft__guard_lock(&c->lock, worker);
		weft__list_remove(&node->link);
		if (node->code)
			happened = (int)i;
		weft__guard_unlock(&c->lock);
	}
	return happened;
}

/* The nodes are in the queues. */
static int await(struct weft_select_case *cases, size_t n, struct weft__strand *s)
{
	unsigned code = weft__wait_park(s, "one of several channels", cases);
	int happened = withdraw_all(cases, n);

	if (happened < 0)
		return weft__code_error(code);
	cases[happened].rc = weft__code_error(code);
	return happened;
}

/* The call is a point that may wait when there is a strand. */
static int try_or_wait(struct weft_select_case *cases, size_t n, struct weft__strand *s)
{
	struct weft__channel_waiter *served = NULL;

	sort(cases, n);
	lock_all(cases, n);
	int rc = poll_all(cases, n, &served);
	bool wait = rc == WEFT_EAGAIN && s;
	if (wait && (rc = weft__wait_begin(s, WEFT__ABORTABLE)) == 0)
		enqueue_all(cases, n, s);
	struct weft__strand *resumed = weft__channel_to_resume(served);
	unlock_all(cases, n);
	if (resumed)
		weft__resume(resumed);
	return wait && rc == 0 ? await(cases, n, s) : rc;
}

static bool is_select(const struct weft_select_case *cases, size_t n)
{
	bool some = false;

	if (n > INT_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (cases[i].op != WEFT_SELECT_SEND && cases[i].op != WEFT_SELECT_RECV)
			return false;
		some = some || cases[i].channel;
	}
	return some;
}

int weft_select(struct weft_select_case *cases, size_t n)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);

	if (!is_select(cases, n))
		return WEFT_EINVAL;
	int rc = weft__point(s);
	return rc ? rc : try_or_wait(cases, n, s);
}

int weft_try_select(struct weft_select_case *cases, size_t n)
{
	return is_select(cases, n) ? try_or_wait(cases, n, NULL) : WEFT_EINVAL;
}
