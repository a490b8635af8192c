/* SPDX-License-Identifier: MIT */
/*
 * inject.h - the door through which any thread hands jobs to the workers
 *
 * Many producers, many consumers, without bound; a push cannot fail and allocates
 * nothing.  Jobs leave in the order in which they came.  The ledger is in inject.c.
 *
 *   threads    push, pop, is_empty: any.  init: one, alone.
 *   memory     the caller owns the struct and the jobs.  A job belongs to the
 *              injector from push to pop.
 *   errors     none.
 *   blocking   no call sleeps.  A push waits for nobody; a pop may spin while another
 *              consumer is in the middle of its own.
 */
#ifndef WEFT_DEQUE_INJECT_H
#define WEFT_DEQUE_INJECT_H

#include <stdalign.h>
#include <stdbool.h>

#include <weft/base.h>

#include "deque/atomic.h"
#include "deque/job.h"
#include "deque/spin.h"

struct weft__inject {
	alignas(WEFT_CACHELINE) struct weft__job *newest; /* the producers' */
	alignas(WEFT_CACHELINE) struct weft__job *oldest; /* the consumers', under the lock */
	struct weft__spin lock;
};

void weft__inject_init(struct weft__inject *inject);

void weft__inject_push(struct weft__inject *inject, struct weft__job *job);

/* The oldest job, or NULL when there is none. */
struct weft__job *weft__inject_pop(struct weft__inject *inject);

/* A hint for pollers, three loads.  Who sleeps on the answer needs a full fence between
 * announcing itself and asking, and a producer one between its push and looking for
 * sleepers; then no job is missed (I3). */
static inline bool weft__inject_is_empty(const struct weft__inject *inject)
{
	return !load_acquire(&inject->newest) && !load_acquire(&inject->lock.locked) &&
	       !load_relaxed(&inject->oldest);
}

#endif
