/* SPDX-License-Identifier: MIT */
/*
 * weft/task.h - tasks and the groups that own them
 *
 * A group is a scope (weft/scope.h) with children.  Closing it joins them all, in
 * every case, so a child may use what lies on its parent's stack, results included.
 *
 *	struct weft_group g;
 *	int rc = weft_group_open(&g, .timeout = WEFT_SEC(5));
 *	if (rc != 0)
 *		return rc;
 *	rc = weft_spawn(&g, fetch, &out[0], .name = "first");
 *	if (rc == 0)
 *		rc = weft_spawn(&g, fetch, &out[1]);
 *	return weft_group_close(&g, rc);
 *
 * The first child that fails cancels the others and the body, and its code is what
 * close returns.  A child that was cancelled has not failed.
 *
 *   threads    open, close, wait, next: the task that opened the group.  spawn and the
 *              rest: that task and all that runs inside the group.  Handles: any.
 *   memory     the caller's struct, all fields private, until close returns.  A child
 *              takes a record of the runtime, and a stack only while it runs or
 *              waits.  fn's argument must stay until the child ends.
 *   errors     0 or a negative code of weft/error.h; a failed call has done nothing.
 *              WEFT_EINVAL for a group that is not open, no function, options that make
 *              no sense.  A call that waits may return WEFT_ENOMEM: there is no stack to
 *              go on with meanwhile.
 *   cancel     close, wait, next, start and weft_task_wait are cancellation points:
 *              WEFT_ECANCELED under a visible cancel, and but for close nothing was done.
 *              So is spawn when it has to wait for room.  open looks for a cancel too.
 *              The others do not.
 *   blocking   close, wait, next, start, weft_task_wait and, with a limit, spawn suspend
 *              the task.  The others wait for nothing.
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/scope.h>

WEFT_BEGIN_DECLS

struct weft_group {
	unsigned char weft__private[512] __attribute__((aligned(16)));
};

/* A name for a task of the caller's runtime, in a plain thread of the default one: copied
 * at will, used from any thread, never dangling. */
struct weft_task {
	uint32_t slot, generation;
};

enum weft_task_state {
	WEFT_TASK_UNKNOWN, /* no such task (any more) */
	WEFT_TASK_PENDING, /* has not started */
	WEFT_TASK_RUNNING, /* runs, or waits */
	WEFT_TASK_DONE,	   /* returned 0 or more */
	WEFT_TASK_FAILED,  /* returned an error */
	WEFT_TASK_CANCELLED,
};

/* A child that failed. */
struct weft_failure {
	int rc;
	const char *name; /* of the child, as it was given */
};

struct weft_group_opts {
	size_t size;	  /* sizeof(struct weft_group_opts) */
	const char *name; /* for reports; borrowed */
	int64_t timeout;  /* as of a scope */
	int64_t deadline;
	int64_t grace;
	bool supervisor;	       /* a child's error is recorded and cancels nobody */
	bool keep;		       /* finished children are kept for weft_group_next */
	bool closed;		       /* limit is 0 for now: nobody may start */
	size_t limit;		       /* of children at one time; 0: none */
	struct weft_failure *failures; /* room for the failures, in order of time */
	size_t max_failures;
};

/* WEFT_ECANCELED when the caller is cancelled already, WEFT_ENOTASK outside of a
 * task, WEFT_EAGAIN when there is no thread to keep the time. */
WEFT_API int weft_group_open_opt(struct weft_group *g, const struct weft_group_opts *opts);

/* Joins all children and leaves the group.  `rc` is how the body ended: an error
 * cancels the children first.  In this order of rank:
 *   the first real error, be it of a child or of the body;
 *   WEFT_ECANCELED, when a cancel from outside reaches the group;
 *   WEFT_ETIMEDOUT, when its own deadline cut something off;
 *   0, also after weft_group_cancel.
 * A cancel that comes while it joins cancels the children; it joins them all the
 * same.  Without children it gives way to what is ready, once, and looks for a cancel like
 * any other wait.  WEFT_EPERM for a group of another task.  When scopes or groups inside are
 * still open these are cancelled, joined and left, and the result is WEFT_EINVAL. */
WEFT_API int weft_group_close(struct weft_group *g, int rc);

/* Cancels the children and the body, which see the reason WEFT_REASON_EXPLICIT.  Again:
 * nothing.  From any task, as weft_scope_cancel. */
WEFT_API void weft_group_cancel(struct weft_group *g);

/* The scope of the group, which is left by close and not by weft_scope_leave. */
WEFT_API struct weft_scope *weft_group_scope(struct weft_group *g);

/* Waits until no child is left, daemons apart; the group goes on, and no error of a child
 * is told.  WEFT_ECANCELED leaves the children as they are.  WEFT_EPERM for a group of
 * another task. */
WEFT_API int weft_group_wait(struct weft_group *g);

/* Waits for the next child to end, in order of time: 1, its handle and what it
 * returned, where these are not NULL; 0 when there is no child left, daemons apart, of which
 * it never tells.  Only of a group with .keep: WEFT_EINVAL.  WEFT_ECANCELED takes none.
 * WEFT_EPERM for a group of another task. */
WEFT_API int weft_group_next(struct weft_group *g, struct weft_task *task, int *rc);

/* Another limit: children that run stay, more start when there is room.  SIZE_MAX
 * for none, 0: none may start.  Children that were started while there was no limit do
 * not count.  From inside of the group, at any time. */
WEFT_API int weft_group_set_limit(struct weft_group *g, size_t limit);

/* Children that have not ended, and failures so far, body included; some more than
 * had room in .failures.  From inside of the group; stale when the caller reads them. */
WEFT_API size_t weft_group_size(const struct weft_group *g);
WEFT_API size_t weft_group_failures(const struct weft_group *g);

struct weft_spawn_opts {
	size_t size;		/* sizeof(struct weft_spawn_opts) */
	const char *name;	/* for reports; borrowed until the group is closed */
	struct weft_task *task; /* where to leave a handle, or NULL.  A child with a handle
				 * keeps its record, 192 bytes, until the group closes or
				 * weft_task_forget */
	size_t stack_size;	/* bytes it needs at least, 16 KiB .. 1 GiB; 0: that of the runtime.
				 * A larger one than that is held from here to the child's end */
	bool daemon;		/* cancelled when the last child that is none has ended and the
				 * body is done */
	bool service;		/* a daemon that no cancel reaches before that */
	bool unless_cancelled;	/* do not start in a group that is cancelled: WEFT_ECANCELED */
	bool try_only;		/* do not wait for the limit: WEFT_EAGAIN */
	void (*drop)(void *arg); /* gets arg when fn is never called because of an error of
				  * this call, on the calling task; not for WEFT_EINVAL */
};

/* Starts fn(arg) as a child.  In a cancelled group too: the child sees the cancel at
 * its first wait, and can free what it was handed.  Waits for room if the group has
 * a limit; WEFT_ECANCELED then, when the group is cancelled meanwhile.
 * WEFT_EPERM from outside of the group, WEFT_ECLOSED when it is being closed and no
 * child is left, WEFT_ENOTASK from a plain thread, WEFT_ENOMEM. */
WEFT_API int weft_spawn_opt(struct weft_group *g, weft_fn *fn, void *arg,
			    const struct weft_spawn_opts *opts);

/* Starts a child and waits until it calls weft_ready(value); *out = value.  A child
 * that returns before fails this call, not the group: its error, or WEFT_EINVAL when
 * it returned none.  When the caller is cancelled the child is, and is joined.  `out` may be
 * NULL.  Other errors are those of spawn. */
WEFT_API int weft_start_opt(struct weft_group *g, weft_fn *fn, void *arg, void **out,
			    const struct weft_spawn_opts *opts);

/* Once, in a child of weft_start: WEFT_EINVAL otherwise, WEFT_ECANCELED when nobody
 * waits any more, WEFT_ENOTASK from a plain thread.  `value` is handed over as it is. */
WEFT_API int weft_ready(void *value);

/* A task that belongs to no group but to the runtime: weft_shutdown cancels and joins
 * it.  What it returns is dropped.  WEFT_ENOTASK from a plain thread, WEFT_ESHUTDOWN when a
 * shutdown is under way, WEFT_ENOMEM, WEFT_EINVAL for options of a child of a group: .daemon,
 * .service, .task. */
WEFT_API int weft_spawn_detached_opt(weft_fn *fn, void *arg, const struct weft_spawn_opts *opts);

/* --- handles ------------------------------------------------------------ */

/* The caller's own: {0, 0} outside of spawned tasks.  Good until it ends. */
WEFT_API struct weft_task weft_task_self(void);

/* Its name, as long as whoever gave it keeps it; NULL when it has none or is no spawned
 * task. */
WEFT_API const char *weft_task_self_name(void);

/* Stale when the caller reads it, until it says that the task has ended. */
WEFT_API enum weft_task_state weft_task_state(struct weft_task task);

/* *rc (may be NULL) is what it returned; WEFT_EAGAIN while it runs, WEFT_EINVAL when
 * unknown. */
WEFT_API int weft_task_result(struct weft_task task, int *rc);

/* Waits for its end; *rc (may be NULL) is what it returned.  WEFT_ECANCELED leaves it
 * running.  WEFT_EDEADLK for oneself, WEFT_EINVAL when unknown, WEFT_ENOTASK from a
 * plain thread. */
WEFT_API int weft_task_wait(struct weft_task task, int *rc);

/* Cancels one child and all inside it, and does not wait for that.  It does not fail its
 * group.  False when it has ended, was cancelled before, or is unknown. */
WEFT_API bool weft_task_cancel(struct weft_task task);

/* The handle is not needed any more: all copies of it lead to nothing when the task has
 * ended, and its record is free then. */
WEFT_API void weft_task_forget(struct weft_task task);

WEFT_END_DECLS

#ifndef __cplusplus
#define WEFT_GROUP_OPTS(...) \
	(&(const struct weft_group_opts){ .size = sizeof(struct weft_group_opts), __VA_ARGS__ })
#define WEFT_SPAWN_OPTS(...) \
	(&(const struct weft_spawn_opts){ .size = sizeof(struct weft_spawn_opts), __VA_ARGS__ })
#define weft_group_open(g, ...)	    weft_group_open_opt(g, WEFT_GROUP_OPTS(__VA_ARGS__))
#define weft_spawn(g, fn, arg, ...) weft_spawn_opt(g, fn, arg, WEFT_SPAWN_OPTS(__VA_ARGS__))
#define weft_try_spawn(g, fn, arg, ...) \
	weft_spawn_opt(g, fn, arg, WEFT_SPAWN_OPTS(.try_only = true, __VA_ARGS__))
#define weft_start(g, fn, arg, out, ...) \
	weft_start_opt(g, fn, arg, out, WEFT_SPAWN_OPTS(__VA_ARGS__))
#define weft_spawn_detached(fn, arg, ...) \
	weft_spawn_detached_opt(fn, arg, WEFT_SPAWN_OPTS(__VA_ARGS__))
#endif

/* Defines a task whose argument has a type:
 *	WEFT_TASK(fetch, struct user, u) { return http_get(u->id, u); }
 */
#define WEFT_TASK(name, type, var)                \
	static int name##_typed(type *var);       \
	static int name(void *arg)                \
	{                                         \
		return name##_typed((type *)arg); \
	}                                         \
	static int name##_typed(type *var)

#endif
