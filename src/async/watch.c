/* SPDX-License-Identifier: MIT */
/*
 * watch.c - noticing tasks that ignore their cancel, and tasks that hold their worker
 *
 * A task that waits is found in the tree, one that runs by asking the workers; one
 * that is ready and has not had its turn ignores nothing.  Who waits behind a shield,
 * which has a limit of its own, or for its own children, is not named: they are.
 *
 * A worker holds on to a job if it has neither taken another nor switched fibers for
 * block_warn, while its oldest ready fiber stayed where it was, which also says that no
 * other worker was free to take that.  A spare worker runs in its place, if there are
 * any, until it is seen to have gone on.  The worker of a task that said it would block
 * (weft_blocking_begin) is not named, and has its spare from the start.
 *
 *   O1  pressed against the event thread's last look, store-load: it takes `pressed`
 *       back by a full barrier, then looks at the queues once more; who makes work
 *       ready publishes it, and reads `pressed` behind the barrier of idle_notify.
 */
#include "async/watch.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <weft/error.h>

#include "async/async.h"
#include "async/config.h"
#include "async/probe.h"
#include "async/report.h"
#include "async/scope.h"
#include "deque/alloc.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"
#include "runtime/worker.h"

static const char *const reasons[] = {
	[WEFT_REASON_NONE] = "not known",    [WEFT_REASON_EXPLICIT] = "explicitly",
	[WEFT_REASON_DEADLINE] = "deadline", [WEFT_REASON_SIBLING] = "a sibling failed",
	[WEFT_REASON_PARENT] = "from above", [WEFT_REASON_RACE] = "race lost",
	[WEFT_REASON_SHUTDOWN] = "shutdown", [WEFT_REASON_DEADLOCK] = "deadlock",
};

static bool claim_shutdown(struct weft__timer *t)
{
	(void)t;
	return true;
}

static void shutdown_stalls(struct weft__timer *t);

int weft__watchman_init(struct weft_runtime *rt, struct weft__watchman *w)
{
	*w = (struct weft__watchman){ .rt = rt, .look_at = WEFT_NEVER };
	w->shutdown.claim = claim_shutdown;
	w->shutdown.done = shutdown_stalls;
	w->gazes = weft__alloc(rt->worker_slots * sizeof *w->gazes);
	if (!w->gazes)
		return WEFT_ENOMEM;
	memset(w->gazes, 0, rt->worker_slots * sizeof *w->gazes);
	return 0;
}

void weft__watchman_fini(struct weft_runtime *rt, struct weft__watchman *w)
{
	weft__free(w->gazes, rt->worker_slots * sizeof *w->gazes);
}

/* --- tasks that ignore their cancel: the report ----------------------------------- */

static void print_stall(const struct weft_stall *stall, int64_t after)
{
	fprintf(stderr, "weft: task %s%s%s was cancelled (%s) %.3f s ago and ",
		stall->task ? stall->task : "(unnamed)", stall->group ? " of group " : "",
		stall->group ? stall->group : "", reasons[stall->reason], (double)after / 1e9);
	if (stall->wait)
		fprintf(stderr, "waits for %s\n", stall->wait);
	else
		fprintf(stderr, "runs\n");
	weft__probe_print_frames(stderr, stall->frames, stall->frame_count);
}

static void tell(struct weft_runtime *rt, const struct weft_stall *stall)
{
	void (*on_stall)(const struct weft_stall *) = load_relaxed(&rt->config.on_stall);

	if (on_stall)
		on_stall(stall);
	else
		print_stall(stall, weft__config_stall_warn(rt));
}

/* The look that a timer has come for. */
struct look {
	struct weft_runtime *rt;
	int64_t since; /* of the cancel */
};

static struct look look_for(struct weft_runtime *rt, const struct weft__timer *t)
{
	return (struct look){ rt, t->node.key - weft__config_stall_warn(rt) };
}

/* True for the first time since the cancel, as far as the last ones go.  What was named
 * before that was told of another cancel, or was another strand at the same address. */
static bool is_news(const struct look *look, const void *strand)
{
	struct weft__watchman *w = &look->rt->async->watchman;
	int64_t now = weft__clock_now(look->rt);
	bool news = true;

	weft__spin_lock(&w->lock);
	for (unsigned i = 0; i < WEFT__RECENT; i++)
		news = news && (w->recent[i].strand != strand || w->recent[i].at <= look->since);
	if (news)
		w->recent[w->next_recent++ % WEFT__RECENT] = (struct weft__named){ strand, now };
	weft__spin_unlock(&w->lock);
	return news;
}

static void tell_waits(const struct weft__waits *waits, void *arg)
{
	const struct look *look = arg;
	struct weft_stall stall = { .task = waits->task,
				    .group = waits->group,
				    .reason = waits->reason,
				    .wait = waits->what,
				    .frames = waits->frames,
				    .frame_count = waits->frame_count };

	if (is_news(look, waits->strand))
		tell(look->rt, &stall);
}

static bool is_asleep(struct weft_runtime *rt, unsigned index)
{
	return load_relaxed(&rt->idle.asleep[index / 64]) >> (index % 64) & 1;
}

static void tell_running(const struct look *look, unsigned index, const struct weft__node *top)
{
	struct weft_runtime *rt = look->rt;
	struct weft__probe p;

	if (is_asleep(rt, index) || rt->workers[index] == weft__worker_self() ||
	    !weft__probe(rt->workers[index], top, &p))
		return;
	if (!p.strand || !p.inside || !p.cancelled || !is_news(look, p.strand))
		return;
	struct weft_stall stall = { .task = p.task[0] ? p.task : NULL,
				    .group = p.group[0] ? p.group : NULL,
				    .reason = p.reason,
				    .frames = p.frames,
				    .frame_count = p.frame_count };
	tell(rt, &stall);
}

/* `top` is compared and never followed: it may be gone, as opposed to what was seen. */
static void tell_all(struct look look, struct weft__snapshot *snap, const struct weft__node *top)
{
	if (snap)
		weft__snapshot_waits(snap, tell_waits, &look);
	weft__snapshot_free(snap);
	for (unsigned i = 0; i < look.rt->worker_count; i++)
		tell_running(&look, i, top);
}

/* --- when to make it ----------------------------------------------------------- */

static bool arm(struct weft_runtime *rt, struct weft__timer *t)
{
	int64_t warn = weft__config_stall_warn(rt);

	return warn != WEFT_NEVER &&
	       weft__timer_arm(rt, t, weft__later(weft__clock_now(rt), warn)) == 0;
}

static bool claim_scope(struct weft__timer *t)
{
	weft__scope_pin(WEFT__CONTAINER(t, struct weft__scope, stall));
	return true;
}

static void scope_stalls(struct weft__timer *t)
{
	struct weft__scope *s = WEFT__CONTAINER(t, struct weft__scope, stall);
	struct look look = look_for(s->runtime, t);
	struct weft__node *n = &s->node;
	struct weft__snapshot *snap = weft__snapshot_new();

	if (snap)
		weft__snapshot_look(snap, n);
	weft__scope_unpin(s);
	tell_all(look, snap, n);
}

void weft__watch_scope(struct weft__scope *s)
{
	s->stall.claim = claim_scope;
	s->stall.done = scope_stalls;
	arm(s->runtime, &s->stall);
}

static void shutdown_stalls(struct weft__timer *t)
{
	struct weft__watchman *w = WEFT__CONTAINER(t, struct weft__watchman, shutdown);

	struct weft__node *root = &w->rt->root;
	struct weft__snapshot *snap = weft__snapshot_new();

	if (snap)
		weft__snapshot_look(snap, root);
	tell_all(look_for(w->rt, t), snap, root);
}

void weft__watch_shutdown(struct weft_runtime *rt)
{
	arm(rt, &rt->async->watchman.shutdown);
}

static bool claim_task(struct weft__timer *t)
{
	(void)t;
	return true;
}

/* Finds the task again by its handle, and keeps it from ending for the look. */
static void task_stalls(struct weft__timer *t)
{
	struct weft__watched *w = WEFT__CONTAINER(t, struct weft__watched, timer);
	struct weft__snapshot *snap = weft__snapshot_new();
	struct weft__node *n = snap ? weft__task_lock(w->rt, w->task) : NULL;

	if (n) {
		weft__snapshot_look(snap, n);
		weft__task_unlock(w->rt, w->task);
		tell_all(look_for(w->rt, t), snap, n);
	} else {
		weft__snapshot_free(snap);
	}
	store_release(&w->used, 0);
}

void weft__watch_task(struct weft_runtime *rt, struct weft_task task)
{
	struct weft__watchman *m = &rt->async->watchman;

	for (unsigned i = 0; i < WEFT__WATCHED_TASKS; i++) {
		struct weft__watched *w = &m->tasks[i];
		if (load_relaxed(&w->used) || !cas_seqcst(&w->used, 0, 1))
			continue;
		w->rt = rt;
		w->task = task;
		w->timer.claim = claim_task;
		w->timer.done = task_stalls;
		if (!arm(rt, &w->timer))
			store_release(&w->used, 0);
		return;
	}
}

/* --- tasks that hold their worker -------------------------------------------------- */

void weft__watch_pressed(struct weft_runtime *rt)
{
	struct weft__async *a = rt->async;
	bool never = a->clock.is_virtual || weft__config_block_warn(rt) == WEFT_NEVER;

	if (never) {
		store_relaxed(&rt->pressed, WEFT__PRESSED_NEVER);
		return;
	}
	if (!load_acquire(&a->events.running)) {
		store_relaxed(&rt->pressed, WEFT__PRESSED_ALONE);
		return;
	}
	if (exchange_seqcst(&rt->pressed, WEFT__PRESSED) != WEFT__PRESSED)
		weft__events_kick(rt);
}

void weft__watch_begin(struct weft_runtime *rt)
{
	if (weft__events_start(rt) != 0)
		return;
	if (exchange_seqcst(&rt->pressed, WEFT__PRESSED) != WEFT__PRESSED)
		weft__events_kick(rt);
}

static void give_spare(struct weft_runtime *rt, struct weft__gaze *g)
{
	if (!g->has_spare)
		weft__idle_call_spare(rt);
	g->has_spare = true;
}

static void take_spare(struct weft_runtime *rt, struct weft__gaze *g)
{
	if (g->has_spare)
		weft__idle_dismiss_spare(rt);
	g->has_spare = false;
}

static void print_block(const struct weft__probe *p, unsigned index, int64_t held)
{
	fprintf(stderr,
		"weft: task %s holds worker %u for %.3f s while others wait; "
		"weft_yield() or weft_to_thread() would let them run\n",
		p->task[0] ? p->task : "(unnamed)", index, (double)held / 1e9);
	weft__probe_print_frames(stderr, p->frames, p->frame_count);
}

/* Asks before a spare worker may let it go on, and prints when that is on its way. */
static void tell_block(struct weft_runtime *rt, struct weft__gaze *g, unsigned index, int64_t held)
{
	struct weft__probe p = { 0 };
	bool answered = weft__probe(rt->workers[index], NULL, &p);

	give_spare(rt, g);
	if (!answered || p.strand)
		print_block(&p, index, held);
}

/* CPU time of the worker's thread. */
static int64_t cpu_of(const struct weft__worker *w)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(w->thread, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The thread would run if it got a CPU. */
static bool is_runnable(const struct weft__worker *w)
{
	char path[64], text[256];
	char state = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)load_relaxed(&w->tid));
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	const char *end = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
	if (end && end[1] == ' ')
		state = end[2];
	fclose(f);
	return state == 'R';
}

/* It has not computed for long and does not wait in the kernel either: other programs
 * have the CPUs, and the task is not to blame. */
static bool is_starved(const struct weft__gaze *g, const struct weft__worker *w, int64_t warn)
{
	return cpu_of(w) - g->cpu < warn && is_runnable(w);
}

/* How long the worker has been at the same job; 0 when at another than before. */
static int64_t held_by(struct weft__gaze *g, const struct weft__worker *w, int64_t now)
{
	uint64_t turns = weft__worker_turns(w);

	if (turns == g->turns && g->since != 0)
		return now - g->since;
	g->turns = turns;
	g->since = now;
	g->cpu = cpu_of(w);
	g->reported = false;
	return 0;
}

enum { NONE = -1 }; /* in place of the number of a ready job */

/* A number for the oldest ready job of the worker, which another one does not have:
 * those in the slot are counted downwards. */
static int64_t oldest(const struct weft__worker *w)
{
	if (load_relaxed(&w->next))
		return NONE - 1 - (int64_t)load_relaxed(&w->nexts);
	return weft__fifo_is_empty(&w->ready) ? NONE : load_relaxed(&w->ready.top);
}

/* It is the one that was so before. */
static bool is_left_waiting(struct weft__gaze *g, const struct weft__worker *w)
{
	int64_t now = oldest(w);
	bool same = now == g->oldest && now != NONE;

	g->oldest = now;
	return same;
}

/* Looks at one worker; true when work waits there. */
static bool gaze(struct weft_runtime *rt, unsigned i, int64_t now, bool injected)
{
	struct weft__worker *w = rt->workers[i];
	struct weft__gaze *g = &rt->async->watchman.gazes[i];
	int64_t held = held_by(g, w, now);
	bool waiting = is_left_waiting(g, w);

	if (held == 0)
		take_spare(rt, g);
	if (held >= weft__config_block_warn(rt) && (waiting || injected) && !g->reported &&
	    !is_asleep(rt, i) && !weft__blocking_is_declared(w) &&
	    !is_starved(g, w, weft__config_block_warn(rt))) {
		tell_block(rt, g, i, held);
		store_release(&g->reported, (uint8_t)1);
	}
	return oldest(w) != NONE || g->has_spare;
}

/* No worker is free: all are at a job. */
static bool all_busy(const struct weft_runtime *rt)
{
	return !weft__idle_has_free(rt) && load_relaxed(&rt->idle.searching) == 0;
}

static bool gaze_all(struct weft_runtime *rt, int64_t now)
{
	bool injected = !weft__inject_is_empty(&rt->inject) && all_busy(rt);
	bool some = injected;

	for (unsigned i = 0; i < rt->worker_count; i++)
		some = gaze(rt, i, now, injected) || some;
	return some;
}

/* Nothing waits: no more looking, unless something came in the same moment (O1). */
static bool retire(struct weft_runtime *rt)
{
	if (exchange_seqcst(&rt->pressed, WEFT__PRESSED_NO) == WEFT__PRESSED_NEVER)
		return true;
	if (!weft__work_anywhere(rt) || !all_busy(rt))
		return true;
	return exchange_seqcst(&rt->pressed, WEFT__PRESSED) == WEFT__PRESSED;
}

int64_t weft__watch_turn(struct weft_runtime *rt)
{
	struct weft__watchman *w = &rt->async->watchman;

	if (load_acquire(&rt->pressed) != WEFT__PRESSED)
		return WEFT_NEVER;
	int64_t now = weft__monotonic();
	if (w->look_at != WEFT_NEVER && now < w->look_at)
		return w->look_at;
	bool first = w->look_at == WEFT_NEVER;
	if (!gaze_all(rt, now) && !first && retire(rt)) {
		w->look_at = WEFT_NEVER;
		return WEFT_NEVER;
	}
	w->look_at = weft__later(now, weft__config_block_warn(rt));
	return w->look_at;
}
