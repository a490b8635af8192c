/* SPDX-License-Identifier: MIT */
/*
 * stress_start_stop.c - the default runtime starts and stops under all who use it
 *
 * Four shapes.  One thread that runs and shuts down in turn, so that every job is
 * the first and the last one of a runtime.  Threads that run while others shut
 * down, some with a deadline that has passed: each run ends with its task run once,
 * or is refused and its task not run, and the runtime starts again every time; others
 * ask for what the runtime knows, whether it starts, runs or ends.  Threads that shut
 * down at the same moment, again and again, against tasks that do not end by themselves:
 * a shutdown has cancelled whatever it waits for.
 * And a runtime of its own for every round, whose workers are taken down while
 * they are still looking for work.
 *
 * A wake-up swallowed by a shutdown hangs, and the time limit of the test notices.
 */
#include <weft/weft.h>

#include "support/stress.h"

enum { RUNNERS = 4, STOPPERS = 3, ASKERS = 2, SLEEPERS = 2 };

/* Sanitizers make the start of a runtime ten times as dear. */
enum { ROUNDS = WEFT__SANITIZED ? 250 : 1000 };

static uint64_t ran;

static int tick(void *arg)
{
	add_seqcst((uint64_t *)arg, 1);
	return 0;
}

/* Forks too, so that other workers wake up to be stopped. */
static int tick_twice(void *arg)
{
	return weft_both_offered(tick, arg, tick, arg);
}

/* --- in turn ----------------------------------------------------------- */

static uint64_t run_in_turn(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		ran = 0;
		STRESS_CHECK(weft_run_sync(i % 2 ? tick_twice : tick, &ran) == 0);
		STRESS_CHECK(ran == 1 + i % 2);
		STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	}
	return rounds;
}

/* --- against each other ------------------------------------------------ */

static uint64_t each, refused, stopped, late;
static uint32_t runners_left;

static void run_often(unsigned self)
{
	uint64_t mine = 0;

	(void)self;
	for (uint64_t i = 0; i < each; i++) {
		uint64_t before = mine;
		int rc = weft_run_sync(tick, &mine);

		STRESS_CHECK(rc == 0 || rc == WEFT_ESHUTDOWN);
		STRESS_CHECK(mine == before + (rc == 0));
		if (rc != 0) {
			add_seqcst(&refused, 1);
			sched_yield();
		}
	}
	add_seqcst(&runners_left, (uint32_t)-1);
}

static void stop_often(unsigned self)
{
	while (load_acquire(&runners_left) != 0) {
		int rc = weft_shutdown(self % 2 ? 0 : WEFT_NEVER);

		STRESS_CHECK(rc == 0 || (self % 2 && rc == WEFT_ETIMEDOUT));
		add_seqcst(rc == 0 ? &stopped : &late, 1);
		sched_yield();
	}
}

static void ask_often(unsigned self)
{
	struct weft_stats stats;
	struct weft_task none = { 1 + self, 1 };

	while (load_acquire(&runners_left) != 0) {
		int rc = weft_stats(-1, &stats);

		STRESS_CHECK(rc == 0 || rc == WEFT_ESHUTDOWN);
		STRESS_CHECK(weft_worker_count() > 0);
		STRESS_CHECK(weft_task_state(none) == WEFT_TASK_UNKNOWN);
		STRESS_CHECK(weft_configure(.block_warn = WEFT_MS(100 + self)) == 0);
		sched_yield();
	}
}

static void run_against(void)
{
	struct stress_thread runners[RUNNERS], stoppers[STOPPERS], askers[ASKERS];

	each = 2 * ROUNDS * (uint64_t)stress_scale;
	runners_left = RUNNERS;
	stress_start(runners, RUNNERS, run_often);
	stress_start(stoppers, STOPPERS, stop_often);
	stress_start(askers, ASKERS, ask_often);
	stress_join(runners, RUNNERS);
	stress_join(stoppers, STOPPERS);
	stress_join(askers, ASKERS);
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	STRESS_CHECK(run_in_turn(2) == 2); /* it still starts and stops */
}

/* --- against what does not end by itself --------------------------------- */

static struct stress_barrier together;
static uint64_t cancelled;
static uint32_t stoppers_left, sleepers_left;

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_NEVER);
}

static void sleep_often(unsigned self)
{
	(void)self;
	while (load_acquire(&stoppers_left) != 0) {
		int rc = weft_run_sync(sleep_for_ever, NULL);

		STRESS_CHECK(rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN);
		add_seqcst(&cancelled, rc == WEFT_ECANCELED);
	}
	add_seqcst(&sleepers_left, (uint32_t)-1);
}

static void stop_together(unsigned self)
{
	(void)self;
	for (uint64_t i = 0; i < each; i++) {
		stress_barrier_wait(&together);
		STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	}
	add_seqcst(&stoppers_left, (uint32_t)-1);
}

static void run_cancelled(void)
{
	struct stress_thread sleepers[SLEEPERS], stoppers[STOPPERS];

	each = ROUNDS * (uint64_t)stress_scale;
	stoppers_left = STOPPERS;
	sleepers_left = SLEEPERS;
	stress_barrier_init(&together, STOPPERS);
	stress_start(sleepers, SLEEPERS, sleep_often);
	stress_start(stoppers, STOPPERS, stop_together);
	stress_join(stoppers, STOPPERS);
	while (load_acquire(&sleepers_left) != 0) {
		STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
		sched_yield();
	}
	stress_join(sleepers, SLEEPERS);
}

/* --- create and destroy ------------------------------------------------ */

static void create_often(unsigned self)
{
	for (uint64_t i = 0; i < each; i++) {
		struct weft_runtime *rt;
		uint64_t mine = 0;

		STRESS_CHECK(weft_runtime_create(&rt, .workers = 1 + self % 3) == 0);
		if (i % 4 != 0) {
			STRESS_CHECK(weft_runtime_run(rt, tick_twice, &mine) == 0);
			STRESS_CHECK(mine == 2);
		}
		weft_runtime_destroy(rt);
	}
}

static uint64_t run_create(void)
{
	struct stress_thread threads[STRESS_THREADS_MAX];

	each = ROUNDS / 5 * (uint64_t)stress_scale;
	stress_start(threads, stress_threads, create_often);
	stress_join(threads, stress_threads);
	return each * stress_threads;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	uint64_t turns = run_in_turn(ROUNDS * (uint64_t)stress_scale);
	run_against();
	run_cancelled();
	uint64_t created = run_create();

	printf("%" PRIu64 " in turn; %d x %" PRIu64 " runs, %" PRIu64 " refused, %" PRIu64
	       " shutdowns, %" PRIu64 " too late; %" PRIu64 " cancelled; %" PRIu64 " created\n",
	       turns, RUNNERS, 2 * ROUNDS * (uint64_t)stress_scale, refused, stopped, late,
	       cancelled, created);
	return 0;
}
