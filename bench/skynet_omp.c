/* SPDX-License-Identifier: MIT */
/* skynet_omp.c - skynet with a task per child */
#include "bench.h"
#include "skynet.h"

static long sum_of(long first, long size)
{
	long child[SKYNET_WAYS];
	long sum = 0;

	if (size == 1)
		return first;
	size /= SKYNET_WAYS;
	for (int i = 0; i < SKYNET_WAYS; i++) {
#pragma omp task shared(child)
		child[i] = sum_of(first + i * size, size);
	}
#pragma omp taskwait
	for (int i = 0; i < SKYNET_WAYS; i++)
		sum += child[i];
	return sum;
}

BENCH_PEER void peer_skynet(void *job, unsigned threads)
{
	struct skynet *s = job;

#pragma omp parallel num_threads(threads)
#pragma omp single
	for (int i = 0; i < s->times; i++)
		s->sum = sum_of(s->first, s->size);
}
