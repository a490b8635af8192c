/* SPDX-License-Identifier: MIT
 *
 * delay.c - a thread may be late anywhere
 *
 * Two threads meet within a few instructions once in many runs, and a test that only works
 * when one of them is first fails on another machine, in another week.  In the delay build
 * (cmake --preset delay) every function of weft and of its tests calls a hook where it
 * begins and where it ends, inlined ones too and so every atomic operation.  The hook lets
 * the thread go on, gives up its CPU, or sleeps: mostly long enough for another thread to
 * get past a few operations, seldom long enough to do a whole task.  This file itself has
 * no hooks.
 *
 * WEFT_DELAY_EVERY: one hook in how many does something (1000), until the process has slept
 * for WEFT_DELAY_BUDGET milliseconds (5000).  WEFT_DELAY_SEED: which hooks; a run is not
 * repeated exactly by it, as threads are not.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "deque/rng.h"

enum { EVERY = 1000, BUDGET = 5000, MILLISECOND = 1000000 };

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

static _Atomic uint64_t seed;
static _Atomic uint64_t slept; /* nanoseconds */
static uint64_t every, budget;

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&seed, number_of("WEFT_DELAY_SEED", (uint64_t)now.tv_nsec));
	every = number_of("WEFT_DELAY_EVERY", EVERY);
	budget = number_of("WEFT_DELAY_BUDGET", BUDGET) * MILLISECOND;
}

static uint64_t random_of_thread(void)
{
	static __thread struct weft__rng rng;
	static __thread bool seeded;

	if (!seeded)
		weft__rng_init(&rng, atomic_fetch_add(&seed, 1));
	seeded = true;
	return weft__rng_next(&rng);
}

static void sleep_about(uint64_t pick)
{
	static const long lengths[] = {
		1000, 10000, 10000, 100000, 100000, 100000, 1000000, 5000000
	};
	struct timespec time = { .tv_nsec = lengths[pick % 8] };
	int saved = errno;

	if (atomic_fetch_add(&slept, (uint64_t)time.tv_nsec) >= budget)
		return;
	nanosleep(&time, NULL);
	errno = saved;
}

static void perhaps_delay(void)
{
	if (every == 0)
		return;
	uint64_t pick = random_of_thread();
	if (pick % every != 0)
		return;
	pick /= every;
	if (pick % 2)
		sched_yield();
	else
		sleep_about(pick / 2);
}

void __cyg_profile_func_enter(void *function, void *caller)
{
	(void)function;
	(void)caller;
	perhaps_delay();
}

void __cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
	perhaps_delay();
}
