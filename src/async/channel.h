/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a channel from inside: what a single call and a select share
 */
#ifndef WEFT_ASYNC_CHANNEL_H
#define WEFT_ASYNC_CHANNEL_H

#include <string.h>

#include <weft/channel.h>
#include <weft/error.h>

#include "async/guard.h"
#include "async/wait.h"
#include "deque/list.h"

struct weft__channel {
	struct weft__guard lock; /* all below */
	uint32_t closed;	 /* written under the lock, read by anybody */
	size_t item_size;
	size_t capacity;
	size_t head;  /* slot of the oldest item */
	size_t count; /* as closed */
	unsigned char *buffer;
	struct weft__list senders, receivers; /* who waits, longest first */
};

/* One who waits, on the stack of who waits. */
struct weft__channel_waiter {
	struct weft__list link; /* in the channel's queue; under its lock */
	struct weft__strand *strand;
	uint64_t ticket;
	void *item;
	struct weft__channel_waiter *next; /* to be resumed after this one */
	uint8_t code;	/* how it ended, from the waker: 0, WEFT__GRANTED or WEFT__CLOSED */
	uint8_t parked; /* it was claimed so, and is resumed by a waker that is done with the
			 * channel; else whoever waited may read no more than this */
};

static inline struct weft__channel *weft__channel_of(const struct weft_channel *c)
{
	return (struct weft__channel *)(uintptr_t)c;
}

/* --- with the lock held -------------------------------------------------- */

static inline void weft__channel_copy(const struct weft__channel *c, void *to, const void *from)
{
	if (WEFT_LIKELY(c->item_size == sizeof(void *)))
		memcpy(to, from, sizeof(void *));
	else if (c->item_size != 0)
		memcpy(to, from, c->item_size);
}

/* The slot so many behind the oldest item's. */
static inline void *weft__channel_slot(const struct weft__channel *c, size_t i)
{
	size_t at = c->head + i;

	at = at >= c->capacity ? at - c->capacity : at;
	return c->buffer + at * c->item_size;
}

static inline void weft__channel_append(struct weft__channel *c, const void *item)
{
	weft__channel_copy(c, weft__channel_slot(c, c->count), item);
	store_relaxed(&c->count, c->count + 1);
}

static inline void weft__channel_take_oldest(struct weft__channel *c, void *item)
{
	weft__channel_copy(c, item, weft__channel_slot(c, 0));
	c->head = c->head + 1 == c->capacity ? 0 : c->head + 1;
	store_relaxed(&c->count, c->count - 1);
}

/* The waiter that has waited longest, claimed; NULL when there is none. */
static inline struct weft__channel_waiter *weft__channel_claim_first(struct weft__list *queue,
								     uint8_t code)
{
	struct weft__list *first;

	while ((first = weft__list_pop_front(queue))) {
		struct weft__channel_waiter *w =
			WEFT__CONTAINER(first, struct weft__channel_waiter, link);
		enum weft__claim claim = weft__claim(w->strand, w->ticket, code);

		if (WEFT_UNLIKELY(claim == WEFT__CLAIM_LOST))
			continue; /* I1 of channel.c */
		if (WEFT_LIKELY(claim == WEFT__CLAIM_PARKED))
			w->parked = 1;
		w->code = code; /* I3: the lock is held until the item is moved, too */
		return w;
	}
	return NULL;
}

/* The operation if it can be done now: 0, WEFT_ECLOSED, or WEFT_EAGAIN.  *served is the
 * other side, if it waited. */
static inline int weft__channel_send_now(struct weft__channel *c, const void *item,
					 struct weft__channel_waiter **served)
{
	*served = NULL;
	if (WEFT_UNLIKELY(c->closed))
		return WEFT_ECLOSED;

	struct weft__channel_waiter *receiver =
		weft__channel_claim_first(&c->receivers, WEFT__GRANTED);
	if (receiver) {
		weft__channel_copy(c, receiver->item, item);
		*served = receiver;
		return 0;
	}
	if (c->count == c->capacity)
		return WEFT_EAGAIN;
	weft__channel_append(c, item);
	return 0;
}

static inline int weft__channel_recv_now(struct weft__channel *c, void *item,
					 struct weft__channel_waiter **served)
{
	bool some = c->count != 0;

	*served = NULL;
	if (some)
		weft__channel_take_oldest(c, item);
	else if (WEFT_UNLIKELY(c->closed))
		return WEFT_ECLOSED;

	struct weft__channel_waiter *sender = weft__channel_claim_first(&c->senders, WEFT__GRANTED);
	if (sender) {
		if (some)
			weft__channel_append(c, sender->item);
		else
			weft__channel_copy(c, item, sender->item);
		*served = sender;
	}
	return some || sender ? 0 : WEFT_EAGAIN;
}

/* Puts the strand, whose wait with this ticket begins before the lock is released, into
 * a queue. */
static inline void weft__channel_enqueue(struct weft__list *queue, struct weft__channel_waiter *me,
					 struct weft__strand *s, uint64_t ticket, void *item)
{
	me->strand = s;
	me->ticket = ticket;
	me->item = item;
	me->code = 0;
	me->parked = 0;
	weft__list_push_back(queue, &me->link);
}

/* The strand to be resumed, when the lock is free, for the one that was served; NULL when
 * there is none, or it will see by itself. */
static inline struct weft__strand *
weft__channel_to_resume(const struct weft__channel_waiter *served)
{
	return served && served->parked ? served->strand : NULL;
}

#endif
