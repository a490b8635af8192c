/* SPDX-License-Identifier: MIT */
/*
 * ticks.h - how long something took, roughly and for 9 ns
 *
 * The runtime reads no clock: it has no use for the time of day and none for
 * deadlines.  It does weigh durations, a loop's chunk against 10 us, a young
 * region against the price of a wake-up, and for that a cycle counter that may
 * be a few percent off is enough.  On x86-64 its rate is measured once against
 * CLOCK_MONOTONIC over the time it takes to start the workers; aarch64 tells
 * its rate.
 */
#ifndef WEFT_RUNTIME_TICKS_H
#define WEFT_RUNTIME_TICKS_H

#include <stdint.h>
#include <time.h>

static inline uint64_t weft__ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
#error "weft runs on x86-64 and aarch64"
#endif
}

/* Two readings of both clocks, some 50 us or more apart, give the rate. */
struct weft__ticks_gauge {
	uint64_t ticks;
	int64_t ns;
};

/* The thread may be interrupted between the two readings: the closest pair of
 * some counts. */
static inline struct weft__ticks_gauge weft__ticks_gauge(void)
{
	struct weft__ticks_gauge best = { 0, 0 };
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < 4; i++) {
		struct timespec t;
		uint64_t before = weft__ticks();
		clock_gettime(CLOCK_MONOTONIC, &t);
		uint64_t after = weft__ticks();
		if (after - before >= closest)
			continue;
		closest = after - before;
		best.ticks = before + closest / 2;
		best.ns = t.tv_sec * 1000000000 + t.tv_nsec;
	}
	return best;
}

/* Ticks per microsecond since `from`, at least 1. */
static inline uint64_t weft__ticks_per_us(struct weft__ticks_gauge from)
{
	struct weft__ticks_gauge now = weft__ticks_gauge();
	int64_t ns = now.ns - from.ns;
	uint64_t rate = (now.ticks - from.ticks) * 1000 / (uint64_t)(ns > 0 ? ns : 1);
	return rate ? rate : 1;
}

#endif
