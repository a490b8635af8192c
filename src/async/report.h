/* SPDX-License-Identifier: MIT */
/*
 * report.h - telling a person what tasks do
 *
 *   threads    any.
 *   memory     a snapshot of up to 4096 lines, for the time of the call.
 *   blocking   writing; and no task enters or leaves a scope in the part of the tree
 *              that is being looked at, for less than a millisecond.
 */
#ifndef WEFT_ASYNC_REPORT_H
#define WEFT_ASYNC_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct weft_runtime;
struct weft__node;
struct weft__strand;
struct weft__snapshot;

/* Who waits for what, since nobody can go on: to the standard error. */
void weft__report_deadlock(struct weft_runtime *rt);

/* What keeps a shutdown from ending. */
void weft__report_stuck(struct weft_runtime *rt);

/* Says how to find who holds what a task waits for, for one `what` of weft__wait_park;
 * a literal, once or again and again.  NULL from `holder`: nobody, or not known.  It is
 * called while the task that waits is kept from going on, so `on` is still there; what
 * it returns is compared, and never followed. */
typedef const struct weft__strand *weft__holder_fn(const void *on);
void weft__report_holder(const char *what, weft__holder_fn *holder);

/* A look at a part of the tree: room for it, or NULL; the look, during which the node
 * stays; and what comes of it, when the node may be gone.  From the look on some strands
 * are kept from going on: the other two come soon, and both. */
struct weft__snapshot *weft__snapshot_new(void);
void weft__snapshot_look(struct weft__snapshot *snap, struct weft__node *top);
void weft__snapshot_free(struct weft__snapshot *snap);

/* Calls fn for every task that waits although it sees a cancel, and not for its own
 * children.  Strings are the snapshot's, and so are frames, which the first 64 have. */
struct weft__waits {
	const void *strand;
	const char *task, *group, *what;
	int reason;
	void *const *frames;
	int frame_count;
};
void weft__snapshot_waits(struct weft__snapshot *snap,
			  void (*fn)(const struct weft__waits *waits, void *arg), void *arg);

#endif
