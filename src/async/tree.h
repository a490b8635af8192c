/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the tree through which a cancel travels
 *
 * The nodes are those of strands and of scopes (runtime/strand.h).  Whether a strand
 * is cancelled is read upwards, along the parents, and that is all a strand that
 * runs ever does.  Waking those that are parked goes downwards, along the
 * children; a node is linked into its parent's children only when something below
 * it parks, so tasks that never wait never are.
 *
 *   threads    any.
 *   memory     a node stays until its unlink returns.
 *   blocking   none but unlink, which waits for a walker that is at the node.
 */
#ifndef WEFT_ASYNC_TREE_H
#define WEFT_ASYNC_TREE_H

#include "runtime/strand.h"

/* The cancels of a runtime that are under way; one thread at a time walks. */
struct weft__walker {
	struct weft__spin lock;
	bool active;
	struct weft__node *first, **end;
};

void weft__walker_init(struct weft__walker *walker);

/* Makes what parks below visible from above, strands on the way included.  Only the
 * owner of the node, or of a strand that hangs below it. */
void weft__node_link_now(struct weft__node *n);

static inline void weft__node_link(struct weft__node *n)
{
	if (!load_acquire(&n->linked))
		weft__node_link_now(n);
}

/* The end of a node, which has no children any more. */
void weft__node_unlink(struct weft__node *n);

/* The cancel that reaches what runs at this node: the flags CANCELLED or SOFT, the
 * stronger if there are both, or 0. */
unsigned weft__cancel_visible(const struct weft__node *n);

/* The outermost node that is cancelled (or softly so) and visible from n, or NULL. */
struct weft__node *weft__cancel_source(const struct weft__node *n);

/* Adds a flag, CANCELLED or SOFT, before the walk.  False when it was set. */
bool weft__node_mark(struct weft__node *n, uint8_t flag);

/* The same with the lock of the node held. */
bool weft__node_set(struct weft__node *n, uint8_t flag);

/* Wakes all that is parked below n and can see a cancel.  Two steps for those who
 * hold a lock in between: queue pins the node until it was walked. */
void weft__walk_queue(struct weft_runtime *rt, struct weft__node *n);
void weft__walk_all(struct weft_runtime *rt);

#endif
