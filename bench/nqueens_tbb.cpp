/* SPDX-License-Identifier: MIT */
/* nqueens_tbb.cpp - nqueens with a task per queen that can stand */
#include <tbb/global_control.h>
#include <tbb/task_group.h>

#include "bench.h"
#include "nqueens.h"

static long count_below(const board &b)
{
	long counts[QUEENS_MAX] = { 0 };
	long count = 0;
	board next;

	if (b.rows == b.n)
		return 1;
	tbb::task_group group;
	for (int column = 0; column < b.n; column++)
		if (place(&next, &b, column))
			group.run([&counts, next, column] { counts[column] = count_below(next); });
	group.wait();
	for (long c : counts)
		count += c;
	return count;
}

BENCH_PEER void peer_nqueens(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	nqueens *q = static_cast<nqueens *>(job);
	board empty = {};

	empty.n = q->n;
	q->out = count_below(empty);
}
