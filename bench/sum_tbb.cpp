/* SPDX-License-Identifier: MIT */
/* sum_tbb.cpp - a sum by parallel_reduce, plain and deterministic */
#include <functional>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_reduce.h>

#include "bench.h"
#include "sum.h"

using range = tbb::blocked_range<size_t>;

static auto adder(const sum *s)
{
	return [s](const range &r, double so_far) {
		return so_far + sum_range(s->values, r.begin(), r.end());
	};
}

BENCH_PEER void peer_sum(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	sum *s = static_cast<sum *>(job);

	s->out = tbb::parallel_reduce(range(0, s->n), 0.0, adder(s), std::plus<double>());
}

static void deterministic(void *job, unsigned threads, size_t grain)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	sum *s = static_cast<sum *>(job);

	s->out = tbb::parallel_deterministic_reduce(range(0, s->n, grain), 0.0, adder(s),
						    std::plus<double>());
}

BENCH_PEER void peer_sum_deterministic(void *job, unsigned threads)
{
	deterministic(job, threads, 16384);
}

BENCH_PEER void peer_sum_grain_1(void *job, unsigned threads)
{
	deterministic(job, threads, 1);
}
