/* SPDX-License-Identifier: MIT */
/*
 * yield.c - a yield through the scheduler
 *
 * Two tasks on a runtime of one worker take turns: each yield puts a fiber at
 * the back of the queue of ready ones and goes on with the other.  Beside it
 * two threads that take turns by sched_yield() on one CPU.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"

enum { ROUNDS = 7 };

struct turns {
	struct weft_runtime *runtime;
	long count;
};

static int take_turns(void *arg)
{
	const struct turns *t = arg;

	for (long i = 0; i < t->count; i++)
		weft_yield();
	return 0;
}

static void *fiber_side(void *arg)
{
	struct turns *t = arg;

	weft_runtime_run(t->runtime, take_turns, t);
	return NULL;
}

static void *thread_side(void *arg)
{
	const struct turns *t = arg;
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	pthread_setaffinity_np(pthread_self(), sizeof first, &first);
	for (long i = 0; i < t->count; i++)
		sched_yield();
	return NULL;
}

/* Nanoseconds a turn, of both together. */
static double two_sides(void *(*side)(void *), struct turns *t)
{
	pthread_t other, one;
	double began = bench_now();

	pthread_create(&one, NULL, side, t);
	pthread_create(&other, NULL, side, t);
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	return (bench_now() - began) * 1e9 / (2.0 * (double)t->count);
}

int main(int argc, char **argv)
{
	double fiber[ROUNDS], thread[ROUNDS];
	struct turns fast = { .count = 0 };
	struct turns slow = { .count = 0 };

	bench_begin(argc, argv);
	fast.count = bench_quick() ? 100000 : 5000000;
	slow.count = fast.count / 20;
	if (weft_runtime_create(&fast.runtime, .workers = 1) != 0)
		return EXIT_FAILURE;
	for (int i = 0; i < ROUNDS; i++) {
		fiber[i] = two_sides(fiber_side, &fast);
		thread[i] = two_sides(thread_side, &slow);
	}
	weft_runtime_destroy(fast.runtime);

	bench_value("P13", "weft_yield", bench_median(fiber, ROUNDS), "ns", BENCH_AT_MOST, 12);
	bench_value("", "sched_yield of two threads", bench_median(thread, ROUNDS), "ns",
		    BENCH_AT_MOST, 1e9);
	return bench_end();
}
