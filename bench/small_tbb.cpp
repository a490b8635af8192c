/* SPDX-License-Identifier: MIT */
/* small_tbb.cpp - small loops by parallel_for, pairs by parallel_invoke */
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_invoke.h>

#include "small.h"

using range = tbb::blocked_range<size_t>;

template <typename Body, typename Partitioner>
static void in_a_row(void *job, unsigned threads, const Body &body, const Partitioner &partitioner)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	small_loop *l = static_cast<small_loop *>(job);

	for (size_t t = 0; t < l->times; t++)
		tbb::parallel_for(range(0, l->n), body, partitioner);
}

static const auto keep = [](const range &r) { bench_keep(&r); };

BENCH_PEER void peer_empty_static(void *job, unsigned threads)
{
	in_a_row(job, threads, keep, tbb::static_partitioner());
}

BENCH_PEER void peer_empty(void *job, unsigned threads)
{
	in_a_row(job, threads, keep, tbb::auto_partitioner());
}

BENCH_PEER void peer_mix(void *job, unsigned threads)
{
	uint32_t *out = static_cast<small_loop *>(job)->out;

	in_a_row(
		job, threads,
		[out](const range &r) {
			for (size_t i = r.begin(); i < r.end(); i++)
				out[i] = small_mix(i);
		},
		tbb::auto_partitioner());
}

static void pair(long steps)
{
	tbb::parallel_invoke([steps] { small_compute(steps); }, [steps] { small_compute(steps); });
}

BENCH_PEER void peer_pairs(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	small_run_pairs(static_cast<small_pairs *>(job), pair);
}
