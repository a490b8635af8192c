/* SPDX-License-Identifier: MIT */
/*
 * weft/runtime.h - workers: how parallel code starts, and what it ran on
 *
 * A runtime is a set of worker threads, one per usable CPU, that share work by
 * stealing.  There is one default runtime per process, started by the first
 * call that needs it; no thread exists before that.  weft_run_sync() runs a
 * function on it and waits; inside that function everything of weft/fork.h
 * runs in parallel.
 *
 *	static int hello(void *arg) { ... weft_for(0, n, body, arg); ... }
 *
 *	int rc = weft_run_sync(hello, &data);
 *
 *   threads    everything may be called from any thread unless it says so.
 *   memory     the runtime owns its threads and stacks; arguments are borrowed
 *              until the call returns.
 *   errors     0 or a negative code of weft/error.h.
 *   blocking   run, shutdown and destroy hold the calling thread; weft_yield suspends the
 *              task.  The rest does not wait.  None is a cancellation point.
 *   fork()     in a child every call returns WEFT_ESHUTDOWN, and code that
 *              forks work runs it serially.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stdbool.h>
#include <stdio.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

struct weft_runtime;
struct weft_stall;

/* 0 in a field means: take it from the environment (WEFT_NUM_THREADS,
 * WEFT_STACK_SIZE), or else from what the machine has. */
enum weft_clock {
	WEFT_CLOCK_DEFAULT, /* the real one */
	WEFT_CLOCK_REAL,    /* CLOCK_MONOTONIC */
	WEFT_CLOCK_VIRTUAL, /* stands still while anything runs; when all wait and nothing
			     * outside is pending it jumps to the next deadline.  A wait for a
			     * descriptor, a signal, a thread or a process is such a thing: no
			     * deadline passes during it.  So such a thread must not wait for
			     * one through a portal (without, on behalf of its caller, it may),
			     * and .interrupt of weft/offload.h sends its signal once */
};

enum weft_on_deadlock {
	WEFT_DEADLOCK_DEFAULT, /* FAIL with a virtual clock, IGNORE with the real one, since
				* another thread may be about to help */
	WEFT_DEADLOCK_IGNORE,
	WEFT_DEADLOCK_REPORT, /* say who waits for what, on the standard error */
	WEFT_DEADLOCK_FAIL,   /* and cancel everything; run_sync returns WEFT_EDEADLK */
};

struct weft_config {
	size_t size;		/* sizeof(struct weft_config) */
	unsigned workers;	/* worker threads, 1 .. 4096 */
	size_t stack_size;	/* bytes of address space per fiber, 16 KiB .. 1 GiB */
	unsigned spare_workers; /* more threads, which run only in the place of workers that
				 * are held: by a task that blocks in the kernel, or computes,
				 * for block_warn while others wait, or that has called
				 * weft_blocking_begin.  They count in weft_worker_count().
				 * 0: none */

	enum weft_clock clock;
	enum weft_on_deadlock on_deadlock;
	uint64_t seed; /* not 0: what is ready runs in an order drawn from this, the same for
			* the same seed with one worker and a virtual clock; with more workers
			* the order still depends on time.  0: that of WEFT_SEED */

	/* Of calls that do not say (.timeout = 0, .limit = 0 and so on). */
	int64_t default_timeout;    /* race, gather, map ..., to_process, run_sync; first: none */
	int64_t shield_limit;	    /* weft_shield; first: 10 s */
	unsigned default_pool_size; /* limit of weft_map; first: workers */
	unsigned default_thread_workers;  /* threads for blocking calls; first: 512 */
	unsigned default_process_workers; /* first: workers */

	int64_t stall_warn; /* a task that ignores its cancel for so long is reported; first: 1 s,
			     * WEFT_NEVER: none is */
	int64_t block_warn; /* a task that holds its worker for so long while others wait is, by
			     * the real clock alone; first: 100 ms, WEFT_NEVER: none is */
	/* Both ask the worker's thread where it is, by a SIGURG; one that is not theirs goes on
	 * to the handler that the application had installed before. */

	int64_t shutdown_grace; /* between asking tasks to end (weft_cancel_requested,
				 * weft_sleep_soft) and cancelling them, when the runtime is shut
				 * down; WEFT_NEVER: they are only asked.  First: none */

	/* Gets the report of a stalled task in place of the standard error, or NULL.  Called
	 * on a thread of the runtime, which waits meanwhile; it must not call weft. */
	void (*on_stall)(const struct weft_stall *stall);
};

/* A task that was cancelled stall_warn ago and has not ended.  All strings are borrowed
 * until on_stall returns; NULL: not known. */
struct weft_stall {
	const char *task;    /* its name */
	const char *group;   /* the name of its group */
	int reason;	     /* enum weft_reason_kind of weft/scope.h */
	const char *wait;    /* what it waits for; NULL: it runs */
	void *const *frames; /* where it runs or waits, innermost first; NULL: not known */
	int frame_count;
};

/* Settings of the default runtime.  A field that is 0 stays as it is.  Workers, stack
 * size, clock and seed apply when it next starts; the others at once, to calls that
 * begin later.  WEFT_EINVAL for a value out of range, and then nothing is changed;
 * WEFT_ESHUTDOWN in a forked child. */
WEFT_API int weft_configure_opt(const struct weft_config *config);

/* Runs fn(arg) as a task and waits for it; returns what it returned.
 * From a plain thread: starts the default runtime if need be and sleeps until
 * the task is done.  From inside a task: calls fn at once on that task.  From a blocking
 * call of a task (weft/offload.h): on behalf of that task, in its scope; WEFT_ECANCELED when
 * it has abandoned the call.
 * WEFT_ESHUTDOWN while a shutdown is under way and in a forked child,
 * WEFT_ENOMEM when the runtime cannot start.  fn did not run in these cases.
 * WEFT_ETIMEDOUT when .default_timeout cut it off, WEFT_EDEADLK when it was cancelled
 * because nothing could go on (.on_deadlock). */
WEFT_API int weft_run_sync(weft_fn *fn, void *arg);

/* Stops the default runtime: refuses new tasks, cancels those under way (their reason
 * is WEFT_REASON_SHUTDOWN), waits for their end until `deadline` (absolute nanoseconds
 * of CLOCK_MONOTONIC, WEFT_NEVER to wait as long as it takes), and for that of blocking calls
 * that were abandoned; then ends the workers and frees everything.  The next weft_run_sync
 * starts it anew.  0 when there was nothing to stop.  WEFT_ETIMEDOUT when tasks or blocking
 * calls were still running, or another thread that shuts down had not done: what runs is named
 * on the standard error, unless `deadline` is 0; the runtime goes on refusing new tasks, and
 * shutdown may be called again.  WEFT_EDEADLK from inside a task and from a blocking call of
 * one.  Any number of threads may call it at the same time, each with its own deadline.  It is
 * no cancellation point. */
WEFT_API int weft_shutdown(int64_t deadline);

/* The first half of that, from anywhere, tasks included: refuses new tasks and cancels
 * those under way, of the caller's runtime or else of the default one, and returns at
 * once.  Somebody still has to call weft_shutdown, or weft_runtime_destroy. */
WEFT_API void weft_request_shutdown(void);

/* Runtimes of your own, beside the default one: for tests, or to keep two
 * kinds of work apart.  NULL means all defaults.  *runtime is the caller's until destroy.
 * WEFT_EINVAL, WEFT_ENOMEM, WEFT_ESHUTDOWN in a forked child. */
WEFT_API int weft_runtime_create_opt(struct weft_runtime **runtime,
				     const struct weft_config *config);

/* As weft_run_sync, on this runtime.  From inside a task of another runtime the
 * calling worker is held until fn is done.  WEFT_ESHUTDOWN after weft_request_shutdown. */
WEFT_API int weft_runtime_run(struct weft_runtime *runtime, weft_fn *fn, void *arg);

/* Waits for the tasks under way and for blocking calls that were abandoned, cancels
 * nothing, ends the workers, frees everything.  Cannot fail; NULL is fine.  No other
 * thread may use the runtime any more; never from inside one of its tasks. */
WEFT_API void weft_runtime_destroy(struct weft_runtime *runtime);

#ifndef __cplusplus
/* weft_configure(.workers = 4); weft_runtime_create(&rt, .workers = 4); */
#define weft_configure(...) \
	weft_configure_opt( \
		&(const struct weft_config){ .size = sizeof(struct weft_config), __VA_ARGS__ })
#define weft_runtime_create(runtime, ...) \
	weft_runtime_create_opt(          \
		runtime,                  \
		&(const struct weft_config){ .size = sizeof(struct weft_config), __VA_ARGS__ })
#endif

/* Workers of the runtime that the caller is a task of; outside of any task,
 * how many the default runtime has or would start with.  At least 1. */
WEFT_API unsigned weft_worker_count(void);

/* The number of the worker that runs the caller, 0 .. weft_worker_count() - 1,
 * or -1 outside of a task.  Stale after any call that may suspend. */
WEFT_API int weft_worker_index(void);

/* Lets other ready fibers of this worker run first, and tells of no cancel: see
 * weft_checkpoint.  The caller may go on on another worker.  Outside of a task it does
 * nothing. */
WEFT_API void weft_yield(void);

/* Counters since the runtime started, for one worker or summed over all.
 * They are exact once the runtime is idle. */
struct weft_stats {
	uint64_t offered;	 /* forks that went to the deque */
	uint64_t shared;	 /* of these, run by another worker */
	uint64_t steals_tried;	 /* looks into another worker's deque */
	uint64_t steals_won;	 /* ... that brought something */
	uint64_t parks;		 /* times a worker went to sleep */
	uint64_t wakes;		 /* times a worker woke another */
	uint64_t switches;	 /* fiber switches */
	uint64_t stacks;	 /* stacks in use */
	uint64_t stacks_highest; /* most stacks in use at once */
};

/* worker < 0: the sum.  Of the caller's runtime, or of the default one when the
 * caller is no task.  WEFT_EINVAL when there is no such worker; WEFT_ESHUTDOWN
 * when the default runtime is not running.  *stats is written only on success. */
WEFT_API int weft_stats(int worker, struct weft_stats *stats);

/* The table that WEFT_STATS=1 prints at exit.  Errors as above. */
WEFT_API int weft_stats_print(FILE *out);

/* Prints the tree of tasks of the caller's runtime, or of the default one: groups and
 * scopes with their deadlines and cancels, tasks with their names and what they wait
 * for.  Tasks that have not waited yet are counted only.  Other tasks may run meanwhile.
 * WEFT_EINVAL for no file, WEFT_ESHUTDOWN when there is no runtime, WEFT_ENOMEM. */
WEFT_API int weft_dump(FILE *out);

WEFT_END_DECLS

#endif
