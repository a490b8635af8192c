/* SPDX-License-Identifier: MIT */
/*
 * stress_deque.c - each job exactly once, from the deque and from the FIFO
 *
 * An owner pushes jobs into deques, takes some back, and leaves the rest to the
 * thieves.  Each round has many deques, all alive until its end, so that a thief
 * that lags behind meets one that the owner has left, and old rings of a deque
 * that grew.  A round draws its shape: how many deques, how small they start, at
 * which index, and how eagerly the owner takes back.
 *
 * What is checked:
 *
 *   - each job is taken once, by a plain counter in the job: a second taker is a
 *     wrong count, and a data race for ThreadSanitizer;
 *   - the taker sees what the owner wrote into the job before the push (O1);
 *   - a thief meets the jobs of one deque in the order of their pushes;
 *   - the owner's pops agree with a stack of its own: the newest job, or none
 *     when thieves have taken all;
 *   - the sum over all jobs of all takers is the sum over all pushes.
 */
#include "deque/deque.h"
#include "deque/fifo.h"
#include "support/stress.h"

#define JOBS  8192 /* of a round */
#define LANES 1024 /* deques of a round, at most */

struct item {
	struct weft__job job;
	uint64_t stamp; /* when it was pushed; plain, published by the push */
	uint32_t taken; /* plain on purpose */
};

/* A round's deques, or its FIFOs. */
static struct weft__deque deques[LANES];
static struct weft__fifo fifos[LANES];
static struct item items[JOBS];

struct shape {
	unsigned lanes;
	size_t capacity;
	int64_t start;
	unsigned pops;	/* out of 16 steps */
	unsigned burst; /* pushes in a row, at most */
	bool patient;	/* after a burst, let the thieves take all but a few */
	bool fifo;
};

static struct shape shape;
static uint32_t lane_now; /* where the owner is */
static uint32_t round_over, stop;
static struct stress_barrier round_begins, round_ends;

/* What a taker has seen; its own until the round has ended. */
struct tally {
	alignas(WEFT_CACHELINE) uint64_t taken, sum, lost;
};

static struct tally tallies[STRESS_THREADS_MAX + 1];
static uint64_t latest[STRESS_THREADS_MAX][LANES];

/* Returns the stamp. */
static uint64_t take(struct tally *tally, struct weft__job *job)
{
	struct item *item = (struct item *)(void *)job;

	item->taken++;
	tally->taken++;
	tally->sum += item->stamp;
	return item->stamp;
}

static struct weft__job *steal(unsigned lane, struct tally *tally)
{
	struct weft__job *job = NULL;

	if (shape.fifo)
		return weft__fifo_take(&fifos[lane]);
	switch (weft__deque_steal(&deques[lane], &job)) {
	case WEFT__STEAL_TAKEN:
		STRESS_CHECK(job != NULL);
		return job;
	case WEFT__STEAL_LOST:
		tally->lost++;
		break;
	case WEFT__STEAL_EMPTY:
		break;
	}
	STRESS_CHECK(job == NULL);
	return NULL;
}

static void steal_until_over(unsigned self, struct weft__rng *rng)
{
	struct tally *tally = &tallies[self];
	unsigned tries = 0;

	for (unsigned i = 0; i < shape.lanes; i++)
		latest[self][i] = 0;
	while (!load_acquire(&round_over)) {
		uint32_t lane = load_relaxed(&lane_now);

		/* Now and then one that the owner has left behind. */
		if (lane > 0 && weft__rng_below(rng, 4) == 0)
			lane -= (uint32_t)weft__rng_below(rng, lane < 8 ? lane : 8);

		struct weft__job *job = steal(lane, tally);
		if (!job) {
			stress_relax(&tries);
			continue;
		}
		uint64_t stamp = take(tally, job);
		STRESS_CHECK(stamp > latest[self][lane]);
		latest[self][lane] = stamp;
	}
}

static void thief(unsigned self)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + 1 + self);
	for (;;) {
		stress_barrier_wait(&round_begins);
		if (load_relaxed(&stop))
			return;
		steal_until_over(self, &rng);
		stress_barrier_wait(&round_ends);
	}
}

/* The owner's side of one lane. */
struct owner {
	unsigned lane;
	struct weft__rng rng;
	struct tally *tally;
	struct weft__job *stack[JOBS]; /* pushed and, as far as we know, not stolen */
	size_t depth;
	uint64_t stamp;
	size_t pushed; /* of this round */
};

static struct owner owner;

static void push_one(struct owner *o)
{
	struct item *item = &items[o->pushed++];

	item->stamp = ++o->stamp;
	item->taken = 0;
	if (shape.fifo)
		STRESS_CHECK(weft__fifo_push(&fifos[o->lane], &item->job) == 0);
	else
		STRESS_CHECK(weft__deque_push(&deques[o->lane], &item->job) == 0);
	o->stack[o->depth++] = &item->job;
}

/* Thieves have taken all that was there, and so the newest too. */
static void all_stolen(struct owner *o)
{
	STRESS_CHECK(weft__deque_size(&deques[o->lane]) == 0);
	o->depth = 0;
}

static void pop_any(struct owner *o)
{
	struct weft__job *job = weft__deque_pop(&deques[o->lane]);

	if (!job) {
		all_stolen(o);
		return;
	}
	STRESS_CHECK(o->depth > 0 && job == o->stack[o->depth - 1]);
	o->depth--;
	take(o->tally, job);
}

static void pop_newest_item(struct owner *o)
{
	if (o->depth == 0)
		return;
	if (o->depth > 1)
		STRESS_CHECK(!weft__deque_pop_item(&deques[o->lane], o->stack[o->depth - 2]));
	struct weft__job *job = o->stack[o->depth - 1];
	if (!weft__deque_pop_item(&deques[o->lane], job)) {
		all_stolen(o);
		return;
	}
	o->depth--;
	take(o->tally, job);
}

static void take_oldest(struct owner *o)
{
	struct weft__job *job = weft__fifo_take(&fifos[o->lane]);

	if (job)
		take(o->tally, job);
	o->depth = 0;
}

static void take_back(struct owner *o)
{
	if (shape.fifo)
		take_oldest(o);
	else if (weft__rng_below(&o->rng, 2))
		pop_any(o);
	else
		pop_newest_item(o);
}

static size_t size_of(unsigned lane)
{
	if (shape.fifo)
		return weft__fifo_is_empty(&fifos[lane]) ? 0 : SIZE_MAX;
	return weft__deque_size(&deques[lane]);
}

/* So that every run has steals, and duels for the last few jobs. */
static void await_thieves(struct owner *o)
{
	uint64_t few = weft__rng_below(&o->rng, 3);
	unsigned tries = 0;

	while (size_of(o->lane) > few)
		stress_relax(&tries);
}

static void own_lane(struct owner *o, unsigned lane, size_t jobs)
{
	size_t end = o->pushed + jobs;

	o->lane = lane;
	o->depth = 0;
	store_relaxed(&lane_now, lane);
	while (o->pushed < end) {
		uint64_t n = 1 + weft__rng_below(&o->rng, shape.burst);

		for (; n > 0 && o->pushed < end; n--)
			push_one(o);
		if (shape.patient)
			await_thieves(o);
		while (weft__rng_below(&o->rng, 16) < shape.pops)
			take_back(o);
	}
}

/* What is left belongs to the owner and the thieves together. */
static void empty_lanes(struct owner *o)
{
	for (unsigned lane = 0; lane < shape.lanes; lane++) {
		struct weft__job *job;

		while ((job = shape.fifo ? weft__fifo_take(&fifos[lane])
					 : weft__deque_pop(&deques[lane])))
			take(o->tally, job);
	}
}

static void draw_shape(struct weft__rng *rng)
{
	static const int64_t starts[] = { 0, -1, -5, INT64_MAX / 2, INT64_MIN / 2 - 3 };

	shape.lanes = 1u << weft__rng_below(rng, 11);
	shape.capacity = (size_t)1 << weft__rng_below(rng, 3);
	shape.start = starts[weft__rng_below(rng, 5)];
	shape.pops = (unsigned)weft__rng_below(rng, 15);
	shape.burst = 1u << weft__rng_below(rng, 6);
	shape.patient = weft__rng_below(rng, 2) == 0;
	shape.fifo = weft__rng_below(rng, 4) == 0;
}

static void init_lanes(void)
{
	for (unsigned i = 0; i < shape.lanes; i++) {
		int rc = shape.fifo ? weft__fifo_init(&fifos[i], shape.capacity)
				    : weft__deque_init_at(&deques[i], shape.capacity, shape.start);
		STRESS_CHECK(rc == 0);
	}
}

static void fini_lanes(void)
{
	for (unsigned i = 0; i < shape.lanes; i++) {
		if (shape.fifo) {
			weft__fifo_check(&fifos[i]);
			STRESS_CHECK(weft__fifo_is_empty(&fifos[i]));
			weft__fifo_fini(&fifos[i]);
		} else {
			weft__deque_check(&deques[i]);
			STRESS_CHECK(weft__deque_size(&deques[i]) == 0);
			weft__deque_fini(&deques[i]);
		}
	}
}

static void run_round(struct owner *o)
{
	draw_shape(&o->rng);
	init_lanes();
	store_relaxed(&lane_now, 0);
	store_relaxed(&round_over, 0);
	o->pushed = 0;
	stress_barrier_wait(&round_begins);
	for (unsigned lane = 0; lane < shape.lanes; lane++)
		own_lane(o, lane, JOBS / shape.lanes);
	empty_lanes(o);
	store_release(&round_over, 1);
	stress_barrier_wait(&round_ends);
	for (size_t i = 0; i < o->pushed; i++)
		STRESS_CHECK(items[i].taken == 1);
	fini_lanes();
}

int main(int argc, char **argv)
{
	static struct stress_thread threads[STRESS_THREADS_MAX];

	stress_begin(argc, argv);
	weft__rng_init(&owner.rng, stress_seed);
	owner.tally = &tallies[stress_threads];
	stress_barrier_init(&round_begins, stress_threads + 1);
	stress_barrier_init(&round_ends, stress_threads + 1);
	stress_start(threads, stress_threads, thief);

	uint64_t pushed = 0;
	for (long i = 0; i < 250 * stress_scale; i++) {
		run_round(&owner);
		pushed += owner.pushed;
	}
	store_relaxed(&stop, 1);
	stress_barrier_wait(&round_begins);
	stress_join(threads, stress_threads);

	uint64_t taken = 0, sum = 0, lost = 0;
	for (unsigned i = 0; i <= stress_threads; i++) {
		taken += tallies[i].taken;
		sum += tallies[i].sum;
		lost += tallies[i].lost;
	}
	STRESS_CHECK(taken == pushed && owner.tally->taken < pushed && owner.stamp == pushed);
	STRESS_CHECK(sum == pushed * (pushed + 1) / 2);
	printf("%" PRIu64 " jobs, %" PRIu64 " stolen, %" PRIu64 " races lost\n", pushed,
	       pushed - owner.tally->taken, lost);
	return 0;
}
