/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - the parts of a fiber's life that are not on the fast path
 */
#include "runtime/fiber.h"

#include "deque/check.h"

void weft__fiber_of_thread(struct weft__fiber *fiber)
{
	*fiber = (struct weft__fiber){ 0 };
}

void weft__fiber_main(void (*entry)(void *arg), void *arg)
{
	entry(arg);
	weft__bug("a fiber returned from its entry");
}
