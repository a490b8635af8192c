/* SPDX-License-Identifier: MIT */
/*
 * test_stack_size.c - what .stack_size of weft_spawn promises
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

TestSuite(stack_size, .timeout = 60);

enum {
	NORMAL = 64 << 10, /* of the fibers here */
	LARGE = 8 << 20,
	FRAME = 1000,
	DEEP = 4000, /* frames: 4 MB */
};

static volatile char sink;

/* Each frame is touched, and checked on the way back. */
static __attribute__((noinline)) int go_down(int depth, int (*at_bottom)(void))
{
	volatile char frame[FRAME];

	frame[0] = (char)depth;
	int rc = depth == 0 ? at_bottom() : go_down(depth - 1, at_bottom);
	sink = frame[FRAME - 1];
	return frame[0] == (char)depth ? rc : -1;
}

static int nothing(void)
{
	return 0;
}

static int deep(void *arg)
{
	(void)arg;
	return go_down(DEEP, nothing);
}

static int spawn_one(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc == 0)
		rc = weft_spawn(&g, (weft_fn *)(uintptr_t)arg, NULL, .stack_size = LARGE,
				.name = "deep");
	return weft_group_close(&g, rc);
}

static int run_small(unsigned workers, weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = workers, .stack_size = NORMAL,
				     .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

Test(stack_size, a_task_may_go_deeper_than_the_fibers_of_its_runtime)
{
	cr_expect(eq(int, run_small(1, spawn_one, (void *)(uintptr_t)deep), 0));
}

/* --- waiting down there --------------------------------------------------- */

static int sleep_and_yield(void)
{
	for (int i = 0; i < 50; i++) {
		int rc = weft_sleep(WEFT_MS(1));
		if (rc != 0)
			return rc;
		weft_yield();
	}
	return 0;
}

static int deep_sleeper(void *arg)
{
	uint32_t *done = arg;
	struct weft_task self = weft_task_self();
	int rc = go_down(DEEP, sleep_and_yield);

	if (rc == 0 && weft_task_self().slot == self.slot)
		add_seqcst(done, 1);
	return rc;
}

static int many_sleepers(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 20 && rc == 0; i++)
		rc = weft_spawn(&g, deep_sleeper, arg, .stack_size = LARGE);
	return weft_group_close(&g, rc);
}

Test(stack_size, a_task_that_waits_and_moves_stays_on_its_stack)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		uint32_t done = 0;
		cr_assert(eq(int, run_small(worker_counts[i], many_sleepers, &done), 0));
		cr_expect(eq(u32, done, 20));
	}
}

/*
 * Once the other piece is begun there is one more task, and only the worker that forked can
 * run it, which it does when the forker waits.  The other piece ends then, and its worker
 * goes on with the forker.
 */
static struct weft_group *beside;
static uint32_t forker_waits;
static int moved;

static int say_that_it_waits(void *arg)
{
	(void)arg;
	store_release(&forker_waits, 1);
	return 0;
}

static int end_with_a_task(void *arg)
{
	volatile char frame[FRAME];

	(void)arg;
	frame[0] = 1;
	return weft_spawn(beside, say_that_it_waits, NULL) + frame[0] - 1;
}

static int end_after_that(void *arg)
{
	(void)arg;
	until(&forker_waits, 1);
	return 0;
}

static int fork_down_there(void)
{
	struct weft_group g;
	int before = weft_worker_index(), rc = weft_group_open(&g);

	beside = &g;
	if (rc == 0)
		rc = apart(end_with_a_task, NULL, end_after_that, NULL);
	moved = weft_worker_index() != before;
	return weft_group_close(&g, rc);
}

static int deep_forker(void *arg)
{
	(void)arg;
	return go_down(DEEP, fork_down_there);
}

Test(stack_size, a_task_may_fork_there_and_go_on_on_another_worker)
{
	cr_expect(eq(int, run_small(2, spawn_one, (void *)(uintptr_t)deep_forker), 0));
	cr_expect(moved);
}

static int detached(void *arg)
{
	*(int *)arg = go_down(DEEP, nothing) + 1;
	return 0;
}

static int spawn_detached(void *arg)
{
	return weft_spawn_detached(detached, arg, .stack_size = LARGE);
}

Test(stack_size, a_detached_task_may_ask_for_one_too)
{
	int seen = 0;

	cr_expect(eq(int, run_small(1, spawn_detached, &seen), 0));
	cr_expect(eq(int, seen, 1));
}

/* --- what is refused ------------------------------------------------------ */

static int dropped;

static void drop(void *arg)
{
	(void)arg;
	dropped++;
}

static int spawn_sizes(void *arg)
{
	int *rcs = arg;
	struct weft_group g;
	int rc = weft_group_open(&g);

	rcs[0] = weft_spawn(&g, deep, NULL, .stack_size = 1, .drop = drop);
	rcs[1] = weft_spawn(&g, deep, NULL, .stack_size = (size_t)2 << 30, .drop = drop);
	return weft_group_close(&g, rc);
}

Test(stack_size, a_size_out_of_range_is_einval)
{
	int rcs[2] = { 0 };

	cr_expect(eq(int, run_small(1, spawn_sizes, rcs), 0));
	cr_expect(eq(int, rcs[0], WEFT_EINVAL));
	cr_expect(eq(int, rcs[1], WEFT_EINVAL));
}

/* --- its end ---------------------------------------------------------------- */

static volatile int never;

static __attribute__((noinline)) int endless(int depth)
{
	volatile char frame[FRAME];

	frame[0] = (char)depth;
	if (depth == never - 1)
		return 0;
	return endless(depth + 1) + frame[0];
}

static int overflow(void *arg)
{
	(void)arg;
	return endless(0);
}

static void child_overflows(void)
{
	run_small(1, spawn_one, (void *)(uintptr_t)overflow);
}

Test(stack_size, an_overflow_names_the_task_and_the_size)
{
	char said[CHILD_SAYS];

	child_says(child_overflows, said);
	cr_expect(ne(ptr, strstr(said, "stack overflow in fiber deep (stack of 8192 KiB)"), NULL),
		  "%s", said);
}
