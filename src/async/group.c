/* SPDX-License-Identifier: MIT */
/*
 * group.c - groups: starting children, their ends, and joining them all
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
#include "async/locals.h"
#include "async/start.h"
#include "async/wait.h"
#include "async/watch.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

_Static_assert(offsetof(struct weft__group, scope.node) == 0, "weft__task_group counts on it");
_Static_assert(sizeof(struct weft__group) <= sizeof(struct weft_group),
	       "struct weft_group is too small");

enum { CREDIT = 1 << 16 };

/* A task that waits for room. */
struct spawner {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

/* --- opening ------------------------------------------------------------ */

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
	g->pending = 0;
	g->credit = g->started = 0;
	g->ticket = 0;
	g->closing = g->dismissed = 0;
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

/* --- spawning ----------------------------------------------------------- */

/* The caller runs inside the group. */
static bool is_inside(const struct weft__strand *s, const struct weft__group *g)
{
	const struct weft__node *n = s->in.node;

	while (n && n != &g->scope.node)
		n = n->parent;
	return n != NULL;
}

/* With the lock held.  Somebody waits only while there is no room. */
static bool has_room(const struct weft__group *g)
{
	return g->running < g->limit;
}

static int wait_for_room(struct weft__group *g, struct weft__strand *s)
{
	struct spawner me = { .strand = s };
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(s);
	weft__spin_lock(&g->lock);
	bool granted = has_room(g);
	if (granted)
		g->running++;
	else
		weft__list_push_back(&g->spawners, &me.link);
	weft__spin_unlock(&g->lock);
	if (granted) {
		weft__wait_end(s); /* cancelled in the same moment: the room is ours (CO-4) */
		return 0;
	}

	unsigned code = weft__wait_park(s, "room in the group", g);
	weft__spin_lock(&g->lock);
	weft__list_remove(&me.link); /* nothing, if admit() took it out */
	weft__spin_unlock(&g->lock);
	return weft__code_error(code);
}

/* With the lock held: room for those who wait, first come, first served. */
static void admit(struct weft__group *g)
{
	struct weft__list *first;

	while (has_room(g) && (first = weft__list_pop_front(&g->spawners))) {
		struct spawner *sp = WEFT__CONTAINER(first, struct spawner, link);
		struct weft__strand *s = sp->strand;
		enum weft__claim claim = weft__claim(s, sp->ticket, WEFT__GRANTED);

		if (claim != WEFT__CLAIM_LOST)
			g->running++;
		if (claim == WEFT__CLAIM_PARKED)
			weft__resume(s);
	}
}

static int enter_limit(struct weft__group *g, struct weft__strand *s, bool try_only)
{
	weft__spin_lock(&g->lock);
	bool room = has_room(g);
	if (room)
		g->running++;
	weft__spin_unlock(&g->lock);
	if (room)
		return 0;
	return try_only ? WEFT_EAGAIN : wait_for_room(g, s);
}

int weft_group_set_limit(struct weft_group *group, size_t limit)
{
	struct weft__group *g = weft__group_of(group);

	if (!g || g->scope.state != WEFT__SCOPE_ENTERED)
		return WEFT_EINVAL;
	weft__spin_lock(&g->lock);
	store_relaxed(&g->limit, limit);
	admit(g);
	weft__spin_unlock(&g->lock);
	return 0;
}

/* May the caller spawn here? */
static int may_spawn(struct weft__group *g, struct weft__strand *s)
{
	if (load_acquire(&g->scope.state) != WEFT__SCOPE_ENTERED)
		return WEFT_ECLOSED;
	if (!is_inside(s, g))
		return WEFT_EPERM;
	if (load_relaxed(&g->closing) && !(load_relaxed(&g->pending) & WEFT__PENDING_NORMAL))
		return WEFT_ECLOSED;
	return 0;
}

static void run_task(struct weft__job *job)
{
	struct weft__task *t = (struct weft__task *)job;
	struct weft__fiber *fiber = weft__worker_fiber(weft__worker_self());

	fiber->strand = &t->strand;
	fiber->name = t->name;
	if (!weft__task_group(t))
		add_seqcst(&t->strand.runtime->roots_running, 1);
	store_relaxed(&t->state, (uint8_t)WEFT_TASK_RUNNING);
	int rc = WEFT_UNLIKELY(t->stack) ? weft__task_on_stack(t) : t->fn(t->arg);
	fiber->name = NULL;
	fiber->strand = NULL; /* whoever looks at this worker from outside finds nobody */
	weft__group_child_done(t, rc);
}

static uint64_t unit_of(const struct weft__task *t)
{
	return weft__task_flags(t) & WEFT__TASK_DAEMON ? WEFT__PENDING_DAEMON : WEFT__PENDING_ONE;
}

void weft__task_init(struct weft__task *t, struct weft_runtime *rt, struct weft__node *parent,
		     const struct weft_local *locals, weft_fn *fn, void *arg)
{
	struct weft__ambient in = { .node = parent, .task = t, .locals = locals };

	weft__locals_ref(locals);
	weft__strand_init(&t->strand, rt, &in);
	store_relaxed(&t->job.run, run_task);
	t->fn = fn;
	t->arg = arg;
	t->name = NULL;
	t->rc = 0;
	store_relaxed(&t->state, (uint8_t)WEFT_TASK_PENDING);
	t->flags = 0;
	t->retained = 0;
	t->stack = NULL;
	t->start = NULL;
}

/* The group of a daemon is done with its other children. */
static void dismiss(struct weft__node *n)
{
	weft__spin_lock(&n->lock);
	unsigned flags = n->flags & ~(unsigned)WEFT__NODE_SHIELD;
	store_release(&n->flags, (uint8_t)(flags | WEFT__NODE_CANCELLED));
	weft__spin_unlock(&n->lock);
}

static void enlist_daemon(struct weft__group *g, struct weft__task *t, bool service)
{
	t->flags |= WEFT__TASK_DAEMON;
	t->strand.node.flags |= WEFT__NODE_DAEMON;
	if (service)
		t->strand.node.flags |= WEFT__NODE_SHIELD;
	weft__node_link(&t->strand.node); /* close() finds it, or it finds this: */
	if (load_acquire(&g->dismissed))
		dismiss(&t->strand.node); /* it has not started: nothing to wake */
}

static void apply(struct weft__task *t, const struct weft_spawn_opts *o)
{
	t->name = o->name;
	if (o->daemon || o->service)
		enlist_daemon(weft__task_group(t), t, o->service);
	if (o->task) {
		t->flags |= WEFT__TASK_HANDLE | WEFT__TASK_SEEN;
		*o->task = (struct weft_task){ t->slot, t->generation };
	}
}

/* Under the lock, for weft_group_size: it is not to see one of the two without the
 * other. */
static void set_credit(struct weft__group *g, uint32_t credit)
{
	weft__spin_lock(&g->lock);
	add_seqcst(&g->pending, (uint64_t)credit - g->credit);
	store_relaxed(&g->credit, credit);
	weft__spin_unlock(&g->lock);
}

/* One more child (I4). */
static void count_in(struct weft__group *g, const struct weft__strand *s, uint64_t unit)
{
	if (unit != WEFT__PENDING_ONE || s != g->scope.owner || g->started++ == 0) {
		add_seqcst(&g->pending, unit);
		return;
	}
	if (WEFT_UNLIKELY(g->credit == 0))
		set_credit(g, CREDIT);
	store_relaxed(&g->credit, g->credit - 1);
}

static void give_back_credit(struct weft__group *g)
{
	g->started = 0;
	if (g->credit != 0)
		set_credit(g, 0);
}

/* weft_group_next waits for this one too. */
static void keep(struct weft__group *g, struct weft__task *t)
{
	t->flags |= WEFT__TASK_KEPT;
	weft__spin_lock(&g->lock);
	g->unfinished++;
	weft__spin_unlock(&g->lock);
}

static void leave_limit(struct weft__group *g)
{
	weft__spin_lock(&g->lock);
	g->running--;
	admit(g);
	weft__spin_unlock(&g->lock);
}

int weft__group_spawn(struct weft__group *g, weft_fn *fn, void *arg,
		      const struct weft_spawn_opts *o, struct weft__start *start,
		      struct weft__task **child)
{
	struct weft__strand *s = weft__strand_self();
	int rc = s ? may_spawn(g, s) : WEFT_ENOTASK;

	if (rc == 0 && o && o->unless_cancelled && weft__cancel_visible(&g->scope.node))
		rc = WEFT_ECANCELED;
	bool counted = load_relaxed(&g->limit) != SIZE_MAX;
	if (rc == 0 && counted)
		rc = enter_limit(g, s, o && o->try_only);
	if (rc != 0)
		return rc;

	struct weft__task *t = weft__record_get(s->runtime);
	if (WEFT_UNLIKELY(!t)) {
		if (counted)
			leave_limit(g);
		return WEFT_ENOMEM;
	}
	weft__task_init(t, s->runtime, &g->scope.node, s->in.locals, fn, arg);
	t->start = start;
	if (o && o->stack_size && weft__task_stack(t, o) != 0) {
		weft__locals_unref(s->in.locals);
		weft__record_put(s->runtime, t);
		if (counted)
			leave_limit(g);
		return WEFT_ENOMEM;
	}
	if (counted)
		t->flags |= WEFT__TASK_COUNTED;
	if (o)
		apply(t, o);
	if (g->keep)
		keep(g, t);
	if (child)
		*child = t;
	count_in(g, s, unit_of(t));
	weft__submit(s->runtime, &t->job);
	if (WEFT_UNLIKELY(load_relaxed(&s->runtime->pressed) == WEFT__PRESSED_ALONE))
		weft__watch_begin(s->runtime);
	return 0;
}

int weft_spawn_opt(struct weft_group *group, weft_fn *fn, void *arg,
		   const struct weft_spawn_opts *o)
{
	struct weft__group *g = weft__group_of(group);

	if (!g || !fn || (o && !weft__spawn_opts_ok(o)))
		return WEFT_EINVAL;
	int rc = weft__group_spawn(g, fn, arg, o, NULL, NULL);
	if (rc != 0 && o && o->drop)
		o->drop(arg);
	return rc;
}

/* --- the end of a child -------------------------------------------------- */

/* With the lock held.  True when it is the first failure. */
static bool fail(struct weft__group *g, int rc, const char *name)
{
	if (g->failed < g->max_failures)
		g->failures[g->failed] = (struct weft_failure){ rc, name };
	g->failed++;
	if (g->first != 0)
		return false;
	g->first = rc;
	return true;
}

static void cancel_siblings(struct weft__group *g, int rc, const char *name)
{
	struct weft_reason reason = {
		.kind = WEFT_REASON_SIBLING,
		.code = rc,
		.source = name,
	};
	weft__scope_cancel(&g->scope, reason);
}

/* Or asked to end: either may be why something returned WEFT_ECANCELED. */
static bool is_cancelled(const struct weft__node *n)
{
	return weft__cancel_visible(n) != 0;
}

/* With the lock held: until forgotten, or to the end of the group. */
static void retain(struct weft__group *g, struct weft__task *t)
{
	weft__list_push_back(&g->retained, &t->strand.node.link);
	t->retained = 1;
}

/* With the lock held: the owner may wait for a finished child. */
static void announce_done(struct weft__group *g, struct weft__task *t)
{
	weft__list_push_back(&g->done, &t->strand.node.link);
	g->unfinished--;
	if (!g->next_waits)
		return;
	g->next_waits = false;
	weft__wake(g->scope.owner, g->ticket, WEFT__GRANTED);
}

/* With the lock held: true when the record outlives its task.  It may be gone as soon
 * as the lock is free, all the same. */
static bool lay_aside(struct weft__group *g, struct weft__task *t)
{
	if (weft__task_flags(t) & WEFT__TASK_KEPT) {
		announce_done(g, t);
		return true;
	}
	if (!(weft__task_flags(t) & WEFT__TASK_HANDLE))
		return false;
	retain(g, t);
	return true;
}

/* An error, a limit, a handle, weft_group_next: all that a plain child that ends well
 * has nothing to do with.  True when the record is somebody else's from here on. */
static bool careful_end(struct weft__group *g, struct weft__task *t, int rc)
{
	bool cancelled = rc == WEFT_ECANCELED && is_cancelled(&t->strand.node);
	const char *name = t->name;
	bool first = false;

	weft__spin_lock(&g->lock);
	if (cancelled)
		g->cut_off = g->cut_off || is_cancelled(&g->scope.node);
	else if (rc < 0)
		first = fail(g, rc, name);
	if (weft__task_flags(t) & WEFT__TASK_COUNTED) {
		g->running--;
		admit(g);
	}
	bool kept = lay_aside(g, t);
	weft__spin_unlock(&g->lock);
	if (first && !g->supervisor)
		cancel_siblings(g, rc, name);
	return kept;
}

/* With what is left pending: does the owner wait for this? */
static bool is_awaited(uint64_t was, uint64_t unit)
{
	uint64_t left = (was & ~WEFT__PENDING_WAITING) - unit;

	if (!(was & WEFT__PENDING_WAITING))
		return false;
	return unit == WEFT__PENDING_ONE ? (left & WEFT__PENDING_NORMAL) == 0 : left == 0;
}

/* The owner waits for this child.  False when it does not any more (I2, I3). */
static bool count_off_last(struct weft__group *g, uint64_t unit)
{
	weft__spin_lock(&g->lock);
	bool waits = is_awaited(load_relaxed(&g->pending), unit);
	if (waits) {
		struct weft__strand *owner = g->scope.owner;
		add_seqcst(&g->pending, (uint64_t)0 - unit); /* O1 */
		enum weft__claim claim = weft__claim(owner, g->ticket, WEFT__GRANTED);
		weft__spin_unlock(&g->lock); /* the last touch */
		if (claim == WEFT__CLAIM_PARKED)
			weft__resume(owner);
	} else {
		weft__spin_unlock(&g->lock);
	}
	return waits;
}

static void count_off(struct weft__group *g, uint64_t unit)
{
	for (;;) {
		uint64_t was = load_relaxed(&g->pending);

		if (is_awaited(was, unit)) {
			if (count_off_last(g, unit))
				return;
		} else if (cas_seqcst(&g->pending, was, was - unit)) { /* O1, O2, I2 */
			return;
		}
	}
}

void weft__group_child_done(struct weft__task *t, int rc)
{
	struct weft__group *g = weft__task_group(t);
	struct weft_runtime *rt = t->strand.runtime;
	uint64_t unit = unit_of(t);

	/* Nobody gets to the node from a handle or a starter after these. */
	if (weft__task_flags(t) & WEFT__TASK_SEEN)
		weft__task_end(t, rc);
	else
		t->rc = rc;
	if (t->start)
		rc = weft__start_ended(t, rc);
	weft__strand_end(&t->strand);
	weft__locals_unref(t->strand.in.locals);
	if (!g) {
		weft__task_put(rt, t);
		add_seqcst(&rt->roots_running, (uint32_t)-1);
		weft__gate_leave(rt->roots);
		return;
	}
	bool careful = rc < 0 || weft__task_flags(t) || g->careful;
	if (!careful || !careful_end(g, t, rc))
		weft__task_put(rt, t);
	count_off(g, unit);
}

/* --- joining ------------------------------------------------------------- */

/* Waits until nothing of `mask` is pending.  `flags` as of weft__wait_begin. */
static int join(struct weft__group *g, uint64_t mask, unsigned flags)
{
	struct weft__strand *s = g->scope.owner;

	give_back_credit(g);
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
		dismiss(c);
		weft__walk_queue(rt, c);
	}
	weft__spin_unlock(&n->lock);
	add_seqcst(&weft__cancel_epoch, 1);
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
		rc == WEFT_ECANCELED && (is_cancelled(&g->scope.node) ||
					 weft__scope_outer_cancel(&g->scope, WEFT__NODE_CANCELLED));
	weft__spin_lock(&g->lock);
	if (cut_off)
		g->cut_off = true;
	else
		fail(g, rc, NULL);
	weft__spin_unlock(&g->lock);
	if (!cut_off)
		cancel_siblings(g, rc, weft__strand_name(g->scope.owner));
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

static int close_group(struct weft__group *g, int rc)
{
	store_relaxed(&g->closing, (uint8_t)1);
	body_ended(g, rc);
	weft__point(g->scope.owner);
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

		if (n->flags & WEFT__NODE_GROUP)
			close_group((struct weft__group *)inner, WEFT_EINVAL);
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
	retain(g, t);
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
