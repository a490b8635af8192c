/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the loop, and how fibers enter and leave it
 *
 * The life of a loop fiber
 *
 *	     get                 a job suspends             ready, continued
 *	cache ---> runs the loop ---------------> waiting ------------------> runs
 *	   ^                |                                                  the loop
 *	   '----------------' retired: it switched to a ready fiber, which
 *	                      now runs the loop of this worker in its place
 *
 * Invariants
 *
 *   I1  Every fiber of a runtime is a loop fiber: at its bottom is loop().  So
 *       when a suspended job ends, on whatever worker, its fiber is that
 *       worker's loop, and nothing has to be switched back.
 *   I2  A fiber is published (in a frame, in a queue) only by the `after` of the
 *       switch that left it: who finds it may switch to it at once.
 *   I3  A retired fiber has no frame that matters: weft__continue is called by
 *       jobs as their last act, and jobs only by the loop.
 *   I4  `w` is stale after every switch and every job.
 *
 *   I5  The slot `next` is the head of the queue of ready fibers, filled only when
 *       that is empty.  Thieves come to it later than to the queue (steal.c), so two
 *       fibers that wake each other stay on one worker; but they come, and a fiber in
 *       the slot is announced like any other.
 *
 * Orderings: the queues and frames that pass a fiber from hand to hand carry its
 * context with them; and so does the slot:
 *
 *   O1  fiber -> taker    release next (put_next) => acquire next (take_next, steal.c)
 *   O2  a job that one fiber of a worker took -> the next fiber, which runs it
 *                         release handoff => acquire handoff.  For ThreadSanitizer, to
 *                         which fibers are threads.
 *   O3  a job that is put back for one that was taken is not announced: as many are ready
 *       as before.  But who looks around in between sees neither, and must not fall asleep
 *       on that.  Each such move is counted before the take and after the push, and the
 *       counters are read the other way round (weft__work_anywhere):
 *                         moves_begun before the take   the take is a release at least
 *                         the push => look              release moves_ended => acquire
 *       When no more have begun after the look than had ended before it, none was under
 *       way, and all that was put back is seen.
 */
#include "runtime/worker.h"

#include <stdio.h>

#include <weft/error.h>
#include <weft/fork.h>

#include "deque/check.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"
#include "runtime/ticks.h"

enum {
	FAIR_EVERY = 61,    /* jobs between two looks at the injector first */
	YIELDS_IN_ROW = 16, /* direct switches before the deque has its turn */
	SEARCHED = 64,	    /* things that are ready, for a fiber among them */
	DRAW_FROM = 64,	    /* oldest jobs of which a seeded worker draws one */
	SPIN_US = 50,	    /* search this long before sleeping: two wake-ups */
	SPIN_RELAX = 32,    /* pauses between two rounds of stealing: 0.8 us */
};

__thread unsigned char weft_hungry_byte;

uint64_t weft__cancel_epoch = 1;

/* As the byte: 9 bytes of the room for initial-exec that the C library keeps free
 * for libraries loaded late; no call to find them. */
static __thread struct weft__worker *self __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) WEFT__OF_THREAD struct weft__worker *weft__worker_self(void)
{
	return self;
}

WEFT__OF_THREAD struct weft__fiber *weft__worker_fiber(const struct weft__worker *w)
{
	return w->current;
}

/* One call and no more: every operation of a task begins with it. */
__attribute__((noinline)) WEFT__OF_THREAD struct weft__strand *weft__strand_self(void)
{
	struct weft__worker *w = self;
	return w ? w->current->strand : NULL;
}

__attribute__((noinline)) WEFT__OF_THREAD struct weft__here weft__here(void)
{
	struct weft__worker *w = self;
	return (struct weft__here){ w ? w->current->strand : NULL, w };
}

__attribute__((noinline)) const void *weft__thread_id(void)
{
	return &weft_hungry_byte;
}

WEFT__OF_THREAD void weft__worker_become(struct weft__worker *w)
{
	self = w;
	store_relaxed(&weft_hungry_byte, 0);
	if (w)
		w->hungry = &weft_hungry_byte;
}

/* --- switching --------------------------------------------------------- */

/* The first act of every fiber that was switched to. */
WEFT__OF_THREAD static void arrive(void)
{
	struct weft__worker *w = weft__worker_self();
	w->after(w, w->after_from, w->after_arg);
}

/* Says what the next fiber is to do for the one that leaves, and returns that. */
WEFT__OF_THREAD static struct weft__fiber *depart(struct weft__worker *w, struct weft__fiber *to,
						  weft__after_fn *after, void *arg)
{
	struct weft__fiber *from = w->current;

	weft__tsan_release(w->runtime); /* => weft_runtime_destroy */
	w->after = after;
	w->after_from = from;
	w->after_arg = arg;
	w->current = to;
	w->region.state = WEFT__REGION_NONE;
	weft__count(&w->stats.switches);
	return from;
}

static void switch_to(struct weft__worker *w, struct weft__fiber *to, weft__after_fn *after,
		      void *arg)
{
	struct weft__fiber *from = depart(w, to, after, arg);

	weft__fiber_switch(from, to);
	arrive();		  /* w is stale: I4 */
	weft__tsan_acquire(from); /* what happened before weft__ready */
}

static void retire(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	(void)arg;
	weft__fiber_put(&w->stacks, from);
}

void weft__continue(struct weft__fiber *fiber)
{
	weft__fiber_leave(depart(weft__worker_self(), fiber, retire, NULL), fiber);
}

static struct weft__fiber *fiber_of(struct weft__job *job)
{
	return (struct weft__fiber *)((char *)job - offsetof(struct weft__fiber, job));
}

static void continue_job(struct weft__job *job)
{
	weft__continue(fiber_of(job));
}

static void loop(void *arg);

/* Nobody gets to see the error code of a suspension: say once what is in the way.
 * The program goes on, with less to run side by side. */
static void complain(void)
{
	static uint32_t said;

	if (!exchange_acqrel(&said, 1))
		fprintf(stderr, "weft: no stack for another fiber: %s\n", weft__stack_error());
}

static struct weft__fiber *fresh_loop(struct weft__worker *w)
{
	struct weft__fiber *fiber = weft__fiber_get(&w->stacks, loop, NULL);

	if (!fiber)
		complain();
	return fiber;
}

static bool is_fiber(const struct weft__job *job)
{
	return load_relaxed(&job->run) == continue_job;
}

/* --- what is ready ------------------------------------------------------- */

/* Into the slot, which is the head of the queue of ready fibers: only when that is
 * empty, so nobody is overtaken. */
static bool put_next(struct weft__worker *w, struct weft__job *job)
{
	if (load_relaxed(&w->next) || !weft__fifo_is_empty(&w->ready) || w->seeded)
		return false;
	weft__count(&w->nexts);
	store_release(&w->next, job); /* O1 */
	return true;
}

static struct weft__job *take_next(struct weft__worker *w)
{
	struct weft__job *job = load_acquire(&w->next);

	if (!job || w->runtime->worker_count > 1)
		return job ? exchange_acqrel(&w->next, (struct weft__job *)NULL) : NULL; /* O1 */
	store_relaxed(&w->next, (struct weft__job *)NULL); /* there are no thieves */
	return job;
}

/* Into the worker's own queue, or, when that cannot grow, the shared one. */
static void enqueue(struct weft__worker *w, struct weft__job *job)
{
	if (weft__fifo_push(&w->ready, job) != 0)
		weft__inject_push(&w->runtime->inject, job);
}

static void begin_move(struct weft__worker *w)
{
	weft__count(&w->moves_begun); /* O3 */
}

static void end_move(struct weft__worker *w)
{
	store_release(&w->moves_ended, load_relaxed(&w->moves_ended) + 1); /* O3 */
}

/* Puts some of the oldest ready jobs behind the others, as many as the seed says.  With
 * none or one there is nothing to draw, so that how often an idle worker looks does
 * not matter. */
static void shuffle(struct weft__worker *w)
{
	uint64_t n = weft__fifo_size(&w->ready);

	if (n < 2)
		return;
	for (uint64_t skip = weft__rng_below(&w->rng, n < DRAW_FROM ? n : DRAW_FROM); skip > 0;
	     skip--) {
		begin_move(w);
		struct weft__job *job = weft__fifo_take(&w->ready);
		if (job)
			enqueue(w, job);
		end_move(w);
	}
}

/* The oldest of what the worker has ready.  A worker alone has nobody to race for it. */
static struct weft__job *take_ready(struct weft__worker *w)
{
	struct weft__job *job = take_next(w);

	if (job)
		return job;
	if (WEFT_UNLIKELY(w->seeded))
		shuffle(w);
	if (w->runtime->worker_count == 1)
		return weft__fifo_take_alone(&w->ready);
	return weft__fifo_take(&w->ready);
}

/* The fiber that the one that leaves has just made ready, most often; now and then
 * NULL, so that two that wake each other do not keep the loop from running. */
static struct weft__fiber *successor(struct weft__worker *w)
{
	if (!load_relaxed(&w->next) || weft__deque_size(&w->deque) != 0 ||
	    weft__count(&w->yields) % YIELDS_IN_ROW == 0)
		return NULL;
	struct weft__job *job = take_next(w);
	return job ? fiber_of(job) : NULL;
}

/* What was taken by mistake, for others to run. */
static void give_away(struct weft__worker *w, struct weft__job *job)
{
	weft__inject_push(&w->runtime->inject, job);
	weft__idle_notify(w->runtime);
}

/* Without a stack for a fresh loop: the first thing that is ready and is a fiber, or, when
 * that is not asked for, is none.  NULL: there is none among the first few, which are the last
 * ones now. */
static struct weft__job *search_ready(struct weft__worker *w, bool fiber)
{
	for (int i = 0; i < SEARCHED; i++) {
		struct weft__job *job = take_ready(w);

		if (!job)
			job = weft__inject_pop(&w->runtime->inject);
		if (!job || is_fiber(job) == fiber)
			return job;
		give_away(w, job);
	}
	return NULL;
}

/* Leaves for a fresh loop. */
static int suspend_to_loop(struct weft__worker *w, weft__after_fn *after, void *arg)
{
	struct weft__fiber *next = fresh_loop(w);

	if (!next) {
		struct weft__job *job = search_ready(w, true);
		if (!job)
			return WEFT_ENOMEM;
		next = fiber_of(job);
	}
	switch_to(w, next, after, arg);
	return 0;
}

bool weft__run_here(void)
{
	struct weft__worker *w = weft__worker_self();
	struct weft__fiber *fiber = weft__worker_fiber(w);
	struct weft__strand *strand = fiber->strand;
	const char *name = fiber->name;
	struct weft__job *job = search_ready(w, false);

	if (job) {
		weft__tsan_acquire(job);
		load_relaxed (&job->run)(job);
	}
	fiber->strand = strand;
	fiber->name = name;
	return job != NULL;
}

int weft__suspend(struct weft__worker *w, weft__after_fn *after, void *arg)
{
	struct weft__fiber *next = successor(w);

	if (!next)
		return suspend_to_loop(w, after, arg);
	switch_to(w, next, after, arg);
	return 0;
}

/* The caller's worker, if it is one of this runtime. */
static struct weft__worker *worker_of(struct weft_runtime *runtime)
{
	struct weft__worker *w = weft__worker_self();
	return w && w->runtime == runtime ? w : NULL;
}

static void submit_quietly(struct weft_runtime *runtime, struct weft__worker *w,
			   struct weft__job *job)
{
	weft__tsan_release(job); /* the queue keeps the edge of its last producer alone */
	if (w)
		enqueue(w, job);
	else
		weft__inject_push(&runtime->inject, job);
}

/* Nobody was woken: whoever is awake may be busy. */
static void press(struct weft_runtime *rt)
{
	if (WEFT_UNLIKELY(load_relaxed(&rt->pressed) == 0) &&
	    load_relaxed(&rt->idle.searching) == 0)
		weft__hooks.pressed(rt);
}

/* Something was made ready, on w if that is not NULL. */
static void announce(struct weft_runtime *runtime, struct weft__worker *w)
{
	/* A worker alone is awake when it runs this. */
	if (w && runtime->worker_count == 1)
		press(runtime);
	else if (!weft__idle_notify(runtime))
		press(runtime);
	else if (w)
		weft__count(&w->stats.wakes);
}

/* By a thread that is none of the runtime's workers: what it hands over may be the last
 * task, and the runtime end with that. */
static void submit_from_outside(struct weft_runtime *runtime, struct weft__job *job)
{
	weft__runtime_hold(runtime);
	submit_quietly(runtime, NULL, job);
	announce(runtime, NULL);
	weft__runtime_release(runtime);
}

void weft__submit(struct weft_runtime *runtime, struct weft__job *job)
{
	struct weft__worker *w = worker_of(runtime);

	if (!w) {
		submit_from_outside(runtime, job);
		return;
	}
	submit_quietly(runtime, w, job);
	announce(runtime, w);
}

void weft__ready_quietly(struct weft_runtime *runtime, struct weft__fiber *fiber)
{
	weft__tsan_release(fiber);
	store_relaxed(&fiber->job.run, continue_job);
	submit_quietly(runtime, worker_of(runtime), &fiber->job);
}

void weft__ready(struct weft_runtime *runtime, struct weft__fiber *fiber)
{
	struct weft__worker *w = worker_of(runtime);

	weft__tsan_release(fiber);
	store_relaxed(&fiber->job.run, continue_job);
	if (!w) {
		submit_from_outside(runtime, &fiber->job);
		return;
	}
	if (!put_next(w, &fiber->job))
		submit_quietly(runtime, w, &fiber->job);
	announce(runtime, w);
}

static void back_of_the_queue(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	(void)arg;
	store_relaxed(&from->job.run, continue_job);
	enqueue(w, &from->job);
	end_move(w);
}

/* To something that has not started.  In these two, false: the caller goes on. */
static bool yield_to(struct weft__worker *w, struct weft__job *job)
{
	struct weft__fiber *next = fresh_loop(w);

	if (!next)
		return false;
	store_release(&w->handoff, job); /* O2 */
	switch_to(w, next, back_of_the_queue, NULL);
	return true;
}

static bool yield_to_loop(struct weft__worker *w)
{
	bool alone = weft__deque_size(&w->deque) == 0 && !load_relaxed(&w->next) &&
		     weft__fifo_is_empty(&w->ready) && weft__inject_is_empty(&w->runtime->inject);

	return !alone && suspend_to_loop(w, back_of_the_queue, NULL) == 0;
}

/* Nobody is woken: as many fibers are ready after a yield as were before (O3). */
void weft_yield(void)
{
	struct weft__worker *w = weft__worker_self();
	if (!w)
		return;

	begin_move(w);
	struct weft__job *job = NULL;
	if (weft__count(&w->yields) % YIELDS_IN_ROW != 0)
		job = take_ready(w);
	if (job && is_fiber(job)) {
		switch_to(w, fiber_of(job), back_of_the_queue, NULL);
		return;
	}
	if (job ? yield_to(w, job) : yield_to_loop(w))
		return;
	/* Nobody else runs: there is nothing, or no stack for it. */
	end_move(w);
	if (job)
		give_away(w, job);
}

/* --- the loop ---------------------------------------------------------- */

static struct weft__job *next_fairly(struct weft__worker *w)
{
	struct weft__job *job = weft__inject_pop(&w->runtime->inject);
	return job ? job : take_ready(w);
}

static struct weft__job *next_own(struct weft__worker *w)
{
	struct weft__job *job = load_acquire(&w->handoff); /* O2 */

	if (job) {
		store_relaxed(&w->handoff, (struct weft__job *)NULL);
		return job;
	}
	if (weft__count(&w->tick) % FAIR_EVERY == 0)
		job = next_fairly(w);
	if (!job && weft__deque_size(&w->deque) != 0)
		job = weft__deque_pop(&w->deque);
	if (!job)
		job = take_ready(w);
	return job;
}

/* Looks everywhere for some time.  A worker that may not search, since enough
 * others do, looks around once. */
static struct weft__job *search(struct weft__worker *w)
{
	uint64_t limit = load_relaxed(&w->brief) ? 0 : SPIN_US * w->runtime->ticks_per_us;
	uint64_t began = weft__ticks();
	struct weft__job *job;

	store_relaxed(&w->brief, (uint8_t)0);
	while (!(job = weft__steal(w))) {
		if (!weft__idle_search(w) || load_relaxed(&w->runtime->stop) ||
		    weft__ticks() - began > limit)
			return NULL;
		/* What comes from outside is seen at once. */
		for (int i = 0; i < SPIN_RELAX && weft__inject_is_empty(&w->runtime->inject); i++)
			cpu_relax();
	}
	return job;
}

/* The next job, however long it takes; NULL when the runtime stops. */
static struct weft__job *next(struct weft__worker *w)
{
	struct weft__job *job;

	/* Its own queues again after a sleep: the hook of that may have filled them. */
	while (!(job = next_own(w))) {
		/* How long it looks depends on the time, the turns after that do not. */
		store_relaxed(&w->tick, (load_relaxed(&w->tick) / FAIR_EVERY + 1) * FAIR_EVERY);
		if (!weft__idle_is_benched(w) && (job = search(w)))
			break;
		if (load_acquire(&w->runtime->stop))
			return NULL;
		weft__idle_sleep(w);
	}
	weft__idle_found(w);
	return job;
}

static void loop(void *arg)
{
	(void)arg;
	arrive();
	for (;;) {
		struct weft__worker *w = weft__worker_self(); /* I4 */
		struct weft__job *job = next(w);

		if (!job)
			weft__continue(&w->thread_fiber);
		store_relaxed(&w->region.state, WEFT__REGION_NONE);
		weft__tsan_acquire(job); /* submit_quietly */
		load_relaxed (&job->run)(job);
	}
}

static void nothing(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	(void)w, (void)from, (void)arg;
}

void weft__worker_main(struct weft__worker *w)
{
	weft__fiber_of_thread(&w->thread_fiber);
	w->current = &w->thread_fiber;

	struct weft__fiber *first = weft__fiber_get(&w->stacks, loop, NULL);
	weft__assert(first); /* weft__worker_init has put one into the cache */
	switch_to(w, first, nothing, NULL);
}
