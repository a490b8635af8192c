/* SPDX-License-Identifier: MIT */
/*
 * fib.c - what a fork costs: fib(n) with one fork per call and no cut-off
 *
 * Nothing is computed but forks, so the ratio to the plain recursion is the
 * price of forking at its worst.  By value is the expert form of weft/fork.h;
 * by structs is weft_both as anybody would write it, against a recursion with
 * the same structs.
 */
#include "fib.h"

#include <weft/weft.h>

#include "bench.h"

static long fib_of(long n)
{
	return n < 2 ? n : fib_of(n - 1) + fib_of(n - 2);
}

static void serial_values(void *arg)
{
	struct fib *f = arg;
	f->out = fib_of(f->n);
}

static void fib_serial_structs(struct fib *f)
{
	if (f->n < 2) {
		f->out = f->n;
		return;
	}
	struct fib l = { f->n - 1, 0 }, r = { f->n - 2, 0 };
	fib_serial_structs(&l);
	fib_serial_structs(&r);
	f->out = l.out + r.out;
}

static void serial_structs(void *arg)
{
	fib_serial_structs(arg);
}

static long fib_values(long n);

static int fib_task(void *arg)
{
	struct fib *f = arg;
	f->out = fib_values(f->n);
	return 0;
}

static long fib_offered(long n)
{
	struct fib l = { n - 1, 0 }, r = { n - 2, 0 };

	weft_both_offered(fib_task, &l, fib_task, &r);
	return l.out + r.out;
}

static long fib_values(long n)
{
	if (n < 2)
		return n;
	if (weft_hungry())
		return fib_offered(n);
	return fib_values(n - 1) + fib_values(n - 2);
}

static int fib_structs(void *arg)
{
	struct fib *f = arg;

	if (f->n < 2) {
		f->out = f->n;
		return 0;
	}
	struct fib l = { f->n - 1, 0 }, r = { f->n - 2, 0 };
	int rc = weft_both(fib_structs, &l, fib_structs, &r);
	f->out = l.out + r.out;
	return rc;
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	struct fib f = { bench_quick() ? 25 : 40, 0 };
	double calls = 2.0 * (double)fib_of(f.n + 1);
	long right = fib_of(f.n);

	struct bench_row values = { .what = "fib by value", .items = calls };
	bench_plain(&values, "serial", serial_values, &f);
	bench_weft(&values, "weft 1", 1, fib_task, &f);
	bench_weft(&values, "weft N", 0, fib_task, &f);
	bench_bar(&values, "P1", "weft 1", "serial", BENCH_AT_MOST, 1.20);
	bench_bar(&values, "P2", "weft 1", "weft N", BENCH_AT_LEAST, 1.9);
	bench_run(&values);
	bench_check(f.out == right, "fib by value");

	struct bench_row structs = { .what = "fib by structs", .items = calls };
	bench_plain(&structs, "serial", serial_structs, &f);
	bench_weft(&structs, "weft 1", 1, fib_structs, &f);
	bench_weft(&structs, "weft N", 0, fib_structs, &f);
	bench_bar(&structs, "P3", "weft 1", "serial", BENCH_AT_MOST, 1.25);
	bench_run(&structs);
	bench_check(f.out == right, "fib by structs");

	/* TBB needs a second for fib(30): a smaller tree for the peers. */
	struct fib small = { bench_quick() ? 18 : 27, 0 };
	struct bench_row peers = { .what = "fib, peers",
				   .items = 2.0 * (double)fib_of(small.n + 1) };
	bench_plain(&peers, "serial", serial_values, &small);
	bench_weft(&peers, "weft N", 0, fib_task, &small);
	bench_peers(&peers, "fib", &small);
	bench_bar(&peers, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&peers, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_bar(&peers, "", "weft N", "libomp", BENCH_AT_MOST, 1);
	bench_run(&peers);
	return bench_end();
}
