/* SPDX-License-Identifier: MIT */
/*
 * async.c - the life of this floor in a runtime, and its hooks for the one below
 */
#include "async/async.h"

#include <weft/error.h>

#include "async/config.h"
#include "async/interop.h"
#include "async/offload.h"
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
	weft__events_init(&a->events);
	weft__poller_init(&a->poller);
	weft__walker_init(&a->walker);
	weft__quiet_init(&a->quiet);
	weft__pool_init(&a->pool, weft__config_thread_workers(rt), 0, NULL);
	a->processes = (struct weft__processes){ 0 };
	a->retries = 0;
	rt->async = a;
	rt->watch_quiet = a->clock.is_virtual;
	return 0;

no_records:
	weft__clock_fini(&a->clock, workers);
no_clock:
	weft__free(a, sizeof *a);
	return WEFT_ENOMEM;
}

static void cancel(struct weft_runtime *rt)
{
	weft__node_cancel(rt, &rt->root);
}

/* The workers still run, but nothing of this floor does any more. */
static void stop(struct weft_runtime *rt)
{
	weft__processes_end(&rt->async->processes);
	weft__events_stop(rt);
	weft__pool_shut(&rt->async->pool, true);
	weft__pool_await(&rt->async->pool);
}

static void end(struct weft_runtime *rt)
{
	struct weft__async *a = rt->async;

	weft__poller_fini(&a->poller);
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

const struct weft__hooks weft__hooks = {
	.check = weft__scope_check,
	.strand_end = weft__scope_strand_end,
	.host = host,
	.quiet = weft__quiet,
	.start = start,
	.cancel = cancel,
	.stop = stop,
	.end = end,
};
