/* SPDX-License-Identifier: MIT */
/* offload.h - what the sides of offload.c share */
#ifndef WEFT_BENCH_OFFLOAD_H
#define WEFT_BENCH_OFFLOAD_H

#include <time.h>

/* What the pools of the peers get, and as many as there are naps at once. */
enum { OFFLOAD_FEW = 8, OFFLOAD_MANY = 1000 };

struct offload_job {
	long calls;    /* in all */
	long at_once;  /* chains of calls, one after the other */
	int naps;      /* each sleeps for 10 ms */
	int pauses;    /* 1 ms before each call; one at a time */
	long ran;      /* result; atomic */
	double paused; /* result: seconds */
};

static inline double offload_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Before each call. */
static inline void offload_pause(struct offload_job *job)
{
	struct timespec ms = { 0, 1000000 };

	if (!job->pauses)
		return;
	double began = offload_now();
	nanosleep(&ms, 0);
	job->paused += offload_now() - began;
}

static inline void offload_call(struct offload_job *job)
{
	struct timespec ten_ms = { 0, 10000000 };

	if (job->naps)
		nanosleep(&ten_ms, 0);
	__atomic_fetch_add(&job->ran, 1, __ATOMIC_RELAXED);
}

#endif
