/* SPDX-License-Identifier: MIT */
/* sum_omp.c - a sum by a parallel region, a piece a thread */
#include <omp.h>

#include "bench.h"
#include "sum.h"

BENCH_PEER void peer_sum(void *job, unsigned threads)
{
	struct sum *s = job;
	double sum = 0;

#pragma omp parallel num_threads(threads) reduction(+ : sum)
	{
		size_t team = (size_t)omp_get_num_threads();
		size_t rank = (size_t)omp_get_thread_num();
		sum += sum_range(s->values, s->n * rank / team, s->n * (rank + 1) / team);
	}
	s->out = sum;
}
