/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the circular array below the deque and the FIFO
 *
 * A ring maps any 64-bit index to one of 2^k slots.  A full ring is replaced by
 * one of twice the size, which keeps the old one in its chain: a thief may hold
 * a pointer to it for as long as it likes.  All the old rings together are
 * smaller than the newest.
 *
 *   threads    slot access: any thread, atomically.  The rest: the owner.
 *   memory     a ring owns the ones that it replaced; nobody touches items.
 */
#ifndef WEFT_DEQUE_RING_H
#define WEFT_DEQUE_RING_H

#include <stddef.h>
#include <stdint.h>

#include "deque/atomic.h"
#include "deque/job.h"

/* Slots of the smallest and the largest ring. */
#define WEFT__RING_MIN ((size_t)2)
#define WEFT__RING_MAX ((size_t)1 << 30)

struct weft__ring {
	uint64_t mask; /* slots - 1; never changes */
	struct weft__ring *older;
	struct weft__job *slot[];
};

/* At least `capacity` slots, all empty.  NULL when there is no memory. */
struct weft__ring *weft__ring_create(size_t capacity);

/* A ring twice as large that holds what `old` holds from begin to end - 1 and
 * owns it.  NULL when there is no memory or the ring would be over
 * WEFT__RING_MAX; `old` is then as it was. */
struct weft__ring *weft__ring_grow(struct weft__ring *old, int64_t begin, int64_t end);

/* Frees the ring and all that it replaced.  NULL is allowed. */
void weft__ring_destroy(struct weft__ring *ring);

/* The unsigned conversion makes slots of negative indices come out right. */
static inline struct weft__job **weft__ring_slot(struct weft__ring *ring, int64_t i)
{
	return &ring->slot[(uint64_t)i & ring->mask];
}

/* Relaxed: what a slot carries is published by the index next to it, and a
 * value that was overwritten meanwhile is never used (deque.c, I3). */
static inline struct weft__job *weft__ring_get(struct weft__ring *ring, int64_t i)
{
	return load_relaxed(weft__ring_slot(ring, i));
}

static inline void weft__ring_put(struct weft__ring *ring, int64_t i, struct weft__job *job)
{
	store_relaxed(weft__ring_slot(ring, i), job);
}

#endif
