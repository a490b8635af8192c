/* SPDX-License-Identifier: MIT */
/* small_omp.c - small loops by parallel for, pairs by parallel sections */
#include "small.h"

/* The compilers drop the empty body and keep the region. */
BENCH_PEER void peer_empty(void *job, unsigned threads)
{
	struct small_loop *l = job;

	for (size_t t = 0; t < l->times; t++) {
#pragma omp parallel for num_threads(threads)
		for (size_t i = 0; i < l->n; i++)
			;
	}
}

BENCH_PEER void peer_mix(void *job, unsigned threads)
{
	struct small_loop *l = job;

	for (size_t t = 0; t < l->times; t++) {
#pragma omp parallel for num_threads(threads)
		for (size_t i = 0; i < l->n; i++)
			l->out[i] = small_mix(i);
	}
}

static unsigned team;

static void pair(long steps)
{
#pragma omp parallel sections num_threads(team)
	{
#pragma omp section
		small_compute(steps);
#pragma omp section
		small_compute(steps);
	}
}

BENCH_PEER void peer_pairs(void *job, unsigned threads)
{
	team = threads;
	small_run_pairs(job, pair);
}
