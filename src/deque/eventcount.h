/* SPDX-License-Identifier: MIT */
/*
 * eventcount.h - how one thread sleeps until others have something for it
 *
 *	sleeper                              waker
 *	ticket = weft__ec_prepare(ec);       publish the work
 *	announce: "about to sleep"           fence_seqcst()
 *	fence_seqcst()                       if (somebody announced)
 *	if (still no work)                           weft__ec_notify(ec);
 *		weft__ec_wait(ec, ticket);
 *
 * The two fences are the caller's: without both, the waker can miss the
 * announcement while the sleeper misses the work, and the sleeper sleeps for
 * good.  A notify after prepare is never lost: wait then returns at once.
 *
 *   threads    prepare and wait: one thread, the sleeper.  notify: any.
 *   memory     notify may touch the event count after the sleeper has woken, so
 *              it must outlive every notify, not only every wait.
 *   blocking   wait, without a time-out.  notify makes a system call only if the
 *              sleeper is asleep or on its way.
 *   order      what was written before notify is seen after the wait, or the
 *              prepare, that sees its count.
 */
#ifndef WEFT_DEQUE_EVENTCOUNT_H
#define WEFT_DEQUE_EVENTCOUNT_H

#include <stdint.h>

/* Bit 31: the sleeper may be asleep.  Below: how often notify was called.  The
 * same layout with ck_ec32 as without. */
struct weft__ec {
	uint32_t word;
};

void weft__ec_init(struct weft__ec *ec);

/* A ticket for weft__ec_wait. */
uint32_t weft__ec_prepare(const struct weft__ec *ec);

/* Sleeps until notify was called after `ticket` was drawn; at once when it has
 * been already.  The count has 31 bits: 2^31 notifies between prepare and wait
 * would go unseen. */
void weft__ec_wait(struct weft__ec *ec, uint32_t ticket);

void weft__ec_notify(struct weft__ec *ec);

#endif
