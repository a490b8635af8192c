/* SPDX-License-Identifier: MIT */
/*
 * idle.c - parking without lost wake-ups and without idle CPU
 *
 *   The shape is that of the Go scheduler (runtime/proc.go, "Worker thread
 *   parking/unparking", 2012 on) and of tokio's idle.rs: at most one worker
 *   searches on behalf of new work, and the last searcher that finds some
 *   wakes the next.
 *
 *	producer                        worker without work
 *	   publish the job                 searching--, set its bit in asleep
 *	   fence                O1         sleeping++   (full barriers)
 *	   searching? sleeping?            every hungry byte = 1
 *	   no searcher, a sleeper:         look everywhere once more
 *	   clear its bit, notify           nothing: sleep on its event count
 *
 * Invariants
 *
 *   I1  Who clears a bit of `asleep`, waker or sleeper, has the sleeper's fate
 *       in its hands; it also takes it out of `sleeping`.  A waker that clears
 *       it counts the sleeper in `searching` before it notifies it.
 *   I2  A worker sleeps only with its bit set, or with a notification on its
 *       way: the ticket is drawn before the bit is set, so one sent in between
 *       makes the wait return at once.
 *   I3  Jobs that nobody else would run (injected ones, ready fibers) are
 *       always followed by weft__idle_notify, but for those put back in the place
 *       of others (O3 of worker.c).  Forks are run by their owner if by nobody
 *       else, and may be left unannounced.
 *
 *   I4  Of the spare workers, which have the highest numbers, as many may be woken
 *       as are called; who is not goes to sleep when it has nothing of its own left,
 *       and passes a notification on that it would have answered.
 *
 * Orderings
 *
 *   O1  store-load, both sides.  The producer publishes, fences, and reads the
 *       two counters.  The worker changes the counters by full-barrier
 *       read-modify-writes, and then reads the queues.  Either the producer
 *       sees the counter of a worker that is about to miss the job, or that
 *       worker sees the job.  A fence on one side only passes every test on
 *       x86-64 and hangs on weaker machines.
 *   O2  `searching` > 0 excuses the producer: the searcher lowers it by a full
 *       barrier and looks at the queues after that, whether it goes to sleep or
 *       has found another job (weft__idle_found), so it sees what the producer
 *       left to it.
 *   O3  the hungry bytes are stored before the last look and read by nobody who
 *       needs them: a hint.
 *
 * Rejected: one event count for all (ck_ec wakes every waiter at once); a
 * time-out on the sleep (it hides lost wake-ups and costs idle CPU); waking in
 * the order of sleeping (the lowest free worker has the warmest cache as often
 * as not, and a fixed order leaves the high ones asleep).
 */
#include "runtime/idle.h"

#include <weft/error.h>

#include "deque/alloc.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"
#include "runtime/worker.h"

enum { TRIM_EVERY = 4096 }; /* fiber switches */

#define NOBODY (~0U)

int weft__idle_init(struct weft__idle *idle, unsigned workers)
{
	unsigned words = (workers + 63) / 64;
	uint64_t *asleep = weft__alloc(words * sizeof *asleep);

	if (!asleep)
		return WEFT_ENOMEM;
	for (unsigned i = 0; i < words; i++)
		asleep[i] = 0;
	*idle = (struct weft__idle){ .asleep = asleep, .words = words };
	return 0;
}

void weft__idle_fini(struct weft__idle *idle)
{
	weft__free(idle->asleep, idle->words * sizeof *idle->asleep);
}

/* True when the caller cleared the bit (I1). */
static bool claim(struct weft__idle *idle, unsigned index)
{
	uint64_t bit = UINT64_C(1) << (index % 64);

	if (!(and_seqcst(&idle->asleep[index / 64], ~bit) & bit))
		return false;
	add_seqcst(&idle->sleeping, (uint32_t)-1);
	return true;
}

static void rouse(struct weft_runtime *rt, unsigned index)
{
	add_seqcst(&rt->idle.searching, 1); /* I1, O2 */
	weft__ec_notify(&rt->workers[index]->ec);
}

/* How many workers may run: those below this number. */
static unsigned limit(const struct weft_runtime *rt)
{
	uint32_t called = load_relaxed(&rt->idle.called);
	return rt->worker_count - rt->spares + (called < rt->spares ? called : rt->spares);
}

/* The lowest sleeper that may be woken; NOBODY when there is none. */
static unsigned lowest_asleep(const struct weft_runtime *rt)
{
	for (unsigned i = 0; i < rt->idle.words; i++) {
		uint64_t set = load_relaxed(&rt->idle.asleep[i]);
		if (!set)
			continue;
		unsigned index = i * 64 + (unsigned)__builtin_ctzll(set);
		return index < limit(rt) ? index : NOBODY; /* I4 */
	}
	return NOBODY;
}

static bool rouse_one(struct weft_runtime *rt)
{
	unsigned index;

	do {
		index = lowest_asleep(rt);
		if (index == NOBODY)
			return false;
	} while (!claim(&rt->idle, index));
	rouse(rt, index);
	return true;
}

bool weft__idle_notify(struct weft_runtime *rt)
{
	fence_seqcst(); /* O1 */
	if (load_relaxed(&rt->idle.sleeping) == 0)
		return false;
	if (load_relaxed(&rt->idle.searching) != 0) /* O2 */
		return false;
	return rouse_one(rt);
}

void weft__idle_notify_all(struct weft_runtime *rt)
{
	add_seqcst(&rt->idle.called, rt->spares);
	fence_seqcst(); /* O1, with rt->stop in the place of a job */
	while (rouse_one(rt))
		continue;
}

bool weft__idle_all_asleep(const struct weft_runtime *rt)
{
	return load_acquire(&rt->idle.sleeping) == rt->worker_count;
}

void weft__idle_call_spare(struct weft_runtime *rt)
{
	add_seqcst(&rt->idle.called, 1);
	rouse_one(rt);
}

void weft__idle_dismiss_spare(struct weft_runtime *rt)
{
	add_seqcst(&rt->idle.called, (uint32_t)-1);
}

bool weft__idle_has_free(const struct weft_runtime *rt)
{
	return lowest_asleep(rt) != NOBODY;
}

bool weft__idle_is_benched(const struct weft__worker *w)
{
	return w->index >= limit(w->runtime);
}

bool weft__idle_search(struct weft__worker *w)
{
	struct weft__idle *idle = &w->runtime->idle;

	if (load_relaxed(&w->searching))
		return true; /* woken as a searcher */
	if (load_relaxed(&idle->searching) * 2 >= w->runtime->worker_count)
		return false;
	add_seqcst(&idle->searching, 1);
	store_relaxed(&w->searching, 1);
	return true;
}

void weft__idle_found(struct weft__worker *w)
{
	struct weft_runtime *rt = w->runtime;

	if (!load_relaxed(&w->searching))
		return;
	store_relaxed(&w->searching, 0);
	if (add_seqcst(&rt->idle.searching, (uint32_t)-1) == 1 && weft__work_anywhere(rt)) /* O2 */
		if (weft__idle_notify(rt))
			weft__count(&w->stats.wakes);
}

/* Tells every worker that a fork would find a taker.  A worker alone has nobody
 * to fork for. */
static void beg(struct weft_runtime *rt)
{
	if (rt->worker_count == 1)
		return;
	for (unsigned i = 0; i < rt->worker_count; i++)
		weft__worker_starve(rt->workers[i]); /* O3 */
}

/* A worker that has been through many fibers gives back what they touched.  Not
 * at every sleep: a trim takes up to 40 us, and somebody may be waking us. */
static void trim_stacks(struct weft__worker *w)
{
	uint64_t switches = load_relaxed(&w->stats.switches);

	if (switches - load_relaxed(&w->trimmed) < TRIM_EVERY)
		return;
	store_relaxed(&w->trimmed, switches);
	weft__stack_cache_trim(&w->stacks);
}

/* Stacks that are more than the pool keeps: some at a time, until somebody wakes us. */
static void purge_stacks(struct weft__worker *w, uint32_t ticket)
{
	while (weft__ec_prepare(&w->ec) == ticket)
		if (!weft__stack_pool_purge(&w->runtime->stacks))
			return;
}

void weft__idle_sleep(struct weft__worker *w)
{
	struct weft_runtime *rt = w->runtime;
	struct weft__idle *idle = &rt->idle;
	uint32_t ticket = weft__ec_prepare(&w->ec); /* I2 */

	if (load_relaxed(&w->searching))
		add_seqcst(&idle->searching, (uint32_t)-1); /* O2 */
	store_relaxed(&w->searching, 0);
	or_seqcst(&idle->asleep[w->index / 64], UINT64_C(1) << (w->index % 64)); /* O1 */
	add_seqcst(&idle->sleeping, 1);						 /* O1 */
	beg(rt);

	bool stop = load_acquire(&rt->stop);
	bool work = weft__work_anywhere(rt);
	bool benched = !stop && work && weft__idle_is_benched(w);
	bool stay = stop || (work && !benched);
	if (benched)
		weft__idle_notify(rt); /* I4 */
	if (stay && claim(idle, w->index))
		return;
	/* Asleep, or claimed by a waker whose notification is on its way (I2). */
	if (!stay) {
		weft__count(&w->stats.parks);
		trim_stacks(w);
		if (load_relaxed(&rt->watch_quiet) && weft__idle_all_asleep(rt))
			weft__hooks.quiet(rt);
		purge_stacks(w, ticket);
	}
	weft__ec_wait(&w->ec, ticket);
	store_relaxed(&w->searching, 1); /* the waker has counted us (I1) */
}
