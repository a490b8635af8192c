/* SPDX-License-Identifier: MIT */
/*
 * weft/interop.h - bridges between plain threads and tasks
 *
 * Code that runs on a thread of a pool (weft/offload.h), or on a thread of the
 * application's own, calls back into the world of tasks.
 *
 *	weft_from_thread(NULL, progress, arg);   in a blocking call: on behalf of the task
 *	                                         that waits for it, in that task's scope
 *
 *	struct weft_portal p;                    for the application's own threads: a task
 *	weft_portal_open(&p);                    opens a portal ...
 *	weft_from_thread(&p, fn, arg);           ... and they run functions in its scope
 *	weft_portal_close(&p, rc);               waits for all that is under way
 *
 *   threads    open, close: the task.  from_thread and futures: any thread; called by a
 *              task, from_thread runs fn at once on that task.
 *   memory     the caller's structs, fields private.  A portal must stay as long as
 *              somebody may call through it, also after close; a future until it was
 *              waited for.
 *   errors     what fn returned, or WEFT_ENOTASK without a task to act for,
 *              WEFT_ECLOSED, WEFT_ESHUTDOWN, WEFT_ECANCELED.
 *   blocking   from_thread and future_wait hold the thread, or suspend the task;
 *              portal_close suspends the task.  The others do not wait.
 */
#ifndef WEFT_INTEROP_H
#define WEFT_INTEROP_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/fork.h>

WEFT_BEGIN_DECLS

struct weft_portal {
	unsigned char weft__private[384] __attribute__((aligned(16)));
};

/* A scope of the calling task, to be closed by it; what is called through it sees the
 * bindings (weft/local.h) of this moment.  WEFT_ECANCELED when the caller is cancelled
 * already, WEFT_EINVAL, WEFT_ENOTASK. */
WEFT_API int weft_portal_open(struct weft_portal *portal);

/* No calls from here on: WEFT_ECLOSED.  rc < 0 cancels those under way; all are waited
 * for, also when the caller is cancelled, which they see.  The result is that of leaving a
 * scope with rc.  WEFT_EPERM for a portal of another task, WEFT_EINVAL when it is not open,
 * or not the innermost of the caller's scopes, WEFT_ENOTASK. */
WEFT_API int weft_portal_close(struct weft_portal *portal, int rc);

/* Runs fn(arg) as a task in the scope of the portal, and waits for it.  No cancel ends the
 * waiting, but it reaches what runs. */
WEFT_API int weft_from_thread(struct weft_portal *portal, weft_fn *fn, void *arg);

/* A call that is under way. */
struct weft_future {
	unsigned char weft__private[320] __attribute__((aligned(16)));
};

/* The same without waiting.  Each future that was started must be waited for. */
WEFT_API int weft_from_thread_nowait(struct weft_portal *portal, weft_fn *fn, void *arg,
				     struct weft_future *future);

/* Waits for the end, any number of tasks and threads at once; *rc (may be NULL) is what fn
 * returned.  From a task: WEFT_ECANCELED leaves it under way. */
WEFT_API int weft_future_wait(struct weft_future *future, int *rc);

/* Cancels it, before it started too.  False when it has ended or was cancelled before, and
 * in a forked child.  Not after a wait that returned 0. */
WEFT_API bool weft_future_cancel(struct weft_future *future);

/* True when it has ended: a wait returns at once. */
WEFT_API bool weft_future_is_done(struct weft_future *future);

/* Call objects (weft_race, weft_gather, weft_all ...) of functions of the other kind.
 * The adapter is the caller's and must stay until the call has ended. */
struct weft_adapter {
	weft_fn *fn;
	void *arg;
};

/* A blocking function as a task: runs on a thread of the pool. */
WEFT_API struct weft_call weft_async_adapter(struct weft_adapter *a, weft_fn *fn, void *arg);

/* A task as a plain function, for any thread: weft_run_sync. */
WEFT_API struct weft_call weft_sync_adapter(struct weft_adapter *a, weft_fn *fn, void *arg);

WEFT_END_DECLS

#endif
