/* SPDX-License-Identifier: MIT */
/*
 * stress_stack.c - far more stacks than are kept, wanted again while they are emptied
 *
 * In each round thousands of tasks wait, each with a number of its own on its stack, are
 * woken at once and end.  Between two rounds there is a pause, mostly too short for the idle
 * workers to give back the memory of all stacks; the next round takes what it finds, used,
 * trimmed or empty.  A stack that two tasks got, or that was emptied under one, shows by its
 * number.  After the last round all that is more than is kept goes back.
 */
#include <weft/weft.h>

#include "runtime/runtime.h"
#include "support/stress.h"

enum {
	KEPT = 1024, /* by the pool; as many again as the caches keep come on top */
	ROUNDS = WEFT__TSAN ? 3 : 60, /* a fiber costs 4 ms there */
	NUMBERS = 128,
	PAUSE = 500, /* turns given up, at most */
};

struct round {
	struct weft_event go;
	uint64_t right;
};

static unsigned tasks;

static int carry(void *arg)
{
	struct round *round = arg;
	volatile uintptr_t numbers[NUMBERS];
	unsigned wrong = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		numbers[i] = (uintptr_t)numbers + i;
	int rc = weft_event_wait(&round->go);
	for (size_t i = 0; i < NUMBERS; i++)
		wrong += numbers[i] != (uintptr_t)numbers + i;
	if (wrong == 0)
		add_seqcst(&round->right, 1);
	return rc;
}

static int all_wait_and_end(void *arg)
{
	struct round *round = arg;
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (unsigned i = 0; i < tasks && rc == 0; i++)
		rc = weft_spawn(&g, carry, round);
	STRESS_CHECK(weft_wait_all_blocked() == 0);
	weft_event_set(&round->go);
	return weft_group_close(&g, rc);
}

/* There were more than are kept, and their memory is gone. */
static bool gave_back(struct weft__stack_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	bool gone = !pool->excess.first && pool->cold;
	pthread_mutex_unlock(&pool->lock);
	return gone;
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;
	struct weft__rng rng;

	stress_begin(argc, argv);
	tasks = KEPT + 2 * WEFT__STACK_CACHED * stress_threads;
	int rc = weft_runtime_create(&rt, .workers = stress_threads, .stack_size = 32 << 10,
				     .block_warn = WEFT_NEVER);
	STRESS_CHECK(rc == 0);
	weft__rng_init(&rng, stress_seed);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		struct round round = { .right = 0 };
		weft_event_init(&round.go);
		STRESS_CHECK(weft_runtime_run(rt, all_wait_and_end, &round) == 0);
		STRESS_CHECK(round.right == tasks);
		for (uint64_t n = weft__rng_below(&rng, PAUSE); n > 0; n--)
			sched_yield();
	}
	while (!gave_back(&rt->stacks)) /* for ever, if they stay */
		sched_yield();
	weft_runtime_destroy(rt);
	printf("ok: %ld rounds of %u tasks\n", ROUNDS * stress_scale, tasks);
	return 0;
}
