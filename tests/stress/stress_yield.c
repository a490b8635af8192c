/* SPDX-License-Identifier: MIT */
/*
 * stress_yield.c - many fibers that hand the workers to each other
 *
 * A ring of tasks passes a token: each yields until the token is its own, so that
 * one worker must get round all of them to move it, and several must not let two
 * have it.  Around the ring run tasks that fork and yield inside both sides, whose
 * fibers wait, move, and are put back all the time.
 *
 * Then a task yields to one that holds the worker until the first has gone on, so that
 * another worker must take that: also one that fell asleep in the middle of the yield.
 */
#include <weft/weft.h>

#include "support/stress.h"

enum { RING = 32, FORKERS = 4, TREES = 25, DEPTH = 6 };

static struct weft_runtime *rt;
static uint64_t laps;

static uint32_t token;	/* whose turn it is */
static uint64_t passed; /* plain on purpose: the token carries it */

/* With more workers than CPUs the token may be with one that does not run: now and
 * then the thread yields too. */
static void wait_for_token(uint32_t self)
{
	for (unsigned tries = 1; load_acquire(&token) != self; tries++) {
		weft_yield();
		if (tries % RING == 0)
			sched_yield();
	}
}

static int pass_token(void *arg)
{
	uint32_t self = (uint32_t)(uintptr_t)arg;

	for (uint64_t lap = 0; lap < laps; lap++) {
		wait_for_token(self);
		STRESS_CHECK(passed == lap * RING + self);
		passed++;
		store_release(&token, (self + 1) % RING);
	}
	return 0;
}

/* --- beside the ring --------------------------------------------------- */

static uint64_t leaves;

static int leaf(void *arg)
{
	(void)arg;
	weft_yield();
	add_seqcst(&leaves, 1);
	return 0;
}

struct branch {
	unsigned depth;
};

static int grow(void *arg)
{
	const struct branch *b = arg;
	struct branch next = { b->depth - 1 };

	if (b->depth == 0)
		return leaf(NULL);
	weft_yield();
	int rc = weft_both_offered(grow, &next, grow, &next);
	weft_yield();
	return rc;
}

static int fork_and_yield(void *arg)
{
	struct branch tree = { DEPTH };
	int rc = 0;

	(void)arg;
	for (uint64_t i = 0; i < TREES * (uint64_t)stress_scale && rc == 0; i++)
		rc = grow(&tree);
	return rc;
}

static void run_task(unsigned self)
{
	int rc = self < RING ? weft_runtime_run(rt, pass_token, (void *)(uintptr_t)self)
			     : weft_runtime_run(rt, fork_and_yield, NULL);

	STRESS_CHECK(rc == 0);
}

/* --- a yield while another worker falls asleep ---------------------------- */

enum { HOLD_S = 20, SOONEST_NS = 40000, SWEEP_NS = 30000 };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Does not yield: its worker runs nothing else. */
static int hold_until(void *arg)
{
	const uint32_t *flag = arg;
	uint64_t began = now_ns();

	while (!load_acquire(flag))
		STRESS_CHECK(now_ns() - began < HOLD_S * UINT64_C(1000000000));
	return 0;
}

static void pause_for(uint64_t ns)
{
	uint64_t began = now_ns();

	while (now_ns() - began < ns)
		cpu_relax();
}

/* The pauses sweep the time when the others, out of work since the last round, have looked
 * around for 50 us and fall asleep. */
static int yield_to_holders(void *arg)
{
	uint64_t rounds = *(const uint64_t *)arg;

	for (uint64_t i = 0; i < rounds; i++) {
		uint32_t flag = 0;
		struct weft_group g;
		STRESS_CHECK(weft_group_open(&g) == 0);
		pause_for(SOONEST_NS + i * 997 % SWEEP_NS);
		STRESS_CHECK(weft_spawn(&g, hold_until, &flag) == 0);
		weft_yield();
		store_release(&flag, 1);
		STRESS_CHECK(weft_group_close(&g, 0) == 0);
	}
	return 0;
}

static uint64_t yield_while_others_fall_asleep(void)
{
	uint64_t rounds = 400 * (uint64_t)stress_scale;

	if (stress_threads == 1)
		return 0;
	/* No spare worker that would come to help. */
	STRESS_CHECK(
		weft_runtime_create(&rt, .workers = stress_threads, .block_warn = WEFT_NEVER) == 0);
	STRESS_CHECK(weft_runtime_run(rt, yield_to_holders, &rounds) == 0);
	weft_runtime_destroy(rt);
	return rounds;
}

int main(int argc, char **argv)
{
	struct stress_thread threads[RING + FORKERS];

	stress_begin(argc, argv);
	laps = 100 * (uint64_t)stress_scale;
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	stress_start(threads, RING + FORKERS, run_task);
	stress_join(threads, RING + FORKERS);
	weft_runtime_destroy(rt);

	STRESS_CHECK(passed == laps * RING);
	STRESS_CHECK(leaves == (uint64_t)stress_scale * TREES * FORKERS << DEPTH);
	printf("%" PRIu64 " passes, %" PRIu64 " leaves, %" PRIu64 " holders\n", passed, leaves,
	       yield_while_others_fall_asleep());
	return 0;
}
