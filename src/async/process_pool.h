/* SPDX-License-Identifier: MIT */
/*
 * process_pool.h - worker processes and the jobs that wait for them
 *
 * The pool knows workers and jobs; who waits for a job, and what a cancel does to it, is
 * process.c's.
 *
 *   threads    any; `lock` guards everything, and is held over no wait but its own.
 *   memory     a job is its caller's, and the pool's from submit until its state is DONE;
 *              the pool is there until all callers have left.
 *   errors     0 or a negative code.
 *   blocking   none but the end.
 */
#ifndef WEFT_ASYNC_PROCESS_POOL_H
#define WEFT_ASYNC_PROCESS_POOL_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/process.h>

#include "async/proc.h"
#include "async/proc_ref.h"
#include "deque/list.h"
#include "deque/rng.h"

struct weft__strand;

enum weft__process_job_state {
	WEFT__PROCESS_QUEUED,
	WEFT__PROCESS_SENT, /* `worker` has it */
	WEFT__PROCESS_DONE, /* rc and answer are written; the pool is done with it */
};

struct weft__process_job {
	struct weft__list link; /* in the queue; or of those that are to be resumed */
	enum weft__process_job_state state;
	struct weft__process_worker *worker;
	struct weft__proc_job wire;
	struct weft_proc_status *status; /* or NULL */
	bool no_resend;
	bool resent;
	bool cancelled; /* what it ends with is WEFT_ECANCELED, unless an answer is first */
	int rc;
	struct weft__answer answer;
	struct weft__strand *strand;
	uint64_t ticket;
};

struct weft__process_worker {
	struct weft__list link; /* in the pool's */
	struct weft__list idle; /* in those that have nothing to do, newest first */
	struct weft__proc proc;
	struct weft__process_job *job;
	bool is_ready;	   /* it has been initialised */
	bool is_judged;	   /* its initialisation has succeeded, or counts as failed */
	bool is_ending;	   /* it gets no more jobs */
	unsigned left;	   /* jobs until it is to end; 0: there is no limit */
	int signal;	   /* that is to be sent at signal_at, SIGKILL after the grace */
	int64_t signal_at; /* CLOCK_MONOTONIC, as all times here */
	int64_t grace;
	int64_t idle_since;
	int slot; /* of its three descriptors among those that are polled, or -1 */
};

struct weft_process_pool {
	pthread_mutex_t lock;
	struct weft__list queue;   /* jobs, oldest first */
	struct weft__list workers; /* all that there are */
	struct weft__list idle;
	struct weft__list wakes;   /* jobs that are done, whose strands are to be resumed */
	struct weft__list closers; /* tasks that wait for the end */
	size_t queued, count;
	size_t callers;	       /* that hold it, or have submitted a job and not left */
	unsigned working;      /* workers that are not ending */
	unsigned initialising; /* of these, not ready */
	unsigned failures;     /* of the initializer, in a row */
	bool is_started, is_closed, is_broken, is_over, has_ended;
	uint64_t last_job;
	int64_t retry_at; /* a worker could not be started, and is tried again then */
	int wake;	  /* eventfd */
	pthread_t thread;
	struct pollfd *polled;
	size_t polled_room;
	struct weft__rng rng;

	unsigned most; /* 0: not known before the first job */
	unsigned max_tasks, jitter;
	uint64_t max_rss;
	int64_t idle_ns, grace;
	struct weft__proc_limits limits;
	weft_remote_fn *init;
	struct weft__ref init_ref;
	void *init_data;
	size_t init_size;
	char name[10];
	struct weft__server server;
};

/* The options are valid; `most` is set before a job is submitted.  WEFT_ENOMEM, or an error
 * of weft__ref_make. */
int weft__process_pool_new(struct weft_process_pool **pool,
			   const struct weft_process_pool_opts *opts, unsigned most);

/* It has ended. */
void weft__process_pool_free(struct weft_process_pool *pool);

/* The lock; unlocking resumes those whose jobs are done. */
void weft__process_lock(struct weft_process_pool *pool);
void weft__process_unlock(struct weft_process_pool *pool);

/* Keeps the pool from ending, as a job does: for a call that has no job yet, or not all the
 * time.  Without the lock.  WEFT_ECLOSED. */
int weft__process_hold(struct weft_process_pool *pool);
void weft__process_release(struct weft_process_pool *pool);

/* What follows is called with the lock held. */

/* --- for tasks ------------------------------------------------------------- */

/* Appends a job, and hands it over if it can be.  After a success its caller leaves when
 * it has seen that the job is DONE. */
int weft__process_submit(struct weft_process_pool *pool, struct weft__process_job *job);

void weft__process_leave(struct weft_process_pool *pool);

/* Takes a job back that has not been handed over; else kills its worker. */
void weft__process_abort(struct weft_process_pool *pool, struct weft__process_job *job,
			 int64_t grace);

/* No new jobs.  cancel: those in the queue end.  kill: those that run, too. */
void weft__process_shut(struct weft_process_pool *pool, bool cancel, bool kill);

/* Waits until the pool, which is shut, has ended.  Without the lock.  WEFT_ECANCELED. */
int weft__process_await(struct weft_process_pool *pool);

/* --- for the thread and the workers ----------------------------------------- */

/* Puts a job into the queue; first: before all others. */
void weft__process_enqueue(struct weft_process_pool *pool, struct weft__process_job *j, bool first);
void weft__process_dequeue(struct weft_process_pool *pool, struct weft__process_job *j);

/* The job, which is in no list, is DONE. */
void weft__process_finish(struct weft_process_pool *pool, struct weft__process_job *j, int rc);

/* So are all in the queue. */
void weft__process_finish_queued(struct weft_process_pool *pool, int rc);

/* The pool has ended: releases the lock, and those who wait for that. */
void weft__process_tell_closers(struct weft_process_pool *pool);

#endif
