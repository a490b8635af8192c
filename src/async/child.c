/* SPDX-License-Identifier: MIT */
/*
 * child.c - a child of a group: room for it, its start, and its end
 *
 * The invariants and orderings are those of group.c.
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

enum { CREDIT = 1 << 16 };

/* A task that waits for room. */
struct spawner {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

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

static void leave_limit(struct weft__group *g)
{
	weft__spin_lock(&g->lock);
	g->running--;
	admit(g);
	weft__spin_unlock(&g->lock);
}

static bool is_refused(const struct weft__group *g, const struct weft_spawn_opts *o)
{
	return o && o->unless_cancelled && weft__cancel_visible(&g->scope.node);
}

/* A shield may keep the spawner waiting for room in a group that is cancelled. */
static int enter_limit(struct weft__group *g, struct weft__strand *s,
		       const struct weft_spawn_opts *o)
{
	weft__spin_lock(&g->lock);
	bool room = has_room(g);
	if (room)
		g->running++;
	weft__spin_unlock(&g->lock);
	if (room)
		return 0;
	int rc = o && o->try_only ? WEFT_EAGAIN : wait_for_room(g, s);
	if (rc == 0 && is_refused(g, o)) {
		leave_limit(g);
		rc = WEFT_ECANCELED;
	}
	return rc;
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
	weft__locals_end(&t->strand.in);
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
void weft__group_dismiss(struct weft__node *n)
{
	weft__spin_lock(&n->lock);
	store_release(&n->flags, (uint8_t)(n->flags & ~(unsigned)WEFT__NODE_SHIELD));
	weft__node_set(n, WEFT__NODE_CANCELLED);
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
		weft__group_dismiss(&t->strand.node); /* it has not started: nothing to wake */
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
		store_relaxed(&g->peopled, (uint8_t)1);
		add_seqcst(&g->pending, unit);
		return;
	}
	if (WEFT_UNLIKELY(g->credit == 0))
		set_credit(g, CREDIT);
	store_relaxed(&g->credit, g->credit - 1);
}

void weft__group_give_back_credit(struct weft__group *g)
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

int weft__group_spawn(struct weft__group *g, weft_fn *fn, void *arg,
		      const struct weft_spawn_opts *o, struct weft__start *start,
		      struct weft__task **child)
{
	struct weft__strand *s = weft__strand_self();
	int rc = s ? may_spawn(g, s) : WEFT_ENOTASK;

	if (rc == 0 && is_refused(g, o))
		rc = WEFT_ECANCELED;
	bool counted = load_relaxed(&g->limit) != SIZE_MAX;
	if (rc == 0 && counted)
		rc = enter_limit(g, s, o);
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
	if (g->keep && !(t->flags & WEFT__TASK_DAEMON))
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
bool weft__group_fail(struct weft__group *g, int rc, const char *name)
{
	if (g->failed < g->max_failures)
		g->failures[g->failed] = (struct weft_failure){ rc, name };
	g->failed++;
	if (g->first != 0)
		return false;
	g->first = rc;
	return true;
}

void weft__group_cancel_siblings(struct weft__group *g, int rc, const char *name)
{
	struct weft_reason reason = {
		.kind = WEFT_REASON_SIBLING,
		.code = rc,
		.source = name,
	};
	weft__scope_cancel(&g->scope, reason);
}

/* With the lock held: until forgotten, or to the end of the group. */
void weft__group_retain(struct weft__group *g, struct weft__task *t)
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
	weft__group_retain(g, t);
	return true;
}

/* An error, a limit, a handle, weft_group_next: all that a plain child that ends well
 * has nothing to do with.  True when the record is somebody else's from here on. */
static bool careful_end(struct weft__group *g, struct weft__task *t, int rc)
{
	/* Cancelled, or asked to end: either may be why something returned this. */
	bool cancelled = rc == WEFT_ECANCELED && weft__cancel_visible(&t->strand.node);
	const char *name = t->name;
	bool first = false;

	weft__spin_lock(&g->lock);
	if (cancelled)
		g->cut_off = g->cut_off || weft__cancel_visible(&g->scope.node);
	else if (rc < 0)
		first = weft__group_fail(g, rc, name);
	if (weft__task_flags(t) & WEFT__TASK_COUNTED) {
		g->running--;
		admit(g);
	}
	bool kept = lay_aside(g, t);
	weft__spin_unlock(&g->lock);
	if (first && !g->supervisor)
		weft__group_cancel_siblings(g, rc, name);
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
