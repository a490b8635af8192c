/* SPDX-License-Identifier: MIT */
/* skynet_tbb.cpp - skynet with a task group per node */
#include <tbb/global_control.h>
#include <tbb/task_group.h>

#include "bench.h"
#include "skynet.h"

static long sum_of(long first, long size)
{
	long child[SKYNET_WAYS];
	long sum = 0;

	if (size == 1)
		return first;
	size /= SKYNET_WAYS;
	tbb::task_group group;
	for (int i = 0; i < SKYNET_WAYS; i++)
		group.run([&child, first, size, i] { child[i] = sum_of(first + i * size, size); });
	group.wait();
	for (long c : child)
		sum += c;
	return sum;
}

BENCH_PEER void peer_skynet(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	skynet *s = static_cast<skynet *>(job);

	for (int i = 0; i < s->times; i++)
		s->sum = sum_of(s->first, s->size);
}
