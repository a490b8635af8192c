/* SPDX-License-Identifier: MIT */
/*
 * stress_park.c - work that comes when the workers are just going to sleep
 *
 * Threads of the application run tiny tasks, one at a time, with pauses between
 * them that are drawn around the time for which a worker searches before it sleeps:
 * some tasks find it awake, some asleep, and some on its way there, which is the
 * moment that counts.  Some tasks fork, so that a worker must wake another.
 *
 * Every task that nobody runs is a lost wake-up and hangs; the time limit of the
 * test notices.  The counters tell whether the workers slept at all.
 */
#include <weft/weft.h>

#include "runtime/ticks.h"
#include "support/stress.h"

enum { BURSTS = 400, LONGEST_US = 120 };

static struct weft_runtime *rt;
static uint64_t ticks_per_us;
static uint64_t ran;

static int tick(void *arg)
{
	(void)arg;
	add_seqcst(&ran, 1);
	return 0;
}

/* The right side is offered to a sleeper, and may be there before the left side is
 * over. */
static int tick_apart(void *arg)
{
	return weft_both_offered(tick, arg, tick, arg);
}

static int tick_items(struct weft_range *r, void *arg)
{
	(void)arg;
	add_seqcst(&ran, r->end - r->begin);
	return 0;
}

static int tick_loop(void *arg)
{
	return weft_for(0, 8, tick_items, arg);
}

/* Busy, for a sleep of its own would end when the kernel likes. */
static void pause_for(uint64_t us)
{
	uint64_t began = weft__ticks();
	unsigned tries = 0;

	while (weft__ticks() - began < us * ticks_per_us)
		stress_relax(&tries);
}

static uint64_t run_one(uint64_t choice)
{
	static weft_fn *const kinds[] = { tick, tick, tick_apart, tick_loop };
	static const uint64_t ticks[] = { 1, 1, 2, 8 };

	STRESS_CHECK(weft_runtime_run(rt, kinds[choice], NULL) == 0);
	return ticks[choice];
}

static uint64_t wanted;

static void run_bursts(unsigned self)
{
	struct weft__rng rng;
	uint64_t mine = 0;

	weft__rng_init(&rng, stress_seed + self);
	for (uint64_t i = 0; i < BURSTS * (uint64_t)stress_scale; i++) {
		for (uint64_t n = weft__rng_below(&rng, 4); n > 0; n--)
			mine += run_one(weft__rng_below(&rng, 4));
		pause_for(weft__rng_below(&rng, LONGEST_US));
	}
	add_seqcst(&wanted, mine);
}

static int read_counters(void *arg)
{
	return weft_stats(-1, arg);
}

static void measure_ticks(void)
{
	struct weft__ticks_gauge gauge = weft__ticks_gauge();
	struct timespec t;

	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec * 1000000000 + t.tv_nsec - gauge.ns < 1000000);
	ticks_per_us = weft__ticks_per_us(gauge);
}

/* A few threads against so many workers: with more, no worker ever sleeps. */
static void run(unsigned threads)
{
	struct stress_thread thread[STRESS_THREADS_MAX];
	struct weft_stats stats;

	ran = wanted = 0;
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	stress_start(thread, threads, run_bursts);
	stress_join(thread, threads);
	STRESS_CHECK(ran == wanted);
	STRESS_CHECK(weft_runtime_run(rt, read_counters, &stats) == 0);
	printf("%u threads: %" PRIu64 " ticks, %" PRIu64 " parks, %" PRIu64 " wakes by workers\n",
	       threads, ran, stats.parks, stats.wakes);
	STRESS_CHECK(stats.parks > 0);
	weft_runtime_destroy(rt);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	measure_ticks();
	run(1);
	run(2);
	run(4);
	return 0;
}
