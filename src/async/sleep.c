/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - waiting for time to pass
 */
#include <errno.h>
#include <time.h>

#include <weft/error.h>
#include <weft/scope.h>

#include "async/async.h"
#include "async/wait.h"
#include "runtime/runtime.h"

struct sleeper {
	struct weft__timer timer;
	struct weft__strand *strand;
	uint64_t ticket;
};

static bool claim(struct weft__timer *t)
{
	struct sleeper *me = WEFT__CONTAINER(t, struct sleeper, timer);

	return weft__claim(me->strand, me->ticket, WEFT__TIMED_OUT) == WEFT__CLAIM_PARKED;
}

static void done(struct weft__timer *t)
{
	weft__resume_quietly(WEFT__CONTAINER(t, struct sleeper, timer)->strand);
}

/* The thread's own.  A time before the clock began is none that the kernel knows. */
static int thread_sleep(int64_t deadline)
{
	struct timespec t = { deadline / 1000000000, deadline % 1000000000 };

	if (deadline <= weft__monotonic())
		return 0;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
	return 0;
}

static int sleep_until(struct weft__strand *s, int64_t deadline, unsigned flags)
{
	struct sleeper me = { .timer = { .claim = claim, .done = done }, .strand = s };
	int rc = weft__wait_begin(s, flags);

	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(s);
	rc = weft__timer_arm(s->runtime, &me.timer, deadline);
	if (rc != 0) {
		weft__wait_end(s);
		return rc;
	}
	unsigned code = weft__wait_park(s, "sleep", NULL);
	weft__timer_disarm(&me.timer);
	return code == WEFT__TIMED_OUT ? 0 : weft__code_error(code);
}

static int sleep_here(int64_t deadline, unsigned flags)
{
	struct weft__strand *s = weft__strand_self();

	if (!s)
		return thread_sleep(deadline);
	if (deadline <= weft__clock_now(s->runtime))
		return weft__point(s);
	return sleep_until(s, deadline, flags);
}

int weft_sleep_until(int64_t deadline)
{
	return sleep_here(deadline, WEFT__ABORTABLE);
}

int weft_sleep(int64_t duration)
{
	return weft_sleep_until(weft_after(duration));
}

int weft_sleep_forever(void)
{
	return weft_sleep_until(WEFT_NEVER);
}

int weft_sleep_soft(int64_t duration)
{
	return sleep_here(weft_after(duration), WEFT__ABORTABLE | WEFT__SOFT);
}
