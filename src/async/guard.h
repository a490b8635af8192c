/* SPDX-License-Identifier: MIT */
/*
 * guard.h - the lock inside of a lock: a spin lock that costs its only user nothing
 *
 * What tasks share is guarded for a few instructions at a time.  A locked instruction
 * takes 5 ns, and two of them are most of what an uncontended acquire and release cost.
 * So an object that one worker has used COURTSHIP times in a row from the first time on
 * becomes that worker's: it enters with a store and a load, and whoever else comes makes
 * up for the missing fence, once, by asking the kernel to run one on every CPU
 * (membarrier, 4 to 7 us).  From then on the object is an ordinary spin lock for all.
 *
 *	FRESH --used by w--> courted by w --w again, COURTSHIP times--> w's
 *	  '------another------------'------another------> COLD <--another--'
 *
 *   Biased locks: K. Kawachiya, A. Koseki, T. Onodera, Lock reservation, OOPSLA 2002;
 *   D. Dice, M. Huang, M. Yang, Asymmetric Dekker synchronization, 2001.
 *
 * Invariants
 *
 *   I1  An object is one worker's at most once in its life: there is one writer of
 *       `busy`, also when it comes late and finds that the object is not its own any
 *       more.
 *   I2  bias is written under the spin lock.
 *   I3  A worker inside has `busy` set, and found bias its own after that; whoever takes
 *       the spin lock, and takes the bias away, waits for `busy` to be 0.
 *
 * Orderings
 *
 *   O1  busy against bias, store-load: the worker sets busy and reads bias with nothing
 *       but a barrier for the compiler in between; the other changes bias, runs
 *       membarrier, and reads busy.  If the worker's fence falls behind its store, the
 *       other sees busy; if before its load, the worker sees the bias gone.
 *   O2  the worker's last section => who takes the bias away     release of busy =>
 *       acquire of it.
 *   O3  all others: the spin lock.
 *   O4  a fiber of the worker => the next one inside: they are one thread.  For
 *       ThreadSanitizer, to which fibers are threads.
 *
 * Nothing moves to another thread inside (a wait that begins with it held leaves it on the
 * worker's next fiber), so a worker is a thread here.  Without membarrier (an old
 * kernel, or a process that had threads before its first runtime, where asking for it
 * takes some 10 ms) nothing is ever biased.
 *
 *   threads    any; `me` is the caller's worker, or NULL for a thread that is none or a
 *              path that is slow anyway.
 *   memory     zeros are free.
 */
#ifndef WEFT_ASYNC_GUARD_H
#define WEFT_ASYNC_GUARD_H

#include <weft/base.h>

#include "deque/spin.h"
#include "runtime/sanitize.h"

struct weft__guard {
	struct weft__spin spin;
	uint32_t busy;
	uintptr_t bias; /* FRESH, worker + 1: courted, worker, COLD */
	uint32_t courted;
	bool entered; /* by way of busy; whoever is inside reads and writes it */
};

#define WEFT__GUARD_FRESH ((uintptr_t)0)
#define WEFT__GUARD_COLD  ((uintptr_t)2)

/* At the start of a runtime, before its threads: asks the kernel for what it takes, if
 * the process has one thread yet, when that takes a microsecond.  Else the kernel waits
 * until every CPU has been through its scheduler, and register does that too. */
void weft__guard_prepare(void);
void weft__guard_register(void);

/* Inside, by way of the spin lock, and not COLD: the next step of the picture. */
void weft__guard_step(struct weft__guard *g, const void *me);

static inline void weft__guard_lock(struct weft__guard *g, const void *me)
{
	if (me && load_relaxed(&g->bias) == (uintptr_t)me) {
		store_relaxed(&g->busy, 1);
		__asm__ __volatile__("" ::: "memory");
		if (WEFT_LIKELY(load_relaxed(&g->bias) == (uintptr_t)me)) { /* O1 */
			weft__tsan_acquire(&g->busy);			    /* O4 */
			g->entered = true;
			return;
		}
		store_release(&g->busy, 0);
	}
	weft__spin_lock(&g->spin);
	if (WEFT_UNLIKELY(load_relaxed(&g->bias) != WEFT__GUARD_COLD))
		weft__guard_step(g, me);
}

static inline void weft__guard_unlock(struct weft__guard *g)
{
	if (g->entered) {
		g->entered = false;
		store_release(&g->busy, 0); /* O2 */
	} else {
		weft__spin_unlock(&g->spin);
	}
}

/* Nobody is inside who was there when the caller came. */
static inline bool weft__guard_is_free(const struct weft__guard *g)
{
	return !load_acquire(&g->spin.locked) && !load_acquire(&g->busy);
}

#endif
