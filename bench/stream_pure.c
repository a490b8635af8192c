/* SPDX-License-Identifier: MIT */
/*
 * stream_pure.c - stages that only compute
 *
 * The sum of array | filter | apply | take, beside the same by hand in one loop: whole,
 * and with the functions behind pointers that the compiler does not see through, which
 * is what a stream cannot do without.  The array lies in the cache or in memory; a
 * number is per item and stage, of which there are four with the source.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "async/stream.h"
#include "bench.h"

enum { STAGES = 4, WORK = 4000000 };

static const size_t sizes[] = { 100, 10000, 1000000 };

struct job {
	const int64_t *items;
	size_t n, rounds;
	weft_predicate_fn *keep;
	weft_apply_fn *change;
	int64_t sum;
};

/* Three of four are kept. */
static bool keep(const void *item, void *arg)
{
	(void)arg;
	return (*(const int64_t *)item & 3) != 0;
}

static int change(const void *in, void *out, void *arg)
{
	(void)arg;
	*(int64_t *)out = *(const int64_t *)in * 3 + 1;
	return 1;
}

static int64_t one_stream(const struct job *j)
{
	struct weft_stream *s = weft_from_array(j->items, j->n, sizeof *j->items);
	int64_t item, sum = 0;

	s = weft_filter(s, j->keep, NULL);
	s = weft_take(weft__apply_here(s, j->change, NULL, sizeof item), SIZE_MAX);
	while (weft_next(s, &item) > 0)
		sum += item;
	weft_stream_destroy(s);
	return sum;
}

static int64_t one_pointers(const struct job *j)
{
	int64_t item, sum = 0;

	for (size_t i = 0; i < j->n; i++)
		if (j->keep(&j->items[i], NULL) && j->change(&j->items[i], &item, NULL) > 0)
			sum += item;
	return sum;
}

static int64_t one_loop(const struct job *j)
{
	int64_t sum = 0;

	for (size_t i = 0; i < j->n; i++)
		if ((j->items[i] & 3) != 0)
			sum += j->items[i] * 3 + 1;
	return sum;
}

static int stream_side(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->rounds; i++) {
		bench_keep(j->items);
		bench_check(one_stream(j) == j->sum, "sum of a stream");
	}
	return 0;
}

static void pointer_side(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->rounds; i++) {
		bench_keep(j->items);
		bench_check(one_pointers(j) == j->sum, "sum through pointers");
	}
}

static void loop_side(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->rounds; i++) {
		bench_keep(j->items);
		bench_check(one_loop(j) == j->sum, "sum of a loop");
	}
}

static void measure(const int64_t *items, size_t n)
{
	struct job j = { items, n, (bench_quick() ? WORK / 100 : WORK) / n + 1, keep, change, 0 };
	char what[64];
	struct bench_row row = { .what = what, .items = (double)(j.n * j.rounds * STAGES) };

	j.sum = one_loop(&j);
	bench_keep(&j); /* the pointers are not known to be what they are */
	snprintf(what, sizeof what, "filter, apply, take of %zu", n);
	bench_plain(&row, "loop", loop_side, &j);
	bench_plain(&row, "pointers", pointer_side, &j);
	bench_weft(&row, "stream", 1, stream_side, &j);
	bench_bar_cpu(&row, "ST", "stream", NULL, BENCH_AT_MOST, 5);
	bench_run(&row);
}

int main(int argc, char **argv)
{
	size_t most = sizes[sizeof sizes / sizeof *sizes - 1];
	int64_t *items = malloc(most * sizeof *items);

	bench_begin(argc, argv);
	if (!items)
		return EXIT_FAILURE;
	for (size_t i = 0; i < most; i++)
		items[i] = (int64_t)((i * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		measure(items, sizes[i]);
	free(items);
	return bench_end();
}
