/* SPDX-License-Identifier: MIT */
/*
 * stress_race.c - races, maps and waits that are cancelled from all sides
 *
 * Tasks of one runtime run races of contestants that sleep at random, ignore their
 * cancel at random and end at random, while a cancel from a random direction (a time-out
 * of the race, a scope around it, the handle of the racer) may come at any point.  What
 * is checked:
 *
 *   - when a race returns, every contestant that has begun has ended: each lowers a
 *     count that lies on the racer's stack;
 *   - each result exists once: one that succeeded has won or was dropped, not both;
 *   - each item of a map begins at most once, and exactly once when the map succeeds.
 *
 * On the real clock sleeps are some microseconds; the virtual one makes ties of them.
 */
#include <stdbool.h>
#include <string.h>

#include <weft/weft.h>

#include "support/stress.h"

enum { CONTESTANTS = 6, RACERS = 8, ITEMS = 40 };

struct contestant {
	uint32_t *busy; /* on the racer's stack */
	int64_t sleeps;
	int rc;
	bool stubborn;
	uint32_t made, dropped;
};

static int sleep_for(void *arg)
{
	return weft_sleep(*(int64_t *)arg);
}

static int contest(void *arg)
{
	struct contestant *c = arg;
	int rc = 0;

	add_seqcst(c->busy, 1);
	if (c->stubborn)
		weft_shield(sleep_for, &c->sleeps, WEFT_NEVER);
	else if (c->sleeps)
		rc = weft_sleep(c->sleeps);
	rc = rc ? rc : c->rc;
	if (rc >= 0)
		add_seqcst(&c->made, 1);
	add_seqcst(c->busy, (uint32_t)-1);
	return rc;
}

static void drop(void *arg)
{
	struct contestant *c = arg;

	STRESS_CHECK(load_relaxed(&c->made) == 1);
	add_seqcst(&c->dropped, 1);
}

static int64_t some_time(struct weft__rng *rng)
{
	return (int64_t)weft__rng_below(rng, 4) * WEFT_US(weft__rng_below(rng, 20));
}

static void check_results(const struct contestant *c, size_t n, int rc, size_t winner)
{
	for (size_t i = 0; i < n; i++) {
		bool won = rc >= 0 && winner == i;
		STRESS_CHECK(c[i].made == c[i].dropped + won);
	}
}

static int race_once(struct weft__rng *rng)
{
	struct contestant c[CONTESTANTS];
	struct weft_call calls[CONTESTANTS];
	size_t n = 1 + weft__rng_below(rng, CONTESTANTS), winner = CONTESTANTS;
	struct weft_wait_opts o = { .size = sizeof o, .drop = drop };
	int rcs[CONTESTANTS], rc;
	uint32_t busy = 0;

	for (size_t i = 0; i < n; i++) {
		c[i] = (struct contestant){ .busy = &busy,
					    .sleeps = some_time(rng),
					    .stubborn = weft__rng_below(rng, 4) == 0,
					    .rc = weft__rng_below(rng, 3) ? 0 : WEFT_EIO };
		calls[i] = (struct weft_call)WEFT_CALL(contest, &c[i]);
	}
	if (weft__rng_below(rng, 3) == 0)
		o.timeout = some_time(rng);
	if (weft__rng_below(rng, 3) == 0)
		o.stagger = some_time(rng);
	if (weft__rng_below(rng, 2))
		rc = weft_race_opt(calls, n, &winner, &o);
	else
		rc = weft_first_success_opt(calls, n, &winner, rcs, &o);
	STRESS_CHECK(load_acquire(&busy) == 0);
	check_results(c, n, rc, winner);
	return rc;
}

struct ledger {
	uint32_t busy;
	uint32_t begun[ITEMS];
	struct weft__rng rng;
	uint64_t seed;
};

static int map_item(void *item, void *ctx)
{
	struct ledger *l = ctx;
	uint32_t *begun = item;
	struct weft__rng rng;
	int rc = 0;

	weft__rng_init(&rng, l->seed + (uint64_t)(begun - l->begun));
	STRESS_CHECK(add_seqcst(begun, 1) == 0);
	add_seqcst(&l->busy, 1);
	if (weft__rng_below(&rng, 2))
		rc = weft_sleep(some_time(&rng));
	add_seqcst(&l->busy, (uint32_t)-1);
	if (rc == 0 && weft__rng_below(&rng, 100) == 0)
		rc = WEFT_EIO;
	return rc;
}

static void check_map(const struct ledger *l, int rc)
{
	STRESS_CHECK(load_acquire(&l->busy) == 0);
	for (size_t i = 0; i < ITEMS && rc == 0; i++)
		STRESS_CHECK(l->begun[i] == 1);
}

static int map_once(struct weft__rng *rng)
{
	struct ledger l = { .seed = weft__rng_next(rng) };
	size_t limit = 1 + weft__rng_below(rng, 5);
	int64_t timeout = weft__rng_below(rng, 2) ? WEFT_US(weft__rng_below(rng, 200)) : 0;
	int rc = weft_map(map_item, l.begun, ITEMS, &l, .limit = limit, .timeout = timeout);

	check_map(&l, rc);
	return rc;
}

static int iterate_once(struct weft__rng *rng)
{
	struct ledger l = { .seed = weft__rng_next(rng) };
	size_t stop = weft__rng_below(rng, ITEMS * 2), taken = 0, index;
	bool seen[ITEMS] = { false };
	struct weft_map_iter it;
	int code, rc = weft_map_open(&it, map_item, l.begun, ITEMS, &l, .limit = 3);

	if (rc != 0)
		return rc;
	while (taken < stop && (rc = weft_map_next(&it, &index, &code)) > 0) {
		STRESS_CHECK(!seen[index]);
		seen[index] = true;
		taken++;
	}
	bool all = rc == 0 && taken == ITEMS;
	rc = weft_map_close(&it, rc > 0 ? 0 : rc);
	check_map(&l, all ? 0 : 1);
	return rc;
}

struct racer {
	uint64_t seed;
	long rounds;
};

static int race_on(void *arg)
{
	struct racer *r = arg;
	struct weft__rng rng;

	weft__rng_init(&rng, r->seed);
	for (long i = 0; i < r->rounds; i++) {
		struct weft_scope s;
		weft_scope_enter(&s, .timeout = weft__rng_below(&rng, 2) ? some_time(&rng) : 0);
		unsigned what = (unsigned)weft__rng_below(&rng, 4);
		int rc = what == 0   ? map_once(&rng)
			 : what == 1 ? iterate_once(&rng)
				     : race_once(&rng);
		weft_scope_leave(&s, rc);
	}
	return 0;
}

/* Racers, some of which are cancelled by their handles, and who waits for any. */
static int race_all(void *arg)
{
	struct racer racers[RACERS];
	struct weft_task tasks[RACERS];
	struct weft__rng *rng = arg;
	struct weft_group g;
	size_t which;
	int rcs[RACERS];

	weft_group_open(&g, .supervisor = true);
	for (size_t i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ weft__rng_next(rng), 30 };
		STRESS_CHECK(weft_spawn(&g, race_on, &racers[i], .task = &tasks[i]) == 0);
	}
	for (size_t i = 0; i < RACERS / 2; i++) {
		weft_sleep(WEFT_US(weft__rng_below(rng, 300)));
		weft_task_cancel(tasks[weft__rng_below(rng, RACERS)]);
	}
	STRESS_CHECK(weft_wait_any(tasks, RACERS, &which, NULL) == 0);
	STRESS_CHECK(weft_task_state(tasks[which]) >= WEFT_TASK_DONE);
	STRESS_CHECK(weft_wait_all(tasks, RACERS, rcs) == 0);
	return weft_group_close(&g, 0);
}

static void round_of(enum weft_clock clock, struct weft__rng *rng)
{
	struct weft_runtime *rt;

	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads, .clock = clock,
					 .on_deadlock = WEFT_DEADLOCK_IGNORE) == 0);
	for (int i = 0; i < 4; i++)
		STRESS_CHECK(weft_runtime_run(rt, race_all, rng) == 0);
	weft_runtime_destroy(rt);
}

int main(int argc, char **argv)
{
	struct weft__rng rng;

	stress_begin(argc, argv);
	weft__rng_init(&rng, stress_seed);
	for (long i = 0; i < 5 * stress_scale; i++) {
		round_of(WEFT_CLOCK_REAL, &rng);
		round_of(WEFT_CLOCK_VIRTUAL, &rng);
	}
	return 0;
}
