/* SPDX-License-Identifier: MIT */
/*
 * wait.c - the word that decides who ends a wait
 *
 * Orderings
 *
 *   O1  what the waker did -> the waiter    release half of the claim's CAS  =>
 *       acquire load of the word, by the waiter itself.
 *   O2  the parked fiber -> the waker       release half of the CAS to PARKED =>
 *       acquire half of the claim's CAS.  Carries strand->fiber and its context.
 *   O3  cancel against begin, store-load    the exchange in begin, then the epoch
 *       and the flags; the canceller sets flags and epoch, then reads the word
 *       (tree.c).  Both are full barriers: either begin sees the cancel, or the
 *       canceller sees the wait.
 *
 * A claim that finds the strand WAITING touches nothing of it afterwards: the
 * strand, on its way to park, finds the word claimed and goes on.
 */
#include "async/wait.h"

#include <sched.h>

#include <weft/error.h>
#include <weft/runtime.h>

#include "async/tree.h"
#include "deque/futex.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

int weft__wait_begin(struct weft__strand *s, unsigned flags)
{
	uint64_t ticket = weft__wait_ticket(s) + 1;

	if (s->runtime)
		weft__node_link(&s->node); /* for cancels to find it, and reports */
	exchange_seqcst(&s->word, ticket << 16 | WEFT__WAITING | flags); /* O3 */
	if (!(flags & WEFT__ABORTABLE) || !s->runtime)
		return 0;
	if (weft__strand_check(s) == 0 &&
	    !((flags & WEFT__SOFT) && weft__cancel_visible(s->in.node)))
		return 0;
	weft__wait_end(s);
	return WEFT_ECANCELED;
}

static unsigned code_of(const struct weft__strand *s)
{
	return load_acquire(&s->word) >> 8 & 0xff; /* O1 */
}

unsigned weft__wait_end(struct weft__strand *s)
{
	if (weft__claim(s, weft__wait_ticket(s), 0) == WEFT__CLAIM_LOST)
		return code_of(s);
	return 0;
}

/* WAITING becomes PARKED; false when somebody has claimed the wait. */
static bool set_parked(struct weft__strand *s)
{
	uint64_t word = load_relaxed(&s->word);

	return (word & WEFT__STATE) == WEFT__WAITING &&
	       cas_seqcst(&s->word, word, word ^ WEFT__WAITING ^ WEFT__PARKED); /* O2 */
}

/* On the next fiber: from here on the strand may be resumed. */
static void parked(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	struct weft__strand *s = arg;

	/* The same thread, but another fiber than began the wait. */
	weft__tsan_acquire(s);
	store_relaxed(&s->fiber, from);
	if (!set_parked(s))
		weft__ready(w->runtime, from);
}

static void park_thread(struct weft__strand *s)
{
	struct weft__thread_strand *t = WEFT__CONTAINER(s, struct weft__thread_strand, strand);

	if (!set_parked(s))
		return;
	while (load_acquire(&t->woken) == 0)
		futex_wait(&t->woken, 0);
	store_relaxed(&t->woken, 0);
}

unsigned weft__wait_park(struct weft__strand *s, const char *what, const void *on)
{
	if ((load_relaxed(&s->word) & WEFT__STATE) == WEFT__RUNNING)
		return code_of(s);
	s->node.budget = 0;
	if (!s->runtime) {
		park_thread(s);
		return code_of(s);
	}
	struct weft__worker *w = weft__worker_self();
	struct weft__fiber *fiber = weft__worker_fiber(w);
	store_relaxed(&fiber->wait_what, what);
	store_relaxed(&fiber->wait_on, on);
	weft__tsan_release(s);
	if (weft__suspend(w, parked, s) != 0 &&
	    weft__claim(s, weft__wait_ticket(s), WEFT__NO_STACK) != WEFT__CLAIM_LOST)
		return WEFT__NO_STACK;
	store_relaxed(&fiber->wait_what, (const char *)NULL);
	return code_of(s);
}

/* What the caller waits for may be a task that has not started.  When no other worker can
 * start it, it runs on top of the waiting frame, as a fork does in the same distress
 * (frame.c, wait_done); but only then, for if it waits for what comes after that frame,
 * neither goes on. */
void weft__wait_without_stack(void)
{
	struct weft_runtime *rt = weft__worker_self()->runtime;

	uint32_t distressed = add_seqcst(&rt->distressed, 1) + 1;
	sched_yield();
	bool alone = distressed + load_relaxed(&rt->idle.sleeping) >= rt->worker_count;
	add_seqcst(&rt->distressed, (uint32_t)-1);
	if (alone)
		weft__run_here();
}

/* --- under a lock -------------------------------------------------------- */

struct parking {
	struct weft__strand *strand;
	struct weft__guard *lock;
};

/* The strand is parked, and there have been cancels since it last looked. */
static __attribute__((noinline)) void
unlock_unless_cancelled(struct weft__worker *w, struct weft__strand *s, struct weft__guard *lock)
{
	struct weft__fiber *fiber = load_relaxed(&s->fiber);
	bool cancelled = (weft__cancel_visible(s->in.node) & WEFT__NODE_CANCELLED) &&
			 weft__claim(s, weft__wait_ticket(s), WEFT__CANCELLED) ==
				 WEFT__CLAIM_PARKED; /* else somebody looks at it: still.h */

	weft__guard_unlock(lock);
	if (cancelled)
		weft__ready(w->runtime, fiber);
}

/* On the next fiber, with the lock held: from the exchange on the strand may be
 * cancelled, from the unlock on it may be granted, and then all of this is gone.  A
 * cancel that came before the exchange is seen by the check (O3). */
static void parked_locked(struct weft__worker *w, struct weft__fiber *from, void *arg)
{
	weft__tsan_acquire(arg);
	struct weft__strand *s = ((struct parking *)arg)->strand;
	struct weft__guard *lock = ((struct parking *)arg)->lock;

	store_relaxed(&s->fiber, from);
	exchange_seqcst(&s->word,
			weft__wait_next(s) << 16 | WEFT__PARKED | WEFT__ABORTABLE); /* O2, O3 */
	if (WEFT_LIKELY(load_relaxed(&weft__cancel_epoch) == s->seen))
		weft__guard_unlock(lock);
	else
		unlock_unless_cancelled(w, s, lock);
}

static __attribute__((noinline)) unsigned park_thread_locked(struct weft__strand *s,
							     struct weft__guard *lock)
{
	weft__wait_begin(s, WEFT__ABORTABLE);
	weft__guard_unlock(lock);
	park_thread(s);
	return code_of(s);
}

unsigned weft__wait_park_locked(struct weft__strand *s, struct weft__guard *lock, const char *what,
				const void *on)
{
	struct parking parking = { s, lock };

	s->node.budget = 0;
	if (!s->runtime)
		return park_thread_locked(s, lock);
	weft__node_link(&s->node);
	struct weft__worker *w = weft__worker_self();
	struct weft__fiber *fiber = weft__worker_fiber(w);
	store_relaxed(&fiber->wait_what, what);
	store_relaxed(&fiber->wait_on, on);
	weft__tsan_release(&parking);
	bool parked = weft__suspend(w, parked_locked, &parking) == 0;
	store_relaxed(&fiber->wait_what, (const char *)NULL);
	if (parked)
		return code_of(s);
	weft__guard_unlock(lock);
	return WEFT__NO_STACK;
}

static void resume_thread(struct weft__strand *s)
{
	struct weft__thread_strand *t = WEFT__CONTAINER(s, struct weft__thread_strand, strand);

	store_release(&t->woken, 1);
	futex_wake(&t->woken, 1);
}

void weft__resume(struct weft__strand *s)
{
	if (s->runtime)
		weft__ready(s->runtime, load_relaxed(&s->fiber));
	else
		resume_thread(s);
}

void weft__resume_quietly(struct weft__strand *s)
{
	if (s->runtime)
		weft__ready_quietly(s->runtime, load_relaxed(&s->fiber));
	else
		resume_thread(s);
}

int weft__code_failure(unsigned code)
{
	switch (code) {
	case WEFT__CANCELLED:
		return WEFT_ECANCELED;
	case WEFT__TIMED_OUT:
		return WEFT_ETIMEDOUT;
	case WEFT__CLOSED:
		return WEFT_ECLOSED;
	case WEFT__BROKEN:
		return WEFT_EBROKEN;
	case WEFT__NO_STACK:
		return WEFT_ENOMEM;
	default:
		return 0;
	}
}

int weft__point_slowly(struct weft__strand *s)
{
	int rc = weft__strand_check(s);

	if (rc == 0 && s->node.budget >= WEFT__BUDGET) {
		s->node.budget = 0;
		weft_yield();
	}
	return rc;
}

struct weft__strand *weft__strand_here(struct weft__thread_strand *local)
{
	static const struct weft__ambient none;
	struct weft__strand *s = weft__strand_self();

	if (s)
		return s;
	weft__strand_init(&local->strand, NULL, &none);
	local->woken = 0;
	return &local->strand;
}
