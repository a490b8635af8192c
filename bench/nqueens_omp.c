/* SPDX-License-Identifier: MIT */
/* nqueens_omp.c - nqueens with a task per queen that can stand */
#include "bench.h"
#include "nqueens.h"

static long count_below(const struct board *b)
{
	long counts[QUEENS_MAX] = { 0 };
	long count = 0;
	struct board next;

	if (b->rows == b->n)
		return 1;
	for (int column = 0; column < b->n; column++) {
		if (!place(&next, b, column))
			continue;
#pragma omp task shared(counts) firstprivate(next, column)
		counts[column] = count_below(&next);
	}
#pragma omp taskwait
	for (int column = 0; column < b->n; column++)
		count += counts[column];
	return count;
}

BENCH_PEER void peer_nqueens(void *job, unsigned threads)
{
	struct nqueens *q = job;
	struct board empty = { .n = q->n };

#pragma omp parallel num_threads(threads)
#pragma omp single
	q->out = count_below(&empty);
}
