/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.h - threads for what blocks
 *
 * The pool knows jobs and threads; who waits for a job, and what a cancel does to it,
 * is offload.c's.
 *
 *   threads    any.
 *   memory     a job is its caller's; it belongs to the pool from submit until `run`
 *              or `fail` is called, or it was taken back.
 *   errors     submit: WEFT_ECLOSED, WEFT_EAGAIN.
 *   blocking   none but the ends of pools.
 */
#ifndef WEFT_ASYNC_THREAD_POOL_H
#define WEFT_ASYNC_THREAD_POOL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/offload.h>

#include "deque/list.h"
#include "deque/spin.h"

enum { WEFT__POOL_THREADS = 512 }; /* at most, when nobody says */

struct weft__pool_job {
	struct weft__list link;
	const struct weft__pool_class *class;
	const char *name; /* for reports, or NULL; until `run` is called */
};

struct weft__pool_class {
	void (*run)(struct weft__pool_job *job);	  /* on a thread of the pool; may free it */
	void (*fail)(struct weft__pool_job *job, int rc); /* it will not run; may free it */
};

/* What each job takes is in the first cache line. */
struct weft_thread_pool {
	alignas(WEFT_CACHELINE) struct weft__spin lock; /* all below */
	unsigned searching; /* threads that are awake and about to look at the queue */
	unsigned running;   /* jobs */
	bool closed;
	bool stop;     /* closed, and what runs is asked to end */
	bool managing; /* the manager is awake */
	struct weft__list queue;
	uint64_t queued;	/* also read without the lock, as a hint */
	uint64_t taken;		/* jobs, ever */
	struct weft__list busy; /* threads that run a job, last one first */

	struct weft__list idle; /* threads that sleep, likewise */
	unsigned threads;	/* that exist */
	unsigned most;		/* also read without the lock; 0: not known before the first job */
	unsigned holders;	/* who may submit more, and so keep it from its end */
	bool managed;		/* the manager exists */
	bool ended;		/* closed, and the last thread has gone */
	struct weft__list closers; /* tasks that wait for the end */
	int64_t idle_ns;
	char name[10];
	uint32_t pressed; /* futex: wakes the manager */
};

int weft__pool_init(struct weft_thread_pool *pool, unsigned most, int64_t idle, const char *name);

/* Appends a job, and sees to it that a thread will take it.  When no thread can be had,
 * and there is none, it fails, and all that are queued with it: WEFT_EAGAIN. */
int weft__pool_submit(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* The pool stays until release, and takes jobs of holders when it is closed, unless what
 * runs is asked to end.  False: closed. */
bool weft__pool_hold(struct weft_thread_pool *pool);
void weft__pool_release(struct weft_thread_pool *pool);
int weft__pool_submit_held(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* Takes a job back; false when it has begun. */
bool weft__pool_remove(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* Refuses new jobs; threads end when the queue is empty.  stop: weft_thread_cancelled()
 * turns true in what runs, and what has not begun fails with WEFT_ECANCELED. */
void weft__pool_shut(struct weft_thread_pool *pool, bool stop);

/* Another limit: threads that exist stay, and more are called for what is queued. */
void weft__pool_set_most(struct weft_thread_pool *pool, unsigned most);

/* Closed, and the last thread has gone. */
bool weft__pool_has_ended(struct weft_thread_pool *pool);

/* Waits until the last thread of a closed pool has ended; then nothing touches the pool
 * any more.  WEFT_ECANCELED if WEFT__ABORTABLE is in `flags`. */
int weft__pool_await(struct weft_thread_pool *pool, unsigned flags);

#endif
