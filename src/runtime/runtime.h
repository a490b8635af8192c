/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - a set of workers and what they share
 */
#ifndef WEFT_RUNTIME_RUNTIME_H
#define WEFT_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/runtime.h>

#include "deque/inject.h"
#include "runtime/idle.h"
#include "runtime/latch.h"
#include "runtime/sizes.h"
#include "runtime/stack.h"
#include "runtime/strand.h"

struct weft__async;
struct weft__worker;

/* Work was ready while no worker was free, and what came of it: async/watch.c. */
enum weft__pressed {
	WEFT__PRESSED_NO,
	WEFT__PRESSED_ALONE, /* there is no thread yet to look at the workers */
	WEFT__PRESSED,	     /* the event thread looks */
	WEFT__PRESSED_NEVER, /* nobody wants to know */
};

struct weft_runtime {
	/* Read by all, written at start. */
	struct weft__worker **workers;
	unsigned worker_count; /* threads that run */
	unsigned worker_slots; /* workers that exist */
	unsigned spares;       /* of worker_count, the last ones */
	uint64_t ticks_per_us;
	uint32_t stop; /* 1: the workers end */

	/* The floor above: its state, the root of all scopes, and whether it wants to
	 * know when the last worker falls asleep. */
	struct weft__async *async;
	struct weft__node root;
	uint32_t watch_quiet;
	uint32_t pressed; /* enum weft__pressed */

	struct weft__stack_pool stacks;
	struct weft__sizes sizes; /* for tasks that ask for other ones */
	struct weft__inject inject;
	struct weft__idle idle;
	struct weft__gate gate;	  /* roots under way ... */
	struct weft__gate *roots; /* ... or in that of the default runtime */
	uint32_t roots_running;	  /* that have begun and not ended */
	struct weft_config config;
	struct weft__latch started; /* every worker can be robbed */
	struct weft__latch ended;   /* no worker robs any more */
	uint32_t guests;	    /* weft__runtime_hold */
	uint32_t distressed;	    /* workers on which somebody waits for a stack to go on with */
};

/* WEFT_EINVAL for a setting out of range; NULL is all defaults. */
int weft__config_check(const struct weft_config *config);

/* Runs fn(arg) as a task of the runtime; the calling thread sleeps. */
int weft__root_run(struct weft_runtime *rt, weft_fn *fn, void *arg);

/* The same in these surroundings, which stay until it returns. */
int weft__root_run_in(struct weft_runtime *rt, const struct weft__ambient *in, weft_fn *fn,
		      void *arg);

/* Keeps the memory of a runtime for a moment: for threads that are none of its own, and
 * wake the last of its tasks. */
static inline void weft__runtime_hold(struct weft_runtime *rt)
{
	add_seqcst(&rt->guests, 1);
}

static inline void weft__runtime_release(struct weft_runtime *rt)
{
	add_seqcst(&rt->guests, (uint32_t)-1);
}

/* weft_runtime_destroy in two steps.  After the first no task runs, nor does a blocking
 * call; what the runtime knows can still be asked. */
void weft__runtime_stop(struct weft_runtime *rt);
void weft__runtime_free(struct weft_runtime *rt);

/* The default runtime, NULL when it does not run; it neither starts nor ends
 * before the release. */
struct weft_runtime *weft__default_hold(void);
void weft__default_release(void);

/* In the child of a fork() nothing of the parent's runtimes works any more. */
bool weft__forked(void);
void weft__forked_watch(void);

#endif
