/* SPDX-License-Identifier: MIT */
/*
 * weft/process.h - work in other processes, which may crash, hang, and eat memory
 *
 * weft_to_process runs a function (weft/remote.h) in a worker process: bytes go in,
 * bytes come out, and nothing that happens there happens here.
 *
 *	struct weft_proc_status st;
 *	struct weft_buf out = { 0 };
 *	int rc = weft_to_process(heavy, v, size, &out, .timeout = WEFT_SEC(10), .status = &st);
 *
 *	rc                  what it means
 *	0                   `out` holds the answer
 *	WEFT_ECRASHED       the worker died; `st` says of what.  Others are not concerned
 *	WEFT_ETIMEDOUT      of .timeout: the worker, and all in its process group, is dead
 *	WEFT_ECANCELED      the caller is; as above
 *	anything else       what the function returned, or could not be done: see below
 *
 * Workers belong to a pool, are started as they are needed, and take one job at a time.
 * One that dies is replaced; jobs that wait are not concerned.  A job whose worker died
 * before it had taken the job from its socket is given to another, once; one that may
 * have begun never is.
 *
 * A cancel or a deadline of the caller ends a job for good: SIGTERM to the worker and
 * all in its process group, SIGKILL when the grace period is over, and the call returns
 * when they are gone.  What a job has put into another group, or into a session of its
 * own, ends with the pool.
 *
 *   threads    to_process, map: tasks, else WEFT_ENOTASK.  The others: any.
 *   memory     arguments are borrowed until the call returns.  Answers are the
 *              caller's, to be freed by weft_buf_free.
 *   errors     WEFT_ECRASHED, WEFT_EBROKEN (the initializer fails), WEFT_ECLOSED,
 *              -EMSGSIZE (a larger answer than was allowed),
 *              WEFT_EAGAIN or -EMFILE when no process or descriptor can be had; and
 *              those of finding a function: -ENOENT, -ESTALE, -EINVAL (code that comes
 *              from no file), -ENOTSUP (a program linked with -static that does not
 *              call weft_remote_main).
 *   blocking   to_process, map and close wait: a task is suspended, a thread that
 *              closes sleeps.  Arguments of 64 KiB and more are copied first.
 *   fork()     in a child every call returns WEFT_ESHUTDOWN, kill does nothing, and
 *              there are no workers and no jobs: they are the parent's.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <weft/base.h>
#include <weft/buf.h>
#include <weft/remote.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* How the worker of a job ended.  After a success only `pid` says anything. */
struct weft_proc_status {
	pid_t pid;	      /* 0: the job never had a worker */
	int signo;	      /* the signal that ended it, or 0 */
	int exit_code;	      /* what it exited with, or 0 */
	bool guessed;	      /* signo is a guess: nobody was left who could know */
	bool broken;	      /* killed because it sent what a worker never sends */
	struct rusage rusage; /* of it, and of the children it waited for */
	size_t stderr_size;
	char stderr_tail[2048]; /* the last it wrote to its standard error, and a NUL */
};

/* --- pools ---------------------------------------------------------------- */

struct weft_process_pool;

struct weft_process_pool_opts {
	size_t size;	  /* sizeof(struct weft_process_pool_opts) */
	unsigned workers; /* at most; 0: default_process_workers of weft_configure, at first
			   * one for each worker of the runtime: the caller's, or else that
			   * of the first job */
	const char *name; /* of its thread, up to 9 bytes count; NULL: "weft/proc" */

	/* Called in each worker before its first job; what it answers is dropped.  When
	 * it fails three times in a row the pool is broken: WEFT_EBROKEN to all. */
	weft_remote_fn *init;
	const void *init_data; /* copied */
	size_t init_size;

	unsigned max_tasks;	   /* a worker ends after so many jobs; 0: never */
	unsigned max_tasks_jitter; /* and up to so many more, each worker at random, so that
				    * they do not all end at once */
	uint64_t max_rss;	   /* a worker that has more bytes of its own in memory after
				    * a job ends, and is replaced: for leaks; 0: no limit */
	int64_t idle;		   /* a worker without work for so long ends; 0: 60 s */
	uint64_t memory;	   /* bytes that a worker may have for itself: then its
				    * allocations fail; 0: no limit */
	unsigned cpu;		   /* seconds of CPU time, then SIGXCPU; 0: no limit */
	int64_t kill_grace;	   /* between SIGTERM and SIGKILL; 0: 1 s */
};

/* No process is started before there is a job.  WEFT_ENOMEM, WEFT_EINVAL. */
WEFT_API int weft_process_pool_create_opt(struct weft_process_pool **pool,
					  const struct weft_process_pool_opts *opts);

/* No new jobs from here on.  rc = 0: those that wait still run; rc < 0: they end with
 * WEFT_ECANCELED.  Then waits until what runs has ended, and ends the workers and all
 * that they have started.  The pool is gone after 0.  When the caller is cancelled or
 * its deadline passes first: WEFT_ECANCELED, the pool stays closed, and close is to be
 * called again, by one caller at a time. */
WEFT_API int weft_process_pool_close(struct weft_process_pool *pool, int rc);

/* Ends all jobs, at once and without grace: WEFT_ECANCELED to their callers.  Closed
 * as by rc < 0; weft_process_pool_close is still to be called.  Does not wait. */
WEFT_API void weft_process_pool_kill(struct weft_process_pool *pool);

/* Workers that there are, and jobs that wait for one. */
WEFT_API size_t weft_process_pool_workers(struct weft_process_pool *pool);
WEFT_API size_t weft_process_pool_queued(struct weft_process_pool *pool);

/* --- jobs ----------------------------------------------------------------- */

struct weft_to_process_opts {
	size_t size;			 /* sizeof(struct weft_to_process_opts) */
	int64_t timeout;		 /* of the call, waiting included; 0: .default_timeout of
					  * weft_configure, at first none */
	struct weft_proc_status *status; /* NULL: not wanted */
	struct weft_process_pool *pool;	 /* NULL: that of the runtime */
	const char *name;		 /* for reports; borrowed */
	bool no_resend;			 /* WEFT_ECRASHED even when it was never begun */
	int64_t grace;			 /* instead of the pool's kill_grace; 0: that */
	uint64_t max_answer;		 /* bytes; 0: 1 GiB */
};

/* Runs fn(data, size, reply) in a worker.  `out` may be NULL, and is written on success
 * only; what it held before is not freed. */
WEFT_API int weft_to_process_opt(weft_remote_fn *fn, const void *data, size_t size,
				 struct weft_buf *out, const struct weft_to_process_opts *opts);

struct weft_process_map_opts {
	size_t size;			/* sizeof(struct weft_process_map_opts) */
	struct weft_process_pool *pool; /* NULL: that of the runtime */
	int64_t timeout;		/* of each item; 0: as of weft_to_process */
	int *codes;			/* n of them; NULL: the first error cancels the rest */
	size_t *failed;			/* where to leave the index of the item whose error is
					 * returned, or NULL.  Written for no other error */
};

/* A job for each of n items of `size` bytes; outs[i] is the answer to item i, unless outs
 * is NULL.  Those of items that succeeded are written, and the caller's to free after an
 * error, too; the others are left as they were: let all be { 0 } before.  With .codes every item is
 * tried, and has its code there, WEFT_ECANCELED when it was not tried because the caller was
 * cancelled.  Returns 0, or the first error: with .codes that of the lowest index. */
WEFT_API int weft_process_map_opt(weft_remote_fn *fn, const void *items, size_t n, size_t size,
				  struct weft_buf *outs, const struct weft_process_map_opts *opts);

WEFT_END_DECLS

#ifndef __cplusplus
#define weft_process_pool_create(pool, ...)                   \
	weft_process_pool_create_opt(                         \
		pool, &(const struct weft_process_pool_opts){ \
			      .size = sizeof(struct weft_process_pool_opts), __VA_ARGS__ })
#define weft_to_process(fn, data, bytes, out, ...)                \
	weft_to_process_opt(fn, data, bytes, out,                 \
			    &(const struct weft_to_process_opts){ \
				    .size = sizeof(struct weft_to_process_opts), __VA_ARGS__ })
#define weft_process_pool_run(p, fn, data, bytes, out, ...) \
	weft_to_process(fn, data, bytes, out, .pool = (p), __VA_ARGS__)
#define weft_process_map(fn, items, n, bytes, outs, ...)            \
	weft_process_map_opt(fn, items, n, bytes, outs,             \
			     &(const struct weft_process_map_opts){ \
				     .size = sizeof(struct weft_process_map_opts), __VA_ARGS__ })
#endif

#endif
