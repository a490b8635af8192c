/* SPDX-License-Identifier: MIT */
/*
 * group.c - groups: opening and closing them, joining all children or one by one
 *
 * Invariants
 *
 *   I1  `pending` counts children whose end has not touched the group for the last
 *       time, and the owner's `credit`.  The owner does not leave the group before it
 *       is 0.
 *   I2  The last touch of a child is the compare-and-swap that takes it off
 *       `pending`; or, for the one that finds that the owner waits for just that, the
 *       unlock behind it: it counts itself off under the lock, with WAITING set, and
 *       the owner takes the lock once after every wait.
 *   I3  WAITING is set and cleared by the owner alone, cleared under the lock.
 *   I4  `credit` is what the owner has counted ahead: it takes a unit for each child it
 *       starts, without touching `pending`, and has given back the rest when it waits.
 *       Not for the first child behind a wait, which may well be the only one.
 *   I5  The other fields are under the lock.  Children of a plain group that end well
 *       do not need it: `careful` is 0.
 *
 * Orderings
 *
 *   O1  results -> owner    release half of the CAS on pending  =>  acquire load of
 *       it, by the owner itself.
 *   O2  WAITING against the last child, store-load: both are read-modify-writes of one
 *       word, so one comes first.
 */
#include "async/group.h"

#include <weft/error.h>

#include "async/async.h"
#include "async/wait.h"
#include "runtime/worker.h"

_Static_assert(offsetof(struct weft__group, scope.node) == 0, "weft__task_group counts on it");
_Static_assert(sizeof(struct weft__group) <= sizeof(struct weft_group),
	       "struct weft_group is too small");

/* --- opening ------------------------------------------------------------ */

static int close_group(struct weft__group *g, int rc);

static void close_from_outside(struct weft__scope *s)
{
	close_group((struct weft__group *)s, WEFT_EINVAL);
}

static void init(struct weft__group *g, const struct weft_group_opts *o)
{
	struct weft_scope_opts scope = {
		.size = sizeof scope,
		.name = o->name,
		.timeout = o->timeout,
		.deadline = o->deadline,
		.grace = o->grace,
	};

	weft__scope_init(&g->scope, &scope);
	g->scope.node.flags |= WEFT__NODE_GROUP;
	g->scope.close = close_from_outside;
	g->pending = 0;
	g->credit = g->started = 0;
	g->ticket = 0;
	g->closing = g->dismissed = g->peopled = 0;
	g->cut_off = g->next_waits = false;
	g->supervisor = o->supervisor;
	g->keep = o->keep;
	weft__spin_init(&g->lock);
	g->first = 0;
	g->failed = 0;
	g->failures = o->failures;
	g->max_failures = o->failures ? o->max_failures : 0;
	g->limit = o->closed ? 0 : o->limit ? o->limit : SIZE_MAX;
	g->careful = g->keep;
	g->running = 0;
	g->unfinished = 0;
	weft__list_init(&g->spawners);
	weft__list_init(&g->retained);
	weft__list_init(&g->done);
}

int weft_group_open_opt(struct weft_group *group, const struct weft_group_opts *opts)
{
	static const struct weft_group_opts none = { .size = sizeof none };
	struct weft__group *g = weft__group_of(group);
	struct weft__strand *strand = weft__strand_self();

	if (!g || (opts && (opts->size < sizeof *opts || opts->grace < 0)))
		return WEFT_EINVAL;
	if (!strand)
		return WEFT_ENOTASK;
	int rc = weft__strand_check(strand);
	if (rc != 0)
		return rc;
	init(g, opts ? opts : &none);
	rc = weft__scope_enter(&g->scope, strand);
	if (rc == 0)
		strand->seen = 0;
	return rc;
}

struct weft_scope *weft_group_scope(struct weft_group *group)
{
	return (struct weft_scope *)(void *)group;
}

void weft_group_cancel(struct weft_group *group)
{
	weft_scope_cancel(weft_group_scope(group));
}

/* --- joining ------------------------------------------------------------- */

/* Waits until nothing of `mask` is pending.  `flags` as of weft__wait_begin. */
static int join(struct weft__group *g, uint64_t mask, unsigned flags)
{
	struct weft__strand *s = g->scope.owner;

	weft__group_give_back_credit(g);
	while (load_acquire(&g->pending) & mask) { /* O1 */
		int rc = weft__wait_begin(s, flags);
		if (rc != 0)
			return rc;
		g->ticket = weft__wait_ticket(s);
		uint64_t was = or_seqcst(&g->pending, WEFT__PENDING_WAITING); /* O2 */
		unsigned code =
			was & mask ? weft__wait_park(s, "its children", g) : weft__wait_end(s);
		weft__spin_lock(&g->lock); /* I2 */
		and_seqcst(&g->pending, ~WEFT__PENDING_WAITING);
		weft__spin_unlock(&g->lock);
		if ((flags & WEFT__ABORTABLE) && code > WEFT__GRANTED &&
		    (load_acquire(&g->pending) & mask))
			return weft__code_error(code);
		if (code == WEFT__NO_STACK)
			weft__wait_without_stack();
	}
	return 0;
}

int weft_group_wait(struct weft_group *group)
{
	struct weft__group *g = weft__group_of(group);
	struct weft__strand *s = weft__strand_self();

	if (!g || g->scope.state != WEFT__SCOPE_ENTERED)
		return WEFT_EINVAL;
	if (g->scope.owner != s)
		return WEFT_EPERM;
	int rc = weft__point(s);
	return rc ? rc : join(g, WEFT__PENDING_NORMAL, WEFT__ABORTABLE);
}

/* The normal children are done: now the daemons are to end. */
static void cancel_daemons(struct weft__group *g)
{
	struct weft__node *n = &g->scope.node;
	struct weft_runtime *rt = g->scope.runtime;

	store_release(&g->dismissed, (uint8_t)1);
	weft__spin_lock(&n->lock);
	weft__list_for_each (link, &n->children) {
		struct weft__node *c = WEFT__CONTAINER(link, struct weft__node, link);
		if (!(load_relaxed(&c->flags) & WEFT__NODE_DAEMON))
			continue;
		weft__group_dismiss(c);
		weft__walk_queue(rt, c);
	}
	weft__spin_unlock(&n->lock);
	weft__walk_all(rt);
}

static void join_all(struct weft__group *g)
{
	join(g, WEFT__PENDING_NORMAL, 0);
	if (load_acquire(&g->pending) & ~WEFT__PENDING_WAITING) {
		cancel_daemons(g);
		join(g, ~WEFT__PENDING_WAITING, 0);
	}
}

/* What `rc` of the body means for the group. */
static void body_ended(struct weft__group *g, int rc)
{
	if (rc >= 0)
		return;
	bool cut_off =
		rc == WEFT_ECANCELED && (weft__cancel_visible(&g->scope.node) ||
					 weft__scope_outer_cancel(&g->scope, WEFT__NODE_CANCELLED));
	weft__spin_lock(&g->lock);
	if (cut_off)
		g->cut_off = true;
	else
		weft__group_fail(g, rc, NULL);
	weft__spin_unlock(&g->lock);
	if (!cut_off)
		weft__group_cancel_siblings(g, rc, weft__strand_name(g->scope.owner));
}

static struct weft__task *pop_task(struct weft__list *list)
{
	struct weft__list *link = weft__list_pop_front(list);

	if (!link)
		return NULL;
	struct weft__node *n = WEFT__CONTAINER(link, struct weft__node, link);
	struct weft__strand *s = WEFT__CONTAINER(n, struct weft__strand, node);
	struct weft__task *t = WEFT__CONTAINER(s, struct weft__task, strand);
	t->retained = 0;
	return t;
}

/* Somebody may be forgetting a task of the list meanwhile. */
static void free_list(struct weft__group *g, struct weft__list *list)
{
	struct weft__task *t;

	do {
		weft__spin_lock(&g->lock);
		t = pop_task(list);
		weft__spin_unlock(&g->lock);
		if (t)
			weft__task_put(g->scope.runtime, t);
	} while (t);
}

/* Errors beat cancels, one from outside beats the own deadline (GR-3). */
static int result(struct weft__group *g, int body)
{
	int cancelled = g->cut_off ? WEFT_ECANCELED : 0;

	if (g->first != 0)
		return g->first;
	if (weft__scope_outer_cancel(&g->scope, WEFT__NODE_CANCELLED))
		return WEFT_ECANCELED; /* GR-8 */
	int rc = weft__scope_outcome(&g->scope, cancelled);
	return rc != 0 ? rc : body > 0 ? body : 0;
}

/* Where there is nobody to wait for, closing gives way once all the same (GR-8).  A cancel is
 * found by result(). */
static void pass_point(struct weft__group *g)
{
	if (weft__point(g->scope.owner) == 0 && !load_relaxed(&g->peopled))
		weft_yield();
}

static int close_group(struct weft__group *g, int rc)
{
	store_relaxed(&g->closing, (uint8_t)1);
	body_ended(g, rc);
	pass_point(g);
	join_all(g);
	rc = result(g, rc);
	free_list(g, &g->done);
	free_list(g, &g->retained);
	weft__scope_exit(&g->scope);
	return rc;
}

/* Leaves what was opened inside and not closed: GR-7. */
static void close_inner(struct weft__group *g, struct weft__strand *s)
{
	while (s->in.node != &g->scope.node) {
		struct weft__node *n = s->in.node;
		struct weft__scope *inner = WEFT__CONTAINER(n, struct weft__scope, node);

		if (inner->close)
			inner->close(inner);
		else
			weft__scope_exit(inner);
	}
}

static bool is_open_in(const struct weft__group *g, const struct weft__strand *s)
{
	const struct weft__node *n = s->in.node;

	while (n != &s->node && n != &g->scope.node)
		n = n->parent;
	return n == &g->scope.node;
}

int weft_group_close(struct weft_group *group, int rc)
{
	struct weft__group *g = weft__group_of(group);
	struct weft__strand *s = weft__strand_self();

	if (!g || g->scope.state != WEFT__SCOPE_ENTERED)
		return WEFT_EINVAL;
	if (!s || g->scope.owner != s)
		return WEFT_EPERM;
	if (s->in.node == &g->scope.node)
		return close_group(g, rc);
	if (!is_open_in(g, s))
		return WEFT_EINVAL;
	close_inner(g, s);
	close_group(g, WEFT_EINVAL);
	return WEFT_EINVAL;
}

/* --- aside ---------------------------------------------------------------- */

/* Nobody is parked at the node, so it has no owner before one closes it.  Nor does it have
 * timers: it is cancelled as a node, and the reason for that is there from the start. */
void weft__group_open_aside(struct weft__group *g, struct weft__strand *s)
{
	static const struct weft_group_opts none = { .size = sizeof none };

	init(g, &none);
	g->scope.reason = (struct weft_reason){ WEFT_REASON_EXPLICIT, WEFT_ECANCELED, NULL, NULL };
	g->scope.runtime = s->runtime;
	g->scope.node.parent = s->in.node;
	weft__node_link(&g->scope.node);
	g->scope.state = WEFT__SCOPE_ENTERED;
}

int weft__group_start_aside(struct weft__group *g, weft_fn *fn, void *arg, const char *name)
{
	struct weft__strand *s = weft__strand_self();
	struct weft_runtime *rt = g->scope.runtime;
	struct weft__task *t = weft__record_get(rt);

	if (WEFT_UNLIKELY(!t))
		return WEFT_ENOMEM;
	weft__task_init(t, rt, &g->scope.node, s ? s->in.locals : NULL, fn, arg);
	t->name = name;
	add_seqcst(&g->pending, WEFT__PENDING_ONE);
	weft__submit(rt, &t->job);
	return 0;
}

void weft__group_cancel_aside(struct weft__group *g)
{
	weft__node_cancel(g->scope.runtime, &g->scope.node);
}

void weft__group_close_aside(struct weft__group *g)
{
	struct weft__thread_strand local;

	if (load_acquire(&g->pending)) /* O1 */
		weft__group_cancel_aside(g);
	store_relaxed(&g->scope.owner, weft__strand_here(&local));
	join(g, ~WEFT__PENDING_WAITING, 0);
	g->scope.state = WEFT__SCOPE_LEFT;
	weft__node_unlink(&g->scope.node);
}

/* --- one by one ---------------------------------------------------------- */

/* With the lock held.  True when nobody has use for the record any more. */
static bool deliver(struct weft__group *g, struct weft__task *t, struct weft_task *task, int *rc)
{
	if (rc)
		*rc = t->rc;
	if (task)
		*task = (struct weft_task){ t->slot, t->generation };
	if (!(weft__task_flags(t) & WEFT__TASK_HANDLE))
		return true;
	weft__group_retain(g, t);
	return false;
}

/* Waits until a child is done or none is left. */
static int await_done(struct weft__group *g, struct weft__strand *s)
{
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	weft__spin_lock(&g->lock);
	g->ticket = weft__wait_ticket(s);
	g->next_waits = weft__list_is_empty(&g->done) && g->unfinished > 0;
	bool wait = g->next_waits;
	weft__spin_unlock(&g->lock);
	unsigned code = wait ? weft__wait_park(s, "a child", g) : weft__wait_end(s);
	weft__spin_lock(&g->lock);
	g->next_waits = false;
	weft__spin_unlock(&g->lock);
	return code > WEFT__GRANTED ? weft__code_error(code) : 0;
}

int weft_group_next(struct weft_group *group, struct weft_task *task, int *rc)
{
	struct weft__group *g = weft__group_of(group);
	struct weft__strand *s = weft__strand_self();

	if (!g || g->scope.state != WEFT__SCOPE_ENTERED || !g->keep)
		return WEFT_EINVAL;
	if (g->scope.owner != s)
		return WEFT_EPERM;
	int error = weft__point(s);
	while (error == 0) {
		weft__spin_lock(&g->lock);
		struct weft__task *t = pop_task(&g->done);
		bool some = g->unfinished > 0;
		bool over = t && deliver(g, t, task, rc);
		weft__spin_unlock(&g->lock);
		if (over)
			weft__task_put(s->runtime, t);
		if (t)
			return 1;
		if (!some)
			return 0;
		error = await_done(g, s);
	}
	return error;
}

size_t weft_group_size(const struct weft_group *group)
{
	struct weft__group *g = (struct weft__group *)(uintptr_t)group;

	weft__spin_lock(&g->lock);
	uint64_t pending = load_relaxed(&g->pending) & ~WEFT__PENDING_WAITING;
	pending -= load_relaxed(&g->credit);
	weft__spin_unlock(&g->lock);
	return (size_t)((pending & WEFT__PENDING_NORMAL) + pending / WEFT__PENDING_DAEMON);
}

size_t weft_group_failures(const struct weft_group *group)
{
	return load_relaxed(&((const struct weft__group *)(const void *)group)->failed);
}
