/* SPDX-License-Identifier: MIT */
/* uneven_omp.c - uneven loops by schedule(dynamic) */
#include "bench.h"
#include "uneven.h"

BENCH_PEER void peer_mandelbrot(void *job, unsigned threads)
{
	struct uneven *u = job;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
	for (size_t i = 0; i < u->n; i++)
		u->out[i] = mandelbrot_row(i, u->n);
}

BENCH_PEER void peer_collatz(void *job, unsigned threads)
{
	struct uneven *u = job;

#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
	for (size_t i = 0; i < u->n; i++)
		u->out[i] = collatz_length(i);
}
