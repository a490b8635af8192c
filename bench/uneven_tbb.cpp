/* SPDX-License-Identifier: MIT */
/* uneven_tbb.cpp - uneven loops by parallel_for, which splits as it sees fit */
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include "bench.h"
#include "uneven.h"

template <typename Item> static void each(void *job, unsigned threads, const Item &item)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	uneven *u = static_cast<uneven *>(job);

	tbb::parallel_for(tbb::blocked_range<size_t>(0, u->n),
			  [&](const tbb::blocked_range<size_t> &r) {
				  for (size_t i = r.begin(); i < r.end(); i++)
					  u->out[i] = item(i, u->n);
			  });
}

BENCH_PEER void peer_mandelbrot(void *job, unsigned threads)
{
	each(job, threads, [](size_t i, size_t n) { return mandelbrot_row(i, n); });
}

BENCH_PEER void peer_collatz(void *job, unsigned threads)
{
	each(job, threads, [](size_t i, size_t) { return collatz_length(i); });
}
