/* SPDX-License-Identifier: MIT */
/* offload.h - what the sides of offload.c share */
#ifndef WEFT_BENCH_OFFLOAD_H
#define WEFT_BENCH_OFFLOAD_H

#include <time.h>

struct offload_job {
	long calls;   /* in all */
	long at_once; /* chains of calls, one after the other */
	int naps;     /* each sleeps for 10 ms */
	long ran;     /* result; atomic */
};

static inline void offload_call(struct offload_job *job)
{
	struct timespec ten_ms = { 0, 10000000 };

	if (job->naps)
		nanosleep(&ten_ms, 0);
	__atomic_fetch_add(&job->ran, 1, __ATOMIC_RELAXED);
}

#endif
