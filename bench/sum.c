/* SPDX-License-Identifier: MIT */
/*
 * sum.c - adding up numbers: the limit is memory
 *
 * "2 threads" is the limit: two plain threads that exist already, each with half
 * of the numbers and the same inner loop; the main thread is one of them.
 *
 * "reduce N" is weft_reduce, whose result has the same bits for any number of
 * workers.  "plain N" is what one gets without that promise: a loop that adds
 * what each piece has to a sum per worker.
 */
#include "sum.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#include "bench.h"

enum { WORKERS_MAX = 4096 }; /* of a runtime */

static void serial(void *arg)
{
	struct sum *s = arg;
	s->out = sum_range(s->values, 0, s->n);
}

/* --- the limit ---------------------------------------------------------- */

static struct {
	pthread_t thread;
	sem_t begin, done;
	const struct sum *job; /* NULL: the end */
	double out;
} helper;

static void *help(void *arg)
{
	(void)arg;
	while (sem_wait(&helper.begin) == 0 && helper.job) {
		helper.out = sum_range(helper.job->values, helper.job->n / 2, helper.job->n);
		sem_post(&helper.done);
	}
	return NULL;
}

static void helper_start(void)
{
	sem_init(&helper.begin, 0, 0);
	sem_init(&helper.done, 0, 0);
	bench_check(pthread_create(&helper.thread, NULL, help, NULL) == 0, "pthread_create");
}

static void helper_stop(void)
{
	helper.job = NULL;
	sem_post(&helper.begin);
	pthread_join(helper.thread, NULL);
}

static void two_threads(void *arg)
{
	struct sum *s = arg;

	helper.job = s;
	sem_post(&helper.begin);
	double half = sum_range(s->values, 0, s->n / 2);
	sem_wait(&helper.done);
	s->out = half + helper.out;
}

/* --- weft --------------------------------------------------------------- */

static void sum_init(void *acc, void *arg)
{
	(void)arg;
	*(double *)acc = 0;
}

static int sum_fold(void *acc, struct weft_range *r, void *arg)
{
	const struct sum *s = arg;
	*(double *)acc += sum_range(s->values, r->begin, r->end);
	return 0;
}

static void sum_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(double *)acc += *(const double *)right;
}

static const struct weft_reducer adder = { sizeof(double), sum_init, sum_fold, sum_join };

static int reduce(void *arg)
{
	struct sum *s = arg;
	return weft_reduce(0, s->n, &adder, &s->out, s);
}

/* A sum per worker, on a cache line of its own. */
static struct partial {
	alignas(WEFT_CACHELINE) double sum;
} of_worker[WORKERS_MAX];

static int add_piece(struct weft_range *r, void *arg)
{
	const struct sum *s = arg;
	of_worker[weft_worker_index()].sum += sum_range(s->values, r->begin, r->end);
	return 0;
}

static int plain(void *arg)
{
	struct sum *s = arg;
	unsigned workers = weft_worker_count();

	for (unsigned i = 0; i < workers; i++)
		of_worker[i].sum = 0;
	int rc = weft_for(0, s->n, add_piece, s);
	s->out = 0;
	for (unsigned i = 0; i < workers; i++)
		s->out += of_worker[i].sum;
	return rc;
}

/* --- rows --------------------------------------------------------------- */

/* Before each run: is the result of the last one right?  The orders of addition
 * differ. */
static double expected;

static void check(void *arg)
{
	struct sum *s = arg;

	bench_check(fabs(s->out - expected) <= 1e-10 * (double)s->n, "sum");
	s->out = 0;
}

static void measure(const char *what, double *values, size_t n)
{
	struct sum s = { values, n, 0 };
	struct bench_row row = { .what = what, .items = (double)n, .before = check };

	serial(&s);
	expected = s.out;
	row.before_arg = &s;
	bench_plain(&row, "serial", serial, &s);
	bench_plain(&row, "2 threads", two_threads, &s);
	bench_weft(&row, "reduce 1", 1, reduce, &s);
	bench_weft(&row, "reduce N", 0, reduce, &s);
	bench_weft(&row, "plain N", 0, plain, &s);
	bench_peer(&row, "tbb plain", "sum_tbb", "sum", 0, &s);
	bench_peer(&row, "tbb determ.", "sum_tbb", "sum_deterministic", 0, &s);
	bench_peer(&row, "gomp", "sum_gomp", "sum", 0, &s);
	bench_peer(&row, "libomp", "sum_libomp", "sum", 0, &s);
	if (bench_threads() == 2)
		bench_bar(&row, "P8", "reduce N", "2 threads", BENCH_AT_MOST, 1.03);
	bench_bar(&row, "P21", "reduce N", "plain N", BENCH_AT_MOST, 1.05);
	bench_bar(&row, "P21", "reduce 1", "serial", BENCH_AT_MOST, 1.05);
	bench_run(&row);
	check(&s);
}

/* TBB's deterministic reduction with the grain that it has unless told. */
static void measure_grain(double *values, size_t n)
{
	struct sum s = { values, n, 0 };
	struct bench_row row = { .what = "sum, grain 1", .items = (double)n, .before = check };

	serial(&s);
	expected = s.out;
	row.before_arg = &s;
	bench_plain(&row, "serial", serial, &s);
	bench_weft(&row, "reduce N", 0, reduce, &s);
	bench_peer(&row, "tbb determ.", "sum_tbb", "sum_grain_1", 0, &s);
	bench_bar(&row, "", "reduce N", "tbb determ.", BENCH_AT_MOST, 1);
	bench_run(&row);
}

/* The same bits for any number of workers. */
static void check_bits(const double *values, size_t n)
{
	static const unsigned workers[] = { 1, 2, 3, 8 };
	struct sum first = { values, n, 0 };

	bench_check(reduce(&first) == 0, "reduce outside of a runtime");
	for (size_t i = 0; i < sizeof(workers) / sizeof(*workers); i++) {
		struct sum s = { values, n, 0 };
		struct weft_runtime *runtime;

		bench_check(weft_runtime_create(&runtime, .workers = workers[i]) == 0, "create");
		bench_check(weft_runtime_run(runtime, reduce, &s) == 0, "reduce");
		bench_check(memcmp(&s.out, &first.out, sizeof(s.out)) == 0, "equal bits");
		weft_runtime_destroy(runtime);
	}
}

static double *make_values(size_t n)
{
	double *values = malloc(n * sizeof(*values));
	uint64_t x = 88172645463325252u; /* xorshift64 of Marsaglia */

	bench_check(values != NULL, "memory");
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		values[i] = (double)(x >> 11) * 0x1p-53 - 0.5;
	}
	return values;
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	size_t n = bench_quick() ? 1000 * 1000 : 100 * 1000 * 1000;
	double *values = make_values(n);

	helper_start();
	check_bits(values, n / 10);
	measure("sum of 10^8", values, n);
	measure("sum of 3 10^7", values, n / 10 * 3);
	measure("sum of 10^7", values, n / 10);
	measure_grain(values, n / 100);
	helper_stop();
	free(values);
	return bench_end();
}
