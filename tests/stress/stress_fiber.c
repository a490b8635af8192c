/* SPDX-License-Identifier: MIT */
/*
 * stress_fiber.c - fibers that live short and move between threads
 *
 * Threads take slots from one pool of them, run the fiber of each for a step, and
 * put it back; so a fiber goes on wherever its slot is taken next.  After some
 * steps it is left in the middle of its functions, and its stack is used again,
 * perhaps by another thread.  A fiber touches its own stack and slot alone.
 *
 * Argument 2 is for tsan.sh, which knows what ThreadSanitizer must say:
 *	race	all fibers add to one number: a race, on one thread even, because
 *		a switch orders nothing
 *	edges	the same, with the edges drawn: no race, on one thread
 */
#include "../support/stress.h"

#include <string.h>

#include "runtime/fiber.h"

#define SLOTS 300 /* more than the caches of two threads hold together */
#define STEPS 6	  /* of a life */
#define LIVES 12000

struct slot {
	struct weft__fiber *fiber; /* NULL: needs a new one */
	bool over;
	uint64_t steps, lives; /* the fiber's */
};

static struct slot slots[SLOTS];
static struct weft__stack_pool pool;
static long shared;
static enum { ALONE, RACE, EDGES } mode;

/* The slots that nobody holds, and the lives still to be ended. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *idle[SLOTS];
static size_t idle_count;
static long lives_left;

/* NULL when all is done.  There are more slots than threads. */
static struct slot *pick(uint64_t random)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&lock);
	if (lives_left > 0) {
		size_t i = (size_t)(random % idle_count);
		slot = idle[i];
		idle[i] = idle[--idle_count];
	}
	pthread_mutex_unlock(&lock);
	return slot;
}

static void drop(struct slot *slot, bool ended)
{
	pthread_mutex_lock(&lock);
	idle[idle_count++] = slot;
	lives_left -= ended;
	pthread_mutex_unlock(&lock);
}

/* --- on a fiber -------------------------------------------------------------- */

/* What the thread wrote right before it switched here. */
WEFT__OF_THREAD static struct weft__fiber *home(struct slot *slot)
{
	return (struct weft__fiber *)(uintptr_t)slot->fiber->wait_on;
}

WEFT__OF_THREAD static struct weft__fiber *fiber_of(struct slot *slot)
{
	return slot->fiber;
}

WEFT__OF_THREAD static void say_over(struct slot *slot)
{
	slot->over = true;
}

static void end_life(struct slot *slot)
{
	say_over(slot);
	weft__tsan_release(slot); /* for the next life of the slot */
	weft__fiber_leave(fiber_of(slot), home(slot));
}

/* The compiler is not to know that it does not return. */
static void (*volatile end_here)(struct slot *slot) = end_life;

static void touch_shared(void)
{
	if (mode == ALONE)
		return;
	if (mode == EDGES)
		weft__tsan_acquire(&shared);
	shared++;
	if (mode == EDGES)
		weft__tsan_release(&shared);
}

static __attribute__((noinline)) void steps(struct slot *slot, unsigned left)
{
	volatile uint64_t pattern[16];

	for (unsigned i = 0; i < 16; i++)
		pattern[i] = (uintptr_t)slot + left + i;
	slot->steps++;
	touch_shared();
	if (left == 0) {
		end_here(slot);
		return;
	}
	weft__fiber_switch(fiber_of(slot), home(slot));
	for (unsigned i = 0; i < 16; i++)
		STRESS_CHECK(pattern[i] == (uintptr_t)slot + left + i);
	steps(slot, left - 1);
	pattern[0] = 0; /* so that the call above is no jump */
}

static void life(void *arg)
{
	struct slot *slot = arg;

	weft__tsan_acquire(slot);
	slot->lives++;
	steps(slot, STEPS - 1);
}

/* --- on a thread --------------------------------------------------------------- */

WEFT__OF_THREAD static void prepare(struct slot *slot, struct weft__fiber *here,
				    struct weft__stack_cache *cache)
{
	if (!slot->fiber)
		slot->fiber = weft__fiber_get(cache, life, slot);
	STRESS_CHECK(slot->fiber != NULL);
	slot->fiber->wait_on = here;
	slot->over = false;
}

WEFT__OF_THREAD static bool collect(struct slot *slot, struct weft__stack_cache *cache)
{
	if (!slot->over)
		return false;
	weft__fiber_put(cache, slot->fiber);
	slot->fiber = NULL;
	return true;
}

static void worker(unsigned self)
{
	struct weft__stack_cache cache;
	struct weft__fiber here;
	struct weft__rng rng;
	struct slot *slot;

	weft__rng_init(&rng, stress_seed + self);
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
	for (unsigned i = 0; (slot = pick(weft__rng_next(&rng))); i++) {
		prepare(slot, &here, &cache);
		weft__fiber_switch(&here, fiber_of(slot));
		drop(slot, collect(slot, &cache));
		if (i % 1000 == 0)
			weft__stack_cache_trim(&cache);
	}
	weft__stack_cache_fini(&cache);
}

/* --- all together ---------------------------------------------------------------- */

/* Fibers in the middle of their lives are just put. */
WEFT__OF_THREAD static uint64_t bury_all(void)
{
	struct weft__stack_cache cache;
	uint64_t ended = 0;

	weft__stack_cache_init(&cache, &pool);
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[i];
		uint64_t whole = slot->steps / STEPS, more = slot->steps % STEPS;
		STRESS_CHECK(slot->lives == whole + (more ? 1 : 0));
		STRESS_CHECK((slot->fiber != NULL) == (more != 0));
		ended += whole;
		if (slot->fiber)
			weft__fiber_put(&cache, slot->fiber);
	}
	weft__stack_cache_fini(&cache);
	return ended;
}

int main(int argc, char **argv)
{
	struct stress_thread threads[STRESS_THREADS_MAX];
	size_t in_use, highest;

	stress_begin(argc, argv);
	if (argc > 2 && !strcmp(argv[2], "race"))
		mode = RACE;
	if (argc > 2 && !strcmp(argv[2], "edges"))
		mode = EDGES;
	lives_left = LIVES * stress_scale;
	for (idle_count = 0; idle_count < SLOTS; idle_count++)
		idle[idle_count] = &slots[idle_count];

	STRESS_CHECK(weft__stack_pool_init(&pool, 64 << 10) == 0);
	stress_start(threads, stress_threads, worker);
	stress_join(threads, stress_threads);
	uint64_t ended = bury_all();
	STRESS_CHECK(ended >= (uint64_t)(LIVES * stress_scale));
	STRESS_CHECK(ended < (uint64_t)(LIVES * stress_scale) + stress_threads);
	weft__stack_pool_count(&pool, &in_use, &highest);
	STRESS_CHECK(in_use == 0);
	STRESS_CHECK(highest <= SLOTS + stress_threads * (WEFT__STACK_CACHED + 1));
	weft__stack_pool_fini(&pool);
	printf("%" PRIu64 " lives, %zu stacks at most\n", ended, highest);
	return 0;
}
