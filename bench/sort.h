/* SPDX-License-Identifier: MIT */
/* sort.h - what bench/sort.c and its peers sort */
#ifndef BENCH_SORT_H
#define BENCH_SORT_H

#include <stddef.h>
#include <stdint.h>

struct numbers {
	uint32_t *v;
	size_t n;
};

#endif
