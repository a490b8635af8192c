/* SPDX-License-Identifier: MIT */
/*
 * stress_yield.c - many fibers that hand the workers to each other
 *
 * A ring of tasks passes a token: each yields until the token is its own, so that
 * one worker must get round all of them to move it, and several must not let two
 * have it.  Around the ring run tasks that fork and yield inside both sides, whose
 * fibers wait, move, and are put back all the time.
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
	printf("%" PRIu64 " passes, %" PRIu64 " leaves\n", passed, leaves);
	return 0;
}
