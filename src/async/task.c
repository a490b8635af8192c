/* SPDX-License-Identifier: MIT */
/*
 * task.c - handles: asking about tasks, waiting for them, cancelling them
 *
 * What a handle leads to is under the lock of its watch.  A task that somebody may
 * have a handle of takes that lock when it ends, first of all: from then on no cancel
 * through a handle reaches its node, and the node waits for those under way.
 */
#include "async/task.h"

#include <weft/error.h>

#include "async/async.h"
#include "async/group.h"
#include "async/locals.h"
#include "async/wait.h"
#include "async/watch.h"
#include "runtime/runtime.h"
#include "runtime/topology.h"
#include "runtime/worker.h"

bool weft__spawn_opts_ok(const struct weft_spawn_opts *o)
{
	return o->size >= sizeof *o && (o->stack_size == 0 || (o->stack_size >= WEFT__STACK_MIN &&
							       o->stack_size <= WEFT__STACK_MAX));
}

/* --- the task's side ----------------------------------------------------- */

static enum weft_task_state outcome(const struct weft__task *t, int rc)
{
	if (rc >= 0)
		return WEFT_TASK_DONE;
	if (rc == WEFT_ECANCELED && weft__cancel_visible(&t->strand.node))
		return WEFT_TASK_CANCELLED;
	return WEFT_TASK_FAILED;
}

static bool is_task(const struct weft__task *t, struct weft_task task)
{
	return t->slot == task.slot && load_relaxed(&t->generation) == task.generation;
}

void weft__task_end(struct weft__task *t, int rc)
{
	struct weft__watch *watch = weft__record_watch(t->strand.runtime, t->slot);
	enum weft_task_state state = outcome(t, rc);

	weft__spin_lock(&watch->lock);
	t->rc = rc;
	store_release(&t->state, (uint8_t)state);
	weft__list_for_each (link, &watch->waiters) {
		struct weft__watcher *me = WEFT__CONTAINER(link, struct weft__watcher, link);
		if (is_task(t, me->task)) {
			weft__list_remove(link);
			me->ended = true;
			me->rc = rc; /* the record may be gone before it looks */
			weft__wake(me->strand, me->ticket, WEFT__GRANTED);
		}
	}
	weft__spin_unlock(&watch->lock);
}

void weft__task_put(struct weft_runtime *rt, struct weft__task *t)
{
	if (!(weft__task_flags(t) & WEFT__TASK_SEEN)) {
		weft__record_put(rt, t);
		return;
	}
	struct weft__watch *watch = weft__record_watch(rt, t->slot);
	weft__spin_lock(&watch->lock);
	weft__record_put(rt, t);
	weft__spin_unlock(&watch->lock);
}

int weft__task_stack(struct weft__task *t, const struct weft_spawn_opts *o)
{
	struct weft_runtime *rt = t->strand.runtime;

	if (o->stack_size <= rt->stacks.size)
		return 0;
	t->stack = weft__sizes_get(&rt->sizes, o->stack_size);
	return t->stack ? 0 : WEFT_ENOMEM;
}

int weft__task_on_stack(struct weft__task *t)
{
	struct weft__stack *stack = t->stack;
	int rc = weft__sizes_call(stack, t->name, t->fn, t->arg);

	t->stack = NULL;
	weft__sizes_put(&t->strand.runtime->sizes, stack);
	return rc;
}

/* --- the other side ------------------------------------------------------ */

/* The runtime of the caller, or the default one, which is then held. */
struct where {
	struct weft_runtime *rt;
	bool held;
};

static struct where enter(void)
{
	struct weft__worker *w = weft__worker_self();

	if (w)
		return (struct where){ w->runtime, false };
	if (weft__forked())
		return (struct where){ NULL, false };
	return (struct where){ weft__default_hold(), true };
}

static void leave(struct where where)
{
	if (where.held)
		weft__default_release();
}

/* The task's record, with its watch locked; NULL, and nothing locked, when the handle
 * is stale. */
static struct weft__task *lock_task(struct weft_runtime *rt, struct weft_task task)
{
	struct weft__task *t = rt && task.generation ? weft__record_at(rt, task.slot) : NULL;

	if (!t)
		return NULL;
	struct weft__watch *watch = weft__record_watch(rt, task.slot);
	weft__spin_lock(&watch->lock);
	if (is_task(t, task))
		return t;
	weft__spin_unlock(&watch->lock);
	return NULL;
}

static void unlock_task(struct weft_runtime *rt, struct weft__task *t)
{
	weft__spin_unlock(&weft__record_watch(rt, t->slot)->lock);
}

static enum weft_task_state state_of(const struct weft__task *t)
{
	return (enum weft_task_state)load_acquire(&t->state);
}

static bool has_ended(enum weft_task_state state)
{
	return state >= WEFT_TASK_DONE;
}

struct weft__node *weft__task_lock(struct weft_runtime *rt, struct weft_task task)
{
	struct weft__task *t = lock_task(rt, task);

	if (!t)
		return NULL;
	if (!has_ended((enum weft_task_state)load_acquire(&t->state)))
		return &t->strand.node;
	unlock_task(rt, t);
	return NULL;
}

void weft__task_unlock(struct weft_runtime *rt, struct weft_task task)
{
	unlock_task(rt, weft__record_at(rt, task.slot));
}

struct weft_task weft_task_self(void)
{
	struct weft__strand *s = weft__strand_self();
	struct weft__task *t = s ? s->in.task : NULL;

	if (!t)
		return (struct weft_task){ 0 };
	/* Stolen pieces of one task may ask at the same time. */
	struct weft__watch *watch = weft__record_watch(s->runtime, t->slot);
	weft__spin_lock(&watch->lock);
	store_relaxed(&t->flags, (uint8_t)(t->flags | WEFT__TASK_SEEN));
	weft__spin_unlock(&watch->lock);
	return (struct weft_task){ t->slot, t->generation };
}

const char *weft_task_self_name(void)
{
	return weft__strand_name(weft__strand_self());
}

/* What is known of a task; false when nothing is. */
static bool look(struct weft_task task, enum weft_task_state *state, int *rc)
{
	struct where where = enter();
	struct weft__task *t = lock_task(where.rt, task);

	if (t) {
		*state = state_of(t);
		*rc = has_ended(*state) ? t->rc : 0;
		unlock_task(where.rt, t);
	}
	leave(where);
	return t != NULL;
}

enum weft_task_state weft_task_state(struct weft_task task)
{
	enum weft_task_state state;
	int rc;

	return look(task, &state, &rc) ? state : WEFT_TASK_UNKNOWN;
}

int weft_task_result(struct weft_task task, int *rc)
{
	enum weft_task_state state;
	int value;

	if (!look(task, &state, &value))
		return WEFT_EINVAL;
	if (!has_ended(state))
		return WEFT_EAGAIN;
	if (rc)
		*rc = value;
	return 0;
}

bool weft_task_cancel(struct weft_task task)
{
	struct where where = enter();
	struct weft__task *t = lock_task(where.rt, task);
	bool fresh = false;

	if (t) {
		struct weft__node *n = &t->strand.node;
		fresh = !has_ended(state_of(t)) && weft__node_mark(n, WEFT__NODE_CANCELLED);
		if (fresh)
			weft__walk_queue(where.rt, n);
		unlock_task(where.rt, t);
	}
	if (fresh) {
		weft__walk_all(where.rt);
		weft__watch_task(where.rt, task);
	}
	leave(where);
	return fresh;
}

bool weft__task_watch(struct weft__watcher *me)
{
	struct weft_runtime *rt = me->strand->runtime;
	struct weft__task *t = lock_task(rt, me->task);
	bool waits = t && !has_ended(state_of(t));

	me->ticket = weft__wait_ticket(me->strand);
	me->on = t;
	me->rc = t ? t->rc : WEFT_EINVAL;
	if (waits)
		weft__list_push_back(&weft__record_watch(rt, t->slot)->waiters, &me->link);
	if (t)
		unlock_task(rt, t);
	return waits;
}

void weft__task_unwatch(struct weft__watcher *me)
{
	struct weft__watch *watch = weft__record_watch(me->strand->runtime, me->task.slot);

	weft__spin_lock(&watch->lock);
	weft__list_remove(&me->link); /* nothing, if it was taken out */
	weft__spin_unlock(&watch->lock);
}

static int wait_end(struct weft__strand *s, struct weft_task task, int *rc)
{
	struct weft__watcher me = { .strand = s, .task = task };
	int error = weft__wait_begin(s, WEFT__ABORTABLE);

	if (error != 0)
		return error;
	if (weft__task_watch(&me)) {
		error = weft__code_error(weft__wait_park(s, "a task", me.on));
		weft__task_unwatch(&me);
	} else {
		weft__wait_end(s);
		error = me.on ? 0 : WEFT_EINVAL;
	}
	if (error == 0 && rc)
		*rc = me.rc;
	return error;
}

bool weft__task_is_self(const struct weft__strand *s, struct weft_task task)
{
	return s->in.task && is_task(s->in.task, task);
}

int weft_task_wait(struct weft_task task, int *rc)
{
	struct weft__strand *s = weft__strand_self();

	if (!s)
		return WEFT_ENOTASK;
	if (weft__task_is_self(s, task))
		return WEFT_EDEADLK;
	int error = weft__point(s);
	return error ? error : wait_end(s, task, rc);
}

/* With the watch locked.  True when the record lay there for the handle alone.  The
 * group stays meanwhile: it cannot free the record without the watch. */
static bool drop_handle(struct weft__task *t)
{
	struct weft__group *g = weft__task_group(t);

	weft__spin_lock(&g->lock);
	store_relaxed(&t->flags, (uint8_t)(t->flags & ~WEFT__TASK_HANDLE));
	bool free = t->retained;
	if (free)
		weft__list_remove(&t->strand.node.link);
	t->retained = 0;
	weft__spin_unlock(&g->lock);
	return free;
}

void weft_task_forget(struct weft_task task)
{
	struct where where = enter();
	struct weft__task *t = lock_task(where.rt, task);

	if (t) {
		if ((weft__task_flags(t) & WEFT__TASK_HANDLE) && drop_handle(t))
			weft__record_put(where.rt, t);
		unlock_task(where.rt, t);
	}
	leave(where);
}

static int spawn_root(struct weft__strand *s, weft_fn *fn, void *arg,
		      const struct weft_spawn_opts *o)
{
	struct weft_runtime *rt = s->runtime;
	struct weft__task *t;

	if (!weft__gate_enter(rt->roots))
		return WEFT_ESHUTDOWN;
	t = weft__record_get(rt);
	if (!t) {
		weft__gate_leave(rt->roots);
		return WEFT_ENOMEM;
	}
	weft__task_init(t, rt, &rt->root, s->in.locals, fn, arg);
	if (o) {
		t->name = o->name;
		if (weft__task_stack(t, o) != 0)
			goto no_stack;
	}
	weft__submit(rt, &t->job);
	return 0;

no_stack:
	weft__locals_unref(s->in.locals);
	weft__record_put(rt, t);
	weft__gate_leave(rt->roots);
	return WEFT_ENOMEM;
}

int weft_spawn_detached_opt(weft_fn *fn, void *arg, const struct weft_spawn_opts *o)
{
	struct weft__strand *s = weft__strand_self();

	if (!fn || (o && (!weft__spawn_opts_ok(o) || o->daemon || o->service || o->task)))
		return WEFT_EINVAL;
	int rc = s ? spawn_root(s, fn, arg, o) : WEFT_ENOTASK;
	if (rc != 0 && o && o->drop)
		o->drop(arg);
	return rc;
}
