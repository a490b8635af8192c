/* SPDX-License-Identifier: MIT */
/*
 * strand.h - one thread of control: a root, a spawned task, or a stolen piece
 *
 * A fiber runs strands one after the other, or one that waits and then goes on.
 * The strand says what the code on it runs in, and is what a waker wakes.  This
 * floor makes strands and hands their surroundings on with a stolen piece; what
 * scopes mean, and who wakes whom, is decided above (async/tree.c, async/wait.c),
 * which this floor calls through weft__hooks alone.
 *
 *	root node of the runtime
 *	   '- node of a root's strand
 *	        '- node of a scope that it entered
 *	             |- node of a stolen piece's strand
 *	             '- node of a group (a scope)
 *	                  |- node of a child task's strand
 *	                  '- ...
 *
 *   threads    a strand belongs to whoever runs it; `word` and `flags` are for all.
 *   memory     strands live in their task, frame runner or thread.
 */
#ifndef WEFT_RUNTIME_STRAND_H
#define WEFT_RUNTIME_STRAND_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/base.h>

#include "deque/atomic.h"
#include "deque/list.h"
#include "deque/spin.h"

struct weft__fiber;
struct weft__held;
struct weft__task;
struct weft_local;
struct weft_runtime;

/* A place in the tree through which a cancel travels. */
struct weft__node {
	struct weft__node *parent;  /* NULL: the root */
	struct weft__list children; /* those that are linked; under `lock` */
	struct weft__list link;	    /* in the parent's children; under its lock */
	struct weft__node *walk;    /* behind this one in the queue of the walker */
	struct weft__spin lock;
	uint8_t flags;	/* enum weft__node_flags; written under `lock` */
	uint8_t walked; /* enum weft__walked; under the walker's lock */
	uint8_t linked; /* written under the parent's lock */
	uint8_t budget; /* of a strand: points passed since it last gave way */
};

enum weft__node_flags {
	WEFT__NODE_CANCELLED = 1,
	WEFT__NODE_SOFT = 2,	   /* cancelled with grace: only asked for yet */
	WEFT__NODE_SHIELD = 4,	   /* what is above does not reach what is below */
	WEFT__NODE_SCOPE = 8,	   /* the node of a struct weft_scope, not of a strand */
	WEFT__NODE_CURSOR = 16,	   /* no node: a walker's place in a list of children */
	WEFT__NODE_GROUP = 32,	   /* a scope that is that of a group */
	WEFT__NODE_DAEMON = 64,	   /* a strand that ends with its group's others */
	WEFT__NODE_DEADLOCK = 128, /* cancelled because nothing could go on */
};

/* What code runs in; inherited by stolen pieces and by children. */
struct weft__ambient {
	struct weft__node *node;	 /* of the innermost scope, or of the strand itself */
	struct weft__task *task;	 /* NULL: none yet */
	const struct weft_local *locals; /* the innermost binding */
};

struct weft__strand {
	struct weft__node node;
	uint64_t word;		      /* async/wait.h */
	struct weft__fiber *fiber;    /* where it is parked */
	struct weft_runtime *runtime; /* NULL: a plain thread */
	struct weft__ambient in;
	uint64_t seen;		 /* weft__cancel_epoch when it was last found not cancelled */
	struct weft__held *held; /* locks it owns, newest first; its own alone */
};

struct weft__root_call {
	int (*fn)(void *arg);
	void *arg;
};

/* What the floor above does for this one. */
struct weft__hooks {
	/* WEFT_ECANCELED when the strand is to stop, else 0. */
	int (*check)(struct weft__strand *s);
	/* The strand ends, and its node was linked or walked to, or it is in a scope, or
	 * holds locks. */
	void (*strand_end)(struct weft__strand *s);
	/* A root from a thread that acts for a task: runs fn(arg) for it and leaves what it
	 * returned in *rc.  False when it acts for none. */
	bool (*host)(int (*fn)(void *arg), void *arg, int *rc);
	/* The caller's thread acts for a task. */
	bool (*is_host)(void);
	/* What a root is called through: fn(arg) of the struct weft__root_call at arg. */
	int (*root)(void *arg);
	/* Work is ready and no worker is free, and rt->pressed is 0.  Under any lock. */
	void (*pressed)(struct weft_runtime *rt);
	/* Settings of a running runtime have changed. */
	void (*configured)(struct weft_runtime *rt);
	/* A shutdown: whether all is quiet outside of tasks too, by the deadline; and if
	 * anything is not, its name to the standard error. */
	bool (*settle)(struct weft_runtime *rt, int64_t deadline);
	void (*stuck)(struct weft_runtime *rt);
	/* The last worker falls asleep. */
	void (*quiet)(struct weft_runtime *rt);
	/* The life of a runtime: before its workers start, when its last root has left,
	 * and when they have ended. */
	int (*start)(struct weft_runtime *rt);
	void (*cancel)(struct weft_runtime *rt); /* all that runs on it: shutdown; again: nothing */
	void (*stop)(struct weft_runtime *rt);
	void (*end)(struct weft_runtime *rt);
};

extern const struct weft__hooks weft__hooks;

/* Counts cancels and unshieldings in the whole process, from 1.  A strand that
 * was found not cancelled still is not while this has not moved. */
extern uint64_t weft__cancel_epoch;

static inline void weft__node_init(struct weft__node *n, struct weft__node *parent, uint8_t flags)
{
	n->parent = parent;
	weft__list_init(&n->children);
	weft__list_init(&n->link);
	n->walk = NULL;
	weft__spin_init(&n->lock);
	n->flags = flags;
	n->walked = 0;
	n->linked = 0;
	n->budget = 0;
}

/* A strand that will run in `in`: its own node hangs below in->node. */
static inline void weft__strand_init(struct weft__strand *s, struct weft_runtime *rt,
				     const struct weft__ambient *in)
{
	weft__node_init(&s->node, in->node, 0);
	s->word = 0;
	s->fiber = NULL;
	s->runtime = rt;
	s->in = *in;
	s->in.node = &s->node;
	s->seen = 0;
	s->held = NULL;
}

static inline void weft__strand_end(struct weft__strand *s)
{
	if (WEFT_UNLIKELY(load_acquire(&s->node.linked) || load_acquire(&s->node.walked) ||
			  s->in.node != &s->node || s->held))
		weft__hooks.strand_end(s);
}

/* The strand that the caller is; NULL outside of all tasks.  It stays the same
 * over suspensions. */
struct weft__strand *weft__strand_self(void);

/* The same, with the worker it runs on at the moment: one call for both. */
struct weft__here {
	struct weft__strand *strand;
	const void *worker; /* to be compared and no more */
};

struct weft__here weft__here(void);

/* An address that stands for the calling thread. */
const void *weft__thread_id(void);

/* Who owns what the caller takes: its strand, or outside of all tasks its thread. */
static inline const void *weft__owner_id(const struct weft__strand *s)
{
	return s ? s : weft__thread_id();
}

/* WEFT_ECANCELED when the strand is to stop, else 0. */
static inline int weft__strand_check(struct weft__strand *s)
{
	if (WEFT_LIKELY(load_relaxed(&weft__cancel_epoch) == s->seen))
		return 0;
	return weft__hooks.check(s);
}

#endif
