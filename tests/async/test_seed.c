/* SPDX-License-Identifier: MIT */
/*
 * test_seed.c - what a seed promises: an order that repeats
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/assert.h"
#include "support/tasks.h"

TestSuite(seed, .timeout = 60);

enum { TASKS = 6, TURNS = 20, STEPS = TASKS * (TURNS + 1) };

/* Who ran, step by step. */
struct trace {
	int length;
	char who[STEPS + 1];
};

static struct trace *trace;

static void note(int who)
{
	trace->who[trace->length++] = (char)('a' + who);
}

/* Yields, and sleeps as long as all others: every way to become ready. */
static int take_turns(void *arg)
{
	int who = (int)(intptr_t)arg;

	note(who);
	for (int i = 0; i < TURNS; i++) {
		if (i % 3 == 0)
			weft_sleep(WEFT_MS(1));
		else
			weft_yield();
		note(who);
	}
	return 0;
}

static int spawn_all(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	trace = arg;
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = weft_spawn(&g, take_turns, (void *)(intptr_t)i);
	return weft_group_close(&g, rc);
}

static struct trace run_with(uint64_t seed)
{
	struct weft_runtime *rt;
	struct trace t = { 0 };

	cr_assert(eq(
		int,
		weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL, .seed = seed),
		0));
	cr_expect(eq(int, weft_runtime_run(rt, spawn_all, &t), 0));
	weft_runtime_destroy(rt);
	cr_expect(eq(int, t.length, STEPS));
	return t;
}

/* CF-4. */
Test(seed, the_same_seed_is_the_same_order)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct trace first = run_with(seed), again = run_with(seed);
		cr_expect(eq(str, first.who, again.who));
	}
}

Test(seed, different_seeds_reach_different_orders)
{
	struct trace plain = run_with(0);
	bool began[TASKS] = { false };
	int same = 0;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct trace t = run_with(seed);
		same += strcmp(t.who, plain.who) == 0;
		began[t.who[0] - 'a'] = true;
	}
	cr_expect(eq(int, same, 0));
	for (int i = 0; i < TASKS; i++)
		cr_expect(began[i], "no seed lets %c begin", 'a' + i);
}

Test(seed, without_a_seed_the_oldest_runs_first)
{
	cr_expect(eq(int, strncmp(run_with(0).who, "abcdef", TASKS), 0));
}

Test(seed, is_taken_from_the_environment_if_not_configured)
{
	struct trace seven = run_with(7), eight = run_with(8);

	cr_assert(ne(str, seven.who, eight.who));
	setenv("WEFT_SEED", "7", 1);
	cr_expect(eq(str, run_with(0).who, seven.who));
	cr_expect(eq(str, run_with(8).who, eight.who));
}
