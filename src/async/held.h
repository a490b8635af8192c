/* SPDX-License-Identifier: MIT */
/*
 * held.h - the locks that a strand owns, so that none outlives it
 *
 * Each lock that has one owner embeds a link.  The owner puts it into its strand's
 * list when it has got the lock and takes it out before it lets go, so the list needs
 * no lock; and mostly what is let go is what was taken last, the first of the list.
 * A strand that ends with locks in its list abandons them.
 *
 *   threads    the strand; a plain thread has no list.
 */
#ifndef WEFT_ASYNC_HELD_H
#define WEFT_ASYNC_HELD_H

#include "runtime/strand.h"

struct weft__held {
	struct weft__held *next;
	/* The owner has ended: what waits for the lock, and comes later, is told so. */
	void (*abandon)(struct weft__held *held);
};

static inline void weft__held_push(struct weft__strand *s, struct weft__held *held)
{
	if (WEFT_UNLIKELY(!s))
		return;
	held->next = s->held;
	s->held = held;
}

void weft__held_search(struct weft__strand *s, struct weft__held *held);

static inline void weft__held_remove(struct weft__strand *s, struct weft__held *held)
{
	if (WEFT_UNLIKELY(!s))
		return;
	if (WEFT_LIKELY(s->held == held))
		s->held = held->next;
	else
		weft__held_search(s, held);
}

/* The strand ends. */
void weft__held_abandon(struct weft__strand *s);

#endif
