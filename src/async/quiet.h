/* SPDX-License-Identifier: MIT */
/*
 * quiet.h - what happens when nothing can run: virtual time passes, or nothing ever
 * will
 *
 * The last worker that falls asleep looks whether anything outside is pending (a
 * blocking call, a descriptor).  If not, it wakes who waits for just that
 * (weft_wait_all_blocked), or else moves the virtual clock to the next deadline, or
 * else reports a deadlock.
 *
 *   threads    hold, release: any.
 */
#ifndef WEFT_ASYNC_QUIET_H
#define WEFT_ASYNC_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/scope.h>

#include "deque/list.h"
#include "deque/spin.h"

struct weft_runtime;

struct weft__quiet {
	struct weft__spin lock;
	struct weft__list waiters; /* for everything to be blocked */
	uint32_t pending;	   /* things outside that will make something run */
	uint32_t reported;	   /* the deadlock has been */
};

void weft__quiet_init(struct weft__quiet *quiet);

/* The hook: the last worker fell asleep. */
void weft__quiet(struct weft_runtime *rt);

/* A root has ended: what comes may be a deadlock again. */
void weft__quiet_root_ended(struct weft_runtime *rt);

/* Something outside is pending, and no more. */
void weft__quiet_hold(struct weft_runtime *rt);
void weft__quiet_release(struct weft_runtime *rt);

#endif
