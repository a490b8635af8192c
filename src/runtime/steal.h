/* SPDX-License-Identifier: MIT */
/*
 * steal.h - finding work that is not one's own
 */
#ifndef WEFT_RUNTIME_STEAL_H
#define WEFT_RUNTIME_STEAL_H

#include <stdbool.h>

#include <weft/fork.h>

#include "deque/atomic.h"
#include "runtime/worker.h"

struct weft_runtime;

/* Tasks in a deque at which its owner stops offering, and under which somebody
 * is hungry.  Tuned on bench/fib.c, bench/uts.c. */
enum { WEFT__HI = 4, WEFT__LO = 1 };

/* Asks the owner for work: its next fork will be offered.  Looks before it
 * writes, since the byte lies in a cache line that the owner reads all the
 * time. */
static inline void weft__worker_starve(struct weft__worker *w)
{
	if (!load_relaxed(w->hungry))
		store_relaxed(w->hungry, 1);
}

/* One round over the injector and all other workers.  NULL: nothing found. */
struct weft__job *weft__steal(struct weft__worker *w);

/* True when a queue of the runtime holds a job.  Exact for what was published
 * before a full barrier of the caller. */
bool weft__work_anywhere(struct weft_runtime *rt);

#endif
