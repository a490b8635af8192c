/* SPDX-License-Identifier: MIT */
/*
 * scope.c - cancel scopes
 *
 *   The rules are those of trio (N. J. Smith, "Timeouts and cancellation for
 *   humans", 2018; trio/_core/_run.py): a cancel is a state, deadlines are inherited,
 *   shields hide, and the outermost cancelled scope absorbs.
 *
 * Invariants
 *
 *   I1  A strand's in.node is its innermost scope's node; the scopes of a strand form a
 *       chain through node.parent, down to the strand's own node and on to what it
 *       runs in.
 *   I2  reason is written once, with the flag, under one hold of node.lock: who sees the
 *       flag may read it, and who finds that there is a reason finds the flag set.
 *   I3  Whoever cancels without running inside pins the scope first: the timer under the
 *       lock of its wheel, a token under that of the table.  exit takes both away and
 *       then waits until nobody holds a pin.
 *   I4  The timer serves the deadline, then the grace period.  It is armed with `timing`
 *       held, never while it fires (`firing`) nor when the scope is being left: who
 *       finds it firing leaves the grace period to it.
 */
#include "async/scope.h"

#include <sched.h>

#include <weft/error.h>
#include <weft/runtime.h>

#include "async/async.h"
#include "async/config.h"
#include "async/held.h"
#include "async/task.h"
#include "async/token.h"
#include "async/wait.h"
#include "async/watch.h"
#include "deque/check.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

_Static_assert(sizeof(struct weft__scope) <= sizeof(struct weft_scope),
	       "struct weft_scope is too small");

static struct weft__scope *scope_at(struct weft__node *n)
{
	return WEFT__CONTAINER(n, struct weft__scope, node);
}

struct weft__strand *weft__scope_owner(struct weft__node *n)
{
	return load_relaxed(&scope_at(n)->owner);
}

/* --- being cancelled --------------------------------------------------- */

int weft__scope_check(struct weft__strand *s)
{
	uint64_t epoch = load_acquire(&weft__cancel_epoch);

	if (weft__cancel_visible(s->in.node) & WEFT__NODE_CANCELLED)
		return WEFT_ECANCELED;
	s->seen = epoch;
	return 0;
}

/* What is opened aside (group.h) is the only thing that can be left over here. */
static void childless(struct weft__node *n, const char *name)
{
	if (WEFT_UNLIKELY(!weft__list_is_empty(&n->children)))
		weft__bug("a stream was still open when what it was made in (%s) ended",
			  name ? name : "no name");
}

void weft__scope_strand_end(struct weft__strand *s)
{
	if (s->in.node != &s->node)
		weft__bug("a task (%s) ended inside of a scope or group that it entered",
			  s->in.task && s->in.task->name ? s->in.task->name : "no name");
	weft__held_abandon(s);
	weft__node_unlink(&s->node);
	childless(&s->node, weft__strand_name(s));
}

int weft_check(void)
{
	struct weft__strand *s = weft__strand_self();
	return s ? weft__strand_check(s) : 0;
}

int weft_checkpoint(void)
{
	struct weft__strand *s = weft__strand_self();
	return s ? weft__point(s) : 0;
}

bool weft_cancel_requested(void)
{
	struct weft__strand *s = weft__strand_self();
	return s && weft__cancel_visible(s->in.node) != 0;
}

/* --- cancelling -------------------------------------------------------- */

void weft__node_cancel(struct weft_runtime *rt, struct weft__node *n)
{
	if (!weft__node_mark(n, WEFT__NODE_CANCELLED))
		return;
	weft__walk_queue(rt, n);
	weft__walk_all(rt);
}

static int64_t now_of(const struct weft__scope *s)
{
	return weft__clock_now(s->runtime);
}

bool weft__scope_mark(struct weft__scope *s, const struct weft_reason *reason)
{
	bool soft = s->grace != 0 && s->state == WEFT__SCOPE_ENTERED;
	bool fresh = false;

	weft__spin_lock(&s->node.lock);
	if (s->reason.kind == WEFT_REASON_NONE) {
		s->reason = *reason; /* I2 */
		fresh = weft__node_set(&s->node, soft ? WEFT__NODE_SOFT : WEFT__NODE_CANCELLED);
	}
	weft__spin_unlock(&s->node.lock);
	return fresh;
}

static bool claim_timer(struct weft__timer *t)
{
	struct weft__scope *s = WEFT__CONTAINER(t, struct weft__scope, timer);

	weft__scope_pin(s);		       /* I3 */
	store_release(&s->firing, (uint8_t)1); /* I4 */
	return true;
}

static void walk(struct weft__scope *s)
{
	weft__walk_queue(s->runtime, &s->node);
	weft__walk_all(s->runtime);
}

/* The grace period is over. */
static void end_grace(struct weft__timer *t)
{
	struct weft__scope *s = WEFT__CONTAINER(t, struct weft__scope, timer);

	weft__node_mark(&s->node, WEFT__NODE_CANCELLED);
	weft__spin_lock(&s->timing);
	store_relaxed(&s->firing, (uint8_t)0);
	weft__spin_unlock(&s->timing);
	walk(s);
	weft__watch_scope(s);
	weft__scope_unpin(s);
}

static bool in_grace(const struct weft__scope *s)
{
	return (load_acquire(&s->node.flags) & (WEFT__NODE_SOFT | WEFT__NODE_CANCELLED)) ==
	       WEFT__NODE_SOFT;
}

/* With `timing` held (I4): from now on the timer is that of the grace period. */
static int arm_grace(struct weft__scope *s)
{
	weft__timer_disarm(&s->timer);
	if (load_acquire(&s->firing) || s->leaving || !in_grace(s))
		return 0;
	s->timer.claim = claim_timer;
	s->timer.done = end_grace;
	return weft__timer_arm(s->runtime, &s->timer, weft__later(now_of(s), s->grace));
}

/* `fired`: by the timer itself, which is free with that. */
static void begin_grace(struct weft__scope *s, bool fired)
{
	int rc = s->grace ? weft__clock_start(s->runtime) : 0;

	weft__spin_lock(&s->timing);
	if (fired)
		store_relaxed(&s->firing, (uint8_t)0);
	if (s->grace != 0 && rc == 0)
		rc = arm_grace(s);
	weft__spin_unlock(&s->timing);
	if (rc != 0)
		weft__node_mark(&s->node, WEFT__NODE_CANCELLED);
}

void weft__scope_spread(struct weft__scope *s)
{
	if (s->grace != 0)
		begin_grace(s, false);
	walk(s);
	if (s->grace == 0)
		weft__watch_scope(s);
}

bool weft__scope_cancel(struct weft__scope *s, struct weft_reason reason)
{
	if (!weft__scope_mark(s, &reason))
		return false;
	if (s->state == WEFT__SCOPE_ENTERED)
		weft__scope_spread(s);
	return true;
}

/* The deadline has passed. */
static void expire(struct weft__timer *t)
{
	struct weft__scope *s = WEFT__CONTAINER(t, struct weft__scope, timer);
	struct weft_reason reason = { .kind = WEFT_REASON_DEADLINE, .code = WEFT_ETIMEDOUT };

	bool fresh = weft__scope_mark(s, &reason);
	begin_grace(s, true);
	if (fresh)
		walk(s);
	if (fresh && s->grace == 0)
		weft__watch_scope(s);
	weft__scope_unpin(s);
}

const char *weft__strand_name(const struct weft__strand *s)
{
	return s ? weft__task_name(s->in.task) : NULL;
}

void weft_scope_cancel_because(struct weft_scope *scope, int code, const char *message)
{
	struct weft__strand *self = weft__strand_self();
	struct weft__scope *s = weft__scope_of(scope);
	struct weft_reason reason = {
		.kind = WEFT_REASON_EXPLICIT,
		.code = code,
		.message = message,
		.source = weft__strand_name(self),
	};

	if (!s)
		return;
	if (self && s->owner == self) {
		weft__scope_cancel(s, reason);
		return;
	}
	weft__scope_pin(s); /* I3: the owner, woken, may leave before this is done */
	weft__scope_cancel(s, reason);
	weft__scope_unpin(s);
}

void weft_scope_cancel(struct weft_scope *scope)
{
	weft_scope_cancel_because(scope, WEFT_ECANCELED, NULL);
}

/* --- entering and leaving ---------------------------------------------- */

void weft__scope_init(struct weft__scope *s, const struct weft_scope_opts *opts)
{
	uint8_t flags = WEFT__NODE_SCOPE;

	if (opts && opts->shield)
		flags |= WEFT__NODE_SHIELD;
	weft__node_init(&s->node, NULL, flags);
	s->owner = NULL;
	s->runtime = NULL;
	s->pins = 0;
	s->state = WEFT__SCOPE_PREPARED;
	s->caught = s->leaving = false;
	s->firing = 0;
	weft__spin_init(&s->timing);
	s->deadline = WEFT_NEVER;
	s->grace = opts ? opts->grace : 0;
	s->timer.home = NULL;
	s->stall.home = NULL;
	s->reason = (struct weft_reason){ 0 };
	s->name = opts ? opts->name : NULL;
	s->token = 0;
	s->close = NULL;
	if (!opts)
		return;
	struct weft__strand *self = weft__strand_self();
	s->deadline = weft__deadline_of(self ? self->runtime : NULL, opts->timeout, opts->deadline);
}

static void expire_now(struct weft__scope *s)
{
	struct weft_reason reason = { .kind = WEFT_REASON_DEADLINE, .code = WEFT_ETIMEDOUT };

	weft__scope_cancel(s, reason);
}

/* Keeps the time for the deadline; 1: it has passed. */
static int arm(struct weft__scope *s, int64_t deadline)
{
	s->timer.claim = claim_timer;
	s->timer.done = expire;
	if (deadline == WEFT_NEVER)
		return 0;
	return deadline <= now_of(s) ? 1 : weft__timer_arm(s->runtime, &s->timer, deadline);
}

int weft__scope_enter(struct weft__scope *s, struct weft__strand *strand)
{
	weft__node_link(&strand->node);
	s->runtime = strand->runtime;
	s->node.parent = strand->in.node;
	store_relaxed(&s->owner, strand);
	weft__node_link(&s->node);
	s->state = WEFT__SCOPE_ENTERED;
	int rc = s->reason.kind == WEFT_REASON_NONE ? arm(s, s->deadline) : 0;
	if (rc > 0) {
		expire_now(s);
	} else if (rc < 0) {
		s->state = WEFT__SCOPE_PREPARED;
		weft__node_unlink(&s->node);
		return rc;
	}
	store_relaxed(&strand->in.node, &s->node);
	if (load_acquire(&s->node.flags) != WEFT__NODE_SCOPE)
		strand->seen = 0;
	return 0;
}

/* No timer runs, and nobody holds a pin.  In this order: who held a pin may have armed a
 * timer, and one that fires takes a pin before it is seen to be gone. */
static bool is_alone(struct weft__scope *s)
{
	if (load_acquire(&s->pins) != 0)
		return false;
	weft__timer_disarm(&s->timer);
	weft__timer_disarm(&s->stall);
	return load_acquire(&s->pins) == 0;
}

void weft__scope_exit(struct weft__scope *s)
{
	struct weft__strand *strand = s->owner;

	if (s->grace != 0) {
		weft__spin_lock(&s->timing);
		s->leaving = true; /* I4 */
		weft__spin_unlock(&s->timing);
	}
	weft__timer_disarm(&s->timer);
	if (s->token)
		weft__token_end(s->token - 1);
	while (!is_alone(s)) /* I3 */
		sched_yield();
	s->state = WEFT__SCOPE_LEFT;
	weft__node_unlink(&s->node);
	childless(&s->node, s->name);
	store_relaxed(&strand->in.node, s->node.parent);
	strand->seen = 0;
}

int weft__scope_mine(const struct weft__scope *s, const struct weft__strand *strand)
{
	if (!s || s->state != WEFT__SCOPE_ENTERED)
		return WEFT_EINVAL;
	if (s->owner != strand)
		return WEFT_EPERM;
	return strand->in.node == &s->node ? 0 : WEFT_EINVAL;
}

int weft_scope_init_opt(struct weft_scope *scope, const struct weft_scope_opts *opts)
{
	if (!scope || (opts && (opts->size < sizeof *opts || opts->grace < 0)))
		return WEFT_EINVAL;
	weft__scope_init(weft__scope_of(scope), opts);
	return 0;
}

int weft_scope_begin(struct weft_scope *scope)
{
	struct weft__scope *s = weft__scope_of(scope);
	struct weft__strand *strand = weft__strand_self();

	if (!s || s->state != WEFT__SCOPE_PREPARED)
		return WEFT_EINVAL;
	if (!strand)
		return WEFT_ENOTASK;
	return weft__scope_enter(s, strand);
}

/* Is this the memory of a scope that the strand runs in? */
static bool is_entered(const struct weft__strand *strand, const struct weft__scope *s)
{
	for (const struct weft__node *n = strand->in.node; n; n = n->parent)
		if (n == &s->node)
			return true;
	return false;
}

int weft_scope_enter_opt(struct weft_scope *scope, const struct weft_scope_opts *opts)
{
	struct weft__strand *strand = weft__strand_self();

	if (!strand)
		return WEFT_ENOTASK;
	if (scope && is_entered(strand, weft__scope_of(scope)))
		return WEFT_EINVAL;
	int rc = weft_scope_init_opt(scope, opts);
	return rc ? rc : weft__scope_enter(weft__scope_of(scope), strand);
}

/* What is not a scope of somebody has no deadline. */
static int64_t deadline_at(struct weft__node *n)
{
	bool scope = (load_relaxed(&n->flags) & WEFT__NODE_SCOPE) && n->parent;
	return scope ? load_relaxed(&scope_at(n)->deadline) : WEFT_NEVER;
}

bool weft__scope_outer_cancel(struct weft__scope *s, unsigned flags)
{
	struct weft__node *n = &s->node;

	while (!(load_acquire(&n->flags) & WEFT__NODE_SHIELD) && (n = n->parent)) {
		int64_t deadline = deadline_at(n);
		if (deadline != WEFT_NEVER && deadline <= now_of(s))
			expire_now(scope_at(n));
		if (load_acquire(&n->flags) & flags)
			return true;
	}
	return false;
}

/* The flags of the cancels that may have ended what ran in the scope, given its own: one
 * that only asked, from outside, does not end what this one cut off. */
static unsigned stronger(unsigned own)
{
	if (own & WEFT__NODE_CANCELLED)
		return WEFT__NODE_CANCELLED;
	return WEFT__NODE_CANCELLED | WEFT__NODE_SOFT;
}

int weft__scope_outcome(struct weft__scope *s, int rc)
{
	unsigned own = load_acquire(&s->node.flags) & (WEFT__NODE_CANCELLED | WEFT__NODE_SOFT);

	if (rc != WEFT_ECANCELED || !own || weft__scope_outer_cancel(s, stronger(own)))
		return rc;
	s->caught = true;
	return s->reason.kind == WEFT_REASON_DEADLINE ? WEFT_ETIMEDOUT : 0;
}

int weft_scope_leave(struct weft_scope *scope, int rc)
{
	struct weft__scope *s = weft__scope_of(scope);
	struct weft__strand *strand = weft__strand_self();
	int mine = strand ? weft__scope_mine(s, strand) : WEFT_ENOTASK;

	if (mine != 0)
		return mine;
	rc = weft__scope_outcome(s, rc);
	weft__scope_exit(s);
	return rc;
}

/* --- asking and changing ----------------------------------------------- */

bool weft_scope_cancel_called(const struct weft_scope *scope)
{
	const struct weft__scope *s = (const struct weft__scope *)(const void *)scope;
	return load_acquire(&s->node.flags) & (WEFT__NODE_CANCELLED | WEFT__NODE_SOFT);
}

bool weft_scope_cancelled_caught(const struct weft_scope *scope)
{
	return ((const struct weft__scope *)(const void *)scope)->caught;
}

/* The reason that belongs to a node; that of a strand is a handle's cancel. */
static struct weft_reason reason_at(struct weft__node *n)
{
	unsigned flags = load_acquire(&n->flags);

	if (!n->parent)
		return (struct weft_reason){ .kind = WEFT_REASON_SHUTDOWN, .code = WEFT_ESHUTDOWN };
	if (flags & WEFT__NODE_DEADLOCK)
		return (struct weft_reason){ .kind = WEFT_REASON_DEADLOCK, .code = WEFT_EDEADLK };
	if (flags & WEFT__NODE_SCOPE)
		return scope_at(n)->reason;
	return (struct weft_reason){ .kind = WEFT_REASON_EXPLICIT, .code = WEFT_ECANCELED };
}

struct weft_reason weft_scope_reason(const struct weft_scope *scope)
{
	const struct weft__scope *s = (const struct weft__scope *)(const void *)scope;

	if (weft_scope_cancel_called(scope))
		return s->reason;
	struct weft__node *source =
		s->state == WEFT__SCOPE_ENTERED ? weft__cancel_source(&s->node) : NULL;
	if (!source)
		return (struct weft_reason){ 0 };
	struct weft_reason reason = reason_at(source);
	reason.kind = WEFT_REASON_PARENT;
	return reason;
}

struct weft_reason weft_cancel_reason(void)
{
	struct weft__strand *strand = weft__strand_self();
	struct weft__node *source = strand ? weft__cancel_source(strand->in.node) : NULL;

	return source ? reason_at(source) : (struct weft_reason){ 0 };
}

int64_t weft_scope_deadline(const struct weft_scope *scope)
{
	return load_relaxed(&((const struct weft__scope *)(const void *)scope)->deadline);
}

/* 1: it has passed, the old one or the new one. */
static int move_deadline(struct weft__scope *s, int64_t deadline)
{
	int rc = 0;

	weft__spin_lock(&s->timing);
	/* Once it has passed, or been cancelled, there is no way back (SC-8). */
	if (s->deadline <= now_of(s)) {
		rc = 1;
	} else if (!(load_acquire(&s->node.flags) & (WEFT__NODE_CANCELLED | WEFT__NODE_SOFT))) {
		weft__timer_disarm(&s->timer);
		if (!load_acquire(&s->firing)) { /* I4 */
			store_relaxed(&s->deadline, deadline);
			rc = arm(s, deadline);
		}
	}
	weft__spin_unlock(&s->timing);
	return rc;
}

int weft_scope_set_deadline(struct weft_scope *scope, int64_t deadline)
{
	struct weft__scope *s = weft__scope_of(scope);

	if (!s || (s->state != WEFT__SCOPE_ENTERED && s->state != WEFT__SCOPE_PREPARED))
		return WEFT_EINVAL;
	if (s->state == WEFT__SCOPE_PREPARED) {
		s->deadline = deadline;
		return 0;
	}
	int rc = deadline == WEFT_NEVER ? 0 : weft__clock_start(s->runtime);
	if (rc == 0)
		rc = move_deadline(s, deadline);
	if (rc > 0)
		expire_now(s);
	return rc < 0 ? rc : 0;
}

void weft_scope_set_shield(struct weft_scope *scope, bool shield)
{
	struct weft__scope *s = weft__scope_of(scope);
	struct weft__node *n = &s->node;

	weft__spin_lock(&n->lock);
	uint8_t flags = n->flags & (uint8_t)~WEFT__NODE_SHIELD;
	store_release(&n->flags, (uint8_t)(shield ? flags | WEFT__NODE_SHIELD : flags));
	weft__spin_unlock(&n->lock);
	add_seqcst(&weft__cancel_epoch, 1);
	if (shield || s->state != WEFT__SCOPE_ENTERED || !weft__cancel_visible(n))
		return;
	weft__walk_queue(s->runtime, n);
	weft__walk_all(s->runtime);
}

int64_t weft_effective_deadline(void)
{
	struct weft__strand *strand = weft__strand_self();
	int64_t earliest = WEFT_NEVER;

	for (struct weft__node *n = strand ? strand->in.node : NULL; n; n = n->parent) {
		unsigned flags = load_acquire(&n->flags);
		if (flags & WEFT__NODE_CANCELLED)
			return INT64_MIN;
		int64_t deadline = deadline_at(n);
		if (deadline < earliest)
			earliest = deadline;
		if (flags & WEFT__NODE_SHIELD)
			break;
	}
	return earliest;
}

int weft_scope_token(struct weft_scope *scope, struct weft_token *token)
{
	struct weft__scope *s = weft__scope_of(scope);

	if (!s || !token || s->state != WEFT__SCOPE_ENTERED)
		return WEFT_EINVAL;
	return weft__token_new(s, token);
}

int weft_shield(weft_fn *fn, void *arg, int64_t limit)
{
	struct weft_scope s;

	if (!fn)
		return WEFT_EINVAL;
	if (limit == 0)
		limit = weft__config_shield_limit();
	int rc = weft_scope_enter_opt(
		&s, &(const struct weft_scope_opts){ .size = sizeof(struct weft_scope_opts),
						     .timeout = limit,
						     .shield = true });
	return rc ? rc : weft_scope_leave(&s, fn(arg));
}
