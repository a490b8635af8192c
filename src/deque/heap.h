/* SPDX-License-Identifier: MIT */
/*
 * heap.h - a priority queue of nodes that live in their owners, least key first
 *
 * For deadlines: most are armed and then cancelled before they come due, from
 * anywhere in the queue.  Nodes of equal keys leave in the order in which they
 * came, so that a run with a virtual clock repeats.
 *
 *	struct sleeper { struct weft__heap_node timer; ... };
 *
 *	weft__heap_push(&heap, &s->timer, deadline);
 *	weft__heap_remove(&heap, &s->timer);
 *
 *   threads    one at a time.
 *   memory     allocates nothing; owns nothing.
 *   cost       push and peek: constant.  pop and remove: logarithmic on average
 *              over a run of calls; constant for a node that was pushed after the
 *              last pop and never came first.  See heap.c.
 */
#ifndef WEFT_DEQUE_HEAP_H
#define WEFT_DEQUE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__heap_node {
	int64_t key;
	uint64_t order;		       /* when it came, among equal keys */
	struct weft__heap_node *child; /* the first */
	struct weft__heap_node *next;  /* the next sibling */
	struct weft__heap_node *prev;  /* the sibling before, or the parent; NULL: root */
};

struct weft__heap {
	struct weft__heap_node *root;
	uint64_t pushes;
	size_t size;
};

static inline void weft__heap_init(struct weft__heap *heap)
{
	heap->root = NULL;
	heap->pushes = 0;
	heap->size = 0;
}

static inline bool weft__heap_is_empty(const struct weft__heap *heap)
{
	return heap->root == NULL;
}

/* The node with the least key, or NULL. */
static inline struct weft__heap_node *weft__heap_peek(const struct weft__heap *heap)
{
	return heap->root;
}

/* `node` must be in no heap. */
void weft__heap_push(struct weft__heap *heap, struct weft__heap_node *node, int64_t key);

/* The node with the least key, taken out, or NULL. */
struct weft__heap_node *weft__heap_pop(struct weft__heap *heap);

/* `node` must be in this heap. */
void weft__heap_remove(struct weft__heap *heap, struct weft__heap_node *node);

/* Aborts when the heap is not sound.  Walks all of it. */
void weft__heap_check(const struct weft__heap *heap);

#endif
