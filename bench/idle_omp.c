/* SPDX-License-Identifier: MIT */
/* idle_omp.c - a burst of work by parallel for */
#include "bench.h"
#include "idle.h"

BENCH_PEER void peer_burst(void *job, unsigned threads)
{
	struct idle *idle = job;

#pragma omp parallel for num_threads(threads)
	for (size_t i = 0; i < idle->n; i++)
		idle->out[i] = idle_item(i);
}
