/* SPDX-License-Identifier: MIT */
/* idle_tbb.cpp - a burst of work by parallel_for */
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include "bench.h"
#include "idle.h"

BENCH_PEER void peer_burst(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	idle *work = static_cast<idle *>(job);

	tbb::parallel_for(size_t(0), work->n, [work](size_t i) { work->out[i] = idle_item(i); });
}
