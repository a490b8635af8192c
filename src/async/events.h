/* SPDX-License-Identifier: MIT */
/*
 * events.h - the thread that waits for time and descriptors
 *
 * One a runtime, started by the first timer or descriptor; it sleeps in epoll until
 * the next of either.
 *
 *   threads    any.
 *   errors     start: WEFT_EAGAIN when there is no thread or descriptor to be had,
 *              WEFT_ESHUTDOWN after stop.
 *   blocking   none but stop, which ends the thread.
 */
#ifndef WEFT_ASYNC_EVENTS_H
#define WEFT_ASYNC_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct weft_runtime;

struct weft__events {
	pthread_mutex_t lock; /* of starting */
	pthread_t thread;
	uint32_t running;
	uint32_t stop;
	int epoll, wake;
	bool coarse; /* the thread's own: there is no epoll_pwait2 */
};

void weft__events_init(struct weft__events *events);

/* Ends the thread; it does not start again.  Whoever is late may still kick it, and use its
 * descriptors, until fini: with no worker left and nobody who holds the runtime. */
void weft__events_stop(struct weft_runtime *rt);
void weft__events_fini(struct weft__events *events);

/* Sees to it that the thread runs. */
int weft__events_start(struct weft_runtime *rt);

/* Makes it look at the timers again. */
void weft__events_kick(struct weft_runtime *rt);

/* What the thread calls when a registered descriptor is ready: poller.c. */
void weft__poller_ready(struct weft_runtime *rt, uint64_t data, uint32_t events);

#endif
