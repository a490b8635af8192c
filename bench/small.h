/* SPDX-License-Identifier: MIT */
/*
 * small.h - what bench/small.c and its peers do, over and over
 *
 * A pair is two jobs of known length, done side by side or in turn.  Pairs come
 * one at a time, after a pause in which the caller computes something else and
 * everybody else may fall asleep.
 */
#ifndef BENCH_SMALL_H
#define BENCH_SMALL_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "bench.h"

/* Loops over n items, `times` in a row; `out` is NULL for the empty loop. */
struct small_loop {
	size_t n;
	size_t times;
	uint32_t *out;
};

enum { SMALL_PAIRS_MAX = 64 };

struct small_pairs {
	long steps;	/* of one job, a nanosecond or so each */
	unsigned count; /* pairs in a row */
	double pause;	/* seconds before each */
	double wall[SMALL_PAIRS_MAX], cpu[SMALL_PAIRS_MAX]; /* of each pair, in seconds */
};

/* An item of a loop that does something: some 1 ns. */
static inline uint32_t small_mix(size_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	return (uint32_t)(x >> 32);
}

/* A chain of multiplications, so that no compiler is better at it. */
static inline void small_compute(long steps)
{
	uint64_t x = 1;

	for (long i = 0; i < steps; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : "+r"(x));
	}
}

static inline double small_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Busy for so many seconds, as a program between two regions is; what that cost
 * in CPU time. */
static inline double small_pause(double seconds)
{
	double cpu = small_clock(CLOCK_THREAD_CPUTIME_ID);
	double until = small_clock(CLOCK_MONOTONIC) + seconds;

	while (small_clock(CLOCK_MONOTONIC) < until)
		small_compute(100);
	return small_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

/* CPU time of a pair is all that the process used until the next but for the
 * pause itself, so that a helper who goes on spinning after the pair is charged
 * for it.  The caller may be on another thread after the pair, but not after a
 * pause. */
static inline void small_run_pairs(struct small_pairs *p, void (*pair)(long steps))
{
	small_pause(p->pause);
	for (unsigned i = 0; i < p->count; i++) {
		double cpu = small_clock(CLOCK_PROCESS_CPUTIME_ID);
		double wall = small_clock(CLOCK_MONOTONIC);
		pair(p->steps);
		p->wall[i] = small_clock(CLOCK_MONOTONIC) - wall;
		double own = small_pause(p->pause);
		p->cpu[i] = small_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu - own;
	}
}

#endif
