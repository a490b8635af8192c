/* SPDX-License-Identifier: MIT */
/*
 * scope.h - a cancel scope from inside
 */
#ifndef WEFT_ASYNC_SCOPE_H
#define WEFT_ASYNC_SCOPE_H

#include <weft/scope.h>

#include "async/clock.h"
#include "runtime/strand.h"

enum weft__scope_state {
	WEFT__SCOPE_PREPARED = 0x5c09e501, /* rather than small numbers: garbage is none of them */
	WEFT__SCOPE_ENTERED,
	WEFT__SCOPE_LEFT,
};

struct weft__scope {
	struct weft__node node;
	struct weft__strand *owner; /* who entered it */
	struct weft_runtime *runtime;
	uint32_t state; /* enum weft__scope_state */
	uint32_t pins;	/* who cancels from outside, and so keeps it from being left */
	bool caught;
	bool leaving;		  /* under `timing`: the timer is not armed any more */
	uint8_t firing;		  /* the timer has fired and is not done with the scope */
	struct weft__spin timing; /* who arms the timer; taken before the lock of a wheel */
	int64_t deadline, grace;
	struct weft__timer timer;  /* of the deadline, then of the grace period */
	struct weft__timer stall;  /* after the cancel: watch.h */
	struct weft_reason reason; /* written once, under node.lock */
	const char *name;
	uint32_t token; /* slot + 1; 0: nobody asked for one */

	/* Cancels and joins what runs inside, and leaves it: when the group that it was opened
	 * in is closed first.  NULL: leaving is all. */
	void (*close)(struct weft__scope *s);
};

static inline struct weft__scope *weft__scope_of(struct weft_scope *s)
{
	return (struct weft__scope *)(void *)s;
}

/* Of the node of an entered scope. */
struct weft__strand *weft__scope_owner(struct weft__node *n);

/* Hooks. */
int weft__scope_check(struct weft__strand *s);
void weft__scope_strand_end(struct weft__strand *s);

void weft__scope_init(struct weft__scope *s, const struct weft_scope_opts *opts);
int weft__scope_enter(struct weft__scope *s, struct weft__strand *strand);

/* Takes the scope off its strand.  Nothing runs inside any more. */
void weft__scope_exit(struct weft__scope *s);

/* A cancel of these flags from outside reaches the scope.  A deadline outside that has passed and
 * no timer has told of yet is such a cancel from here on (SC-4). */
bool weft__scope_outer_cancel(struct weft__scope *s, unsigned flags);

/* What leave() makes of `rc`. */
int weft__scope_outcome(struct weft__scope *s, int rc);

/* Cancels with this reason unless there is one already; true when there was none. */
bool weft__scope_cancel(struct weft__scope *s, struct weft_reason reason);

/* The two halves of that, for who holds a lock in between: pin and mark with it,
 * spread and unpin without. */
bool weft__scope_mark(struct weft__scope *s, const struct weft_reason *reason);
void weft__scope_spread(struct weft__scope *s);

static inline void weft__scope_pin(struct weft__scope *s)
{
	add_seqcst(&s->pins, 1);
}

static inline void weft__scope_unpin(struct weft__scope *s)
{
	add_seqcst(&s->pins, (uint32_t)-1);
}

/* A cancel of everything at this node, which has no reason of its own. */
void weft__node_cancel(struct weft_runtime *rt, struct weft__node *n);

/* The caller is the scope's strand, and the scope its innermost. */
int weft__scope_mine(const struct weft__scope *s, const struct weft__strand *strand);

/* The name of the task that the strand belongs to, or NULL. */
const char *weft__strand_name(const struct weft__strand *s);

#endif
