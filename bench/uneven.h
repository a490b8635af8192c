/* SPDX-License-Identifier: MIT */
/* uneven.h - what bench/uneven.c and its peers compute */
#ifndef BENCH_UNEVEN_H
#define BENCH_UNEVEN_H

#include <stddef.h>

/* Items 0 .. n - 1; out[i] is the result of item i. */
struct uneven {
	size_t n;
	long *out;
	const long *right; /* what out must be */
};

enum { MANDELBROT_LIMIT = 300 };

/* Iterations over row `row` of an n by n picture of the Mandelbrot set: rows in
 * the middle take some 100 times as long as those at the edges. */
static inline long mandelbrot_row(size_t row, size_t n)
{
	double y = 2.5 * (double)row / (double)n - 1.25;
	long iterations = 0;

	for (size_t column = 0; column < n; column++) {
		double x = 2.5 * (double)column / (double)n - 2.0;
		double re = 0, im = 0;
		int k = 0;

		while (k < MANDELBROT_LIMIT && re * re + im * im <= 4) {
			double next = re * re - im * im + x;
			im = 2 * re * im + y;
			re = next;
			k++;
		}
		iterations += k;
	}
	return iterations;
}

/* Steps of the Collatz sequence from item + 1 down to 1, without a branch for
 * the compilers to differ in: of an odd x it does two, (3 x + 1) / 2. */
static inline long collatz_length(size_t item)
{
	unsigned long x = item + 1;
	long steps = 0;

	while (x != 1) {
		unsigned long odd = x & 1;
		x = (x >> 1) + ((x + 1) & -odd);
		steps += 1 + (long)odd;
	}
	return steps;
}

#endif
