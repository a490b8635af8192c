/* SPDX-License-Identifier: MIT */
/*
 * weft/offload.h - blocking calls on threads of their own
 *
 * A call that sleeps in the kernel, a file, a database client, a resolver, would hold
 * its worker.  weft_to_thread runs it on a thread of a pool meanwhile; the task waits
 * as for anything else.
 *
 *	struct read r = { .path = path, .buffer = buffer };
 *	int rc = weft_to_thread(read_file, &r);
 *
 * Cancelling: a call that has not begun never will, WEFT_ECANCELED.  One that runs is
 * waited for, and its result counts, for its argument may lie on the caller's stack;
 * it can ask weft_thread_cancelled().  With .abandon the caller goes on at once and
 * the call runs on by itself, which needs an argument that it owns: .copy or .drop.
 *
 *   threads    to_thread, run, submit, map: tasks; from a plain thread weft_to_thread
 *              calls fn right there, the others return WEFT_ENOTASK.  create, close, dump:
 *              any.
 *   memory     arguments are borrowed until the call returns, unless said.
 *   errors     0 or more and other negative codes are what fn returned; of weft's own:
 *              WEFT_ECANCELED, WEFT_ECLOSED, WEFT_EAGAIN when no thread can be had,
 *              WEFT_EINVAL, WEFT_ENOMEM.
 *   blocking   suspends the task.
 */
#ifndef WEFT_OFFLOAD_H
#define WEFT_OFFLOAD_H

#include <stdbool.h>
#include <stdio.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

struct weft_group;
struct weft_limiter;
struct weft_thread_pool;

struct weft_thread_pool_opts {
	size_t size;	  /* sizeof(struct weft_thread_pool_opts) */
	unsigned threads; /* at most; 0: default_thread_workers of weft_configure, of the runtime
			   * of the caller, or else of the first job */
	int64_t idle;	  /* a thread without work for so long ends; 0: 10 s */
	const char *name; /* of its threads, up to 9 bytes count; NULL: "weft/io" */
};

/* Threads are started as they are needed.  A pool belongs to no runtime.  WEFT_EINVAL,
 * WEFT_ENOMEM. */
WEFT_API int weft_thread_pool_create_opt(struct weft_thread_pool **pool,
					 const struct weft_thread_pool_opts *opts);

/* No new jobs from here on.  rc = 0: runs what is queued; rc < 0: cancels it, and asks
 * what runs to stop.  Then waits for what runs, in every case, and ends the threads.
 * When the caller is cancelled or its deadline passes first: WEFT_ECANCELED; the pool
 * stays closed, and close may be called again.  The pool is gone after 0, so one caller
 * at a time.  In a child of fork, which has none of the threads: WEFT_ESHUTDOWN. */
WEFT_API int weft_thread_pool_close(struct weft_thread_pool *pool, int rc);

/* Prints how many jobs run and wait, and the names (.name) of those that run. */
WEFT_API void weft_thread_pool_dump(struct weft_thread_pool *pool, FILE *out);

/* Jobs that wait for a thread, and jobs that run, abandoned ones included. */
WEFT_API size_t weft_thread_pool_queued(struct weft_thread_pool *pool);
WEFT_API size_t weft_thread_pool_running(struct weft_thread_pool *pool);

struct weft_to_thread_opts {
	size_t size;		       /* sizeof(struct weft_to_thread_opts) */
	struct weft_thread_pool *pool; /* NULL: that of the runtime */
	const char *name;	       /* for reports; 31 bytes count */
	bool abandon;		       /* a cancel does not wait for the call */
	size_t copy;		       /* fn gets a copy of so many bytes at arg */
	void (*drop)(void *arg);       /* gets the argument when an abandoned call has ended, or
					* when a call with .abandon never began */
	int interrupt;		       /* on a cancel, send this signal to the thread, again and
					* again until fn returns, or once with .abandon: blocking
					* system calls return EINTR.  The application has a handler
					* for it, without SA_RESTART */
	struct weft_limiter *limiter;  /* (weft/sync.h) the job takes a token, for which the
					* caller waits, and keeps it until the thread is done
					* with it, abandoned or not; or NULL */
};

/* Runs fn(arg) on a thread of the pool; returns what it returned.
 * WEFT_EINVAL for .abandon with neither .copy nor .drop. */
WEFT_API int weft_to_thread_opt(weft_fn *fn, void *arg, const struct weft_to_thread_opts *opts);

/* Inside of such a call: true when its caller has been cancelled or has abandoned it.
 * False on other threads. */
WEFT_API bool weft_thread_cancelled(void);

/* The same as codes: 0, WEFT_ECANCELED, or WEFT_ENOTASK on other threads. */
WEFT_API int weft_thread_check(void);

/* Inside of such a call: from here on it cannot be abandoned, so what it does now will
 * be seen by its caller.  WEFT_ECANCELED when it was abandoned before: do nothing
 * then.  WEFT_ENOTASK on other threads. */
WEFT_API int weft_thread_commit(void);

/* As a run without waiting for it: a child of the group g does, and has its result.
 * fn gets arg and not a copy, which must stay until the group is closed.  WEFT_EINVAL,
 * WEFT_ENOMEM, and the errors of weft_spawn; then fn is not called.  In the group:
 * WEFT_ECLOSED when the pool is. */
WEFT_API int weft_thread_pool_submit(struct weft_thread_pool *pool, struct weft_group *g,
				     weft_fn *fn, void *arg);

/* Runs fn on each of n items of `size` bytes; as many at once as the pool has threads.
 * An error, or a cancel of the caller, cancels what has not begun, and asks what runs to
 * stop, for which it waits.  Returned is the error of the item with the lowest index of
 * those that failed; *failed (may be NULL) is that index.  WEFT_ECANCELED, WEFT_ECLOSED,
 * WEFT_ENOTASK.  A pool that is closed with 0 meanwhile waits for all of the map.
 *
 * A thread takes item after item, and makes room between two of them when other jobs have
 * waited for 100 us. */
WEFT_API int weft_thread_pool_map(struct weft_thread_pool *pool, weft_fn *fn, void *items, size_t n,
				  size_t size, size_t *failed);

/* Around a call that blocks in the kernel, or computes for long, in the middle of a task
 * that cannot be cut in two: a spare worker (.spare_workers of weft_configure; without
 * one nothing changes) runs what would wait for this worker meanwhile, and no report
 * names the task.  Between the two the task does not wait by means of weft.  They do not
 * nest: the first end ends it.  Tens of nanoseconds, and a wake-up.
 * WEFT_ENOTASK on other threads.  No cancellation points. */
WEFT_API int weft_blocking_begin(void);
WEFT_API void weft_blocking_end(void);

WEFT_END_DECLS

#ifndef __cplusplus
#define weft_thread_pool_create(pool, ...)                   \
	weft_thread_pool_create_opt(                         \
		pool, &(const struct weft_thread_pool_opts){ \
			      .size = sizeof(struct weft_thread_pool_opts), __VA_ARGS__ })
#define weft_to_thread(fn, arg, ...)                            \
	weft_to_thread_opt(fn, arg,                             \
			   &(const struct weft_to_thread_opts){ \
				   .size = sizeof(struct weft_to_thread_opts), __VA_ARGS__ })
#define weft_thread_pool_run(p, fn, arg, ...) weft_to_thread(fn, arg, .pool = (p), __VA_ARGS__)
#define weft_run_async(fn, arg, ...)	      weft_to_thread(fn, arg, __VA_ARGS__)
#endif

#endif
