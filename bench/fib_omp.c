/* SPDX-License-Identifier: MIT */
/* fib_omp.c - fib with a task per call */
#include "bench.h"
#include "fib.h"

static long fib_of(long n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a)
	a = fib_of(n - 1);
	b = fib_of(n - 2);
#pragma omp taskwait
	return a + b;
}

BENCH_PEER void peer_fib(void *job, unsigned threads)
{
	struct fib *f = job;

#pragma omp parallel num_threads(threads)
#pragma omp single
	f->out = fib_of(f->n);
}
