/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - the parts of a fiber's life that are not on the fast path
 */
#include "runtime/fiber.h"

#include <pthread.h>

#include "deque/check.h"

#if WEFT__ASAN
static void thread_bounds(struct weft__sanitizer *sanitizer)
{
	pthread_attr_t attr;
	void *low = NULL;

	if (pthread_getattr_np(pthread_self(), &attr))
		weft__bug("no bounds of the thread's stack");
	pthread_attr_getstack(&attr, &low, &sanitizer->size);
	sanitizer->low = low;
	pthread_attr_destroy(&attr);
}
#else
static void thread_bounds(struct weft__sanitizer *sanitizer)
{
	(void)sanitizer;
}
#endif

void weft__fiber_of_thread(struct weft__fiber *fiber)
{
	*fiber = (struct weft__fiber){ .name = "(thread)" };
	thread_bounds(&fiber->stack.sanitizer);
}

void weft__fiber_main(void (*entry)(void *arg), void *arg, struct weft__fiber *self)
{
	weft__sanitize_begin(&self->stack.sanitizer);
	entry(arg);
	weft__bug("fiber %s returned from its entry", self->name ? self->name : "(unnamed)");
}
