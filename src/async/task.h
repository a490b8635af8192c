/* SPDX-License-Identifier: MIT */
/*
 * task.h - the record of a spawned task
 */
#ifndef WEFT_ASYNC_TASK_H
#define WEFT_ASYNC_TASK_H

#include <weft/task.h>

#include "deque/job.h"
#include "runtime/strand.h"

struct weft__group;
struct weft__start;

/* 192 bytes: a million tasks that have not started are 192 MB. */
struct weft__task {
	struct weft__job job; /* while it is to start; `next` links free records */
	struct weft__strand strand;
	weft_fn *fn;
	void *arg;
	const char *name;
	uint32_t slot, generation;
	int rc;
	uint8_t state;	  /* enum weft_task_state */
	uint8_t flags;	  /* enum weft__task_flags; once it runs, written under its watch */
	uint8_t retained; /* in the group's list of those; under the lock of the group */
	struct weft__start *start; /* who waits for weft_ready, or NULL */
	struct weft__stack *stack; /* NULL: that of its fiber */
};

_Static_assert(sizeof(struct weft__task) <= 192, "a task is to take 192 bytes");

enum weft__task_flags {
	WEFT__TASK_HANDLE = 1, /* somebody has a handle: outlives its end; under the lock of
				* its group, too */
	WEFT__TASK_DAEMON = 2,
	WEFT__TASK_KEPT = 4,	 /* for weft_group_next */
	WEFT__TASK_SEEN = 8,	 /* somebody may have a handle: ends under the lock of those */
	WEFT__TASK_COUNTED = 16, /* takes room in the limit of its group */
};

bool weft__spawn_opts_ok(const struct weft_spawn_opts *o);

/* All but what the options say. */
void weft__task_init(struct weft__task *t, struct weft_runtime *rt, struct weft__node *parent,
		     const struct weft_local *locals, weft_fn *fn, void *arg);

static inline uint8_t weft__task_flags(const struct weft__task *t)
{
	return load_relaxed(&t->flags);
}

/* The stack that the options ask for, if that is not of the size that fibers have.
 * WEFT_ENOMEM when there is none; nothing happened then. */
int weft__task_stack(struct weft__task *t, const struct weft_spawn_opts *o);

/* Calls t->fn on t->stack, and gives that back. */
int weft__task_on_stack(struct weft__task *t);

/* For those who have a handle: the task has ended with rc. */
void weft__task_end(struct weft__task *t, int rc);

/* The node of a task that has not ended, which then does not before the unlock; NULL,
 * and nothing locked, of any other. */
struct weft__node *weft__task_lock(struct weft_runtime *rt, struct weft_task task);
void weft__task_unlock(struct weft_runtime *rt, struct weft_task task);
/* Somebody who waits for the end of a task; `strand` and `task` are set. */
struct weft__watcher {
	struct weft__list link;
	struct weft__strand *strand;
	struct weft_task task;
	uint64_t ticket;
	const void *on; /* the record, for reports; NULL: there is none */
	bool ended;	/* the task has, since */
	int rc;		/* of the task then: its record may be gone */
};

/* With a wait begun: true when the end of the task will grant it, false when it has
 * ended, or the handle is stale.  After a true one: unwatch. */
bool weft__task_watch(struct weft__watcher *me);
void weft__task_unwatch(struct weft__watcher *me);

/* The task is the one that the strand belongs to: waiting would never end. */
bool weft__task_is_self(const struct weft__strand *s, struct weft_task task);

/* Gives the record back. */
void weft__task_put(struct weft_runtime *rt, struct weft__task *t);

/* The group it is a child of; its node hangs below that of the group's scope, which is
 * the first thing in a group.  NULL for a detached one. */
static inline struct weft__group *weft__task_group(const struct weft__task *t)
{
	struct weft__node *parent = t->strand.node.parent;

	return load_relaxed(&parent->flags) & WEFT__NODE_GROUP
		       ? (struct weft__group *)(void *)parent
		       : NULL;
}

static inline const char *weft__task_name(const struct weft__task *t)
{
	return t ? t->name : NULL;
}

#endif
