/* SPDX-License-Identifier: MIT */
/*
 * interop.c - running functions as tasks on behalf of plain threads
 *
 * Invariants
 *
 *   I1  A portal counts the calls under way, under its lock; the task that opened it
 *       does not leave its scope before there are none, and takes the lock once after
 *       it was woken: the last touch of a call, of portal and runtime, is the unlock.
 *   I2  A future's node takes no cancel after ENDED, which is set under its lock before
 *       the node is unlinked; and the future is not let go before DONE, set after that.
 *       Who waits takes its lock after it was woken, as in I1.
 *   I3  A cancel of a future is a call of its portal too: the runtime stays until the
 *       walk is done.
 */
#include <weft/error.h>
#include <weft/interop.h>
#include <weft/offload.h>
#include <weft/runtime.h>

#include "async/async.h"
#include "async/interop.h"
#include "async/locals.h"
#include "async/offload.h"
#include "async/quiet.h"
#include "async/scope.h"
#include "async/wait.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum portal_state { PORTAL_OPEN = 0x90a7a1, PORTAL_CLOSED };

struct portal {
	struct weft__scope scope; /* first */
	struct weft__spin lock;
	enum portal_state state;
	unsigned calls;
	uint64_t ticket;	 /* of the owner, when it waits for calls == 0 */
	struct weft__ambient in; /* what calls run in */
};

_Static_assert(sizeof(struct portal) <= sizeof(struct weft_portal), "weft_portal is too small");

static struct portal *portal_of(struct weft_portal *p)
{
	return (struct portal *)(void *)p;
}

/* All that could run is cancelled (IN-2).  A grace period is before that, and who waits for
 * the end of a runtime of its own cancels nothing. */
static bool is_shut_down(const struct weft_runtime *rt)
{
	return load_acquire(&rt->root.flags) & WEFT__NODE_CANCELLED;
}

/* --- portals ------------------------------------------------------------- */

static void close_from_outside(struct weft__scope *s);

int weft_portal_open(struct weft_portal *portal)
{
	struct portal *p = portal_of(portal);
	struct weft__strand *s = weft__strand_self();

	if (!p)
		return WEFT_EINVAL;
	if (!s)
		return WEFT_ENOTASK;
	int rc = weft__strand_check(s);
	if (rc != 0)
		return rc;
	weft__scope_init(&p->scope, NULL);
	rc = weft__scope_enter(&p->scope, s);
	if (rc != 0)
		return rc;
	weft__spin_init(&p->lock);
	p->calls = 0;
	p->ticket = 0;
	p->in = s->in;
	weft__locals_ref(p->in.locals);
	p->scope.close = close_from_outside;
	p->state = PORTAL_OPEN;
	return 0;
}

static void await_calls(struct portal *p, struct weft__strand *s)
{
	for (;;) {
		weft__wait_begin(s, 0);
		weft__spin_lock(&p->lock);
		p->ticket = weft__wait_ticket(s);
		unsigned calls = p->calls;
		weft__spin_unlock(&p->lock);
		if (calls == 0) {
			weft__wait_end(s);
			return;
		}
		if (weft__wait_park(s, "calls through a portal", p) == WEFT__NO_STACK)
			weft__wait_without_stack();
	}
}

static int close_portal(struct portal *p, int rc)
{
	weft__spin_lock(&p->lock);
	p->state = PORTAL_CLOSED;
	weft__spin_unlock(&p->lock);
	if (rc < 0)
		weft_scope_cancel_because((struct weft_scope *)(void *)&p->scope, rc, NULL);
	await_calls(p, p->scope.owner);
	weft__scope_exit(&p->scope);
	weft__locals_unref(p->in.locals);
	return rc;
}

static void close_from_outside(struct weft__scope *s)
{
	close_portal((struct portal *)s, WEFT_EINVAL);
}

int weft_portal_close(struct weft_portal *portal, int rc)
{
	struct portal *p = portal_of(portal);
	struct weft__strand *s = weft__strand_self();
	int mine = s ? weft__scope_mine(&p->scope, s) : WEFT_ENOTASK;

	return mine ? mine : close_portal(p, rc);
}

static int enter(struct portal *p, struct weft__ambient *in)
{
	int rc = WEFT_ECLOSED;

	weft__spin_lock(&p->lock);
	if (p->state == PORTAL_OPEN && is_shut_down(p->scope.runtime)) {
		rc = WEFT_ESHUTDOWN;
	} else if (p->state == PORTAL_OPEN) {
		p->calls++;
		*in = p->in;
		in->node = &p->scope.node;
		rc = 0;
	}
	weft__spin_unlock(&p->lock);
	return rc;
}

/* One more call, while there is one. */
static void hold(struct portal *p)
{
	weft__spin_lock(&p->lock);
	p->calls++;
	weft__spin_unlock(&p->lock);
}

static void leave(struct portal *p)
{
	weft__spin_lock(&p->lock);
	if (--p->calls == 0 && p->state == PORTAL_CLOSED)
		weft__wake(p->scope.owner, p->ticket, WEFT__GRANTED);
	weft__spin_unlock(&p->lock); /* I1 */
}

/* --- calls that are waited for -------------------------------------------- */

/* What a blocking call runs on behalf of its task. */
struct on_behalf {
	weft_fn *fn;
	void *arg;
	struct weft_runtime *runtime;
};

/* As a task.  The blocking call is not what is waited for meanwhile (run_job in
 * offload.c): virtual time passes, and a deadlock is one. */
static int run_on_behalf(void *arg)
{
	const struct on_behalf *b = arg;

	weft__quiet_release(b->runtime);
	int rc = b->fn(b->arg);
	weft__quiet_hold(b->runtime);
	return rc;
}

int weft__from_host(weft_fn *fn, void *arg)
{
	struct on_behalf b = { fn, arg, NULL };
	struct weft__ambient in;

	if (!weft__host_hold(&b.runtime, &in))
		return WEFT_ECANCELED;
	int rc = WEFT_ESHUTDOWN;
	if (!is_shut_down(b.runtime))
		rc = weft__root_run_in(b.runtime, &in, run_on_behalf, &b);
	weft__host_release();
	return rc;
}

int weft_from_thread(struct weft_portal *portal, weft_fn *fn, void *arg)
{
	struct weft__ambient in;

	if (!fn)
		return WEFT_EINVAL;
	if (weft__worker_self())
		return fn(arg);
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (!portal)
		return weft__host_exists() ? weft__from_host(fn, arg) : WEFT_ENOTASK;
	int rc = enter(portal_of(portal), &in);
	if (rc != 0)
		return rc;
	rc = weft__root_run_in(portal_of(portal)->scope.runtime, &in, fn, arg);
	leave(portal_of(portal));
	return rc;
}

/* --- futures -------------------------------------------------------------- */

enum future_state { UNDER_WAY, ENDED, DONE };

struct future {
	struct weft__job job; /* first */
	struct weft__strand strand;
	struct weft__spin lock;
	enum future_state state;
	weft_fn *fn;
	void *arg;
	int rc;
	struct portal *portal;
	struct weft__list waiters;
};

/* On the stack of who waits. */
struct future_waiter {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

_Static_assert(sizeof(struct future) <= sizeof(struct weft_future), "weft_future is too small");

static struct future *future_of(struct weft_future *f)
{
	return (struct future *)(void *)f;
}

/* The last touch of the future by its task. */
static void publish(struct future *f)
{
	struct weft__list *first;

	weft__spin_lock(&f->lock);
	f->state = DONE;
	while ((first = weft__list_pop_front(&f->waiters))) {
		struct future_waiter *w = WEFT__CONTAINER(first, struct future_waiter, link);
		weft__wake(w->strand, w->ticket, WEFT__GRANTED);
	}
	weft__spin_unlock(&f->lock); /* I2 */
}

static void run_future(struct weft__job *job)
{
	struct future *f = (struct future *)job;
	struct portal *p = f->portal;

	struct weft__fiber *fiber = weft__worker_fiber(weft__worker_self());

	fiber->strand = &f->strand;
	f->rc = f->fn(f->arg);
	fiber->strand = NULL; /* whoever looks at this worker from outside finds nobody */
	weft__spin_lock(&f->lock);
	f->state = ENDED; /* I2 */
	weft__spin_unlock(&f->lock);
	weft__strand_end(&f->strand);
	publish(f);
	leave(p);
}

int weft_from_thread_nowait(struct weft_portal *portal, weft_fn *fn, void *arg,
			    struct weft_future *future)
{
	struct future *f = future_of(future);
	struct weft__ambient in;

	if (!portal || !fn || !f)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	int rc = enter(portal_of(portal), &in);
	if (rc != 0)
		return rc;
	struct weft_runtime *rt = portal_of(portal)->scope.runtime;
	*f = (struct future){ .fn = fn, .arg = arg, .portal = portal_of(portal) };
	weft__list_init(&f->waiters);
	weft__strand_init(&f->strand, rt, &in);
	store_relaxed(&f->job.run, run_future);
	weft__submit(rt, &f->job);
	return 0;
}

bool weft_future_is_done(struct weft_future *future)
{
	struct future *f = future_of(future);

	weft__spin_lock(&f->lock);
	bool done = f->state == DONE;
	weft__spin_unlock(&f->lock);
	return done;
}

static int await_future(struct future *f, struct weft__strand *s)
{
	struct future_waiter me = { .strand = s };
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(s);
	weft__list_init(&me.link);
	weft__spin_lock(&f->lock);
	bool done = f->state == DONE;
	if (!done)
		weft__list_push_back(&f->waiters, &me.link);
	weft__spin_unlock(&f->lock);
	unsigned code = done ? weft__wait_end(s) : weft__wait_park(s, "a future", f);
	weft__spin_lock(&f->lock);
	weft__list_remove(&me.link);
	done = f->state == DONE;
	weft__spin_unlock(&f->lock);
	return done ? 0 : weft__code_error(code);
}

int weft_future_wait(struct weft_future *future, int *rc)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	struct future *f = future_of(future);

	if (!f)
		return WEFT_EINVAL;
	if (weft__forked() && !weft_future_is_done(future))
		return WEFT_ESHUTDOWN;
	int error = s->runtime ? weft__point(s) : 0;
	while (error == 0 && (error = await_future(f, s)) == WEFT_ENOMEM) {
		weft__wait_without_stack();
		error = 0;
	}
	if (error == 0 && rc)
		*rc = f->rc;
	return error;
}

bool weft_future_cancel(struct weft_future *future)
{
	struct future *f = future_of(future);
	struct weft_runtime *rt = f->strand.runtime;
	struct weft__node *n = &f->strand.node;
	struct portal *p = f->portal;

	if (weft__forked())
		return false;
	weft__spin_lock(&f->lock);
	bool fresh = f->state == UNDER_WAY && weft__node_mark(n, WEFT__NODE_CANCELLED);
	if (fresh) {
		weft__walk_queue(rt, n); /* pins the node, and so the future */
		hold(p);		 /* I3 */
	}
	weft__spin_unlock(&f->lock);
	if (fresh) {
		weft__walk_all(rt);
		leave(p);
	}
	return fresh;
}

/* --- adapters ------------------------------------------------------------- */

static int call_on_thread(void *arg)
{
	struct weft_adapter *a = arg;

	return weft_to_thread(a->fn, a->arg);
}

static int call_as_task(void *arg)
{
	struct weft_adapter *a = arg;

	return weft_run_sync(a->fn, a->arg);
}

struct weft_call weft_async_adapter(struct weft_adapter *a, weft_fn *fn, void *arg)
{
	*a = (struct weft_adapter){ fn, arg };
	return (struct weft_call){ call_on_thread, a };
}

struct weft_call weft_sync_adapter(struct weft_adapter *a, weft_fn *fn, void *arg)
{
	*a = (struct weft_adapter){ fn, arg };
	return (struct weft_call){ call_as_task, a };
}
