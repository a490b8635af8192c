/* SPDX-License-Identifier: MIT */
/*
 * events.c - the event thread
 *
 * It only ever makes strands ready: what they do then is done by workers.  A round
 * fires the timers that are due, sleeps until the next one or until a descriptor is
 * ready, and wakes the waiters of those.  It makes all that one round brings ready
 * before it wakes a worker, which then wakes the next.
 *
 * Where epoll_pwait2 is missing (Linux before 5.11) or a filter of system calls denies
 * it, the thread sleeps in epoll_wait, in whole milliseconds rounded up: a timer is
 * never early, and up to one late.
 */
#include "async/events.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/async.h"
#include "deque/check.h"
#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/thread.h"

enum { EVENTS = 256 }; /* taken from the kernel at once */

#define KICK UINT64_MAX

void weft__events_init(struct weft__events *events)
{
	*events = (struct weft__events){ .epoll = -1, .wake = -1 };
	pthread_mutex_init(&events->lock, NULL);
}

void weft__events_kick(struct weft_runtime *rt)
{
	uint64_t one = 1;

	if (write(rt->async->events.wake, &one, sizeof one) < 0) {
		/* Full: it is awake already. */
	}
}

static void take_kick(struct weft__events *events)
{
	uint64_t count;

	if (read(events->wake, &count, sizeof count) < 0) {
		/* Somebody else's kick was taken with it. */
	}
}

/* Virtual time is none of this thread's business (quiet.c). */
static bool fire_due(struct weft_runtime *rt)
{
	return !rt->async->clock.is_virtual && weft__clock_fire(rt, weft__monotonic()) > 0;
}

/* Says until when the thread sleeps, so that an earlier timer kicks it (clock.c,
 * O1). */
static int64_t announce(struct weft_runtime *rt)
{
	struct weft__clock *clock = &rt->async->clock;
	if (clock->is_virtual)
		return WEFT_NEVER;

	int64_t next = weft__clock_next(rt);
	for (;;) {
		store_relaxed(&clock->wake_at, next);
		int64_t again = weft__clock_next(rt);
		if (again >= next)
			return next;
		next = again;
	}
}

/* Until the next timer, or the next look at the workers. */
static int64_t sleep_until(struct weft_runtime *rt)
{
	int64_t look = weft__watch_turn(rt);
	int64_t timer = announce(rt);

	return look < timer ? look : timer;
}

/* Rounded up; -1 for ever. */
static int milliseconds(int64_t left)
{
	if (left == WEFT_NEVER)
		return -1;
	return left > WEFT_MS(INT_MAX - 1) ? INT_MAX : (int)((left + 999999) / 1000000);
}

/* How many of `list` were filled; 0 also after a signal that no mask keeps away (a
 * debugger's). */
static int wait_events(struct weft__events *events, struct epoll_event *list, int64_t until)
{
	int64_t left = until == WEFT_NEVER ? until : until - weft__monotonic();
	if (left < 0)
		left = 0;

	struct timespec t = { left / 1000000000, left % 1000000000 };
	int n = -1;
	if (!events->coarse) {
		n = epoll_pwait2(events->epoll, list, EVENTS, left == WEFT_NEVER ? NULL : &t, NULL);
		events->coarse = n < 0 && errno != EINTR;
	}
	if (events->coarse)
		n = epoll_wait(events->epoll, list, EVENTS, milliseconds(left));
	if (n < 0 && errno != EINTR)
		weft__bug("the event thread lost its epoll descriptor: %s", strerrordesc_np(errno));
	return n < 0 ? 0 : n;
}

static void *events_main(void *arg)
{
	struct weft_runtime *rt = arg;
	struct weft__events *events = &rt->async->events;
	struct epoll_event list[EVENTS];

	pthread_setname_np(pthread_self(), "weft/ev");
	while (!load_acquire(&events->stop)) {
		bool some = fire_due(rt);
		int n = wait_events(events, list, some ? 0 : sleep_until(rt));
		for (int i = 0; i < n; i++) {
			if (list[i].data.u64 == KICK)
				take_kick(events);
			else
				weft__poller_ready(rt, list[i].data.u64, list[i].events);
		}
		if (some || n > 0)
			weft__idle_notify(rt);
	}
	return NULL;
}

static int open_descriptors(struct weft__events *events)
{
	struct epoll_event kick = { .events = EPOLLIN, .data.u64 = KICK };

	events->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (events->epoll < 0)
		return WEFT_EAGAIN;
	events->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (events->wake >= 0 && epoll_ctl(events->epoll, EPOLL_CTL_ADD, events->wake, &kick) == 0)
		return 0;
	if (events->wake >= 0)
		close(events->wake);
	close(events->epoll);
	return WEFT_EAGAIN;
}

static int start_thread(struct weft_runtime *rt)
{
	struct weft__events *events = &rt->async->events;

	if (open_descriptors(events) != 0)
		return WEFT_EAGAIN;
	if (weft__thread_create(&events->thread, events_main, rt) == 0)
		return 0;
	close(events->wake);
	close(events->epoll);
	return WEFT_EAGAIN;
}

int weft__events_start(struct weft_runtime *rt)
{
	struct weft__events *events = &rt->async->events;
	int rc = 0;

	if (WEFT_LIKELY(load_acquire(&events->running)))
		return 0;
	pthread_mutex_lock(&events->lock);
	if (load_relaxed(&events->stop)) {
		rc = WEFT_ESHUTDOWN;
	} else if (!load_relaxed(&events->running)) {
		rc = start_thread(rt);
		if (rc == 0)
			store_release(&events->running, 1);
	}
	pthread_mutex_unlock(&events->lock);
	return rc;
}

void weft__events_stop(struct weft_runtime *rt)
{
	struct weft__events *events = &rt->async->events;

	pthread_mutex_lock(&events->lock);
	store_release(&events->stop, 1);
	pthread_mutex_unlock(&events->lock);
	if (load_relaxed(&events->running)) {
		weft__events_kick(rt);
		pthread_join(events->thread, NULL);
	}
}

void weft__events_fini(struct weft__events *events)
{
	if (events->running) {
		close(events->wake);
		close(events->epoll);
	}
	pthread_mutex_destroy(&events->lock);
}
