/* SPDX-License-Identifier: MIT */
/*
 * offload.c - a blocking call on a thread of the pool, and back
 *
 *   hot         one call after the other, from one task
 *   throughput  64 tasks, each with one call after the other
 *   burst       10^5 calls at once: a map over a pool of 8 threads
 *   naps        1000 calls of 10 ms at once, which is what pools are for
 *   cold        a call after a millisecond in which the thread has gone to sleep
 *
 * "in place" is a call between weft_blocking_begin and weft_blocking_end, which is also
 * what Go does with a call that turns out to be short.
 *
 * Beside it the pool of libuv and that of Boost.Asio, whose caller is a loop on the main
 * thread, goroutines, which is what Go has for it, and what a thread for each call costs.
 * "line" is the limit: two threads that hand a cache line to and fro and never sleep.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"
#include "deque/atomic.h"
#include "offload.h"

#ifdef BENCH_LIBUV
#include <uv.h>
#endif

/* --- weft -------------------------------------------------------------- */

static int call(void *arg)
{
	offload_call(arg);
	return 0;
}

static void pause_task(struct offload_job *job)
{
	if (!job->pauses)
		return;
	double began = offload_now();
	weft_sleep(WEFT_MS(1));
	job->paused += offload_now() - began;
}

static int chain(void *arg)
{
	struct offload_job *job = arg;
	int rc = 0;

	for (long i = job->calls / job->at_once; i > 0 && rc == 0; i--) {
		pause_task(job);
		rc = weft_to_thread(call, job);
	}
	return rc;
}

/* On the worker, whose place a spare one would take if the call took long. */
static int chain_in_place(void *arg)
{
	struct offload_job *job = arg;

	for (long i = job->calls / job->at_once; i > 0; i--) {
		weft_blocking_begin();
		call(job);
		weft_blocking_end();
	}
	return 0;
}

static int run_chains(struct offload_job *job, weft_fn *fn)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (long i = 0; i < job->at_once && rc == 0; i++)
		rc = weft_spawn(&g, fn, job);
	return weft_group_close(&g, rc);
}

static int weft_side(void *arg)
{
	return run_chains(arg, chain);
}

static int weft_in_place(void *arg)
{
	return run_chains(arg, chain_in_place);
}

static int call_item(void *arg)
{
	offload_call(*(struct offload_job **)arg);
	return 0;
}

static int weft_map_side(void *arg)
{
	struct offload_job *job = arg, **items = calloc((size_t)job->calls, sizeof(job));
	struct weft_thread_pool *pool;
	int rc = weft_thread_pool_create(&pool, .threads = 8);

	if (rc != 0)
		return rc;
	for (long i = 0; i < job->calls; i++)
		items[i] = job;
	rc = weft_thread_pool_map(pool, call_item, items, (size_t)job->calls, sizeof(job), NULL);
	weft_thread_pool_close(pool, 0);
	free(items);
	return rc;
}

/* --- a thread for each -------------------------------------------------- */

static void *thread(void *arg)
{
	offload_call(arg);
	return NULL;
}

static void thread_side(void *arg)
{
	struct offload_job *job = arg;
	pthread_t t;

	for (long i = 0; i < job->calls; i++) {
		offload_pause(job);
		pthread_create(&t, NULL, thread, job);
		pthread_join(t, NULL);
	}
}

/* --- the limit ------------------------------------------------------------ */

struct line {
	_Alignas(64) uint32_t there;
	_Alignas(64) uint32_t back;
	struct offload_job *job;
};

static void *other_end(void *arg)
{
	struct line *l = arg;

	for (uint32_t i = 1; i <= (uint32_t)l->job->calls; i++) {
		while (load_acquire(&l->there) != i)
			cpu_relax();
		offload_call(l->job);
		store_release(&l->back, i);
	}
	return NULL;
}

/* A word to a thread that looks at it all the time, and one back: nobody is faster. */
static void line_side(void *arg)
{
	struct line l = { .job = arg };
	pthread_t t;

	pthread_create(&t, NULL, other_end, &l);
	for (uint32_t i = 1; i <= (uint32_t)l.job->calls; i++) {
		store_release(&l.there, i);
		while (load_acquire(&l.back) != i)
			cpu_relax();
	}
	pthread_join(t, NULL);
}

/* --- libuv ---------------------------------------------------------------- */

#ifdef BENCH_LIBUV
struct uv_chain {
	uv_work_t work;
	struct offload_job *job;
	long left;
};

static void uv_call(uv_work_t *work)
{
	offload_call(((struct uv_chain *)work)->job);
}

static void uv_called(uv_work_t *work, int status)
{
	struct uv_chain *c = (struct uv_chain *)work;

	bench_check(status == 0, "libuv: a call failed");
	if (--c->left == 0)
		return;
	offload_pause(c->job);
	uv_queue_work(work->loop, work, uv_call, uv_called);
}

static void uv_side(void *arg)
{
	struct offload_job *job = arg;
	struct uv_chain *chains = calloc((size_t)job->at_once, sizeof *chains);
	uv_loop_t loop;

	uv_loop_init(&loop);
	for (long i = 0; i < job->at_once; i++) {
		chains[i].job = job;
		chains[i].left = job->calls / job->at_once;
		offload_pause(job);
		uv_queue_work(&loop, &chains[i].work, uv_call, uv_called);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(chains);
}
#endif

/* --- rows ---------------------------------------------------------------- */

static void forget(void *arg)
{
	struct offload_job *job = arg;

	job->ran = 0;
	job->paused = 0;
}

static void measure(const char *what, bench_task_fn *fn, struct offload_job job, double most_ns,
		    bool threads, bool line)
{
	struct bench_row row = { .what = what,
				 .items = (double)job.calls,
				 .before = forget,
				 .before_arg = &job,
				 .paused = &job.paused };

	bench_weft(&row, "weft", 0, fn, &job);
	if (!job.naps && !job.pauses)
		bench_weft(&row, "in place", 0, weft_in_place, &job);
#ifdef BENCH_LIBUV
	bench_plain(&row, "libuv", uv_side, &job);
#endif
	bench_peer(&row, "Asio", "offload_boost", "offload", 0, &job);
	bench_peer(&row, "Go", "offload_go", "offload", 0, &job);
	if (threads)
		bench_plain(&row, "threads", thread_side, &job);
	if (line) {
		bench_plain(&row, "line", line_side, &job);
		bench_bar(&row, "P17", "weft", "line", BENCH_AT_MOST, 1000.0 / 128);
	}
	bench_bar(&row, "P17", "weft", NULL, BENCH_AT_MOST, most_ns);
	bench_bar(&row, "P17", "weft", "libuv", BENCH_AT_MOST, 1);
	bench_bar(&row, "P17", "weft", "Asio", BENCH_AT_MOST, 1);
	bench_bar(&row, "P17", "weft", "Go", BENCH_AT_MOST, 1);
	bench_bar(&row, "P17", "in place", "Go", BENCH_AT_MOST, 1);
	bench_run(&row);
	bench_check(job.ran == job.calls, "calls were lost");
}

int main(int argc, char **argv)
{
	setenv("UV_THREADPOOL_SIZE", "1000", 1); /* for the naps; more wait for nothing */
	bench_begin(argc, argv);
	long scale = bench_quick() ? 100 : 1, all = 100000 / scale;
	measure("hot", weft_side, (struct offload_job){ .calls = 20000 / scale, .at_once = 1 },
		1000, true, true);
	measure("throughput", weft_side,
		(struct offload_job){ .calls = 128000 / scale, .at_once = 64 }, 120, false, false);
	measure("burst", weft_map_side, (struct offload_job){ .calls = all, .at_once = all }, 120,
		false, false);
	measure("naps", weft_side,
		(struct offload_job){ .calls = OFFLOAD_MANY, .at_once = OFFLOAD_MANY, .naps = 1 },
		60000, false, false);
	measure("cold", weft_side,
		(struct offload_job){ .calls = 500 / scale, .at_once = 1, .pauses = 1 }, 24000,
		true, false);
	return bench_end();
}
