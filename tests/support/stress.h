/* SPDX-License-Identifier: MIT */
/*
 * stress.h - what the stress programs share
 *
 *	int main(int argc, char **argv)
 *	{
 *		stress_begin(argc, argv);
 *		for (long round = 0; round < 100 * stress_scale; round++)
 *			stress_run(stress_threads, body);
 *		return 0;
 *	}
 *
 * Argument 1 multiplies the amount of work; the default is about a second.
 * WEFT_NUM_THREADS says how many threads run against each other, beside the one
 * that owns what they fight over.  WEFT_SEED repeats the choices of a run, though
 * not its timing.
 */
#ifndef WEFT_TESTS_STRESS_H
#define WEFT_TESTS_STRESS_H

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "deque/atomic.h"
#include "deque/rng.h"

#define STRESS_THREADS_MAX 64

static long stress_scale = 1;
static unsigned stress_threads = 2;
static uint64_t stress_seed;

/* Aborts with a line that names the seed when x does not hold. */
#define STRESS_CHECK(x)                                                                       \
	do {                                                                                  \
		if (!(x)) {                                                                   \
			fprintf(stderr, "%s:%d: not true: %s (seed %" PRIu64 ")\n", __FILE__, \
				__LINE__, #x, stress_seed);                                   \
			abort();                                                              \
		}                                                                             \
	} while (0)

static inline uint64_t stress_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static inline void stress_begin(int argc, char **argv)
{
	if (argc > 1)
		stress_scale = strtol(argv[1], NULL, 0);
	if (stress_scale < 1)
		stress_scale = 1;
	stress_threads = (unsigned)stress_env("WEFT_NUM_THREADS", 2);
	if (stress_threads < 1)
		stress_threads = 1;
	if (stress_threads > STRESS_THREADS_MAX)
		stress_threads = STRESS_THREADS_MAX;
	stress_seed = stress_env("WEFT_SEED", (uint64_t)time(NULL));
	printf("seed %" PRIu64 ", %u threads, scale %ld\n", stress_seed, stress_threads,
	       stress_scale);
	fflush(stdout);
}

/* Spins until the next turn, and gives the CPU away now and then: with more
 * threads than CPUs, whoever is waited for must get one. */
static inline void stress_relax(unsigned *tries)
{
	if (++*tries % 256 == 0)
		sched_yield();
	else
		cpu_relax();
}

/* A barrier that does not sleep: threads leave it together, within the time of a
 * cache miss, and so meet in what comes next. */
struct stress_barrier {
	uint32_t threads, waiting, turn;
};

static inline void stress_barrier_init(struct stress_barrier *barrier, unsigned threads)
{
	*barrier = (struct stress_barrier){ .threads = threads };
}

static inline void stress_barrier_wait(struct stress_barrier *barrier)
{
	uint32_t turn = load_acquire(&barrier->turn);
	unsigned tries = 0;

	if (add_seqcst(&barrier->waiting, 1) + 1 == barrier->threads) {
		store_relaxed(&barrier->waiting, 0);
		store_release(&barrier->turn, turn + 1);
		return;
	}
	while (load_acquire(&barrier->turn) == turn)
		stress_relax(&tries);
}

struct stress_thread {
	pthread_t id;
	unsigned index;
	void (*body)(unsigned index);
};

static inline void *stress_thread_main(void *arg)
{
	struct stress_thread *t = (struct stress_thread *)arg;

	t->body(t->index);
	return NULL;
}

static inline void stress_start(struct stress_thread *threads, unsigned n,
				void (*body)(unsigned index))
{
	for (unsigned i = 0; i < n; i++) {
		threads[i].index = i;
		threads[i].body = body;
		STRESS_CHECK(
			pthread_create(&threads[i].id, NULL, stress_thread_main, &threads[i]) == 0);
	}
}

static inline void stress_join(struct stress_thread *threads, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
}

#endif
