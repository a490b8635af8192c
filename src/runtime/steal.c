/* SPDX-License-Identifier: MIT */
/*
 * steal.c - finding work that is not one's own
 *
 * Victims are visited in a circle from a random start, so that thieves spread.
 * Each victim whose deque is low is told so: it is the only thing that makes
 * forks public (design of weft/fork.h).  A lost race is tried again at once,
 * since the victim may have more.
 *
 * The slot `next` of a victim is left alone until it has held the same fiber for some
 * microseconds: its owner most often takes it sooner, and a fiber that stays where the
 * one is that woke it finds what that wrote in the cache.  When that was is noted at
 * the victim, by whichever thief looks; two thieves that overwrite each other's notes
 * only wait longer.
 */
#include "runtime/steal.h"

#include "deque/rng.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"

enum { NEXT_US = 3 }; /* what a fiber that is stolen costs, and more */

static struct weft__job *steal_next(struct weft__worker *victim)
{
	struct weft__job *job = load_acquire(&victim->next); /* O1 of worker.c */
	uint64_t nexts = load_relaxed(&victim->nexts);

	if (!job)
		return NULL;
	if (load_relaxed(&victim->next_seen) != nexts) {
		store_relaxed(&victim->next_since, weft__ticks());
		store_relaxed(&victim->next_seen, nexts);
		return NULL;
	}
	if (weft__ticks() - load_relaxed(&victim->next_since) <
	    NEXT_US * victim->runtime->ticks_per_us)
		return NULL;
	return cas_seqcst(&victim->next, job, (struct weft__job *)NULL) ? job : NULL;
}

static struct weft__job *steal_from(struct weft__worker *w, struct weft__worker *victim)
{
	struct weft__job *job = NULL;
	enum weft__steal got;

	weft__count(&w->stats.steals_tried);
	if (weft__deque_size(&victim->deque) < WEFT__LO)
		weft__worker_starve(victim);
	do
		got = weft__deque_steal(&victim->deque, &job);
	while (got == WEFT__STEAL_LOST);
	if (got == WEFT__STEAL_EMPTY)
		job = weft__fifo_take(&victim->ready);
	if (!job)
		job = steal_next(victim);
	if (job)
		weft__count(&w->stats.steals_won);
	return job;
}

/* A number of its own for each round of each worker; no state but a counter. */
static unsigned random_start(struct weft__worker *w)
{
	struct weft__rng rng;

	weft__rng_init(&rng, weft__count(&w->rounds) + ((uint64_t)w->index << 48));
	return (unsigned)weft__rng_below(&rng, w->runtime->worker_count);
}

struct weft__job *weft__steal(struct weft__worker *w)
{
	struct weft_runtime *rt = w->runtime;
	struct weft__job *job = weft__inject_pop(&rt->inject);
	unsigned n = rt->worker_count;
	unsigned start = random_start(w);

	for (unsigned i = 0; i < n && !job; i++) {
		struct weft__worker *victim = rt->workers[(start + i) % n];
		if (victim != w)
			job = steal_from(w, victim);
	}
	return job;
}

/* Seen or not: while the owner takes one job to put another back, there is one. */
static bool has_work(const struct weft__worker *v)
{
	uint64_t ended = load_acquire(&v->moves_ended); /* O3 of worker.c */

	if (weft__deque_size(&v->deque) != 0 || !weft__fifo_is_empty(&v->ready) ||
	    load_relaxed(&v->next))
		return true;
	fence_seqcst(); /* the look, then moves_begun: O3 */
	return load_relaxed(&v->moves_begun) != ended;
}

/* The injector last: it takes what does not fit into a worker's queue. */
bool weft__work_anywhere(struct weft_runtime *rt)
{
	for (unsigned i = 0; i < rt->worker_count; i++)
		if (has_work(rt->workers[i]))
			return true;
	return !weft__inject_is_empty(&rt->inject);
}
