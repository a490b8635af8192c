/* SPDX-License-Identifier: MIT */
/*
 * channel.c - items from hand to hand
 *
 *	          senders                  buffer                 receivers
 *	   [w]->[w]->[w]          [ . . |5|6|7|8| . . ]           [w]->[w]
 *	   when it is full         head ^     head + count         when it is empty
 *
 * One lock, held for copying an item or linking a node.  A waker claims the waiter
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
	weft__spin_init(&c->lock);
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

/* --- with the lock held --------------------------------------------------- */

static void copy(const struct weft__channel *c, void *to, const void *from)
{
	if (WEFT_LIKELY(c->item_size == sizeof(void *)))
		memcpy(to, from, sizeof(void *));
	else if (c->item_size != 0)
		memcpy(to, from, c->item_size);
}

/* The slot so many behind the oldest item's. */
static void *slot(const struct weft__channel *c, size_t i)
{
	size_t at = c->head + i;

	at = at >= c->capacity ? at - c->capacity : at;
	return c->buffer + at * c->item_size;
}

static void append(struct weft__channel *c, const void *item)
{
	copy(c, slot(c, c->count), item);
	store_relaxed(&c->count, c->count + 1);
}

static void take_oldest(struct weft__channel *c, void *item)
{
	copy(c, item, slot(c, 0));
	c->head = c->head + 1 == c->capacity ? 0 : c->head + 1;
	store_relaxed(&c->count, c->count - 1);
}

/* The waiter that has waited longest, claimed; NULL when there is none. */
static struct weft__channel_waiter *claim_first(struct weft__list *queue, uint8_t code)
{
	struct weft__list *first;

	while ((first = weft__list_pop_front(queue))) {
		struct weft__channel_waiter *w =
			WEFT__CONTAINER(first, struct weft__channel_waiter, link);
		enum weft__claim claim = weft__claim(w->strand, w->ticket, code);

		if (claim == WEFT__CLAIM_LOST)
			continue; /* I1 */
		if (claim == WEFT__CLAIM_PARKED)
			w->parked = 1;
		w->code = code; /* I3: the lock is held until the item is moved, too */
		return w;
	}
	return NULL;
}

static void push_woken(struct weft__channel_waiter **woken, struct weft__channel_waiter *w)
{
	if (!w->parked)
		return; /* it will see */
	w->next = *woken;
	*woken = w;
}

int weft__channel_send_now(struct weft__channel *c, const void *item,
			   struct weft__channel_waiter **woken)
{
	if (c->closed)
		return WEFT_ECLOSED;

	struct weft__channel_waiter *receiver = claim_first(&c->receivers, WEFT__GRANTED);
	if (receiver) {
		copy(c, receiver->item, item);
		push_woken(woken, receiver);
		return 0;
	}
	if (c->count == c->capacity)
		return WEFT_EAGAIN;
	append(c, item);
	return 0;
}

int weft__channel_recv_now(struct weft__channel *c, void *item, struct weft__channel_waiter **woken)
{
	bool some = c->count != 0;

	if (some)
		take_oldest(c, item);
	else if (c->closed)
		return WEFT_ECLOSED;

	struct weft__channel_waiter *sender = claim_first(&c->senders, WEFT__GRANTED);
	if (sender) {
		if (some)
			append(c, sender->item);
		else
			copy(c, item, sender->item);
		push_woken(woken, sender);
	}
	return some || sender ? 0 : WEFT_EAGAIN;
}

void weft__channel_enqueue(struct weft__list *queue, struct weft__channel_waiter *me,
			   struct weft__strand *s, uint64_t ticket, void *item)
{
	me->strand = s;
	me->ticket = ticket;
	me->item = item;
	me->code = 0;
	me->parked = 0;
	weft__list_push_back(queue, &me->link);
}

/* In the order of the queue: the chain has the last one first. */
void weft__channel_resume(struct weft__channel_waiter *woken)
{
	struct weft__channel_waiter *first = NULL;

	while (woken) {
		struct weft__channel_waiter *next = woken->next;
		woken->next = first;
		first = woken;
		woken = next;
	}
	while (first) {
		struct weft__channel_waiter *next = first->next;
		weft__resume(first->strand); /* the node may be gone */
		first = next;
	}
}

/* --- waiting -------------------------------------------------------------- */

/* The lock is held, which this releases; the operation cannot be done now. */
static int await(struct weft__channel *c, struct weft__strand *s, struct weft__list *queue,
		 void *item, const char *what)
{
	struct weft__channel_waiter me;

	weft__channel_enqueue(queue, &me, s, weft__wait_next(s), item);
	unsigned code = weft__wait_park_locked(s, &c->lock, what, c);
	if (!me.parked) {		   /* written before what ends the wait, or by nobody */
		weft__spin_lock(&c->lock); /* I2 */
		weft__list_remove(&me.link);
		weft__spin_unlock(&c->lock);
	}
	return weft__code_error(code);
}

static int send(struct weft__channel *c, struct weft__strand *s, const void *item)
{
	struct weft__channel_waiter *woken = NULL;

	weft__spin_lock(&c->lock);
	int rc = weft__channel_send_now(c, item, &woken);
	if (rc == WEFT_EAGAIN)
		return await(c, s, &c->senders, (void *)(uintptr_t)item, "room in a channel");
	weft__spin_unlock(&c->lock);
	weft__channel_resume(woken);
	return rc;
}

static int recv(struct weft__channel *c, struct weft__strand *s, void *item)
{
	struct weft__channel_waiter *woken = NULL;

	weft__spin_lock(&c->lock);
	int rc = weft__channel_recv_now(c, item, &woken);
	if (rc == WEFT_EAGAIN)
		return await(c, s, &c->receivers, item, "an item of a channel");
	weft__spin_unlock(&c->lock);
	weft__channel_resume(woken);
	return rc;
}

int weft_channel_send(struct weft_channel *channel, const void *item)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	int rc = weft__point(s);

	return rc ? rc : send(weft__channel_of(channel), s, item);
}

int weft_channel_recv(struct weft_channel *channel, void *item)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	int rc = weft__point(s);

	return rc ? rc : recv(weft__channel_of(channel), s, item);
}

/* --- without waiting ------------------------------------------------------ */

/* As many as go in now; the code of the one that did not, or 0. */
static int send_some(struct weft__channel *c, const unsigned char *items, size_t n, size_t *done)
{
	struct weft__channel_waiter *woken = NULL;
	int rc = 0;

	weft__spin_lock(&c->lock);
	while (rc == 0 && *done < n) {
		rc = weft__channel_send_now(c, items + *done * c->item_size, &woken);
		*done += rc == 0;
	}
	weft__spin_unlock(&c->lock);
	weft__channel_resume(woken);
	return rc;
}

static int recv_some(struct weft__channel *c, unsigned char *items, size_t n, size_t *done)
{
	struct weft__channel_waiter *woken = NULL;
	int rc = 0;

	weft__spin_lock(&c->lock);
	while (rc == 0 && *done < n) {
		rc = weft__channel_recv_now(c, items + *done * c->item_size, &woken);
		*done += rc == 0;
	}
	weft__spin_unlock(&c->lock);
	weft__channel_resume(woken);
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

/* --- many ----------------------------------------------------------------- */

ptrdiff_t weft_channel_send_many(struct weft_channel *channel, const void *items, size_t n)
{
	struct weft__channel *c = weft__channel_of(channel);
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	size_t done = 0;
	int rc = 0;

	while (done < n && (rc = weft__point(s)) == 0) {
		rc = send_some(c, items, n, &done);
		if (rc == WEFT_EAGAIN) {
			rc = send(c, s, (const unsigned char *)items + done * c->item_size);
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
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	size_t done = 0;

	if (n == 0)
		return 0;
	int rc = weft__point(s);
	if (rc == 0)
		rc = recv_some(c, items, n, &done);
	if (rc == WEFT_EAGAIN && done == 0) {
		rc = recv(c, s, items);
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
	struct weft__channel_waiter *woken = NULL, *w;

	weft__spin_lock(&c->lock);
	store_relaxed(&c->closed, 1);			     /* O3 */
	while ((w = claim_first(&c->senders, WEFT__CLOSED))) /* I4 */
		push_woken(&woken, w);
	while ((w = claim_first(&c->receivers, WEFT__CLOSED)))
		push_woken(&woken, w);
	weft__spin_unlock(&c->lock);
	weft__channel_resume(woken);
}
