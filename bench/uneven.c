/* SPDX-License-Identifier: MIT */
/*
 * uneven.c - loops whose items take their time, and nobody knows how long
 *
 * Two extremes: a thousand rows of a picture, 0.02 to 1 ms each, and two million
 * Collatz sequences of some 100 ns each.  weft_for gets no grain; the peers get
 * the schedule that suits them (OpenMP dynamic, with a chunk for the small
 * items; TBB's own partitioner).
 */
#include "uneven.h"

#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#include "bench.h"

static void serial_mandelbrot(void *arg)
{
	struct uneven *u = arg;

	for (size_t i = 0; i < u->n; i++)
		u->out[i] = mandelbrot_row(i, u->n);
}

static void serial_collatz(void *arg)
{
	struct uneven *u = arg;

	for (size_t i = 0; i < u->n; i++)
		u->out[i] = collatz_length(i);
}

static int mandelbrot_rows(struct weft_range *r, void *arg)
{
	struct uneven *u = arg;

	for (size_t i = r->begin; i < r->end; i++)
		u->out[i] = mandelbrot_row(i, u->n);
	return 0;
}

static int collatz_items(struct weft_range *r, void *arg)
{
	struct uneven *u = arg;

	for (size_t i = r->begin; i < r->end; i++)
		u->out[i] = collatz_length(i);
	return 0;
}

static int mandelbrot(void *arg)
{
	struct uneven *u = arg;
	return weft_for(0, u->n, mandelbrot_rows, u);
}

static int collatz(void *arg)
{
	struct uneven *u = arg;
	return weft_for(0, u->n, collatz_items, u);
}

/* Before each run: are the results of the last one right? */
static void check(void *arg)
{
	struct uneven *u = arg;

	bench_check(memcmp(u->out, u->right, u->n * sizeof(*u->out)) == 0, "uneven");
	memset(u->out, 0, u->n * sizeof(*u->out));
}

static void measure(const char *what, size_t n, bench_fn *serial, bench_task_fn *task,
		    const char *symbol)
{
	long *right = malloc(n * sizeof(*right));
	struct uneven u = { n, malloc(n * sizeof(*u.out)), right };
	struct bench_row row = { .what = what, .items = (double)n, .before = check };

	bench_check(u.out && right, "memory");
	serial(&u);
	memcpy(right, u.out, n * sizeof(*right));
	row.before_arg = &u;
	bench_plain(&row, "serial", serial, &u);
	bench_weft(&row, "weft 1", 1, task, &u);
	bench_weft(&row, "weft N", 0, task, &u);
	bench_peers(&row, symbol, &u);
	bench_bar(&row, "P7", "serial", "weft N", BENCH_AT_LEAST, 1.97);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "libomp", BENCH_AT_MOST, 1);
	bench_run(&row);
	check(&u);
	free(u.out);
	free(right);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	measure("mandelbrot, rows", bench_quick() ? 100 : 1000, serial_mandelbrot, mandelbrot,
		"mandelbrot");
	measure("collatz", bench_quick() ? 20 * 1000 : 2 * 1000 * 1000, serial_collatz, collatz,
		"collatz");
	return bench_end();
}
