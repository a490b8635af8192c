/* SPDX-License-Identifier: MIT */
/* idle.h - the burst of work after which bench/idle.c and its peers rest */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

#include <stddef.h>
#include <stdint.h>

struct idle {
	size_t n; /* items of a nanosecond */
	uint32_t *out;
};

static inline uint32_t idle_item(size_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15u;
	return (uint32_t)(x >> 32);
}

#endif
