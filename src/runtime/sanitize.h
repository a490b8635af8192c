/* SPDX-License-Identifier: MIT */
/*
 * sanitize.h - telling the tools that look on that the stack is another one
 *
 * Everything here is empty in a release build.
 *
 * AddressSanitizer learns of each switch right before and right after it, and of
 * the bounds of the stack.  A fiber that is left for ever gives up the fake stack
 * of use-after-return detection, and its frames, which never return, are taken
 * out of the shadow memory when it is put back.
 *
 * ThreadSanitizer gets a context for each fiber.  A switch orders nothing (flag 1):
 * that two fibers ran one after the other on one worker is an accident of the
 * schedule, and a program that relies on it has a race.  So whoever builds on
 * fibers draws every edge that is promised:
 *
 *	weft__tsan_release(p)   what this context did so far ...
 *	weft__tsan_acquire(p)   ... happened before what this one does next
 *
 * for the same address p: release where a piece of work is published (a fork
 * frame pushed, a frame finished, a fiber made ready), acquire where it is taken
 * up (the job begins; the join or the wait returns, which is behind the switch).
 * Where the hand-over is an atomic release and acquire that both contexts make
 * themselves, the edge is drawn already.  What belongs to a thread, like
 * a worker's cache of stacks, is touched by all fibers that run on it, in order,
 * with no edge between them: functions that do so are WEFT__OF_THREAD.
 *
 * A new fiber happens after the call that got it, and after the last life of its
 * stack.  Making a context costs 5 us under clang 14 and 400 under gcc 12, so it
 * stays with its stack while that lies in a worker's cache.  A fiber is left in
 * the middle of its functions, which stay on the shadow call stack of the
 * context (64 Ki entries), hence a new one after WEFT__TSAN_LIVES.
 *
 * These functions are always inlined: one that was instrumented would enter on
 * one shadow stack and leave on another.
 *
 * valgrind is told where stacks lie, in builds with assertions.
 */
#ifndef WEFT_RUNTIME_SANITIZE_H
#define WEFT_RUNTIME_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "deque/check.h"
#include "deque/sanitizer.h"

#if WEFT__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if WEFT__TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(WEFT_DEBUG) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WEFT__VALGRIND 1
#endif
#endif
#ifndef WEFT__VALGRIND
#define WEFT__VALGRIND 0
#endif

#if WEFT__TSAN
#define weft__tsan_acquire(p) __tsan_acquire((void *)(p))
#define weft__tsan_release(p) __tsan_release((void *)(p))
#else
#define weft__tsan_acquire(p) ((void)sizeof(p))
#define weft__tsan_release(p) ((void)sizeof(p))
#endif

/* Each leaves at most 64 Ki / WEFT__TSAN_LIVES frames behind. */
#define WEFT__TSAN_LIVES 512

/* What the tools want to have kept with a stack. */
struct weft__sanitizer {
	size_t valgrind; /* here in all builds: it depends on NDEBUG */
#if WEFT__ASAN
	void *fake_stack; /* while it does not run */
	const void *low;
	size_t size;
#endif
#if WEFT__TSAN
	void *context; /* of this life and, for a while, the next */
	void *left;    /* while it does not run: the context that it was left in */
	size_t lives;
#endif
};

#define WEFT__SANITIZE static inline __attribute__((always_inline))

/* A stack comes into being: its lowest byte, and the first above it. */
WEFT__SANITIZE void weft__sanitize_new(struct weft__sanitizer *s, char *low, char *top)
{
	*s = (struct weft__sanitizer){ 0 };
#if WEFT__VALGRIND
	s->valgrind = VALGRIND_STACK_REGISTER(low, top);
#endif
#if WEFT__ASAN
	s->low = low;
	s->size = (size_t)(top - low);
#endif
	(void)low;
	(void)top;
}

/* The stack leaves the hands of a worker, for a while or for ever. */
WEFT__SANITIZE void weft__sanitize_rest(struct weft__sanitizer *s)
{
#if WEFT__TSAN
	if (s->context)
		__tsan_destroy_fiber(s->context);
	s->context = NULL;
#endif
	(void)s;
}

/* The stack is gone.  It rests already. */
WEFT__SANITIZE void weft__sanitize_gone(struct weft__sanitizer *s)
{
#if WEFT__VALGRIND
	VALGRIND_STACK_DEREGISTER(s->valgrind);
#endif
	(void)s;
}

/* A new life. */
WEFT__SANITIZE void weft__sanitize_get(struct weft__sanitizer *s)
{
#if WEFT__TSAN
	if (s->context && s->lives++ == WEFT__TSAN_LIVES)
		weft__sanitize_rest(s);
	if (!s->context) {
		s->context = __tsan_create_fiber(0);
		s->lives = 0;
	}
	s->left = s->context;
#endif
	weft__tsan_release(s);
}

/* The first thing of the new life itself. */
WEFT__SANITIZE void weft__sanitize_begin(struct weft__sanitizer *s)
{
#if WEFT__ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	weft__tsan_acquire(s);
}

/* The life is over, with frames from `sp` to `top`. */
WEFT__SANITIZE void weft__sanitize_put(void *sp, void *top)
{
#if WEFT__ASAN
	__asan_unpoison_memory_region(sp, (size_t)((char *)top - (char *)sp));
#endif
	(void)sp;
	(void)top;
}

#if WEFT__TSAN
/* Not always inlined, because not instrumented. */
WEFT__OF_THREAD static inline void weft__sanitize_set_left(struct weft__sanitizer *s, void *left)
{
	s->left = left;
}

WEFT__OF_THREAD static inline void *weft__sanitize_left(struct weft__sanitizer *s)
{
	return s->left;
}
#endif

WEFT__SANITIZE void weft__sanitize_before(struct weft__sanitizer *from, struct weft__sanitizer *to,
					  bool for_ever)
{
#if WEFT__ASAN
	__sanitizer_start_switch_fiber(for_ever ? NULL : &from->fake_stack, to->low, to->size);
#endif
#if WEFT__TSAN
	/* Perhaps another than it began in: a task may have one of its own. */
	weft__sanitize_set_left(from, __tsan_get_current_fiber());
	if (for_ever)
		weft__tsan_release(from);
	__tsan_switch_to_fiber(weft__sanitize_left(to), __tsan_switch_to_fiber_no_sync);
#endif
	(void)from;
	(void)to;
	(void)for_ever;
}

WEFT__SANITIZE void weft__sanitize_after(struct weft__sanitizer *from)
{
#if WEFT__ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
	(void)from;
}

/* A call on another stack.  The fiber stays the same, and so does its context of
 * ThreadSanitizer; the bounds that a switch back to it announces are those of the
 * stack it runs on. */
struct weft__sanitize_call {
	void *fake_stack;
	const void *low;
	size_t size;
};

/* Right before the call, on the old stack; then the first thing on the new one. */
WEFT__SANITIZE void weft__sanitize_call(struct weft__sanitize_call *call,
					struct weft__sanitizer *fiber,
					const struct weft__sanitizer *stack)
{
#if WEFT__ASAN
	*call = (struct weft__sanitize_call){ NULL, fiber->low, fiber->size };
	fiber->low = stack->low;
	fiber->size = stack->size;
	__sanitizer_start_switch_fiber(&call->fake_stack, stack->low, stack->size);
#endif
	(void)call;
	(void)fiber;
	(void)stack;
}

WEFT__SANITIZE void weft__sanitize_called(void)
{
#if WEFT__ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

/* The last thing on the new stack, whose frames are dead; then right after the call. */
WEFT__SANITIZE void weft__sanitize_return(const struct weft__sanitize_call *call,
					  struct weft__sanitizer *fiber)
{
#if WEFT__ASAN
	fiber->low = call->low;
	fiber->size = call->size;
	__sanitizer_start_switch_fiber(NULL, call->low, call->size);
#endif
	(void)call;
	(void)fiber;
}

WEFT__SANITIZE void weft__sanitize_returned(const struct weft__sanitize_call *call)
{
#if WEFT__ASAN
	__sanitizer_finish_switch_fiber(call->fake_stack, NULL, NULL);
#endif
	(void)call;
}

#endif
