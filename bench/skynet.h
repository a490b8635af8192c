/* SPDX-License-Identifier: MIT */
/* skynet.h - what bench/skynet.c and its peers compute */
#ifndef BENCH_SKYNET_H
#define BENCH_SKYNET_H

enum { SKYNET_WAYS = 10 };

/* The sum of the leaves first .. first + size - 1; size is a power of 10. */
struct skynet {
	long first, size, sum;
	int times; /* computed so often in a row */
};

#endif
