/* SPDX-License-Identifier: MIT */
/*
 * channel.c - items from hand to hand
 *
 *	          senders                  buffer                 receivers
 *	   [w]->[w]->[w]          [ . . |5|6|7|8| . . ]           [w]->[w]
 *	   when it is full         head ^     head + count         when it is empty
 *
 * One lock (guard.h), held for copying an item or linking a node.  A waker claims the waiter
 * (wait.h) and does the waiter's part for it: puts the item where a receiver wants it,
 * or takes that of a sender.  So what the waiter waited for is its own before it runs,
 * nobody can come in between, and order is that of the queues.
 *
 * Invariants
 *
 *   I1  A receiver that can be claimed waits only while the buffer is empty and no
 *       sender waits; a sender only while the buffer is full.  (With a capacity of 0
 *       it is both.)  Those that cannot be claimed any more, cancelled or served
 *       elsewhere, may still lie in a queue, and are passed over.
 *   I2  A node is linked, unlinked and looked at under the lock of its channel.  Who
 *       waited takes that lock before its node ends, unless it was claimed parked: then
 *       the waker resumes it behind its unlock, and touches neither node nor channel
 *       after that.  So when all calls have returned the channel may go.
 *   I3  Who is claimed gets its item moved, and `code` set, before the lock is released.
 *   I4  No waiter is left in a closed channel.
 *
 * Orderings
 *
 *   O1  items, nodes            the lock: release of unlock  =>  acquire of the next lock.
 *   O2  a moved item -> waiter  claimed parked: what resuming draws (worker.c, wait.c);
 *       claimed before it parked: the lock (I2).
 *   O3  count, closed -> length, is_closed    relaxed: a snapshot.
 *
 * A single call keeps the lock until it has parked, and a select begins its wait with
 * all its locks held, so that a call that has to wait takes each once.  What beginning
 * a wait locks below (nodes of the tree) is never held when a channel's lock is taken.
 *
 * Rejected: two locks, one for each end (a rendezvous needs both, and a full or empty
 * buffer too); a lock-free ring (cells with sequence numbers do not let a sender be
 * withdrawn from the middle, and what they save is lost in the copy); waking a waiter
 * to try again (others overtake it: SY24).
 */
#include "async/channel.h"

#include <string.h>

#include <weft/error.h>

#include "deque/alloc.h"
#include "deque/check.h"

_Static_assert(sizeof(struct weft__channel) <= sizeof(struct weft_channel),
	       "struct weft_channel is too small");

/* --- life ---------------------------------------------------------------- */

static bool is_size(size_t item_size, size_t capacity)
{
	size_t bytes;

	return !__builtin_mul_overflow(item_size, capacity, &bytes) && bytes <= PTRDIFF_MAX / 2;
}

int weft_channel_init(struct weft_channel *channel, void *buffer, size_t item_size, size_t capacity)
{
	struct weft__channel *c = weft__channel_of(channel);

	if (!c || !is_size(item_size, capacity) || (!buffer && item_size * capacity != 0))
		return WEFT_EINVAL;
	c->lock = (struct weft__guard){ 0 };
	c->closed = 0;
	c->item_size = item_size;
	c->capacity = capacity;
	c->head = 0;
	c->count = 0;
	c->buffer = buffer;
	weft__list_init(&c->senders);
	weft__list_init(&c->receivers);
	return 0;
}

void weft_channel_fini(struct weft_channel *channel)
{
	struct weft__channel *c = weft__channel_of(channel);

	weft__assert(weft__list_is_empty(&c->senders) && weft__list_is_empty(&c->receivers));
	c->buffer = NULL;
}

int weft_channel_create(struct weft_channel **channel, size_t item_size, size_t capacity)
{
	if (!channel || !is_size(item_size, capacity))
		return WEFT_EINVAL;

	struct weft_channel *c =
		weft__alloc_aligned(WEFT_CACHELINE, sizeof *c + item_size * capacity);
	if (!c)
		return WEFT_ENOMEM;
	weft_channel_init(c, c + 1, item_size, capacity);
	*channel = c;
	return 0;
}

void weft_channel_destroy(struct weft_channel *channel)
{
	struct weft__channel *c = weft__channel_of(channel);

	if (!c)
		return;
	size_t bytes = sizeof *channel + c->item_size * c->capacity;
	weft_channel_fini(channel);
	weft__free(channel, bytes);
}

size_t weft_channel_length(const struct weft_channel *channel)
{
	return load_relaxed(&weft__channel_of(channel)->count); /* O3 */
}

size_t weft_channel_capacity(const struct weft_channel *channel)
{
	return weft__channel_of(channel)->capacity;
}

bool weft_channel_is_closed(const struct weft_channel *channel)
{
	return load_relaxed(&weft__channel_of(channel)->closed); /* O3 */
}

/* --- one ------------------------------------------------------------------ */

static void lock(struct weft__channel *c)
{
	weft__guard_lock(&c->lock, weft__here().worker);
}

static void unlock(struct weft__channel *c)
{
	weft__guard_unlock(&c->lock);
}

static inline void unlock_resume(struct weft__channel *c, struct weft__channel_waiter *served)
{
	struct weft__strand *s = weft__channel_to_resume(served);

	unlock(c);
	if (s)
		weft__resume(s); /* the node may be gone */
}

/* The wait was not ended by a waker that was done with the channel. */
static __attribute__((noinline)) void withdraw(struct weft__channel *c,
					       struct weft__channel_waiter *me)
{
	lock(c); /* I2 */
	weft__list_remove(&me->link);
	unlock(c);
}

/* The lock is held, which this releases; the operation cannot be done now. */
static __attribute__((noinline)) int await(struct weft__channel *c, struct weft__strand *s,
					   struct weft__list *queue, void *item, const char *what)
{
	struct weft__channel_waiter me;

	weft__channel_enqueue(queue, &me, s, weft__wait_next(s), item);
	unsigned code = weft__wait_park_locked(s, &c->lock, what, c);
	if (WEFT_UNLIKELY(!me.parked)) /* written before what ends the wait, or by nobody */
		withdraw(c, &me);
	return weft__code_error(code);
}

static __attribute__((noinline)) int await_outside(struct weft__channel *c,
						   struct weft__list *queue, void *item)
{
	struct weft__thread_strand local;

	return await(c, weft__strand_here(&local), queue, item, "a channel");
}

static inline int send(struct weft__channel *c, struct weft__here me, const void *item)
{
	struct weft__channel_waiter *served;

	weft__guard_lock(&c->lock, me.worker);
	int rc = weft__channel_send_now(c, item, &served);
	if (rc != WEFT_EAGAIN)
		unlock_resume(c, served);
	else if (WEFT_LIKELY(me.strand))
		rc = await(c, me.strand, &c->senders, (void *)(uintptr_t)item, "room in a channel");
	else
		rc = await_outside(c, &c->senders, (void *)(uintptr_t)item);
	return rc;
}

static inline int recv(struct weft__channel *c, struct weft__here me, void *item)
{
	struct weft__channel_waiter *served;

	weft__guard_lock(&c->lock, me.worker);
	int rc = weft__channel_recv_now(c, item, &served);
	if (rc != WEFT_EAGAIN)
		unlock_resume(c, served);
	else if (WEFT_LIKELY(me.strand))
		rc = await(c, me.strand, &c->receivers, item, "an item of a channel");
	else
		rc = await_outside(c, &c->receivers, item);
	return rc;
}

int weft_channel_send(struct weft_channel *channel, const void *item)
{
	struct weft__here me;
	int rc = weft__point_me(&me);

	return rc ? rc : send(weft__channel_of(channel), me, item);
}

int weft_channel_recv(struct weft_channel *channel, void *item)
{
	struct weft__here me;
	int rc = weft__point_me(&me);

	return rc ? rc : recv(weft__channel_of(channel), me, item);
}

/* --- several with one lock ------------------------------------------------ */

/* Who is to be resumed behind the unlock, in the order of the queue. */
struct served {
	struct weft__channel_waiter *first, *last;
};

static void add(struct served *all, struct weft__channel_waiter *w)
{
	if (!weft__channel_to_resume(w))
		return;
	w->next = NULL;
	if (all->first)
		all->last->next = w;
	else
		all->first = w;
	all->last = w;
}

static void unlock_resume_all(struct weft__channel *c, const struct served *all)
{
	struct weft__channel_waiter *w = all->first;

	unlock(c);
	while (w) {
		struct weft__channel_waiter *next = w->next;
		weft__resume(w->strand); /* the node may be gone */
		w = next;
	}
}

/* As many as go in now; the code of the one that did not, or 0. */
static int send_some(struct weft__channel *c, const unsigned char *items, size_t n, size_t *done)
{
	struct weft__channel_waiter *served;
	struct served all = { 0 };
	int rc = 0;

	lock(c);
	while (rc == 0 && *done < n) {
		rc = weft__channel_send_now(c, items + *done * c->item_size, &served);
		*done += rc == 0;
		add(&all, served);
	}
	unlock_resume_all(c, &all);
	return rc;
}

static int recv_some(struct weft__channel *c, unsigned char *items, size_t n, size_t *done)
{
	struct weft__channel_waiter *served;
	struct served all = { 0 };
	int rc = 0;

	lock(c);
	while (rc == 0 && *done < n) {
		rc = weft__channel_recv_now(c, items + *done * c->item_size, &served);
		*done += rc == 0;
		add(&all, served);
	}
	unlock_resume_all(c, &all);
	return rc;
}

int weft_channel_try_send(struct weft_channel *channel, const void *item)
{
	size_t done = 0;

	return send_some(weft__channel_of(channel), item, 1, &done);
}

int weft_channel_try_recv(struct weft_channel *channel, void *item)
{
	size_t done = 0;

	return recv_some(weft__channel_of(channel), item, 1, &done);
}

ptrdiff_t weft_channel_send_many(struct weft_channel *channel, const void *items, size_t n)
{
	struct weft__channel *c = weft__channel_of(channel);
	struct weft__here me;
	size_t done = 0;
	int rc = 0;

	while (done < n && (rc = weft__point_me(&me)) == 0) {
		rc = send_some(c, items, n, &done);
		if (rc == WEFT_EAGAIN) {
			rc = send(c, me, (const unsigned char *)items + done * c->item_size);
			done += rc == 0;
		}
		if (rc != 0)
			break;
	}
	return done ? (ptrdiff_t)done : rc;
}

ptrdiff_t weft_channel_recv_many(struct weft_channel *channel, void *items, size_t n)
{
	struct weft__channel *c = weft__channel_of(channel);
	struct weft__here me;
	size_t done = 0;

	if (n == 0)
		return 0;
	int rc = weft__point_me(&me);
	if (rc == 0)
		rc = recv_some(c, items, n, &done);
	if (rc == WEFT_EAGAIN && done == 0) {
		rc = recv(c, me, items);
		if (rc == 0) {
			done = 1;
			recv_some(c, items, n, &done);
		}
	}
	return done ? (ptrdiff_t)done : rc;
}

/* --- closing -------------------------------------------------------------- */

void weft_channel_close(struct weft_channel *channel)
{
	struct weft__channel *c = weft__channel_of(channel);
	struct weft__channel_waiter *w;
	struct served all = { 0 };

	lock(c);
	store_relaxed(&c->closed, 1);					   /* O3 */
	while ((w = weft__channel_claim_first(&c->senders, WEFT__CLOSED))) /* I4 */
		add(&all, w);
	while ((w = weft__channel_claim_first(&c->receivers, WEFT__CLOSED)))
		add(&all, w);
	unlock_resume_all(c, &all);
}
