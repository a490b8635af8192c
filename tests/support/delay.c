/* SPDX-License-Identifier: MIT
 *
 * delay.c - a thread may be late anywhere
 *
 * Two threads meet within a few instructions once in many runs, and a test that only works
 * when one of them is first fails on another machine, in another week.  In the delay build
 * (cmake --preset delay) every function of weft and of its tests calls a hook where it
 * begins and where it ends, inlined ones too and so every atomic operation.  The hook lets
 * the thread go on, gives up its CPU, or sleeps: mostly long enough for another thread to
 * get past a few operations, seldom long enough to do a whole task.
 *
 * WEFT_DELAY_EVERY: one hook in how many does something (1000), until the process has slept
 * for WEFT_DELAY_BUDGET milliseconds (5000).  WEFT_DELAY_SEED: which hooks; a run is not
 * repeated exactly by it, as threads are not.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY = 1000, BUDGET = 5000, MILLISECOND = 1000000 };

#define UNHOOKED __attribute__((no_instrument_function))

void __cyg_profile_func_enter(void *function, void *caller) UNHOOKED;
void __cyg_profile_func_exit(void *function, void *caller) UNHOOKED;

static _Atomic uint64_t seed;
static _Atomic uint64_t slept; /* nanoseconds */
static uint64_t every, budget;

UNHOOKED static uint64_t number_of(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

UNHOOKED __attribute__((constructor)) static void begin(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&seed, number_of("WEFT_DELAY_SEED", (uint64_t)now.tv_nsec));
	every = number_of("WEFT_DELAY_EVERY", EVERY);
	budget = number_of("WEFT_DELAY_BUDGET", BUDGET) * MILLISECOND;
}

/* SplitMix64 (Steele, Lea, Flood 2014), a generator for each thread. */
UNHOOKED static uint64_t random_of_thread(void)
{
	static __thread uint64_t state;

	if (state == 0)
		state = atomic_fetch_add(&seed, 0x632be59bd9b4e019) * 0xd1342543de82ef95;
	uint64_t z = state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

UNHOOKED static void sleep_about(uint64_t pick)
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

UNHOOKED static void perhaps_delay(void)
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
