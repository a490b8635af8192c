/* SPDX-License-Identifier: MIT */
/*
 * frame.c - offering, taking back and joining a fork
 *
 *   Demand-driven offering: T. Hiraishi, M. Yasugi, S. Umatani, T. Yuasa,
 *   Backtracking-based load balancing, PPoPP 2009; A. Tzannes, G. Caragea,
 *   U. Vishkin, R. Barua, Lazy scheduling, TOPLAS 2014.  Ours asks by a byte in
 *   the owner's thread-local memory and offers into a Chase-Lev deque.
 *
 * Invariants
 *
 *   I1  A frame is run once: by its owner after a successful retract, or by who
 *       took it from the deque.
 *   I2  The forker does not return before state is DONE or the frame is taken
 *       back, so a running frame's memory stays.
 *   I3  After the exchange to DONE the finisher touches nothing of the frame.
 *   I4  A frame that is not the newest job of the deque of the worker on which
 *       its forker now runs was taken, or lies in another worker's deque (the
 *       forker's fiber moved meanwhile) whose owner or thieves will run it.
 *       Either way somebody else finishes it, and to wait is right.
 *
 * Orderings
 *
 *   O1  results -> forker    release half of the exchange to DONE  =>  acquire
 *       load, by the forker itself, after its suspension too.  Carries rc and
 *       all that fn wrote.
 *   O2  fiber -> finisher    release half of the compare-and-swap that leaves the
 *       fiber  =>  acquire half of the finisher's exchange.  Carries the saved
 *       context of the fiber.
 *
 * Rejected: running other jobs on top of a waiting frame (a stolen job can need
 * what the frame below it holds: rayon #592); spinning before the suspension
 * (the two switches cost less than a cache miss).
 */
#include "runtime/frame.h"

#include <sched.h>

#include <weft/error.h>

#include "deque/atomic.h"
#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/steal.h"
#include "runtime/worker.h"

#define DONE ((uintptr_t)1)

/* Runs fn as a strand of its own, in what its forker runs in. */
static int run_strand(struct weft__frame *f)
{
	struct weft__worker *w = weft__worker_self();
	struct weft__fiber *fiber = weft__worker_fiber(w);
	struct weft__strand *outer = fiber->strand;
	struct weft__strand s;

	weft__strand_init(&s, w->runtime, &f->in);
	fiber->strand = &s;
	int rc = f->fn(f->arg);
	weft__strand_end(&s);
	fiber->strand = outer;
	return rc;
}

/* Runs fn and finishes the frame; the fiber that waits for it, or NULL. */
static struct weft__fiber *finish(struct weft__frame *f)
{
	weft__tsan_acquire(f);
	f->rc = run_strand(f);
	return (struct weft__fiber *)exchange_acqrel(&f->state, DONE); /* O1, O2, I3 */
}

static void run_frame(struct weft__job *job)
{
	/* Whoever runs a frame from a queue is part of an old region. */
	store_relaxed(&weft__worker_self()->region.state, WEFT__REGION_OLD);

	struct weft__fiber *joiner = finish((struct weft__frame *)job);
	if (joiner)
		weft__continue(joiner);
}

/* Offers fn(arg) to the other workers.  False when it cannot be. */
static bool offer(struct weft__worker *w, struct weft__frame *f, weft_fn *fn, void *arg)
{
	store_relaxed(&f->job.run, run_frame);
	f->fn = fn;
	f->arg = arg;
	f->in = weft__strand_self()->in;
	f->state = 0;
	weft__tsan_release(f);
	if (WEFT_UNLIKELY(weft__deque_push(&w->deque, &f->job) != 0))
		return false;
	weft__count(&w->stats.offered);
	if (load_relaxed(&w->region.state) != WEFT__REGION_OLD)
		return true; /* only for those who are awake */

	if (weft__deque_size(&w->deque) >= WEFT__HI)
		store_relaxed(w->hungry, 0);
	if (weft__idle_notify(w->runtime))
		weft__count(&w->stats.wakes);
	return true;
}

/* Takes the frame back: true when nobody has begun it and the caller is to run
 * it.  `w` is the worker now, not necessarily the one it was offered from. */
static bool retract(struct weft__worker *w, struct weft__frame *f)
{
	bool mine = weft__deque_pop_item(&w->deque, &f->job);

	if (weft__deque_size(&w->deque) < WEFT__LO && w->runtime->worker_count > 1)
		weft__worker_starve(w);
	return mine;
}

/* Runs on the next fiber: only now may the finisher find this one. */
static void await(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	struct weft__frame *f = arg;

	if (!cas_seqcst(&f->state, (uintptr_t)0, (uintptr_t)from)) /* O2 */
		weft__ready(w->runtime, from);
}

/* Runs a frame on top of a waiting one; anything else goes back. */
static void run_here(struct weft__job *job)
{
	struct weft_runtime *rt = weft__worker_self()->runtime;

	if (load_relaxed(&job->run) != run_frame) {
		weft__inject_push(&rt->inject, job);
		return;
	}
	struct weft__fiber *joiner = finish((struct weft__frame *)job);
	if (joiner)
		weft__ready(rt, joiner);
}

/* Suspends the fiber.  When there is no stack for another loop and no ready
 * fiber to go on with, the worker waits with its thread, and runs what is in
 * its own deque on top of the waiting frame: what it waits for may lie there,
 * and no other worker need exist.  This is the one place where weft runs
 * foreign work on top of a waiting frame; the alternative is to hang. */
static void wait_done(struct weft__frame *f)
{
	while (load_acquire(&f->state) != DONE) { /* O1 */
		if (weft__suspend(weft__worker_self(), await, f) == 0)
			continue;
		struct weft__job *job = weft__deque_pop(&weft__worker_self()->deque);
		if (job)
			run_here(job);
		else
			sched_yield();
	}
}

/* Waits for a frame that could not be taken back. */
static int join(struct weft__frame *f)
{
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	weft__count(&weft__worker_self()->stats.shared);
	wait_done(f);
	/* A fiber that resumes has no region; this one is inside of an old one, which
	 * its outermost fork, or the end of its job, will end. */
	store_relaxed(&weft__worker_self()->region.state, WEFT__REGION_OLD);
	return f->rc;
}

int weft__frame_fork(struct weft__worker *w, weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	struct weft__frame f;

	if (!offer(w, &f, fb, b))
		return weft__frame_in_turn(fa, a, fb, b);

	int left = fa(a);
	int right = 0;

	w = weft__worker_self();
	if (!w || !retract(w, &f))
		right = join(&f);
	else if (left >= 0)
		right = fb(b);
	return left < 0 ? left : right < 0 ? right : 0;
}
