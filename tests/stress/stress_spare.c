/* SPDX-License-Identifier: MIT */
/*
 * stress_spare.c - tasks that block, and spare workers that come and go
 *
 * Each blocked task waits in the kernel for one that is spawned after it: a wake-up
 * that is lost, or given to a worker that may not run, hangs the program.  Threads
 * outside bring roots meanwhile.
 */
#include <sched.h>

#include <weft/weft.h>

#include "support/stress.h"

enum { PAIRS = 50, ROUNDS = 20 };

static struct weft_runtime *rt;
static uint64_t ran;

static int blocks(void *arg)
{
	uint32_t *flag = arg;

	STRESS_CHECK(weft_blocking_begin() == 0);
	while (!load_acquire(flag))
		sched_yield();
	weft_blocking_end();
	add_seqcst(&ran, 1);
	return 0;
}

static int releases(void *arg)
{
	store_release((uint32_t *)arg, 1);
	add_seqcst(&ran, 1);
	return 0;
}

/* As many tasks block at once as there are spare workers. */
static int pairs(void *arg)
{
	(void)arg;
	for (int i = 0; i < PAIRS; i++) {
		struct weft_group g;
		uint32_t flag = 0;
		int rc = weft_group_open(&g);
		weft_spawn(&g, blocks, &flag);
		weft_spawn(&g, releases, &flag);
		STRESS_CHECK(weft_group_close(&g, rc) == 0);
	}
	return 0;
}

static void bring_roots(unsigned index)
{
	(void)index;
	for (long i = 0; i < ROUNDS * stress_scale; i++)
		STRESS_CHECK(weft_runtime_run(rt, pairs, NULL) == 0);
}

static void run(unsigned threads)
{
	struct stress_thread thread[STRESS_THREADS_MAX];

	ran = 0;
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads, .spare_workers = threads,
					 .block_warn = WEFT_NEVER) == 0);
	stress_start(thread, threads, bring_roots);
	stress_join(thread, threads);
	weft_runtime_destroy(rt);
	STRESS_CHECK(ran == 2UL * PAIRS * ROUNDS * (unsigned long)stress_scale * threads);
	printf("%u at once: %" PRIu64 " tasks\n", threads, ran);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	run(1);
	run(2);
	run(4);
	return 0;
}
