/* SPDX-License-Identifier: MIT */
/*
 * order.h - parts are claimed in order, finished in any, delivered in order
 *
 *	delivered | head: running or done ... in flight ... | tail: next to be claimed
 *
 * Parts in flight sit in a ring.  A lane that finishes the head delivers it and
 * every finished part behind it; a lane that finishes another part leaves it
 * there and goes on.  So nobody waits for a turn, except for room: when the ring
 * is full, when finished output fills it, or when a part has more output than it
 * may keep.  Those wait for the head, and the head is always with a lane that
 * runs or delivers: it cannot wait for them.
 *
 *   threads    append: whoever holds the reader's lock; the rest any.
 *   memory     the ring owns its parts; a part belongs to the lane that claimed
 *              it until it is finished, then to the one that delivers.
 *   blocking   wait_room and acquire_output, until there is room or the run is
 *              over; they hold the thread.
 */
#ifndef WEFT_CLI_ORDER_H
#define WEFT_CLI_ORDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "input.h"

/* A slice of input on its way to becoming output. */
struct weft__part {
	uint64_t number; /* 1, 2, 3 ... in the order of the input */
	struct weft__slice slice;
	struct weft__buffer out;   /* what map() emitted and nobody has written */
	struct weft__buffer notes; /* what is to be said about its records */
	void *state;		   /* of the reduction, or NULL */
	uint64_t records, failed;
	int code;  /* the exit code that this part calls for, or 0 */
	bool cut;  /* nothing behind this part counts */
	bool done; /* for the ring only */
};

/* Delivers `count` parts, whose numbers follow each other.  False when the run
 * is over: what follows is then thrown away unseen. */
typedef bool weft__deliver_fn(struct weft__part *const *parts, unsigned count, void *arg);

struct weft__order {
	pthread_mutex_t lock;
	_Atomic uint32_t events; /* a futex: counts what waiters may be waiting for */
	unsigned waiting;

	struct weft__part *ring;
	uint64_t capacity;   /* of the ring */
	uint64_t head, tail; /* numbers: delivered up to head, claimed up to tail */
	size_t held;	     /* bytes of the buffers of finished parts */
	bool delivering, writing, over;
	bool unordered; /* output need not wait for the head */

	struct weft__buffer *spare; /* buffers to use again */
	unsigned spare_count, spare_most;

	weft__deliver_fn *deliver;
	void *arg;
};

/* False when there is no memory. */
bool weft__order_init(struct weft__order *order, uint64_t capacity, unsigned workers,
		      weft__deliver_fn *deliver, void *arg);
void weft__order_fini(struct weft__order *order);

/* Waits until there is room for a part; false when the run is over. */
bool weft__order_wait_room(struct weft__order *order);

/* Claims the next part, which gets this slice.  Needs room. */
struct weft__part *weft__order_append(struct weft__order *order, const struct weft__slice *slice);

/* The part is finished; delivers what can be delivered. */
void weft__order_finish(struct weft__order *order, struct weft__part *part);

/* Waits until the part may write its output itself: when it is the head, or,
 * unordered, when nobody else is writing.  False when the run is over.
 * weft__order_release_output() ends that, and must come before finish. */
bool weft__order_acquire_output(struct weft__order *order, const struct weft__part *part);
void weft__order_release_output(struct weft__order *order);

/* Waits until the part is the head; false when the run is over.  Whoever waits
 * here must not hold the output. */
bool weft__order_await_head(struct weft__order *order, const struct weft__part *part);

/* The run is over: ends all waiting. */
void weft__order_end(struct weft__order *order);

#endif
