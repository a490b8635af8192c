/* SPDX-License-Identifier: MIT */
/*
 * group.h - a group of tasks from inside
 */
#ifndef WEFT_ASYNC_GROUP_H
#define WEFT_ASYNC_GROUP_H

#include <weft/task.h>

#include "async/scope.h"
#include "async/task.h"

/* Tasks that have not ended: daemons in the upper half, and whether the owner waits
 * for them. */
#define WEFT__PENDING_ONE     UINT64_C(1)
#define WEFT__PENDING_DAEMON  (UINT64_C(1) << 32)
#define WEFT__PENDING_WAITING (UINT64_C(1) << 63)
#define WEFT__PENDING_NORMAL  UINT64_C(0xffffffff)

struct weft__group {
	struct weft__scope scope; /* first */
	uint64_t pending;
	uint32_t credit;  /* the owner's: counted in `pending` and not started yet */
	uint32_t started; /* by the owner since it last waited */
	uint64_t ticket;  /* of the owner's wait for `pending` */
	uint8_t careful;  /* children end under the lock */
	uint8_t closing;
	uint8_t dismissed; /* daemons are to end */
	bool supervisor, keep;
	uint8_t peopled; /* it has had a child */
	bool cut_off;	 /* a child or the body ended because the group was cancelled */

	struct weft__spin lock; /* all below */
	int first;		/* error, 0: none */
	size_t failed;
	struct weft_failure *failures;
	size_t max_failures;
	size_t limit, running;	    /* with a limit: children that have started */
	struct weft__list spawners; /* who wait for room */
	size_t unfinished;	    /* of those to be kept */
	struct weft__list done;	    /* kept for weft_group_next, oldest first */
	struct weft__list retained; /* others that somebody has a handle of */
	bool next_waits;	    /* the owner, for one that is done */
};

static inline struct weft__group *weft__group_of(struct weft_group *g)
{
	return (struct weft__group *)(void *)g;
}

/* Starts a child, for weft_start if `start` is not NULL; *child is set before it runs. */
int weft__group_spawn(struct weft__group *g, weft_fn *fn, void *arg,
		      const struct weft_spawn_opts *opts, struct weft__start *start,
		      struct weft__task **child);

/*
 * A group that hangs below what the strand runs in, without being entered: it need not be
 * closed in the reverse order of opening, nor by who opened it, but before what it hangs
 * below ends.  Whoever starts a child there sees to it that the group is open; it is
 * closed by one at a time, who cancels and joins the children, cancelled itself or not.
 */
void weft__group_open_aside(struct weft__group *g, struct weft__strand *s);
int weft__group_start_aside(struct weft__group *g, weft_fn *fn, void *arg, const char *name);
void weft__group_cancel_aside(struct weft__group *g);
void weft__group_close_aside(struct weft__group *g);

/* The last act of a child. */
void weft__group_child_done(struct weft__task *t, int rc);

/* With the lock of the group held: a failure, true when it is the first; a finished child
 * that stays until forgotten, or to the end of the group. */
bool weft__group_fail(struct weft__group *g, int rc, const char *name);
void weft__group_retain(struct weft__group *g, struct weft__task *t);

void weft__group_cancel_siblings(struct weft__group *g, int rc, const char *name);
void weft__group_dismiss(struct weft__node *daemon);
void weft__group_give_back_credit(struct weft__group *g);

#endif
