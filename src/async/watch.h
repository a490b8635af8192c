/* SPDX-License-Identifier: MIT */
/*
 * watch.h - noticing tasks that ignore their cancel, and tasks that hold their worker
 *
 * Nothing here runs, and no thread exists for it, while nothing is cancelled and no
 * work waits for a worker.  A cancel arms a timer that the end of what it cancelled
 * disarms.  Work that is ready while no worker is free makes the event thread look
 * at the workers every block_warn, until there is none.
 *
 *   threads    any.
 *   memory     a timer in each scope; 64 for tasks that were cancelled by handle, of
 *              which any more at a time go unnoticed.
 *   blocking   none.  The reports are made by the event thread.
 */
#ifndef WEFT_ASYNC_WATCH_H
#define WEFT_ASYNC_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/task.h>

#include "async/clock.h"
#include "deque/spin.h"

struct weft_runtime;
struct weft__scope;
struct weft__worker;

enum { WEFT__WATCHED_TASKS = 64, WEFT__RECENT = 64 };

/* A task that was cancelled by its handle. */
struct weft__watched {
	struct weft__timer timer;
	struct weft_runtime *rt;
	struct weft_task task;
	uint32_t used;
};

/* A strand that was named, and when.  Its address may be another one's soon. */
struct weft__named {
	const void *strand;
	int64_t at;
};

/* What a worker was at when it was last looked at. */
struct weft__gaze {
	uint64_t turns; /* jobs and switches so far */
	int64_t oldest; /* a number for its oldest ready job, -1: there was none */
	int64_t since;	/* when `turns` was first seen; 0: never */
	int64_t cpu;	/* time that its thread had used then */
	uint8_t reported;
	bool has_spare; /* that was called for it */
};

struct weft__watchman {
	struct weft__watched tasks[WEFT__WATCHED_TASKS];
	struct weft__timer shutdown; /* of the whole runtime */
	struct weft_runtime *rt;
	struct weft__spin lock; /* of `recent` */
	struct weft__named recent[WEFT__RECENT];
	unsigned next_recent;
	struct weft__gaze *gazes; /* one a worker; the event thread's */
	int64_t look_at;	  /* likewise: when to look again; NEVER */
};

int weft__watchman_init(struct weft_runtime *rt, struct weft__watchman *watchman);
void weft__watchman_fini(struct weft_runtime *rt, struct weft__watchman *watchman);

/* The scope was cancelled: names what has not ended when stall_warn is over.  The scope's
 * exit disarms s->stall. */
void weft__watch_scope(struct weft__scope *s);

/* The task was, by its handle; or all, by a shutdown. */
void weft__watch_task(struct weft_runtime *rt, struct weft_task task);
void weft__watch_shutdown(struct weft_runtime *rt);

/* Hook: work is ready, and no worker is free.  Under any lock. */
void weft__watch_pressed(struct weft_runtime *rt);

/* Starts the thread that looks if there is none: a spawn does, and no root, which may
 * come while the workers start.  Under no lock. */
void weft__watch_begin(struct weft_runtime *rt);

/* The event thread: looks if it is time; when to look next, or NEVER. */
int64_t weft__watch_turn(struct weft_runtime *rt);

#endif
