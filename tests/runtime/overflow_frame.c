/* SPDX-License-Identifier: MIT */
/*
 * overflow_frame.c - a fiber that calls a function with a frame of 1 MiB
 *
 * For overflow.sh, which compiles it with -fstack-clash-protection: then the
 * frame touches each of its pages on the way down, and no guard is jumped.
 */
#include "runtime/fiber.h"
#include "runtime/overflow.h"

static struct weft__fiber here;
static struct weft__fiber *fiber;

static __attribute__((noinline)) void large_frame(void)
{
	char frame[(size_t)1 << 20];

	frame[0] = 1;
	__asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is needed */
}

static void entry(void *arg)
{
	(void)arg;
	large_frame();
	weft__fiber_leave(fiber, &here);
}

int main(void)
{
	struct weft__stack_pool pool;
	struct weft__stack_cache cache;

	weft__overflow_install();
	weft__overflow_thread_init();
	if (weft__stack_pool_init(&pool, (size_t)256 << 10))
		return 1;
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
	/* The frame would end in a stack below: let there be some. */
	for (int i = 0; i < 8; i++)
		fiber = weft__fiber_get(&cache, entry, NULL);
	fiber->name = "large";
	weft__fiber_switch(&here, fiber);
	return 0;
}
