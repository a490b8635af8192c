/* SPDX-License-Identifier: MIT */
/*
 * stress_group.c - children that start, end, are waited for and forgotten at once
 *
 * Shapes, each with the virtual and with the real clock:
 *
 *	limit      tasks that spawn into one group, some cancelled while they wait for
 *	           room, the limit moving meanwhile
 *	next       an owner that takes what is done, while others hold handles: they
 *	           wait, cancel, ask, forget
 *	start      weft_start against deadlines, weft_ready against the end
 *	daemons    that spawn, while the group is being closed
 *	spread     children that spawn siblings, until there are many
 *
 * Each child runs once and each record is given back once: the group counts, and
 * the generations of the handles tell.
 */
#include <string.h>

#include <weft/weft.h>

#include "async/group.h"
#include "support/stress.h"

enum { MANY = 24, ROUNDS = 10 };

static uint64_t ran, spawned, refused, waited, readied;

static uint64_t draw(struct weft__rng *rng, uint64_t n)
{
	return weft__rng_below(rng, n);
}

static void nap(struct weft__rng *rng, uint64_t us)
{
	uint64_t n = draw(rng, us + 1);

	if (n)
		weft_sleep(WEFT_US((int64_t)n));
}

struct actor {
	uint64_t seed;
	struct weft_group *g;
	struct weft_task *tasks;
	unsigned n;
};

static int works(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, (uint64_t)(uintptr_t)arg);
	nap(&rng, 20);
	add_seqcst(&ran, 1);
	return 0;
}

static void *seed_arg(struct weft__rng *rng)
{
	return (void *)(uintptr_t)weft__rng_next(rng);
}

/* --- limit ------------------------------------------------------------- */

static int spawns_into(void *arg)
{
	struct actor *me = arg;
	struct weft__rng rng;
	struct weft_scope s;

	weft__rng_init(&rng, me->seed);
	STRESS_CHECK(weft_scope_enter(&s, .timeout = WEFT_US(1 + (int64_t)draw(&rng, 300))) == 0);
	for (int i = 0; i < 10; i++) {
		int rc = weft_spawn_opt(me->g, works, seed_arg(&rng),
					WEFT_SPAWN_OPTS(.try_only = draw(&rng, 4) == 0));
		STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED || rc == WEFT_EAGAIN);
		add_seqcst(rc == 0 ? &spawned : &refused, 1);
		if (draw(&rng, 8) == 0)
			STRESS_CHECK(weft_group_set_limit(me->g, 1 + draw(&rng, 3)) == 0);
	}
	weft_scope_leave(&s, weft_check());
	return 0;
}

static int shape_limit(struct weft__rng *rng)
{
	struct actor a[8];
	struct weft_group g, producers;

	STRESS_CHECK(weft_group_open(&g, .limit = 1 + draw(rng, 3)) == 0);
	STRESS_CHECK(weft_group_open(&producers) == 0);
	for (int i = 0; i < 8; i++) {
		a[i] = (struct actor){ weft__rng_next(rng), &g, NULL, 0 };
		STRESS_CHECK(weft_spawn(&producers, spawns_into, &a[i]) == 0);
	}
	STRESS_CHECK(weft_group_close(&producers, 0) == 0);
	STRESS_CHECK(weft_group_wait(&g) == 0);
	STRESS_CHECK(((struct weft__group *)(void *)&g)->running == 0);
	return weft_group_close(&g, 0);
}

/* --- next and handles -------------------------------------------------- */

static int returns_number(void *arg)
{
	struct weft__rng rng;
	uint64_t n = (uint64_t)(uintptr_t)arg;

	weft__rng_init(&rng, n);
	if (draw(&rng, 4) == 0)
		STRESS_CHECK(weft_task_self().generation != 0);
	nap(&rng, 30);
	add_seqcst(&ran, 1);
	return (int)(n % 1000);
}

static int bothers(void *arg)
{
	struct actor *me = arg;
	struct weft__rng rng;

	weft__rng_init(&rng, me->seed);
	for (unsigned i = 0; i < me->n; i++) {
		struct weft_task task = me->tasks[draw(&rng, me->n)];
		int rc = -1, error;
		switch (draw(&rng, 5)) {
		case 0:
			error = weft_task_wait(task, &rc);
			STRESS_CHECK(error == 0 || error == WEFT_EINVAL);
			STRESS_CHECK(error != 0 || rc >= 0);
			add_seqcst(&waited, error == 0);
			break;
		case 1:
			weft_task_cancel(task);
			break;
		case 2:
			weft_task_forget(task);
			break;
		case 3:
			error = weft_task_result(task, &rc);
			STRESS_CHECK(error != 0 || rc >= 0);
			break;
		default:
			STRESS_CHECK(weft_task_state(task) != WEFT_TASK_FAILED);
			nap(&rng, 5);
		}
	}
	return 0;
}

static int shape_next(struct weft__rng *rng, bool keep)
{
	struct weft_task tasks[MANY];
	struct actor a[3];
	struct weft_group g, others;
	unsigned seen = 0;
	int rc;

	STRESS_CHECK(weft_group_open(&others) == 0);
	STRESS_CHECK(weft_group_open(&g, .keep = keep) == 0);
	memset(tasks, 0, sizeof tasks);
	for (int i = 0; i < MANY; i++) {
		struct weft_task *task = draw(rng, 4) ? &tasks[i] : NULL;
		STRESS_CHECK(weft_spawn(&g, returns_number, seed_arg(rng), .task = task) == 0);
		add_seqcst(&spawned, 1);
	}
	for (int i = 0; i < 3; i++) {
		a[i] = (struct actor){ weft__rng_next(rng), &g, tasks, MANY };
		STRESS_CHECK(weft_spawn(&others, bothers, &a[i]) == 0);
	}
	while (keep && weft_group_next(&g, NULL, &rc) == 1) {
		STRESS_CHECK(rc >= 0);
		seen++;
	}
	STRESS_CHECK(!keep || seen == MANY);
	STRESS_CHECK(weft_group_close(&g, 0) == 0);
	return weft_group_close(&others, 0);
}

/* --- start ------------------------------------------------------------- */

static int gets_ready(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, (uint64_t)(uintptr_t)arg);
	nap(&rng, 40);
	add_seqcst(&ran, 1);
	if (draw(&rng, 4) == 0)
		return WEFT_EIO;
	int rc = weft_ready(arg);
	STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED);
	if (rc == 0)
		STRESS_CHECK(weft_ready(arg) == WEFT_EINVAL);
	nap(&rng, 10);
	return 0;
}

static int shape_start(struct weft__rng *rng)
{
	struct weft_group g;

	STRESS_CHECK(weft_group_open(&g) == 0);
	for (int i = 0; i < 6; i++) {
		struct weft_scope s;
		void *arg = seed_arg(rng), *out = NULL;
		STRESS_CHECK(weft_scope_enter(&s, .timeout = WEFT_US(1 + (int64_t)draw(rng, 60))) ==
			     0);
		uint64_t before = load_acquire(&ran);
		int rc = weft_start(&g, gets_ready, arg, &out);
		STRESS_CHECK(rc != 0 || out == arg);
		add_seqcst(&readied, rc == 0);
		add_seqcst(&spawned, load_acquire(&ran) - before);
		STRESS_CHECK(rc == 0 || rc == WEFT_EIO || rc == WEFT_ECANCELED ||
			     rc == WEFT_EINVAL);
		weft_scope_leave(&s, rc);
	}
	return weft_group_close(&g, 0);
}

/* --- daemons ----------------------------------------------------------- */

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return weft_sleep_forever();
}

static int serves(void *arg)
{
	struct actor *me = arg;
	int rc = weft_sleep_forever();
	int spawn = weft_spawn(me->g, sleep_for_ever, NULL, .daemon = true);

	STRESS_CHECK(rc == WEFT_ECANCELED);
	STRESS_CHECK(spawn == 0 || spawn == WEFT_ECLOSED);
	return rc;
}

static int shape_daemons(struct weft__rng *rng)
{
	struct actor a[6];
	struct weft_group g;

	STRESS_CHECK(weft_group_open(&g) == 0);
	for (int i = 0; i < 6; i++) {
		a[i] = (struct actor){ .g = &g };
		STRESS_CHECK(weft_spawn(&g, serves, &a[i], .daemon = true,
					.service = draw(rng, 2)) == 0);
		STRESS_CHECK(weft_spawn(&g, works, seed_arg(rng)) == 0);
		add_seqcst(&spawned, 1);
	}
	nap(rng, 10);
	if (draw(rng, 4) == 0)
		weft_group_cancel(&g);
	return weft_group_close(&g, 0);
}

/* --- spread ------------------------------------------------------------ */

/* Starts two siblings with half of what is left each. */
static int spreads(void *arg)
{
	struct actor *me = arg;
	unsigned half = (me->n - 1) / 2;
	struct actor *child = me + 1;

	add_seqcst(&ran, 1);
	for (unsigned i = 0; i < 2 && half > 0; i++, child += half) {
		*child = (struct actor){ .g = me->g, .n = half };
		STRESS_CHECK(weft_spawn(me->g, spreads, child) == 0);
		add_seqcst(&spawned, 1);
	}
	return 0;
}

static int shape_spread(void)
{
	enum { ALL = 1023 };
	struct actor *a = calloc(ALL, sizeof *a);
	struct weft_group g;

	STRESS_CHECK(a != NULL);
	*a = (struct actor){ .g = &g, .n = ALL };
	STRESS_CHECK(weft_group_open(&g) == 0);
	STRESS_CHECK(weft_spawn(&g, spreads, a) == 0);
	add_seqcst(&spawned, 1);
	int rc = weft_group_close(&g, 0);
	free(a);
	return rc;
}

static int root(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, *(uint64_t *)arg);
	for (int i = 0; i < 4; i++) {
		STRESS_CHECK(shape_limit(&rng) == 0);
		STRESS_CHECK(shape_next(&rng, true) == 0);
		STRESS_CHECK(shape_next(&rng, false) == 0);
		STRESS_CHECK(shape_start(&rng) == 0);
		STRESS_CHECK(shape_daemons(&rng) == 0);
		STRESS_CHECK(shape_spread() == 0);
	}
	return 0;
}

static void rounds(enum weft_clock clock)
{
	struct weft_runtime *rt;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads, .clock = clock) == 0);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		uint64_t seed = weft__rng_next(&rng);
		STRESS_CHECK(weft_runtime_run(rt, root, &seed) == 0);
		STRESS_CHECK(ran == spawned);
	}
	weft_runtime_destroy(rt);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	rounds(WEFT_CLOCK_VIRTUAL);
	rounds(WEFT_CLOCK_REAL);
	printf("%" PRIu64 " children, %" PRIu64 " refused, %" PRIu64 " waited for, %" PRIu64
	       " were ready\n",
	       ran, refused, waited, readied);
	return 0;
}
