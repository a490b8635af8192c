/* SPDX-License-Identifier: MIT */
/*
 * unwind_victim.c - something for unwind.sh to look at
 *
 * One fiber is suspended three calls deep, and another runs into break_here().
 */
#include "runtime/fiber.h"

static struct weft__fiber here;
struct weft__fiber *suspended, *running;

__attribute__((noinline)) void break_here(void)
{
	__asm__ volatile("");
}

static __attribute__((noinline)) void sleep_here(void)
{
	weft__fiber_switch(suspended, &here);
	__asm__ volatile("");
}

static __attribute__((noinline)) void outer(void (*inner)(void))
{
	volatile char frame[1000];

	frame[0] = 1;
	inner();
	frame[1] = 1;
}

static void fiber_that_sleeps(void *arg)
{
	(void)arg;
	outer(sleep_here);
	weft__fiber_leave(suspended, &here);
}

static void fiber_that_runs(void *arg)
{
	(void)arg;
	outer(break_here);
	weft__fiber_leave(running, &here);
}

int main(void)
{
	struct weft__stack_pool pool;
	struct weft__stack_cache cache;

	if (weft__stack_pool_init(&pool, (size_t)256 << 10))
		return 1;
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
	suspended = weft__fiber_get(&cache, fiber_that_sleeps, NULL);
	running = weft__fiber_get(&cache, fiber_that_runs, NULL);
	/* Where a return address would be above the first frame. */
	running->stack.next = (struct weft__stack *)(uintptr_t)main;
	weft__fiber_switch(&here, suspended);
	weft__fiber_switch(&here, running);
	return 0;
}
