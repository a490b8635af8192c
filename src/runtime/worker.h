/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one thread of a runtime and what it owns
 *
 * A worker runs jobs, one after the other, on a loop fiber.  A job that waits
 * suspends the fiber it runs on, loop frame and all; the worker takes a fresh
 * loop fiber and goes on.  When the wait is over, some worker's loop switches
 * to the suspended fiber, and from then on that fiber is the loop of that
 * worker.  So a job that never waits costs no switch, and no stack frame ever
 * waits below foreign work.
 */
#ifndef WEFT_RUNTIME_WORKER_H
#define WEFT_RUNTIME_WORKER_H

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/runtime.h>

#include "deque/atomic.h"
#include "deque/deque.h"
#include "deque/eventcount.h"
#include "deque/fifo.h"
#include "deque/job.h"
#include "deque/rng.h"
#include "runtime/fiber.h"
#include "runtime/region.h"
#include "runtime/stack.h"
#include "runtime/strand.h"

struct weft_runtime;
struct weft__worker;

/* Called on the fiber that was switched to, as the first thing it does: now the
 * context of `from` is saved, and others may be told of it. */
typedef void weft__after_fn(struct weft__worker *w, struct weft__fiber *from, void *arg);

struct weft__worker {
	/* What thieves read. */
	struct weft__deque deque;	/* forks and other jobs, newest first for the owner */
	struct weft__fifo ready;	/* fibers that can go on, oldest first */
	struct weft__job *next;		/* a fiber, older than all in `ready`, or NULL (steal.h) */
	uint64_t nexts;			/* how often it was set */
	uint64_t next_seen, next_since; /* of a thief: which it saw, and when first */
	unsigned char *hungry;		/* this thread's weft_hungry_byte */
	uint64_t moves_begun;		/* a job is taken to put another back (O3 of worker.c) */
	uint64_t moves_ended;
	uint64_t declared; /* 1 + its turns when its task said that it blocks, or 0 */
	unsigned index;
	struct weft_runtime *runtime;

	/* The owner's. */
	alignas(WEFT_CACHELINE) struct weft__fiber *current;
	weft__after_fn *after;
	struct weft__fiber *after_from;
	void *after_arg;
	struct weft__job *handoff; /* to be run before anything else, or NULL */
	uint64_t tick;		   /* jobs looked for */
	uint64_t yields;	   /* of weft_yield */
	uint64_t trimmed;	   /* switches at the last trim of the stacks */
	uint32_t searching;	   /* 1: counted in idle.searching */
	uint8_t brief;		   /* the next search looks around once; its own alone */
	struct weft__region region;
	uint64_t rounds; /* of stealing */
	bool seeded;
	struct weft__rng rng; /* if so: what is ready runs in an order drawn from it */
	struct weft__stack_cache stacks;
	struct weft__fiber thread_fiber; /* the thread's own stack */
	pthread_t thread;
	pid_t tid;		 /* of that thread, for reports */
	struct weft_stats stats; /* written by the owner alone */

	/* Where it sleeps. */
	alignas(WEFT_CACHELINE) struct weft__ec ec;
};

/* The worker that the caller runs on, NULL outside.  Never inlined: a fiber may
 * resume on another thread, and a compiler may keep the address of a
 * thread-local over any call it can see through. */
struct weft__worker *weft__worker_self(void);

/* The fiber that runs on w, which is the caller's.  As stale as w itself. */
struct weft__fiber *weft__worker_fiber(const struct weft__worker *w);

/* Makes the calling thread w's, or nobody's (NULL). */
void weft__worker_become(struct weft__worker *w);

int weft__worker_init(struct weft__worker *w, struct weft_runtime *runtime, unsigned index);
void weft__worker_fini(struct weft__worker *w);

/* The body of a worker's thread: runs jobs until the runtime stops. */
void weft__worker_main(struct weft__worker *w);

/* Suspends the calling fiber of worker w; `after` runs on the next fiber.  Returns when
 * somebody made the fiber ready again, perhaps on another worker.
 * WEFT_ENOMEM when there is no stack to go on with; nothing happened then. */
int weft__suspend(struct weft__worker *w, weft__after_fn *after, void *arg);

/* Makes a suspended fiber ready, from any thread.  Quietly: nobody is woken for
 * it; the caller calls weft__idle_notify when it has made all ready. */
void weft__ready(struct weft_runtime *runtime, struct weft__fiber *fiber);
void weft__ready_quietly(struct weft_runtime *runtime, struct weft__fiber *fiber);

/* Hands a job to the workers: behind what this one has ready, or from outside
 * through the injector. */
void weft__submit(struct weft_runtime *runtime, struct weft__job *job);

/* Goes on with a suspended fiber at once, in place of the calling loop.  Only
 * from a job, as the last thing it does. */
void weft__continue(struct weft__fiber *fiber);

/* Without a stack to go on with: runs a job that waits to be started on top of the
 * calling frame.  False when there is none. */
bool weft__run_here(void);

/* The task that runs there has called weft_blocking_begin. */
bool weft__blocking_is_declared(const struct weft__worker *w);

/* A counter that only its owner writes and anybody may read; its new value. */
static inline uint64_t weft__count(uint64_t *counter)
{
	uint64_t n = load_relaxed(counter) + 1;

	store_relaxed(counter, n);
	return n;
}

/* Grows with each job, switch and look around: while it is the same, so is the job. */
static inline uint64_t weft__worker_turns(const struct weft__worker *w)
{
	return load_relaxed(&w->tick) + load_relaxed(&w->yields) +
	       load_relaxed(&w->stats.switches) + load_relaxed(&w->stats.steals_tried) +
	       load_relaxed(&w->stats.parks);
}

#endif
