/* SPDX-License-Identifier: MIT */
/*
 * async.c - the life of this floor in a runtime, and its hooks for the one below
 */
#include "async/async.h"

#include <time.h>

#include <weft/error.h>

#include "async/config.h"
#include "async/guard.h"
#include "async/interop.h"
#include "async/offload.h"
#include "async/report.h"
#include "async/scope.h"
#include "deque/alloc.h"
#include "runtime/runtime.h"

static int start(struct weft_runtime *rt)
{
	struct weft__async *a = weft__alloc_aligned(WEFT_CACHELINE, sizeof *a);
	unsigned workers = rt->worker_slots;

	if (!a)
		return WEFT_ENOMEM;
	if (weft__clock_init(&a->clock, workers, rt->config.clock == WEFT_CLOCK_VIRTUAL) != 0)
		goto no_clock;
	if (weft__records_init(&a->records, workers) != 0)
		goto no_records;
	if (weft__watchman_init(rt, &a->watchman) != 0)
		goto no_watchman;
	weft__guard_prepare();
	weft__events_init(&a->events);
	weft__poller_init(&a->poller);
	weft__walker_init(&a->walker);
	weft__quiet_init(&a->quiet);
	weft__pool_init(&a->pool, weft__config_thread_workers(rt), 0, NULL);
	a->processes = (struct weft__processes){ 0 };
	a->retries = 0;
	rt->async = a;
	rt->watch_quiet =
		a->clock.is_virtual || weft__config_on_deadlock(rt) > WEFT_DEADLOCK_IGNORE;
	return 0;

no_watchman:
	weft__records_fini(&a->records, workers);
no_records:
	weft__clock_fini(&a->clock, workers);
no_clock:
	weft__free(a, sizeof *a);
	return WEFT_ENOMEM;
}

static bool mark_root(struct weft_runtime *rt, enum weft__node_flags flag)
{
	if (!weft__node_mark(&rt->root, (uint8_t)flag))
		return false;
	weft__walk_queue(rt, &rt->root);
	weft__walk_all(rt);
	return true;
}

static void cancel_now(struct weft_runtime *rt)
{
	if (mark_root(rt, WEFT__NODE_CANCELLED))
		weft__watch_shutdown(rt);
}

static bool claim_grace(struct weft__timer *t)
{
	(void)t;
	return true;
}

static void grace_over(struct weft__timer *t)
{
	cancel_now(WEFT__CONTAINER(t, struct weft__async, grace)->watchman.rt);
}

/* A shutdown: at once, or after the grace period (CF-2). */
static void cancel(struct weft_runtime *rt)
{
	struct weft__timer *t = &rt->async->grace;
	int64_t grace = load_relaxed(&rt->config.shutdown_grace);

	if (grace == 0) {
		cancel_now(rt);
	} else if (mark_root(rt, WEFT__NODE_SOFT)) {
		t->claim = claim_grace;
		t->done = grace_over;
		if (weft__timer_arm(rt, t, weft__later(weft__clock_now(rt), grace)) != 0)
			cancel_now(rt);
	}
}

/* The workers still run, but nothing of this floor does any more. */
static void stop(struct weft_runtime *rt)
{
	weft__processes_end(&rt->async->processes);
	weft__events_stop(rt);
	weft__pool_shut(&rt->async->pool, true);
	weft__pool_await(&rt->async->pool, 0);
}

static void end(struct weft_runtime *rt)
{
	struct weft__async *a = rt->async;

	weft__events_fini(&a->events);
	weft__poller_fini(&a->poller);
	weft__watchman_fini(rt, &a->watchman);
	weft__records_fini(&a->records, rt->worker_slots);
	weft__clock_fini(&a->clock, rt->worker_slots);
	weft__free(a, sizeof *a);
}

static bool host(weft_fn *fn, void *arg, int *rc)
{
	if (!weft__host_exists())
		return false;
	*rc = weft__from_host(fn, arg);
	return true;
}

/* Jobs that were abandoned run on; nobody wakes us for their end. */
static bool settle(struct weft_runtime *rt, int64_t deadline)
{
	struct weft_thread_pool *pool = &rt->async->pool;
	struct timespec moment = { .tv_nsec = 1000000 };

	if (deadline == WEFT_NEVER)
		return true; /* stop() waits */
	weft__pool_shut(pool, true);
	while (!weft__pool_has_ended(pool)) {
		if (weft__monotonic() >= deadline)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

static int in_time(const struct weft__root_call *call, int64_t timeout)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .timeout = timeout, .name = "default_timeout");

	return rc ? rc : weft_scope_leave(&s, call->fn(call->arg));
}

/* A root, in the time that it has (WA-8), and what became of it. */
static int root(void *arg)
{
	const struct weft__root_call *call = arg;
	struct weft__strand *s = weft__strand_self();
	int64_t timeout = weft__config_timeout(s);
	bool limited = timeout != 0 && timeout != WEFT_NEVER;
	int rc = limited ? in_time(call, timeout) : call->fn(call->arg);

	weft__quiet_root_ended(s->runtime);
	if (rc == WEFT_ECANCELED && (load_acquire(&s->node.flags) & WEFT__NODE_DEADLOCK))
		return WEFT_EDEADLK;
	return rc;
}

const struct weft__hooks weft__hooks = {
	.check = weft__scope_check,
	.strand_end = weft__scope_strand_end,
	.host = host,
	.is_host = weft__host_exists,
	.root = root,
	.pressed = weft__watch_pressed,
	.configured = weft__config_changed,
	.settle = settle,
	.stuck = weft__report_stuck,
	.quiet = weft__quiet,
	.start = start,
	.cancel = cancel,
	.stop = stop,
	.end = end,
};
