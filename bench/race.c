/* SPDX-License-Identifier: MIT */
/*
 * race.c - what it costs to spawn and join tasks, and to race, gather and map
 *
 * All calls are trivial and none waits, so this is the cost of the machinery alone;
 * beside it the same calls one after the other.  An item is a call.  What is to be seen:
 * the cost of an item does not grow with their number.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"

enum { CALLS_MAX = 1000, TOTAL = 1000000 };

struct job {
	size_t n;     /* calls at one time */
	size_t times; /* so often */
	struct weft_call *calls;
	uint64_t *items;
	size_t limit;
};

static int nothing(void *arg)
{
	bench_keep(arg);
	return 0;
}

/* --- spawn and join -------------------------------------------------------- */

static void call_all(void *arg)
{
	const struct job *j = arg;

	for (size_t i = 0; i < j->times; i++)
		for (size_t k = 0; k < j->n; k++)
			bench_keep(&j), nothing(NULL);
}

static int spawn_batch(const struct job *j)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (size_t k = 0; k < j->n && rc == 0; k++)
		rc = weft_spawn_opt(&g, nothing, NULL, NULL);
	return weft_group_close(&g, rc);
}

static int spawn_batches(void *arg)
{
	const struct job *j = arg;
	int rc = 0;

	for (size_t i = 0; i < j->times && rc == 0; i++)
		rc = spawn_batch(j);
	return rc;
}

/* One group, and each task is joined before the next is spawned. */
static int spawn_one_by_one(void *arg)
{
	const struct job *j = arg;
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (size_t i = 0; i < j->times * j->n && rc == 0; i++) {
		rc = weft_spawn_opt(&g, nothing, NULL, NULL);
		if (rc == 0)
			rc = weft_group_wait(&g);
	}
	return weft_group_close(&g, rc);
}

static void measure_spawn(size_t n)
{
	char what[64];
	size_t total = bench_quick() ? n : n > TOTAL ? n : TOTAL;
	struct job j = { .n = n, .times = total / n };
	struct bench_row row = { .what = what, .items = (double)(j.n * j.times) };

	snprintf(what, sizeof what, "spawn and join, %zu at a time", n);
	bench_plain(&row, "calls", call_all, &j);
	bench_weft(&row, "weft 1", 1, n > 1 ? spawn_batches : spawn_one_by_one, &j);
	bench_weft(&row, "weft N", 0, n > 1 ? spawn_batches : spawn_one_by_one, &j);
	bench_bar(&row, "P14", "weft 1", NULL, BENCH_AT_MOST, 30);
	bench_run(&row);
}

/* --- race, gather ----------------------------------------------------------- */

static int race_calls(void *arg)
{
	const struct job *j = arg;
	size_t winner;
	int rc = 0;

	for (size_t i = 0; i < j->times && rc == 0; i++)
		rc = weft_race(j->calls, j->n, &winner);
	return rc;
}

static int gather_calls(void *arg)
{
	const struct job *j = arg;
	int rc = 0;

	for (size_t i = 0; i < j->times && rc == 0; i++)
		rc = weft_gather(j->calls, j->n, NULL);
	return rc;
}

static void measure_calls(const char *name, bench_task_fn *fn, size_t n, double limit)
{
	static struct weft_call calls[CALLS_MAX];
	char what[64];
	size_t total = bench_quick() ? n : TOTAL / 2;
	struct job j = { .n = n, .times = total / n, .calls = calls };
	struct bench_row row = { .what = what, .items = (double)(j.n * j.times) };

	for (size_t i = 0; i < n; i++)
		calls[i] = (struct weft_call)WEFT_CALL(nothing, NULL);
	snprintf(what, sizeof what, "%s of %zu", name, n);
	bench_plain(&row, "calls", call_all, &j);
	bench_weft(&row, "weft 1", 1, fn, &j);
	bench_weft(&row, "weft N", 0, fn, &j);
	bench_bar(&row, "", "weft 1", NULL, BENCH_AT_MOST, limit);
	bench_run(&row);
}

/* --- map ---------------------------------------------------------------------- */

static int square(void *item, void *ctx)
{
	uint64_t *v = item;

	*v = *v * *v + 1;
	bench_keep(ctx);
	return 0;
}

static void square_all(void *arg)
{
	const struct job *j = arg;

	for (size_t i = 0; i < j->times; i++)
		for (size_t k = 0; k < j->n; k++)
			square(&j->items[k], NULL);
}

static int map_all(void *arg)
{
	const struct job *j = arg;
	int rc = 0;

	for (size_t i = 0; i < j->times && rc == 0; i++)
		rc = weft_map(square, j->items, j->n, NULL, .limit = j->limit);
	return rc;
}

/* Some 10 us of arithmetic: what a map is to spread over all workers. */
static int grind(void *item, void *ctx)
{
	uint64_t v = *(uint64_t *)item; /* neighbours share a cache line */

	for (int i = 0; i < 10000; i++) {
		v = v * UINT64_C(6364136223846793005) + 1;
		bench_keep(ctx);
	}
	*(uint64_t *)item = v;
	return 0;
}

static void grind_all(void *arg)
{
	const struct job *j = arg;

	for (size_t i = 0; i < j->n; i++)
		grind(&j->items[i], NULL);
}

static int map_grind(void *arg)
{
	const struct job *j = arg;
	return weft_map(grind, j->items, j->n, NULL);
}

static void measure_map(size_t n)
{
	char what[64];
	size_t total = bench_quick() ? n : TOTAL;
	struct job j = { .n = n, .times = total / n, .limit = 10 };
	struct bench_row row = { .what = what, .items = (double)(j.n * j.times) };

	j.items = calloc(n, sizeof *j.items);
	bench_check(j.items != NULL, "memory");
	snprintf(what, sizeof what, "map of %zu, 10 at a time", n);
	bench_plain(&row, "loop", square_all, &j);
	bench_weft(&row, "weft 1", 1, map_all, &j);
	bench_weft(&row, "weft N", 0, map_all, &j);
	bench_bar(&row, "", "weft 1", NULL, BENCH_AT_MOST, 30);
	bench_run(&row);
	free(j.items);
}

static void measure_grind(void)
{
	struct job j = { .n = bench_quick() ? 10 : 3000 };
	struct bench_row row = { .what = "map of items of 10 us", .items = (double)j.n };

	j.items = calloc(j.n, sizeof *j.items);
	bench_check(j.items != NULL, "memory");
	bench_plain(&row, "loop", grind_all, &j);
	bench_weft(&row, "weft 1", 1, map_grind, &j);
	bench_weft(&row, "weft N", 0, map_grind, &j);
	bench_bar(&row, "", "weft 1", "loop", BENCH_AT_MOST, 1.02);
	bench_bar(&row, "", "weft 1", "weft N", BENCH_AT_LEAST, 1.9);
	bench_run(&row);
	free(j.items);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	for (size_t n = 1; n <= 1000000; n *= n == 1 ? 100 : 10)
		measure_spawn(n);
	measure_calls("race", race_calls, 2, 500);
	for (size_t n = 10; n <= CALLS_MAX; n *= 10)
		measure_calls("race", race_calls, n, 250);
	measure_calls("gather", gather_calls, 2, 500);
	for (size_t n = 10; n <= CALLS_MAX; n *= 10)
		measure_calls("gather", gather_calls, n, 250);
	for (size_t n = 100; n <= 1000000; n *= 10)
		measure_map(n);
	measure_grind();
	return bench_end();
}
