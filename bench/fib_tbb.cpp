/* SPDX-License-Identifier: MIT */
/* fib_tbb.cpp - fib with a parallel_invoke per call */
#include <tbb/global_control.h>
#include <tbb/parallel_invoke.h>

#include "bench.h"
#include "fib.h"

static long fib_of(long n)
{
	long a, b;

	if (n < 2)
		return n;
	tbb::parallel_invoke([&] { a = fib_of(n - 1); }, [&] { b = fib_of(n - 2); });
	return a + b;
}

BENCH_PEER void peer_fib(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	fib *f = static_cast<fib *>(job);
	f->out = fib_of(f->n);
}
