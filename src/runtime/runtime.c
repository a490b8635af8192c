/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - starting and ending a set of workers, and running a root on it
 *
 * The `hungry` pointer of a worker leads into the thread-local memory of its
 * thread, and any worker writes through any of them.  So no worker looks for
 * victims before all have started, and none ends its thread before all have
 * left the loop: the two latches.
 */
#include "runtime/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft/error.h>

#include "deque/alloc.h"
#include "deque/atomic.h"
#include "runtime/overflow.h"
#include "runtime/thread.h"
#include "runtime/ticks.h"
#include "runtime/topology.h"
#include "runtime/worker.h"

static bool forked;

static void in_child(void)
{
	forked = true;
	weft__worker_become(NULL);
}

bool weft__forked(void)
{
	return forked;
}

static void watch(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

void weft__forked_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch);
}

/* --- workers ----------------------------------------------------------- */

int weft__worker_init(struct weft__worker *w, struct weft_runtime *rt, unsigned index)
{
	*w = (struct weft__worker){ .runtime = rt, .index = index, .seeded = rt->config.seed != 0 };
	weft__rng_init(&w->rng, rt->config.seed + index);
	weft__ec_init(&w->ec);
	weft__stack_cache_init(&w->stacks, &rt->stacks);

	if (weft__deque_init(&w->deque, 256) != 0)
		goto no_deque;
	if (weft__fifo_init(&w->ready, 256) != 0)
		goto no_fifo;

	/* One stack in the cache: the loop always has one to begin with. */
	struct weft__fiber *first = weft__fiber_get(&w->stacks, NULL, NULL);
	if (!first)
		goto no_stack;
	weft__fiber_put(&w->stacks, first);
	return 0;

no_stack:
	weft__fifo_fini(&w->ready);
no_fifo:
	weft__deque_fini(&w->deque);
no_deque:
	weft__stack_cache_fini(&w->stacks);
	return WEFT_ENOMEM;
}

void weft__worker_fini(struct weft__worker *w)
{
	weft__stack_cache_fini(&w->stacks);
	weft__fifo_fini(&w->ready);
	weft__deque_fini(&w->deque);
}

static struct weft__worker *worker_create(struct weft_runtime *rt, unsigned index)
{
	struct weft__worker *w = weft__alloc_aligned(WEFT_CACHELINE, sizeof *w);

	if (w && weft__worker_init(w, rt, index) != 0) {
		weft__free(w, sizeof *w);
		w = NULL;
	}
	return w;
}

static void worker_destroy(struct weft__worker *w)
{
	weft__worker_fini(w);
	weft__free(w, sizeof *w);
}

static void *thread_main(void *arg)
{
	struct weft__worker *w = arg;
	struct weft_runtime *rt = w->runtime;
	char name[16];

	snprintf(name, sizeof name, "weft/%u", w->index);
	pthread_setname_np(pthread_self(), name);
	weft__thread_hear(SIGURG); /* async/probe.c; ignored otherwise */
	weft__overflow_thread_init();
	store_relaxed(&w->tid, gettid());
	weft__worker_become(w);
	weft__latch_arrive(&rt->started, 1);
	weft__latch_wait(&rt->started);

	weft__worker_main(w);

	weft__latch_arrive(&rt->ended, 1);
	weft__latch_wait(&rt->ended);
	weft__worker_become(NULL);
	weft__overflow_thread_fini();
	return NULL;
}

static int start_thread(struct weft__worker *w)
{
	return weft__thread_create(&w->thread, thread_main, w);
}

/* As many threads as can be had; fewer workers are slower, not wrong. */
static int start_threads(struct weft_runtime *rt)
{
	unsigned n = rt->worker_slots;
	unsigned up = 0;
	struct weft__ticks_gauge gauge = weft__ticks_gauge();

	rt->started.pending = n + 1;
	rt->ended.pending = n;
	while (up < n && start_thread(rt->workers[up]) == 0)
		up++;

	rt->worker_count = up;
	rt->spares = up > n - rt->config.spare_workers ? up - (n - rt->config.spare_workers) : 0;
	rt->ticks_per_us = weft__ticks_per_us(gauge);
	if (up < n)
		weft__latch_arrive(&rt->ended, n - up);
	weft__latch_arrive(&rt->started, n - up + 1);
	return up ? 0 : WEFT_ENOMEM;
}

/* --- create, run, destroy ---------------------------------------------- */

int weft__config_check(const struct weft_config *c)
{
	if (!c)
		return 0;
	if (c->size < sizeof *c || c->workers > WEFT__WORKERS_MAX ||
	    c->spare_workers > WEFT__WORKERS_MAX)
		return WEFT_EINVAL;
	if ((unsigned)c->clock > WEFT_CLOCK_VIRTUAL ||
	    (unsigned)c->on_deadlock > WEFT_DEADLOCK_FAIL)
		return WEFT_EINVAL;
	if (c->default_timeout < 0 || c->shield_limit < 0 || c->stall_warn < 0 ||
	    c->block_warn < 0 || c->shutdown_grace < 0)
		return WEFT_EINVAL;
	if (c->stack_size && (c->stack_size < WEFT__STACK_MIN || c->stack_size > WEFT__STACK_MAX))
		return WEFT_EINVAL;
	if (c->default_thread_workers > WEFT__THREADS_MAX ||
	    c->default_process_workers > WEFT__WORKERS_MAX)
		return WEFT_EINVAL;
	return 0;
}

/* WEFT_SEED, where the configuration says nothing. */
static uint64_t seed_of(const struct weft_config *c)
{
	const char *text = getenv("WEFT_SEED");

	return c->seed || !text ? c->seed : strtoull(text, NULL, 0);
}

static void destroy_workers(struct weft_runtime *rt, unsigned n)
{
	while (n > 0)
		worker_destroy(rt->workers[--n]);
	weft__free(rt->workers, rt->worker_slots * sizeof(struct weft__worker *));
}

static int create_workers(struct weft_runtime *rt, unsigned n)
{
	rt->worker_slots = n;
	rt->workers = weft__alloc(n * sizeof(struct weft__worker *));
	if (!rt->workers)
		return WEFT_ENOMEM;

	for (unsigned i = 0; i < n; i++) {
		rt->workers[i] = worker_create(rt, i);
		if (!rt->workers[i]) {
			destroy_workers(rt, i);
			return WEFT_ENOMEM;
		}
	}
	return 0;
}

static int build(struct weft_runtime *rt, unsigned workers, size_t stack_size)
{
	if (weft__stack_pool_init(&rt->stacks, stack_size) != 0)
		return WEFT_ENOMEM;
	weft__inject_init(&rt->inject);
	if (weft__idle_init(&rt->idle, workers) != 0)
		goto no_idle;
	if (create_workers(rt, workers) != 0)
		goto no_workers;
	weft__node_init(&rt->root, NULL, WEFT__NODE_SCOPE);
	weft__sizes_init(&rt->sizes);
	if (weft__hooks.start(rt) != 0)
		goto no_async;
	if (start_threads(rt) == 0)
		return 0;

	weft__hooks.end(rt);
no_async:
	weft__sizes_fini(&rt->sizes);
	destroy_workers(rt, workers);
no_workers:
	weft__idle_fini(&rt->idle);
no_idle:
	weft__stack_pool_fini(&rt->stacks);
	return WEFT_ENOMEM;
}

int weft_runtime_create_opt(struct weft_runtime **out, const struct weft_config *config)
{
	static const struct weft_config defaults;
	struct weft_runtime *rt;

	if (!out || weft__config_check(config) != 0)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (!config)
		config = &defaults;
	rt = weft__alloc_aligned(WEFT_CACHELINE, sizeof *rt);
	if (!rt)
		return WEFT_ENOMEM;

	*rt = (struct weft_runtime){ .config = *config, .roots = &rt->gate };
	rt->config.seed = seed_of(config);
	weft__forked_watch();
	weft__overflow_install();
	unsigned workers = config->workers ? config->workers : weft__topology_workers(NULL);
	int rc = build(rt, workers + config->spare_workers,
		       config->stack_size ? config->stack_size : weft__topology_stack_size(NULL));
	if (rc != 0) {
		weft__free(rt, sizeof *rt);
		return rc;
	}
	*out = rt;
	return 0;
}

struct root {
	struct weft__job job;
	struct weft__strand strand;
	weft_fn *fn;
	void *arg;
	int rc;
	struct weft__latch done;
};

static void run_root(struct weft__job *job)
{
	struct root *r = (struct root *)job;
	struct weft__fiber *fiber = weft__worker_fiber(weft__worker_self());

	add_seqcst(&r->strand.runtime->roots_running, 1);
	fiber->strand = &r->strand;
	r->rc = r->fn(r->arg);
	fiber->strand = NULL;
	weft__strand_end(&r->strand);
	add_seqcst(&r->strand.runtime->roots_running, (uint32_t)-1);
	weft__latch_arrive(&r->done, 1); /* nothing of r is touched after this */
}

int weft__root_run(struct weft_runtime *rt, weft_fn *fn, void *arg)
{
	struct weft__ambient in = { .node = &rt->root };
	struct weft__root_call call = { fn, arg };

	return weft__root_run_in(rt, &in, weft__hooks.root, &call);
}

int weft__root_run_in(struct weft_runtime *rt, const struct weft__ambient *in, weft_fn *fn,
		      void *arg)
{
	struct root r = { .fn = fn, .arg = arg, .done.pending = 1 };

	weft__strand_init(&r.strand, rt, in);
	store_relaxed(&r.job.run, run_root);
	weft__submit(rt, &r.job);
	weft__latch_wait(&r.done);
	return r.rc;
}

int weft_runtime_run(struct weft_runtime *rt, weft_fn *fn, void *arg)
{
	struct weft__worker *w = weft__worker_self();

	if (!rt || !fn)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (w && w->runtime == rt)
		return fn(arg);
	if (!weft__gate_enter(&rt->gate))
		return WEFT_ESHUTDOWN;
	int rc = weft__root_run(rt, fn, arg);
	weft__gate_leave(&rt->gate);
	return rc;
}

void weft__runtime_stop(struct weft_runtime *rt)
{
	weft__gate_close(&rt->gate);
	weft__gate_drain(&rt->gate, WEFT_NEVER);
	weft__hooks.stop(rt);
}

void weft__runtime_free(struct weft_runtime *rt)
{
	while (load_acquire(&rt->guests) != 0)
		sched_yield();
	store_release(&rt->stop, 1);
	weft__idle_notify_all(rt);
	for (unsigned i = 0; i < rt->worker_count; i++)
		pthread_join(rt->workers[i]->thread, NULL);
	weft__tsan_acquire(rt); /* all that fibers did: depart() */

	weft__hooks.end(rt);
	destroy_workers(rt, rt->worker_slots);
	weft__idle_fini(&rt->idle);
	weft__sizes_fini(&rt->sizes);
	weft__stack_pool_fini(&rt->stacks);
	weft__free(rt, sizeof *rt);
}

void weft_runtime_destroy(struct weft_runtime *rt)
{
	if (!rt || weft__forked())
		return; /* a child leaves the parent's memory alone */
	weft__runtime_stop(rt);
	weft__runtime_free(rt);
}
