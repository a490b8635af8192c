/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - a stack with a saved context: what waits in place of a thread
 *
 * A fiber is taken from a worker's stack cache with what it shall run, and runs
 * when somebody switches to it.  It is put back when it will never run again.
 * Nothing here knows of workers or queues.
 *
 *   threads    a fiber may be resumed on another thread than it was left on.
 *              Compilers keep addresses of thread-locals over calls, errno's and
 *              pthread_self() among them: nothing reads one over a switch.
 *   memory     the control block is the head of the fiber's own stack.
 *   errors     NULL when there is no stack (weft__stack_error says why).
 *   blocking   none.
 */
#ifndef WEFT_RUNTIME_FIBER_H
#define WEFT_RUNTIME_FIBER_H

#include <assert.h>

#include "deque/job.h"
#include "runtime/sanitize.h"
#include "runtime/stack.h"
#include "runtime/switch.h"

struct weft__strand;

struct weft__fiber {
	struct weft__stack stack; /* its sp leads to a struct weft__switch_frame */

	/* The scheduler's, to use as it likes. */
	struct weft__job job;
	struct weft__strand *strand; /* that runs on it; NULL: the loop itself */
	const char *name;	     /* for messages; NULL after get */
	const char *wait_what;	     /* what it waits for, for reports; NULL: nothing */
	const void *wait_on;
};

static_assert(sizeof(struct weft__fiber) <= WEFT__STACK_HEAD, "the head of a stack is too small");

/* A fiber that will call entry(arg) when first switched to.  entry never returns:
 * it leaves by weft__fiber_leave.  NULL when there is no stack. */
WEFT__OF_THREAD
static inline struct weft__fiber *weft__fiber_get(struct weft__stack_cache *cache,
						  void (*entry)(void *arg), void *arg)
{
	struct weft__fiber *fiber = (struct weft__fiber *)weft__stack_get(cache);

	if (WEFT_UNLIKELY(!fiber))
		return NULL;
	fiber->strand = NULL;
	fiber->name = NULL;
	fiber->wait_what = NULL;
	fiber->stack.sp = weft__switch_prepare(fiber, entry, arg);
	weft__sanitize_get(&fiber->stack.sanitizer);
	return fiber;
}

/* The fiber does not run and never will again: it was left by weft__fiber_leave,
 * or never switched to. */
WEFT__OF_THREAD
static inline void weft__fiber_put(struct weft__stack_cache *cache, struct weft__fiber *fiber)
{
	weft__sanitize_put(fiber->stack.sp, fiber);
	weft__stack_put(cache, &fiber->stack);
}

/* Makes *fiber, which lies anywhere, stand for the calling thread on its own
 * stack: something to switch from, and back to.  Never put. */
void weft__fiber_of_thread(struct weft__fiber *fiber);

/* The two ends of a switch share no context of ThreadSanitizer; that `to` was
 * saved is known to whoever switches to it. */
WEFT__OF_THREAD
static inline void *weft__fiber_sp(struct weft__fiber *fiber)
{
	return fiber->stack.sp;
}

/* Leaves `from`, which runs, and goes on with `to`, which does not; returns when
 * somebody switches back to `from`.  The caller may then be on another thread. */
static inline __attribute__((always_inline)) void weft__fiber_switch(struct weft__fiber *from,
								     struct weft__fiber *to)
{
	void *sp = weft__fiber_sp(to);

	weft__sanitize_before(&from->stack.sanitizer, &to->stack.sanitizer, false);
	weft__switch(&from->stack.sp, sp);
	weft__sanitize_after(&from->stack.sanitizer);
}

/* Leaves `from` for ever.  Whoever runs next may put it. */
static inline __attribute__((always_inline, noreturn)) void
weft__fiber_leave(struct weft__fiber *from, struct weft__fiber *to)
{
	void *sp = weft__fiber_sp(to);

	weft__sanitize_before(&from->stack.sanitizer, &to->stack.sanitizer, true);
	weft__switch_last(&from->stack.sp, sp);
}

/* What a new fiber calls, from weft__fiber_start. */
_Noreturn void weft__fiber_main(void (*entry)(void *arg), void *arg, struct weft__fiber *self);

#endif
