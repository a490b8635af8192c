/* SPDX-License-Identifier: MIT */
/*
 * spin.h - a lock for a few instructions
 *
 * Held for the time of linking a node into a list, never over a call that may
 * wait.  A holder can still lose its CPU, so a waiter that has spun for about a
 * microsecond yields.  Over atomic.h, and not ck_spinlock, so that sanitizers and
 * the model checker see the edge; the code is the same.
 *
 *   O1  holder -> next holder    release locked (unlock) => acquire half of the
 *                                exchange (lock)
 */
#ifndef WEFT_DEQUE_SPIN_H
#define WEFT_DEQUE_SPIN_H

#include <sched.h>

#include "deque/atomic.h"

struct weft__spin {
	uint32_t locked; /* 0 or 1 */
};

#define WEFT__SPIN_TRIES 64

static inline void weft__spin_init(struct weft__spin *spin)
{
	spin->locked = 0;
}

static inline void weft__spin_lock(struct weft__spin *spin)
{
	unsigned tries = 0;

	while (exchange_acqrel(&spin->locked, 1)) { /* O1 */
		while (load_relaxed(&spin->locked)) {
			cpu_relax();
			if (++tries % WEFT__SPIN_TRIES == 0)
				sched_yield();
		}
	}
}

static inline void weft__spin_unlock(struct weft__spin *spin)
{
	store_release(&spin->locked, 0); /* O1 */
}

#endif
