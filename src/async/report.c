/* SPDX-License-Identifier: MIT */
/*
 * report.c - telling a person what tasks do
 *
 * A look at the tree (tree.c) while it lives: down one branch and up again, with the
 * lock of every node on the way to the current one held.  A node cannot leave its
 * parent's children while the parent is locked, so nothing on the way ends, and names
 * are good.  What is seen is copied, and printed when all locks are free.
 *
 * The tree holds tasks from their first wait on; those that run and have never waited
 * and those that have not started are counted, by their records, and have no line.
 *
 * A strand that runs goes its way meanwhile, into scopes and out of them: its in.node is
 * compared with the addresses of nodes that were seen, and never followed.
 *
 *   O1  where a strand is parked -> here    as for its waker: see O2 of wait.c.
 *
 * Rejected: a line for each record (names belong to the user, and only a lock that
 * the end of a task has to take would keep them from being freed under our hands: a
 * cost for each task to make a rare report better).
 */
#include "async/report.h"

#include <inttypes.h>
#include <string.h>

#include <weft/error.h>
#include <weft/runtime.h>

#include "async/async.h"
#include "async/group.h"
#include "async/lock.h"
#include "async/probe.h"
#include "async/scope.h"
#include "async/still.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "runtime/fiber.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum { LINES = 4096, NAME = 48, INDENT_MAX = 40, HOLDERS = 16, STILL = 64 };

/* What a look is for, beside the tree. */
enum purpose {
	A_DUMP,
	A_DEADLOCK, /* who holds what others wait for */
	A_STALL,    /* where those wait that should not */
};

enum kind { RUNTIME, ROOT, TASK, PIECE, SCOPE, GROUP };

/* One node as it was. */
struct line {
	unsigned depth;
	enum kind kind;
	unsigned flags; /* enum weft__node_flags */
	enum weft_reason_kind reason;
	int64_t deadline;
	size_t children;		    /* of a group, that have not ended */
	const struct weft__node *node, *at; /* its own; of a strand: the one it is in */
	const struct weft__strand *strand;
	const char *what; /* it waits for this; NULL: it runs */
	const void *on;
	const struct weft__strand *holder; /* of that; NULL: not known */
	unsigned still;			   /* 1 + which of those that are kept; 0: it is not */
	char name[NAME];		   /* "": none */
};

/* A strand that is kept where it is (still.h), until its frames are known. */
struct still {
	struct weft__strand *strand;
	void *frames[WEFT__PROBE_FRAMES];
	int count;
};

struct weft__snapshot {
	enum purpose purpose;
	size_t count;
	bool cut; /* there was more */
	unsigned still_count;
	struct still still[STILL];
	struct line lines[LINES + 1];
};

static const char *const reasons[] = {
	[WEFT_REASON_NONE] = "",
	[WEFT_REASON_EXPLICIT] = "explicitly",
	[WEFT_REASON_DEADLINE] = "deadline",
	[WEFT_REASON_SIBLING] = "a sibling failed",
	[WEFT_REASON_PARENT] = "from above",
	[WEFT_REASON_RACE] = "race lost",
	[WEFT_REASON_SHUTDOWN] = "shutdown",
	[WEFT_REASON_DEADLOCK] = "deadlock",
};

/* --- who holds what ------------------------------------------------------------ */

/* Compared with the addresses of strands, and never followed. */
static const struct weft__strand *owner_of_lock(const void *on)
{
	return load_relaxed(&((const struct weft__lock *)on)->owner);
}

static struct {
	struct weft__spin lock;
	struct {
		const char *what;
		weft__holder_fn *fn;
	} of[HOLDERS];
} holders = { .of = { { "lock", owner_of_lock } } };

void weft__report_holder(const char *what, weft__holder_fn *fn)
{
	weft__spin_lock(&holders.lock);
	for (size_t i = 0; i < HOLDERS; i++) {
		if (holders.of[i].what && strcmp(holders.of[i].what, what) != 0)
			continue;
		holders.of[i].what = what;
		holders.of[i].fn = fn;
		break;
	}
	weft__spin_unlock(&holders.lock);
}

static weft__holder_fn *holder_of(const char *what)
{
	weft__holder_fn *fn = NULL;

	weft__spin_lock(&holders.lock);
	for (size_t i = 0; i < HOLDERS && holders.of[i].what && !fn; i++)
		if (strcmp(holders.of[i].what, what) == 0)
			fn = holders.of[i].fn;
	weft__spin_unlock(&holders.lock);
	return fn;
}

/* --- looking ----------------------------------------------------------------- */

static void take_name(struct line *l, const char *name)
{
	strncpy(l->name, name ? name : "", NAME - 1);
	l->name[NAME - 1] = '\0';
}

static struct weft__strand *strand_of(struct weft__node *n)
{
	return WEFT__CONTAINER(n, struct weft__strand, node);
}

static bool is_joining(const struct line *l)
{
	return strcmp(l->what, "its children") == 0 || strcmp(l->what, "a child") == 0;
}

/* It cannot go on meanwhile, so what it waits for is still there. */
static void take_holder(struct line *l, struct weft__strand *s, uint64_t word)
{
	weft__holder_fn *fn = l->what ? holder_of(l->what) : NULL;

	if (!fn || !weft__still_begin(s, word))
		return;
	l->holder = fn(l->on);
	weft__still_end(s);
}

/* One that a cancel would have woken does not ignore it. */
static void keep_still(struct weft__snapshot *snap, struct line *l, struct weft__strand *s,
		       uint64_t word)
{
	if ((word & WEFT__ABORTABLE) || !l->what || is_joining(l) || snap->still_count == STILL ||
	    !weft__still_begin(s, word))
		return;
	if (!(weft__cancel_visible(s->in.node) & WEFT__NODE_CANCELLED)) {
		weft__still_end(s);
		return;
	}
	snap->still[snap->still_count].strand = s;
	l->still = ++snap->still_count;
}

static void take_wait(struct weft__snapshot *snap, struct line *l, struct weft__strand *s)
{
	uint64_t word = load_acquire(&s->word); /* O1 */

	if ((word & WEFT__STATE) != WEFT__PARKED)
		return;
	struct weft__fiber *fiber = load_relaxed(&s->fiber);
	l->what = load_relaxed(&fiber->wait_what);
	l->on = load_relaxed(&fiber->wait_on);
	if (snap->purpose == A_DEADLOCK)
		take_holder(l, s, word);
	else if (snap->purpose == A_STALL)
		keep_still(snap, l, s, word);
}

static void take_strand(struct weft__snapshot *snap, struct line *l, struct weft__strand *s)
{
	struct weft__task *t = s->in.task;

	l->kind = !t ? ROOT : &t->strand == s ? TASK : PIECE;
	l->strand = s;
	l->at = load_relaxed(&s->in.node);
	take_name(l, weft__task_name(t));
	take_wait(snap, l, s);
}

static void take_scope(struct line *l, struct weft__node *n)
{
	struct weft__scope *s = WEFT__CONTAINER(n, struct weft__scope, node);

	l->kind = l->flags & WEFT__NODE_GROUP ? GROUP : SCOPE;
	l->reason = s->reason.kind;
	l->deadline = load_relaxed(&s->deadline);
	take_name(l, s->name);
	if (l->kind == GROUP)
		l->children = weft_group_size((struct weft_group *)(void *)s);
}

/* With the lock of the node held. */
static void take(struct weft__snapshot *snap, struct weft__node *n, unsigned depth)
{
	struct line *l = &snap->lines[snap->count++];

	*l = (struct line){ .depth = depth, .node = n, .flags = n->flags, .deadline = WEFT_NEVER };
	if (!n->parent)
		l->kind = RUNTIME;
	else if (l->flags & WEFT__NODE_SCOPE)
		take_scope(l, n);
	else
		take_strand(snap, l, strand_of(n));
}

/* The next child to look at from `at` on, or NULL. */
static struct weft__node *child_at(struct weft__node *n, struct weft__list *at)
{
	for (; at != &n->children; at = at->next) {
		struct weft__node *c = WEFT__CONTAINER(at, struct weft__node, link);
		if (!(load_relaxed(&c->flags) & WEFT__NODE_CURSOR))
			return c;
	}
	return NULL;
}

static void look(struct weft__snapshot *snap, struct weft__node *top, enum purpose purpose)
{
	struct weft__node *n = top;
	unsigned depth = 0;

	snap->purpose = purpose;
	snap->count = snap->still_count = 0;
	snap->cut = false;
	weft__spin_lock(&n->lock);
	take(snap, n, depth);
	struct weft__list *at = n->children.next;
	for (;;) {
		struct weft__node *c = snap->cut ? NULL : child_at(n, at);
		if (c && snap->count == LINES) {
			snap->cut = true;
		} else if (c) {
			weft__spin_lock(&c->lock);
			take(snap, c, ++depth);
			n = c;
			at = n->children.next;
		} else if (n == top) {
			break;
		} else {
			struct weft__node *done = n;
			at = n->link.next;
			n = n->parent;
			depth--;
			weft__spin_unlock(&done->lock);
		}
	}
	weft__spin_unlock(&top->lock);
}

/* The strand that entered the top is not below it: behind the line of that. */
static void take_owner(struct weft__snapshot *snap, struct weft__node *top)
{
	if (!(top->flags & WEFT__NODE_SCOPE) || !top->parent)
		return;
	struct line *l = &snap->lines[snap->count++];
	*l = (struct line){ .depth = 1, .deadline = WEFT_NEVER };
	take_strand(snap, l, weft__scope_owner(top));
}

void weft__snapshot_look(struct weft__snapshot *snap, struct weft__node *top)
{
	look(snap, top, A_STALL);
	take_owner(snap, top);
}

struct weft__snapshot *weft__snapshot_new(void)
{
	return weft__alloc(sizeof(struct weft__snapshot));
}

void weft__snapshot_free(struct weft__snapshot *snap)
{
	if (snap)
		weft__free(snap, sizeof *snap);
}

static const struct line *line_of(const struct weft__snapshot *snap, const struct weft__strand *s)
{
	for (size_t i = 0; s && i < snap->count; i++)
		if (snap->lines[i].strand == s)
			return &snap->lines[i];
	return NULL;
}

/* The task that this one waits for. */
static const struct line *waits_for(const struct weft__snapshot *snap, const struct line *l)
{
	if (l && l->holder)
		return line_of(snap, l->holder);
	if (l && l->what && strcmp(l->what, "a task") == 0)
		return line_of(snap, &((const struct weft__task *)l->on)->strand);
	return NULL;
}

/* --- printing ---------------------------------------------------------------- */

static const char *shown(const struct line *l)
{
	return l->name[0] ? l->name : l->kind == ROOT ? "root" : "(unnamed)";
}

static void print_cancel(FILE *out, const struct line *l)
{
	if (l->flags & WEFT__NODE_CANCELLED)
		fprintf(out, ", cancelled%s%s", l->reason ? ": " : "", reasons[l->reason]);
	else if (l->flags & WEFT__NODE_SOFT)
		fprintf(out, ", asked to end: %s", reasons[l->reason]);
	if (l->flags & WEFT__NODE_SHIELD)
		fprintf(out, ", shield");
}

static void print_scope(FILE *out, const struct line *l, int64_t now)
{
	fprintf(out, "%s %s", l->kind == GROUP ? "group" : "scope", shown(l));
	if (l->kind == GROUP)
		fprintf(out, ", %zu to join", l->children);
	if (l->deadline != WEFT_NEVER)
		fprintf(out, ", deadline in %.3f s", (double)(l->deadline - now) / 1e9);
}

static void print_strand(FILE *out, const struct line *l)
{
	fprintf(out, "%s %s: ", l->kind == PIECE ? "piece of" : "task", shown(l));
	if (!l->what)
		fprintf(out, "runs");
	else
		fprintf(out, "waits for %s", l->what);
	if (l->what && l->on)
		fprintf(out, " %p", l->on);
}

static void print_line(FILE *out, const struct line *l, int64_t now)
{
	unsigned indent = l->depth * 2;

	fprintf(out, "%*s", (int)(indent < INDENT_MAX ? indent : INDENT_MAX), "");
	if (l->kind == RUNTIME)
		fprintf(out, "runtime");
	else if (l->kind == SCOPE || l->kind == GROUP)
		print_scope(out, l, now);
	else
		print_strand(out, l);
	print_cancel(out, l);
}

/* Tasks that have no line: they have not started, or never waited. */
struct unseen {
	size_t pending, running;
};

static struct unseen count_unseen(struct weft_runtime *rt, const struct weft__snapshot *snap)
{
	struct unseen n = { 0 };
	size_t seen = 0;

	for (uint32_t slot = 0;; slot++) {
		struct weft__task *t = weft__record_at(rt, slot);
		if (!t)
			break;
		uint8_t state = load_relaxed(&t->state);
		n.pending += state == WEFT_TASK_PENDING;
		n.running += state == WEFT_TASK_RUNNING;
	}
	for (size_t i = 0; i < snap->count; i++)
		seen += snap->lines[i].kind == TASK;
	n.running = n.running > seen ? n.running - seen : 0;
	return n;
}

static void print_rest(FILE *out, const struct weft__snapshot *snap, struct unseen n)
{
	if (snap->cut)
		fprintf(out, "... and more than %d lines\n", LINES);
	else if (n.running)
		fprintf(out, "and %zu tasks that run and have never waited\n", n.running);
	if (n.pending)
		fprintf(out, "and %zu tasks that have not started\n", n.pending);
}

static void print_tree(FILE *out, const struct weft__snapshot *snap, int64_t now, bool still)
{
	for (size_t i = 0; i < snap->count; i++) {
		const struct line *l = &snap->lines[i];
		const struct line *holder = still ? waits_for(snap, l) : NULL;
		print_line(out, l, now);
		if (holder)
			fprintf(out, ", held by %s", shown(holder));
		fputc('\n', out);
	}
}

/* A task that is waited for, over others, by itself: the steps round. */
static size_t circle(const struct weft__snapshot *snap, const struct line *l)
{
	const struct line *at = l;

	for (size_t steps = 1; steps <= snap->count; steps++) {
		at = waits_for(snap, at);
		if (!at)
			return 0;
		if (at == l)
			return steps;
	}
	return 0;
}

/* The first circle that there is. */
static void print_circle(FILE *out, const struct weft__snapshot *snap)
{
	for (size_t i = 0; i < snap->count; i++) {
		const struct line *at = &snap->lines[i];
		size_t steps = at->what ? circle(snap, at) : 0;
		if (!steps)
			continue;
		fprintf(out, "weft: %s", shown(at));
		for (; steps > 0; steps--) {
			at = waits_for(snap, at);
			fprintf(out, " waits for %s", shown(at));
		}
		fprintf(out, "\n");
		return;
	}
}

/* --- the reports ------------------------------------------------------------ */

void weft__report_deadlock(struct weft_runtime *rt)
{
	struct weft__snapshot *snap = weft__snapshot_new();

	fprintf(stderr, "weft: deadlock: every task waits, and nothing is pending\n");
	if (!snap)
		return;
	look(snap, &rt->root, A_DEADLOCK);
	print_tree(stderr, snap, weft__clock_now(rt), true);
	print_rest(stderr, snap, count_unseen(rt, snap));
	print_circle(stderr, snap);
	weft__snapshot_free(snap);
}

void weft__report_stuck(struct weft_runtime *rt)
{
	struct weft__snapshot *snap = weft__snapshot_new();

	fprintf(stderr, "weft: shutdown: the time is over, and these have not ended\n");
	if (!snap)
		return;
	look(snap, &rt->root, A_DUMP);
	print_tree(stderr, snap, weft__clock_now(rt), false);
	print_rest(stderr, snap, count_unseen(rt, snap));
	if (weft_thread_pool_running(&rt->async->pool))
		weft_thread_pool_dump(&rt->async->pool, stderr);
	weft__snapshot_free(snap);
}

static void dump(struct weft_runtime *rt, struct weft__snapshot *snap, struct unseen *n,
		 int64_t *now)
{
	look(snap, &rt->root, A_DUMP);
	*n = count_unseen(rt, snap);
	*now = weft__clock_now(rt);
}

int weft_dump(FILE *out)
{
	struct weft__worker *w = weft__worker_self();
	struct unseen n = { 0 };
	int64_t now = 0;

	if (!out)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	struct weft__snapshot *snap = weft__snapshot_new();
	if (!snap)
		return WEFT_ENOMEM;
	struct weft_runtime *rt = w ? w->runtime : weft__default_hold();
	if (rt)
		dump(rt, snap, &n, &now);
	if (!w)
		weft__default_release();
	if (rt) {
		print_tree(out, snap, now, false);
		print_rest(out, snap, n);
	}
	weft__snapshot_free(snap);
	return rt ? 0 : WEFT_ESHUTDOWN;
}

/* --- for those who wait although they should not --------------------------------- */

static const char *name_or_null(const struct line *l)
{
	return l && l->name[0] ? l->name : NULL;
}

static const struct line *above(const struct weft__snapshot *snap, const struct line *l)
{
	for (const struct line *up = l; up-- > snap->lines;)
		if (up->depth < l->depth)
			return up;
	return NULL;
}

/* The line of the node that a strand is in. */
static const struct line *place_of(const struct weft__snapshot *snap, const struct line *l)
{
	for (size_t i = 0; i < snap->count; i++)
		if (snap->lines[i].node == l->at)
			return &snap->lines[i];
	return above(snap, l); /* it has just been left, or was entered after the look */
}

static int reason_of(const struct line *l)
{
	if (l->kind == RUNTIME)
		return WEFT_REASON_SHUTDOWN;
	if (l->flags & WEFT__NODE_DEADLOCK)
		return WEFT_REASON_DEADLOCK;
	return l->reason ? (int)l->reason : WEFT_REASON_EXPLICIT;
}

/* Does the strand see a cancel?  The reason of the outermost one, as far as the top. */
static bool sees_cancel(const struct weft__snapshot *snap, const struct line *l, int *reason)
{
	bool sees = false;

	for (const struct line *up = place_of(snap, l); up; up = above(snap, up)) {
		if (up->flags & WEFT__NODE_CANCELLED) {
			sees = true;
			*reason = reason_of(up);
		}
		if (up->flags & WEFT__NODE_SHIELD)
			break;
	}
	return sees;
}

static const char *group_of(const struct weft__snapshot *snap, const struct line *l)
{
	const struct line *up = above(snap, l);

	while (up && up->kind != GROUP)
		up = above(snap, up);
	return name_or_null(up);
}

/* They go on, before anybody is told of them. */
static void let_go(struct weft__snapshot *snap)
{
	for (unsigned i = 0; i < snap->still_count; i++) {
		struct still *still = &snap->still[i];
		still->count = weft__still_frames(still->strand, still->frames, WEFT__PROBE_FRAMES);
		weft__still_end(still->strand);
	}
}

void weft__snapshot_waits(struct weft__snapshot *snap,
			  void (*fn)(const struct weft__waits *waits, void *arg), void *arg)
{
	let_go(snap);
	for (size_t i = 0; i < snap->count; i++) {
		const struct line *l = &snap->lines[i];
		struct weft__waits waits = { .strand = l->strand, .what = l->what };
		if (!l->what || is_joining(l) || !sees_cancel(snap, l, &waits.reason))
			continue;
		waits.task = name_or_null(l);
		waits.group = group_of(snap, l);
		if (l->still) {
			waits.frames = snap->still[l->still - 1].frames;
			waits.frame_count = snap->still[l->still - 1].count;
		}
		fn(&waits, arg);
	}
}
