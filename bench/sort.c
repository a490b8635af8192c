/* SPDX-License-Identifier: MIT */
/*
 * sort.c - sorting uint32: random ones, and those that other sorts stumble over
 *
 * "weft" is WEFT_SORT, "stable" WEFT_SORT_STABLE, "untyped" weft_sort, which calls
 * a function for each comparison as qsort does.  Peers: oneTBB (a quicksort), GNU
 * parallel mode when sort_tbb.cpp is compiled with OpenMP (a merge sort), and the
 * serial sorts of the C and C++ libraries.
 */
#include "sort.h"

#include <weft/weft.h>

#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define LESS(a, b) (*(a) < *(b))
WEFT_SORT(sort_u32, uint32_t, LESS)
WEFT_SORT_STABLE(sort_u32_stable, uint32_t, LESS)

static bool less_u32(const void *a, const void *b, void *arg)
{
	(void)arg;
	return LESS((const uint32_t *)a, (const uint32_t *)b);
}

static int compare_u32(const void *a, const void *b, void *arg)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	(void)arg;
	return (x > y) - (x < y);
}

static int weft(void *arg)
{
	struct numbers *j = arg;
	return sort_u32(j->v, j->n);
}

static int stable(void *arg)
{
	struct numbers *j = arg;
	return sort_u32_stable(j->v, j->n);
}

static int untyped(void *arg)
{
	struct numbers *j = arg;
	return weft_sort(j->v, j->n, sizeof(*j->v), less_u32, NULL);
}

static void quiet_qsort(void *arg)
{
	struct numbers *j = arg;
	qsort_r(j->v, j->n, sizeof(*j->v), compare_u32, NULL);
}

/* --- inputs -------------------------------------------------------------- */

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

static uint32_t at_random(uint32_t i, uint32_t n)
{
	(void)i, (void)n;
	return next_random();
}

static uint32_t sorted(uint32_t i, uint32_t n)
{
	(void)n;
	return i;
}

static uint32_t reversed(uint32_t i, uint32_t n)
{
	return n - i;
}

static uint32_t all_equal(uint32_t i, uint32_t n)
{
	(void)i, (void)n;
	return 7;
}

static uint32_t sixteen_values(uint32_t i, uint32_t n)
{
	(void)i, (void)n;
	return next_random() % 16;
}

static uint32_t root_n_values(uint32_t i, uint32_t n)
{
	(void)i, (void)n;
	return next_random() % 3162;
}

static uint32_t organ_pipe(uint32_t i, uint32_t n)
{
	return i < n / 2 ? i : n - i;
}

static uint32_t sawtooth(uint32_t i, uint32_t n)
{
	return i % (n / 8 + 1);
}

static uint32_t nearly_sorted(uint32_t i, uint32_t n)
{
	return next_random() % 100 == 0 ? next_random() % n : i;
}

static const struct input {
	const char *name;
	uint32_t (*at)(uint32_t i, uint32_t n);
} inputs[] = {
	{ "random", at_random },
	{ "sorted", sorted },
	{ "reversed", reversed },
	{ "all equal", all_equal },
	{ "16 values", sixteen_values },
	{ "3162 values", root_n_values },
	{ "organ pipe", organ_pipe },
	{ "8 sawteeth", sawtooth },
	{ "1 % out of place", nearly_sorted },
};

/* --- rows ------------------------------------------------------------------ */

struct job {
	struct numbers numbers;
	uint32_t *input;
	uint64_t sum;
};

static void take_input(struct job *job, const struct input *input)
{
	uint32_t n = (uint32_t)job->numbers.n;

	job->sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		job->input[i] = input->at(i, n);
		job->sum += (uint64_t)job->input[i] * job->input[i];
	}
	memset(job->numbers.v, 0, n * sizeof(*job->input));
}

/* Before each run: was the last one right?  It is all zeros before the first. */
static void check_and_refill(void *arg)
{
	struct job *job = arg;
	uint32_t *v = job->numbers.v;
	size_t n = job->numbers.n, out_of_order = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		sum += (uint64_t)v[i] * v[i];
		out_of_order += i > 0 && v[i] < v[i - 1];
	}
	bench_check(out_of_order == 0 && (sum == job->sum || sum == 0), "sort");
	memcpy(v, job->input, n * sizeof(*v));
}

static void measure(struct job *job, const struct input *input)
{
	struct bench_row row = { .what = input->name,
				 .items = (double)job->numbers.n,
				 .before = check_and_refill,
				 .before_arg = job };
	struct numbers *j = &job->numbers;
	bool first = input == inputs;

	take_input(job, input);
	bench_weft(&row, "weft 1", 1, weft, j);
	bench_weft(&row, "weft N", 0, weft, j);
	bench_weft(&row, "stable N", 0, stable, j);
	bench_peers(&row, "sort", j);
	bench_peer(&row, "std::sort", "sort_tbb", "std_sort", 1, j);
	bench_peer(&row, "gnu", "sort_tbb", "gnu_sort", 0, j);
	if (first) {
		bench_weft(&row, "untyped 1", 1, untyped, j);
		bench_plain(&row, "qsort_r", quiet_qsort, j);
		bench_bar(&row, "P12", "weft N", "tbb", BENCH_AT_MOST, 0.33);
		bench_bar(&row, "", "untyped 1", "qsort_r", BENCH_AT_MOST, 1);
		bench_bar(&row, "", "weft 1", "weft N", BENCH_AT_LEAST, 1.8);
	}
	bench_bar(&row, "", "weft 1", "std::sort", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1.2);
	bench_run(&row);
	check_and_refill(job);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	struct job job = { .numbers.n = bench_quick() ? 100000 : 10000000 };

	job.numbers.v = malloc(job.numbers.n * sizeof(*job.input));
	job.input = malloc(job.numbers.n * sizeof(*job.input));
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++)
		measure(&job, &inputs[i]);
	free(job.numbers.v);
	free(job.input);
	return bench_end();
}
