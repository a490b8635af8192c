/* SPDX-License-Identifier: MIT */
/*
 * wheel.h - timers by their deadlines: a hierarchical timing wheel
 *
 * For deadlines: most are armed and then cancelled before they come due, from anywhere
 * in the queue.  Both take the same few instructions however many there are.  Nodes of
 * equal keys leave in the order in which they came, so that a run with a virtual clock
 * repeats.
 *
 *	struct weft__wheel_node *node;
 *	unsigned budget = 64;
 *
 *	while ((node = weft__wheel_pop(&wheel, now, &budget)))
 *		fire(node);
 *
 *   threads    one at a time.
 *   memory     allocates nothing; owns nothing.  11 KiB.
 *   cost       push and remove: constant, the node and its neighbours.  pop: each node
 *              is moved some 5 times in its life, if it is not removed before; a call
 *              moves no more than it is told.
 */
#ifndef WEFT_DEQUE_WHEEL_H
#define WEFT_DEQUE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deque/list.h"

enum {
	WEFT__WHEEL_BITS = 6, /* of a digit: a level has a slot for each value of it */
	WEFT__WHEEL_SLOTS = 1 << WEFT__WHEEL_BITS,
	WEFT__WHEEL_LEVELS = 11, /* digits of 64 bits */
};

struct weft__wheel_node {
	struct weft__list link;
	int64_t key;
};

struct weft__wheel {
	uint64_t now;			   /* never behind a key that is inside, but late ones */
	size_t size;			   /* nodes inside */
	uint64_t levels;		   /* bit l: level l has a node */
	uint64_t used[WEFT__WHEEL_LEVELS]; /* bit s: slot s of the level has one */
	struct weft__list moving;	   /* out of a slot that was opened, not in another yet */
	struct weft__list slots[WEFT__WHEEL_LEVELS][WEFT__WHEEL_SLOTS];
};

/* now >= 0: keys will lie behind it. */
void weft__wheel_init(struct weft__wheel *wheel, int64_t now);

/* `node` must be in no wheel.  A key that is late counts as one of now. */
void weft__wheel_push(struct weft__wheel *wheel, struct weft__wheel_node *node, int64_t key);

/* `node` must be in this wheel. */
void weft__wheel_remove(struct weft__wheel *wheel, struct weft__wheel_node *node);

/* The first node whose key is `until` or less, taken out; NULL: there is none, or
 * *budget is 0 and there may be.  Each move inside of the wheel lowers *budget by 1.
 * `until` never decreases, and no later push has a key before it that matters. */
struct weft__wheel_node *weft__wheel_pop(struct weft__wheel *wheel, int64_t until,
					 unsigned *budget);

/* The least key, INT64_MAX when empty.  A lower bound of it when more than `patience`
 * nodes would have to be looked at; pop at that time makes progress. */
int64_t weft__wheel_next(const struct weft__wheel *wheel, size_t patience);

/* Aborts when the wheel is not sound.  Walks all of it. */
void weft__wheel_check(const struct weft__wheel *wheel);

#endif
