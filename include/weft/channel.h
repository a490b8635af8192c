/* SPDX-License-Identifier: MIT */
/*
 * weft/channel.h - channels: items of one size, handed from task to task
 *
 * A channel copies items in at one end and out at the other, in order.  With a
 * capacity of n it holds up to n items that nobody has taken yet; with a capacity of
 * 0 sender and receiver meet, and the item goes from the one to the other.
 *
 *	struct weft_channel c;
 *	int room[64];
 *	weft_channel_init(&c, room, sizeof(int), 64);
 *
 *	weft_channel_send(&c, &i);                      in one task
 *	while (weft_channel_recv(&c, &i) == 0) ...      in another, until it is closed
 *
 * Both sides are served first come, first served.  Who waits and is chosen has its
 * item, or the place for it, from that moment on: a third that comes in between gets
 * nothing.  An item of 0 bytes is a signal and nothing else; pointers to it may be
 * NULL.
 *
 * Closing ends the sending.  What was sent is still received; after it every receive
 * is WEFT_ECLOSED, for ever.  Senders that wait get WEFT_ECLOSED, and their items are
 * not sent.
 *
 *   threads    all calls but init, fini, create and destroy: any task, and any thread
 *              of the application, which then sleeps.
 *   memory     init: the caller's struct and buffer, all fields private, until fini.
 *              create: ours until destroy.  An item is copied, and the caller's again
 *              when the call returns.  Waiting allocates nothing.
 *   errors     0 or a negative code; what did not happen changes nothing.
 *   blocking   send, recv, send_many, recv_many and weft_select suspend the task; a
 *              cancel ends that with WEFT_ECANCELED, nothing sent and nothing taken.
 *              An item that was handed over before the cancel is success.
 */
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <stdbool.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_channel {
	unsigned char weft__private[128] __attribute__((aligned(16)));
};

/* `buffer` has room for `capacity` items of `item_size` bytes; it may be NULL when
 * that is nothing.  WEFT_EINVAL. */
WEFT_API int weft_channel_init(struct weft_channel *c, void *buffer, size_t item_size,
			       size_t capacity);

/* Nobody may be in a call any more.  Items inside are forgotten. */
WEFT_API void weft_channel_fini(struct weft_channel *c);

/* The same in memory of ours.  WEFT_EINVAL, WEFT_ENOMEM.  destroy takes NULL. */
WEFT_API int weft_channel_create(struct weft_channel **c, size_t item_size, size_t capacity);
WEFT_API void weft_channel_destroy(struct weft_channel *c);

/* WEFT_ECLOSED, WEFT_ECANCELED; WEFT_ENOMEM when there is no stack to go on with
 * while the task waits.  `item` is written by a receive that returns 0. */
WEFT_API int weft_channel_send(struct weft_channel *c, const void *item);
WEFT_API int weft_channel_recv(struct weft_channel *c, void *item);

/* Without waiting: WEFT_EAGAIN.  No cancel is looked at. */
WEFT_API int weft_channel_try_send(struct weft_channel *c, const void *item);
WEFT_API int weft_channel_try_recv(struct weft_channel *c, void *item);

/* Sends n items, in order, others perhaps in between.  How many were sent: n, or less
 * when it was closed or cancelled in the middle; the error when none was, as of send. */
WEFT_API ptrdiff_t weft_channel_send_many(struct weft_channel *c, const void *items, size_t n);

/* Waits for one item and takes as many more as are there, up to n.  How many it took,
 * 1 at least, or an error, as of recv.  n of 0: 0. */
WEFT_API ptrdiff_t weft_channel_recv_many(struct weft_channel *c, void *items, size_t n);

/* Ends the sending, from either side.  Again: nothing.  Wakes all who wait, and waits for
 * nobody. */
WEFT_API void weft_channel_close(struct weft_channel *c);
WEFT_API bool weft_channel_is_closed(const struct weft_channel *c);

/* Items inside now, stale when the caller reads it, and how many there may be. */
WEFT_API size_t weft_channel_length(const struct weft_channel *c);
WEFT_API size_t weft_channel_capacity(const struct weft_channel *c);

/* --- one of several ------------------------------------------------------ */

enum weft_select_op {
	WEFT_SELECT_RECV,
	WEFT_SELECT_SEND,
};

struct weft_select_case {
	struct weft_channel *channel; /* NULL: this case never happens */
	enum weft_select_op op;
	void *item; /* received into, or sent from and only read */
	int rc;	    /* of the case that happened: 0 or WEFT_ECLOSED */
	unsigned char weft__private[80] __attribute__((aligned(16)));
};

/*
 * Waits until one of the cases can happen, and lets it: exactly that one.  Returns its
 * index; its rc is that of the send or receive.  When several can happen at the time
 * of the call it is the one with the lowest index; put what must not be starved first,
 * or change the order from call to call.  A channel may be in several cases, and in
 * both directions; a select never meets itself.
 *
 * WEFT_ECANCELED, and WEFT_ENOMEM when there is no stack to go on with while the task
 * waits: none has happened.  WEFT_EINVAL when no case has a channel, since that would never
 * end.  The cases lie where the caller has them, private fields
 * included, until the call returns.
 */
WEFT_API int weft_select(struct weft_select_case *cases, size_t n);

/* Without waiting: WEFT_EAGAIN.  WEFT_EINVAL as above.  No cancel is looked at. */
WEFT_API int weft_try_select(struct weft_select_case *cases, size_t n);

WEFT_END_DECLS

#endif
