/* SPDX-License-Identifier: MIT */
/*
 * clock.h - what time it is, and what happens when it comes
 *
 * Each runtime has one clock.  The real one is CLOCK_MONOTONIC, and its event thread
 * (events.c) fires timers as they come due.  The virtual one stands still while
 * anything runs; when every worker sleeps and nothing outside is pending, the last
 * one to fall asleep moves it to the next deadline (quiet.c).
 *
 * Timers lie with whoever waits.  There is a wheel for each worker and one for all
 * other threads, so that workers do not meet at one lock.
 *
 *   threads    any.
 *   memory     a timer is its owner's until disarm returns, or done() has run.
 *   errors     arm: WEFT_EAGAIN when the event thread cannot be started.
 *   blocking   none.
 */
#ifndef WEFT_ASYNC_CLOCK_H
#define WEFT_ASYNC_CLOCK_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/base.h>
#include <weft/time.h>

#include "deque/spin.h"
#include "deque/wheel.h"

struct weft_runtime;

struct weft__timer {
	struct weft__wheel_node node;
	/* The time has come.  Under the lock of the wheel, so short: takes hold of what
	 * the timer is about, and says whether done() shall be called when the lock is
	 * free.  Until then, if so, the timer stays. */
	bool (*claim)(struct weft__timer *t);
	void (*done)(struct weft__timer *t);
	struct weft__timers *home; /* where it is; NULL: nowhere */
};

struct weft__timers {
	alignas(WEFT_CACHELINE) struct weft__spin lock;
	struct weft__wheel wheel;
};

struct weft__clock {
	struct weft__timers *timers; /* one a worker, and one */
	unsigned count;
	bool is_virtual;
	int64_t now;	 /* of the virtual clock */
	int64_t wake_at; /* until when the event thread sleeps */
};

int weft__clock_init(struct weft__clock *clock, unsigned workers, bool is_virtual);
void weft__clock_fini(struct weft__clock *clock, unsigned workers);

int64_t weft__clock_now(struct weft_runtime *rt);

/* CLOCK_MONOTONIC, whatever the runtime's clock is. */
int64_t weft__monotonic(void);

/* from + duration, without overflow. */
int64_t weft__later(int64_t from, int64_t duration);

/* The point in time that options name: the earlier one, if there are two; NEVER for
 * none. */
int64_t weft__deadline_of(struct weft_runtime *rt, int64_t timeout, int64_t deadline);

/* Sees to it that somebody keeps the time; arm does so too. */
int weft__clock_start(struct weft_runtime *rt);

/* `t->claim` and `t->done` are set.  NEVER is not armed. */
int weft__timer_arm(struct weft_runtime *rt, struct weft__timer *t, int64_t deadline);

/* True when the timer was armed and will not fire; false when it has fired, is
 * firing, or was not armed. */
bool weft__timer_disarm(struct weft__timer *t);

/* The earliest deadline of all, or NEVER.  With the real clock, when many lie close
 * together, it may be said to be earlier than it is: firing then brings it nearer. */
int64_t weft__clock_next(struct weft_runtime *rt);

/* Fires what is due at `now`; how many timers did something. */
unsigned weft__clock_fire(struct weft_runtime *rt, int64_t now);

#endif
