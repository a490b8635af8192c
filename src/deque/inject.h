/* SPDX-License-Identifier: MIT */
/*
 * inject.h - the door through which any thread hands jobs to the workers
 *
 * Many producers, many consumers, without bound; a push cannot fail and
 * allocates nothing.  A ring takes what fits; what does not waits in a list
 * through job->next.  The jobs of one producer leave in the order in which they
 * came, and those of all nearly so.  The ledger is in inject.c.
 *
 *   threads    push, pop, is_empty: any.  init, fini, check: one, alone.
 *   memory     the caller owns the struct and the jobs.  A job belongs to the
 *              injector from push to pop.
 *   errors     init: 0, WEFT_EINVAL, WEFT_ENOMEM.
 *   blocking   no call sleeps; push and pop may spin while another thread is in
 *              the middle of theirs.
 */
#ifndef WEFT_DEQUE_INJECT_H
#define WEFT_DEQUE_INJECT_H

#include <stdalign.h>

#include <weft/base.h>

#include "deque/atomic.h"
#include "deque/job.h"
#include "deque/spin.h"

#if !defined(WEFT_MODEL) && !defined(WEFT_ATOMIC_BUILTIN)
#define WEFT__INJECT_RING 1
#include <ck_ring.h>
#endif

struct weft__inject {
#ifdef WEFT__INJECT_RING
	struct ck_ring ring;
	struct ck_ring_buffer *buffer;
#endif
	size_t capacity;

	/* The list.  `waiting` is written under the lock and read by anybody. */
	alignas(WEFT_CACHELINE) uint64_t waiting;
	struct weft__spin lock;
	struct weft__job *oldest, **end;
};

/* Room for capacity - 1 jobs before the list is needed.  WEFT_EINVAL when it is
 * no power of two or not 2 .. 2^30. */
int weft__inject_init(struct weft__inject *inject, size_t capacity);

/* Nobody else may be using the injector any more.  Jobs still inside are the
 * caller's to release. */
void weft__inject_fini(struct weft__inject *inject);

/* Aborts when the injector is not sound; no other thread may be using it. */
void weft__inject_check(const struct weft__inject *inject);

void weft__inject_push(struct weft__inject *inject, struct weft__job *job);

/* The oldest job, or NULL when there is none. */
struct weft__job *weft__inject_pop(struct weft__inject *inject);

/* A hint for pollers, a few relaxed loads.  Who sleeps on the answer needs a full
 * fence between announcing itself and asking, and a producer one between its push
 * and looking for sleepers. */
static inline bool weft__inject_is_empty(const struct weft__inject *inject)
{
#ifdef WEFT__INJECT_RING
	unsigned head = load_relaxed(&inject->ring.c_head);

	if (head != load_relaxed(&inject->ring.p_tail))
		return false;
#endif
	return load_relaxed(&inject->waiting) == 0;
}

#endif
