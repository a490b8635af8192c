/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.h - threads for what blocks
 *
 * The pool knows jobs and threads; who waits for a job, and what a cancel does to it,
 * is offload.c's.
 *
 *   threads    any.
 *   memory     a job is its caller's; it belongs to the pool from submit until `run`
 *              is called or remove returns true.
 *   errors     submit: WEFT_ECLOSED, WEFT_EAGAIN.
 *   blocking   none but the ends of pools.
 */
#ifndef WEFT_ASYNC_THREAD_POOL_H
#define WEFT_ASYNC_THREAD_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/offload.h>

#include "deque/list.h"
#include "deque/spin.h"

enum { WEFT__POOL_THREADS = 512 }; /* at most, when nobody says */

struct weft__pool_job {
	struct weft__list link;
	void (*run)(struct weft__pool_job *job); /* on a thread of the pool; may free it */
};

struct weft_thread_pool {
	struct weft__spin lock; /* all below */
	struct weft__list queue;
	struct weft__list idle; /* threads that sleep, last one first */
	uint64_t queued;	/* also read without the lock, as a hint */
	unsigned threads;	/* that exist */
	unsigned searching;	/* of these, awake and about to look at the queue */
	unsigned most;
	unsigned running; /* jobs */
	bool closed;
	bool stop;		   /* closed, and what runs is asked to end */
	struct weft__list closers; /* tasks that wait for the end */
	int64_t idle_ns;
	char name[10];
	bool ended;		/* closed, and the last thread has gone */
	bool managed, managing; /* the manager exists; it is awake */
	uint64_t taken;		/* jobs, ever */
	uint32_t pressed;	/* futex: wakes the manager */
};

int weft__pool_init(struct weft_thread_pool *pool, unsigned most, int64_t idle, const char *name);

/* Appends a job, and sees to it that a thread will take it. */
int weft__pool_submit(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* Takes a job back; false when it has begun. */
bool weft__pool_remove(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* Refuses new jobs; threads end when the queue is empty.  stop: weft_thread_cancelled()
 * turns true in what runs. */
void weft__pool_shut(struct weft_thread_pool *pool, bool stop);

/* Another limit: threads that exist stay. */
void weft__pool_set_most(struct weft_thread_pool *pool, unsigned most);

/* Closed, and the last thread has gone. */
bool weft__pool_has_ended(struct weft_thread_pool *pool);

/* The jobs that have not begun, into `jobs`: they are the caller's again. */
void weft__pool_take_all(struct weft_thread_pool *pool, struct weft__list *jobs);

/* Waits until the last thread of a closed pool has ended; then nothing touches the pool
 * any more.  WEFT_ECANCELED. */
int weft__pool_await(struct weft_thread_pool *pool);

#endif
