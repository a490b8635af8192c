/* SPDX-License-Identifier: MIT */
/*
 * stress_inject.c - each job exactly once, through the injector
 *
 * Producers push in bursts of a length drawn for each round, consumers pop.  What is
 * checked:
 *
 *   - each job leaves once, by a plain counter in the job (a second consumer is a
 *     wrong count, and a data race for ThreadSanitizer);
 *   - the consumer sees what the producer wrote into the job (O1, O2);
 *   - a consumer meets the jobs of one producer in the order of their pushes;
 *   - the injector is empty when all have left, and is not for a producer whose job
 *     has not left (I3).
 */
#include "deque/inject.h"
#include "support/stress.h"

#define JOBS 2048 /* of one producer in a round */

struct item {
	struct weft__job job;
	unsigned producer;
	uint32_t number, left; /* plain on purpose */
	uint32_t seen;
};

static struct weft__inject inject;
static struct item items[STRESS_THREADS_MAX][JOBS];
static uint64_t popped;
static uint64_t takers; /* who may have popped a job and not said so yet */
static uint32_t stop;
static unsigned burst;
static struct stress_barrier round_begins, round_ends;

static void fill(unsigned producer)
{
	for (uint32_t i = 0; i < JOBS; i++)
		items[producer][i] = (struct item){ .producer = producer, .number = i };
}

/* I3: an injector that is empty has given the job to somebody. */
static void look_for(const struct item *item)
{
	if (weft__inject_is_empty(&inject) && add_seqcst(&takers, 0) == 0)
		STRESS_CHECK(load_acquire(&item->seen) == 1);
}

static void produce(unsigned self)
{
	unsigned tries = 0;

	for (uint32_t i = 0; i < JOBS; i++) {
		weft__inject_push(&inject, &items[self][i].job);
		look_for(&items[self][i]);
		/* Between bursts it runs dry. */
		while ((i + 1) % burst == 0 && !weft__inject_is_empty(&inject))
			stress_relax(&tries);
	}
}

static void producer(unsigned self)
{
	for (;;) {
		stress_barrier_wait(&round_begins);
		if (load_relaxed(&stop))
			return;
		fill(self);
		produce(self);
		stress_barrier_wait(&round_ends);
	}
}

static void receive(struct weft__job *job, int64_t *latest)
{
	struct item *item = (struct item *)(void *)job;

	STRESS_CHECK(item->left++ == 0);
	STRESS_CHECK((int64_t)item->number > latest[item->producer]);
	latest[item->producer] = item->number;
	store_release(&item->seen, (uint32_t)1);
	(void)add_seqcst(&popped, 1);
}

static void consume(void)
{
	int64_t latest[STRESS_THREADS_MAX];
	uint64_t all = (uint64_t)stress_threads * JOBS;
	unsigned tries = 0;

	for (unsigned i = 0; i < stress_threads; i++)
		latest[i] = -1;
	while (load_relaxed(&popped) < all) {
		(void)add_seqcst(&takers, 1);
		struct weft__job *job = weft__inject_pop(&inject);
		if (job)
			receive(job, latest);
		(void)add_seqcst(&takers, (uint64_t)-1);
		if (!job)
			stress_relax(&tries);
	}
}

static void consumer(unsigned self)
{
	(void)self;
	for (;;) {
		stress_barrier_wait(&round_begins);
		if (load_relaxed(&stop))
			return;
		consume();
		stress_barrier_wait(&round_ends);
	}
}

static void run_round(struct weft__rng *rng)
{
	weft__inject_init(&inject);
	burst = 1u << weft__rng_below(rng, 12);
	store_relaxed(&popped, 0);
	stress_barrier_wait(&round_begins);
	stress_barrier_wait(&round_ends);
	STRESS_CHECK(weft__inject_is_empty(&inject));
	STRESS_CHECK(weft__inject_pop(&inject) == NULL);
	for (unsigned p = 0; p < stress_threads; p++)
		for (unsigned i = 0; i < JOBS; i++)
			STRESS_CHECK(items[p][i].left == 1);
}

int main(int argc, char **argv)
{
	static struct stress_thread producers[STRESS_THREADS_MAX], consumers[STRESS_THREADS_MAX];
	struct weft__rng rng;

	stress_begin(argc, argv);
	weft__rng_init(&rng, stress_seed);
	stress_barrier_init(&round_begins, 2 * stress_threads + 1);
	stress_barrier_init(&round_ends, 2 * stress_threads + 1);
	stress_start(producers, stress_threads, producer);
	stress_start(consumers, stress_threads, consumer);

	uint64_t jobs = 0;
	for (long i = 0; i < 250 * stress_scale; i += stress_threads) {
		run_round(&rng);
		jobs += (uint64_t)stress_threads * JOBS;
	}
	store_relaxed(&stop, 1);
	stress_barrier_wait(&round_begins);
	stress_join(producers, stress_threads);
	stress_join(consumers, stress_threads);
	printf("%" PRIu64 " jobs\n", jobs);
	return 0;
}
