/* SPDX-License-Identifier: MIT */
/*
 * tree.c - cancelling: flags that are read upwards, wake-ups that go downwards
 *
 * Invariants
 *
 *   I1  A linked node's parent is linked, up to the root.  Scopes are linked when
 *       they are entered, strands when they, or a stolen piece of theirs, first park
 *       or enter a scope.  `linked` is set when all above is linked: who sees it set
 *       and then finds no cancel will be found by the next one.
 *   I2  A strand is parked at the node that in.node names; it is found there, and at
 *       no other node.
 *   I3  One thread walks, whoever came first; others queue their node and leave it to
 *       that one.  So a node has one place in one queue, and no recursion is needed
 *       for a tree of any depth.
 *   I4  A node that is queued or being visited is not freed: unlink waits for it.
 *
 *	walked    0 --queue--> QUEUED --> VISITING --> 0
 *	                          ^          | queue
 *	                          '-- AGAIN <'
 *
 * Orderings
 *
 *   O1  flags and epoch against the word of a wait: see O3 of wait.c.  mark() sets the
 *       flag, then counts the epoch with a full barrier; the walk comes after.
 *   O2  flag -> check      release half of counting the epoch => acquire load of it.
 *   O3  a node's lock orders its flags and children; a child is visited with the
 *       parent's lock held, or pinned (I4).
 *   O4  the walker's last touch -> unlink    release of walked => acquire.
 *
 * The walk goes by where nodes hang, and looks upwards only for a strand that it is
 * about to wake: a nest of any depth takes a time in proportion.
 *
 * A long list of children is walked in steps, with a cursor in the list to find the
 * place again: whoever wants to leave it waits for some dozen wake-ups at most.
 *
 * Rejected: a flag in each node that the walk sets in all descendants (a check would
 * be one load, but the walk must then reach running strands too, so all would have to
 * be linked); one lock for the tree (every scope of every worker meets there).
 */
#include "async/tree.h"

#include <sched.h>

#include <weft/error.h>

#include "async/async.h"
#include "async/scope.h"
#include "async/wait.h"
#include "deque/check.h"
#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"

enum { STEP = 64 }; /* children between two releases of the lock */

enum weft__walked { QUEUED = 1, VISITING, AGAIN };

void weft__walker_init(struct weft__walker *walker)
{
	*walker = (struct weft__walker){ 0 };
	walker->end = &walker->first;
}

/* The parent is linked, or the root.  Several pieces of one strand may link it. */
static void attach(struct weft__node *n)
{
	struct weft__node *parent = n->parent;

	weft__spin_lock(&parent->lock);
	if (!n->linked) {
		weft__list_push_back(&parent->children, &n->link);
		store_release(&n->linked, (uint8_t)1); /* O3 */
	}
	weft__spin_unlock(&parent->lock);
}

/* From above (I1).  It is seldom more than one step: a piece that was stolen from a
 * strand that never waited. */
void weft__node_link_now(struct weft__node *n)
{
	struct weft__node *top;

	do {
		top = n;
		while (top->parent->parent && !load_acquire(&top->parent->linked))
			top = top->parent;
		attach(top);
	} while (top != n);
}

void weft__node_unlink(struct weft__node *n)
{
	if (n->linked) {
		weft__spin_lock(&n->parent->lock);
		weft__list_remove(&n->link);
		n->linked = 0;
		weft__spin_unlock(&n->parent->lock);
	}
	/* A handle's cancel queues nodes that are not linked, too. */
	while (load_acquire(&n->walked) != 0) /* O4 */
		sched_yield();
}

/* --- reading upwards --------------------------------------------------- */

unsigned weft__cancel_visible(const struct weft__node *n)
{
	unsigned found = 0;

	for (; n; n = n->parent) {
		unsigned flags = load_acquire(&n->flags);

		if (flags & WEFT__NODE_CANCELLED)
			return WEFT__NODE_CANCELLED;
		found |= flags & WEFT__NODE_SOFT;
		if (flags & WEFT__NODE_SHIELD)
			break;
	}
	return found;
}

struct weft__node *weft__cancel_source(const struct weft__node *n)
{
	const struct weft__node *found = NULL;

	for (; n; n = n->parent) {
		unsigned flags = load_acquire(&n->flags);

		if (flags & (WEFT__NODE_CANCELLED | WEFT__NODE_SOFT))
			found = n;
		if (flags & WEFT__NODE_SHIELD)
			break;
	}
	return (struct weft__node *)(uintptr_t)found;
}

/* The epoch is counted under the lock too: a second cancel does not return before checks
 * see the first. */
bool weft__node_set(struct weft__node *n, uint8_t flag)
{
	if (n->flags & (flag | WEFT__NODE_CANCELLED))
		return false;
	store_release(&n->flags, (uint8_t)(n->flags | flag));
	add_seqcst(&weft__cancel_epoch, 1); /* O1, O2 */
	return true;
}

bool weft__node_mark(struct weft__node *n, uint8_t flag)
{
	weft__spin_lock(&n->lock);
	bool fresh = weft__node_set(n, flag);
	weft__spin_unlock(&n->lock);
	return fresh;
}

/* --- waking downwards -------------------------------------------------- */

static bool is_scope(const struct weft__node *n)
{
	return load_relaxed(&n->flags) & WEFT__NODE_SCOPE;
}

/* The strand that may be parked at n; the root belongs to nobody. */
static struct weft__strand *strand_at(struct weft__node *n)
{
	if (!is_scope(n))
		return WEFT__CONTAINER(n, struct weft__strand, node);
	return n->parent ? weft__scope_owner(n) : NULL;
}

/* The waits that a cancel of these flags ends. */
static unsigned kinds_of(unsigned visible)
{
	if (visible & WEFT__NODE_CANCELLED)
		return WEFT__ABORTABLE;
	return visible ? WEFT__SOFT : 0;
}

/* Ends the wait of the strand that is parked at n, if this kind of cancel does. */
static unsigned rouse(struct weft__node *n)
{
	struct weft__strand *s = strand_at(n);

	if (!s)
		return 0;
	uint64_t word = load_acquire(&s->word);
	if ((word & WEFT__STATE) == WEFT__RUNNING || !(word & WEFT__ABORTABLE) ||
	    load_relaxed(&s->in.node) != n) /* I2 */
		return 0;
	if (!(word & kinds_of(weft__cancel_visible(n))))
		return 0; /* or somebody raised a shield meanwhile */
	if (weft__claim(s, word >> 16, WEFT__CANCELLED) != WEFT__CLAIM_PARKED)
		return 0;
	weft__resume_quietly(s);
	return 1;
}

static void append(struct weft__walker *walker, struct weft__node *n)
{
	n->walk = NULL;
	*walker->end = n;
	walker->end = &n->walk;
	store_relaxed(&n->walked, QUEUED);
}

void weft__walk_queue(struct weft_runtime *rt, struct weft__node *n)
{
	struct weft__walker *walker = &rt->async->walker;

	weft__spin_lock(&walker->lock);
	if (n->walked == 0)
		append(walker, n);
	else if (n->walked == VISITING)
		store_relaxed(&n->walked, AGAIN);
	weft__spin_unlock(&walker->lock);
}

static bool has_children(struct weft__node *n)
{
	weft__spin_lock(&n->lock);
	bool some = !weft__list_is_empty(&n->children);
	weft__spin_unlock(&n->lock);
	return some;
}

/* A child, with its parent's lock held (O3). */
static unsigned visit_child(struct weft_runtime *rt, struct weft__node *c)
{
	unsigned flags = load_relaxed(&c->flags);

	if (flags & (WEFT__NODE_CURSOR | WEFT__NODE_SHIELD))
		return 0;
	if (has_children(c))
		weft__walk_queue(rt, c);
	return rouse(c);
}

/* Some children from `at` on, and the place to go on, or NULL. */
static struct weft__list *visit_some(struct weft_runtime *rt, struct weft__node *n,
				     struct weft__list *at, unsigned *woken)
{
	for (int i = 0; i < STEP && at != &n->children; i++) {
		struct weft__list *next = at->next;
		*woken += visit_child(rt, WEFT__CONTAINER(at, struct weft__node, link));
		at = next;
	}
	return at == &n->children ? NULL : at;
}

static void visit(struct weft_runtime *rt, struct weft__node *n)
{
	struct weft__node cursor;

	weft__node_init(&cursor, n, WEFT__NODE_CURSOR);
	weft__spin_lock(&n->lock);
	unsigned woken = rouse(n);
	struct weft__list *at = visit_some(rt, n, n->children.next, &woken);
	while (at) {
		weft__list_insert(at, &cursor.link);
		weft__spin_unlock(&n->lock);
		if (woken)
			weft__idle_notify(rt);
		woken = 0;
		weft__spin_lock(&n->lock);
		at = cursor.link.next;
		weft__list_remove(&cursor.link);
		at = visit_some(rt, n, at, &woken);
	}
	weft__spin_unlock(&n->lock);
	if (woken)
		weft__idle_notify(rt);
}

/* The next node to visit, after the last one, which may be gone after this. */
static struct weft__node *step(struct weft__walker *walker, struct weft__node *last)
{
	weft__spin_lock(&walker->lock);
	if (last && last->walked == AGAIN)
		append(walker, last);
	else if (last)
		store_release(&last->walked, 0); /* O4 */
	else if (walker->active)
		goto busy; /* I3 */

	struct weft__node *n = walker->first;
	if (n) {
		walker->first = n->walk;
		if (!walker->first)
			walker->end = &walker->first;
		store_relaxed(&n->walked, VISITING);
	}
	walker->active = n != NULL;
	weft__spin_unlock(&walker->lock);
	return n;
busy:
	weft__spin_unlock(&walker->lock);
	return NULL;
}

/* Forks of CPU-bound code look at the byte and nothing else.  Before its thread runs a
 * worker has no byte: a shutdown may come that early. */
static void stop_forks(struct weft_runtime *rt)
{
	weft__latch_wait(&rt->started);
	for (unsigned i = 0; i < rt->worker_count; i++)
		weft__worker_starve(rt->workers[i]);
}

void weft__walk_all(struct weft_runtime *rt)
{
	struct weft__node *n = NULL;

	stop_forks(rt);
	while ((n = step(&rt->async->walker, n)))
		visit(rt, n);
}
