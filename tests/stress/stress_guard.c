/* SPDX-License-Identifier: MIT */
/*
 * stress_guard.c - an object that becomes one worker's, and is taken away from it
 *
 * Each round has a fresh guard.  Thread 0 uses it alone until it is its own, and goes on;
 * the others come at a random moment, while it is inside or about to be.  What is guarded
 * is plain memory: a missing fence is a lost count, a missing edge a report of
 * ThreadSanitizer.  The owner pauses inside now and then, and between its store to busy
 * and what follows there is nothing to hold it, so that both sides meet in O1.
 */
#include "async/guard.h"
#include "support/stress.h"

enum { OWNERS = 600, OTHERS = 40, COURTSHIP = 256, MOMENT = 2000 };

static struct weft__guard guard;
static struct stress_barrier barrier;
static uint64_t counter; /* plain */
static uint32_t inside, owned, taken;
static long rounds;

/* The address of a worker, as far as a guard is concerned. */
static _Alignas(16) char worker[STRESS_THREADS_MAX][16];

static void enter_and_count(const void *me, bool pause)
{
	weft__guard_lock(&guard, me);
	STRESS_CHECK(add_seqcst(&inside, 1) == 0);
	counter++;
	for (int i = 0; pause && i < 50; i++)
		cpu_relax();
	STRESS_CHECK(add_seqcst(&inside, (uint32_t)-1) == 1);
	weft__guard_unlock(&guard);
}

/* Without what would make the CPU wait for its store. */
static void enter_quickly(const void *me)
{
	weft__guard_lock(&guard, me);
	counter++;
	weft__guard_unlock(&guard);
}

static void own(struct weft__rng *rng)
{
	for (int i = 0; i < OWNERS; i++) {
		if (weft__rng_below(rng, 64) == 0)
			enter_and_count(worker[0], true);
		else
			enter_quickly(worker[0]);
	}
}

static void intrude(unsigned self, struct weft__rng *rng)
{
	uint64_t moment = weft__rng_below(rng, MOMENT);

	for (uint64_t i = 0; i < moment; i++)
		cpu_relax();
	for (int i = 0; i < OTHERS; i++)
		enter_and_count(self % 2 ? worker[self] : NULL, false);
}

static void run(unsigned self)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + self);
	for (long i = 0; i < rounds; i++) {
		stress_barrier_wait(&barrier);
		if (self == 0)
			own(&rng);
		else
			intrude(self, &rng);
		stress_barrier_wait(&barrier);
		if (self != 0)
			continue;
		STRESS_CHECK(counter == OWNERS + (uint64_t)OTHERS * (barrier.threads - 1));
		STRESS_CHECK(barrier.threads == 1 || guard.bias == WEFT__GUARD_COLD);
		owned += guard.courted == COURTSHIP;
		taken += guard.courted == COURTSHIP && guard.bias == WEFT__GUARD_COLD;
		counter = 0;
		guard = (struct weft__guard){ 0 };
	}
}

int main(int argc, char **argv)
{
	struct stress_thread threads[STRESS_THREADS_MAX];

	weft__guard_prepare();
	stress_begin(argc, argv);
	rounds = 300 * stress_scale;
	stress_barrier_init(&barrier, stress_threads);
	stress_start(threads, stress_threads, run);
	stress_join(threads, stress_threads);
	printf("%ld rounds, owned in %u, taken away in %u\n", rounds, owned, taken);
	return 0;
}
