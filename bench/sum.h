/* SPDX-License-Identifier: MIT */
/* sum.h - what bench/sum.c and its peers compute */
#ifndef BENCH_SUM_H
#define BENCH_SUM_H

#include <stddef.h>

struct sum {
	const double *values;
	size_t n;
	double out;
};

enum { SUM_LANES = 16 };

/* One addition after the other would wait for the adder; sixteen sums side by
 * side wait for memory alone. */
static inline double sum_range(const double *values, size_t begin, size_t end)
{
	double lane[SUM_LANES] = { 0 };
	double sum = 0;
	size_t i = begin;

	for (; i + SUM_LANES <= end; i += SUM_LANES)
		for (int k = 0; k < SUM_LANES; k++)
			lane[k] += values[i + (size_t)k];
	for (; i < end; i++)
		sum += values[i];
	for (int k = 0; k < SUM_LANES; k++)
		sum += lane[k];
	return sum;
}

#endif
