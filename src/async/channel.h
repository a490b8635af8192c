/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a channel from inside: what a single call and a select share
 */
#ifndef WEFT_ASYNC_CHANNEL_H
#define WEFT_ASYNC_CHANNEL_H

#include <weft/channel.h>

#include "async/wait.h"
#include "deque/list.h"
#include "deque/spin.h"

struct weft__channel {
	struct weft__spin lock; /* all below */
	uint32_t closed;	/* written under the lock, read by anybody */
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

/* With the lock held.  The operation if it can be done now: 0, WEFT_ECLOSED, or
 * WEFT_EAGAIN.  Who is to be resumed for it is put before *woken. */
int weft__channel_send_now(struct weft__channel *c, const void *item,
			   struct weft__channel_waiter **woken);
int weft__channel_recv_now(struct weft__channel *c, void *item,
			   struct weft__channel_waiter **woken);

/* Without the lock. */
void weft__channel_resume(struct weft__channel_waiter *woken);

/* With the lock held: puts the strand, whose wait with this ticket begins before the
 * lock is released, into a queue. */
void weft__channel_enqueue(struct weft__list *queue, struct weft__channel_waiter *me,
			   struct weft__strand *s, uint64_t ticket, void *item);

#endif
