/* SPDX-License-Identifier: MIT */
/*
 * ring.c - making, growing and freeing the rings of ring.h
 */
#include "deque/ring.h"

#include "deque/alloc.h"
#include "deque/check.h"

static size_t ring_bytes(size_t slots)
{
	return sizeof(struct weft__ring) + slots * sizeof(struct weft__job *);
}

static size_t round_up_to_power_of_two(size_t n)
{
	size_t power = WEFT__RING_MIN;

	while (power < n)
		power *= 2;
	return power;
}

/* No other thread sees the ring yet, but slots are only ever touched
 * atomically.  They are cleared because pop_item looks at slots that were never
 * written. */
static struct weft__ring *ring_alloc(size_t slots)
{
	struct weft__ring *ring = weft__alloc(ring_bytes(slots));

	if (!ring)
		return NULL;
	ring->mask = slots - 1;
	ring->older = NULL;
	for (size_t i = 0; i < slots; i++)
		store_relaxed(&ring->slot[i], NULL);
	return ring;
}

struct weft__ring *weft__ring_create(size_t capacity)
{
	weft__assert(capacity <= WEFT__RING_MAX);
	return ring_alloc(round_up_to_power_of_two(capacity));
}

struct weft__ring *weft__ring_grow(struct weft__ring *old, int64_t begin, int64_t end)
{
	size_t slots = (size_t)old->mask + 1;

	if (slots >= WEFT__RING_MAX)
		return NULL;
	struct weft__ring *ring = ring_alloc(2 * slots);
	if (!ring)
		return NULL;
	for (int64_t i = begin; i < end; i++)
		weft__ring_put(ring, i, weft__ring_get(old, i));
	ring->older = old;
	return ring;
}

void weft__ring_destroy(struct weft__ring *ring)
{
	while (ring) {
		struct weft__ring *older = ring->older;

		weft__free(ring, ring_bytes((size_t)ring->mask + 1));
		ring = older;
	}
}
