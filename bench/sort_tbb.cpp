/* SPDX-License-Identifier: MIT */
/* sort_tbb.cpp - the sorts of oneTBB and of the C++ library */
#include <tbb/global_control.h>
#include <tbb/parallel_sort.h>

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#include <parallel/algorithm>
#endif

#include "bench.h"
#include "sort.h"

BENCH_PEER void peer_sort(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	numbers *j = static_cast<numbers *>(job);

	tbb::parallel_sort(j->v, j->v + j->n);
}

BENCH_PEER void peer_std_sort(void *job, unsigned)
{
	numbers *j = static_cast<numbers *>(job);

	std::sort(j->v, j->v + j->n);
}

BENCH_PEER void peer_std_stable_sort(void *job, unsigned)
{
	numbers *j = static_cast<numbers *>(job);

	std::stable_sort(j->v, j->v + j->n);
}

#ifdef _OPENMP
BENCH_PEER void peer_gnu_sort(void *job, unsigned threads)
{
	numbers *j = static_cast<numbers *>(job);

	omp_set_num_threads(static_cast<int>(threads));
	__gnu_parallel::sort(j->v, j->v + j->n);
}
#endif
