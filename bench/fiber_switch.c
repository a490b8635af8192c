/* SPDX-License-Identifier: MIT */
/*
 * fiber_switch.c - what it costs to change stacks, without a scheduler
 *
 * One item is one switch, one way.  Four shapes, because what a switch costs is
 * mostly whether the processor foresees where the next returns lead:
 *
 *	pair	two fibers that switch to each other in line
 *	loop	a loop that goes through 8 fibers, each of which yields to it two
 *		calls deep: how a scheduler works
 *	ring	1000 fibers that switch to the next, two calls deep: does it matter
 *		how many there are
 *	life	a fiber is taken, run until it ends, and put back: two switches
 *
 * Peers: Boost.Context's assembly, loaded when it is there, and swapcontext() of
 * the C library, which makes a system call for the signal mask.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <ucontext.h>

#include "bench.h"
#include "runtime/fiber.h"

#define LOOP_FIBERS 8
#define RING_FIBERS 1000
#define STACK_SIZE  ((size_t)64 << 10)

#define NOINLINE    __attribute__((noinline))

/* Behind a call: keeps it from becoming a jump. */
#define NO_TAIL_CALL __asm__ volatile("")

static long switches; /* of one run */

/* --- weft ------------------------------------------------------------------ */

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__fiber here;
static struct weft__fiber *pair, *loop[LOOP_FIBERS], *ring[RING_FIBERS];
static struct weft__fiber *current;

static void pair_entry(void *arg)
{
	(void)arg;
	for (;;)
		weft__fiber_switch(pair, &here);
}

static void weft_pair(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches; i += 2)
		weft__fiber_switch(&here, pair);
}

static NOINLINE void suspend(void)
{
	weft__fiber_switch(current, &here);
	NO_TAIL_CALL;
}

static NOINLINE void work(void)
{
	suspend();
	NO_TAIL_CALL;
}

static void loop_entry(void *arg)
{
	(void)arg;
	for (;;)
		work();
}

static NOINLINE void resume(struct weft__fiber *fiber)
{
	current = fiber;
	weft__fiber_switch(&here, fiber);
	NO_TAIL_CALL;
}

static void weft_loop(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches / 2; i++)
		resume(loop[i % LOOP_FIBERS]);
}

static size_t ring_place;
static long ring_left;

static NOINLINE void next_in_ring(void)
{
	struct weft__fiber *from = ring[ring_place];

	ring_place = ring_place + 1 < RING_FIBERS ? ring_place + 1 : 0;
	weft__fiber_switch(from, --ring_left > 0 ? ring[ring_place] : &here);
	NO_TAIL_CALL;
}

static NOINLINE void ring_work(void)
{
	next_in_ring();
	NO_TAIL_CALL;
}

static void ring_entry(void *arg)
{
	(void)arg;
	for (;;)
		ring_work();
}

static void weft_ring(void *arg)
{
	(void)arg;
	ring_left = switches;
	weft__fiber_switch(&here, ring[ring_place]);
}

static void life_entry(void *arg)
{
	(void)arg;
	weft__fiber_leave(current, &here);
}

static void weft_life(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches; i += 2) {
		current = weft__fiber_get(&cache, life_entry, NULL);
		weft__fiber_switch(&here, current);
		weft__fiber_put(&cache, current);
	}
}

static void weft_prepare(void)
{
	bench_check(weft__stack_pool_init(&pool, STACK_SIZE) == 0, "a pool of stacks");
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
	pair = weft__fiber_get(&cache, pair_entry, NULL);
	for (size_t i = 0; i < LOOP_FIBERS; i++)
		loop[i] = weft__fiber_get(&cache, loop_entry, NULL);
	for (size_t i = 0; i < RING_FIBERS; i++)
		ring[i] = weft__fiber_get(&cache, ring_entry, NULL);
	bench_check(ring[RING_FIBERS - 1] != NULL, "stacks for the ring");
}

/* --- Boost.Context: the same shapes ------------------------------------------- */

struct transfer {
	void *from, *data;
};

static struct transfer (*jump)(void *to, void *data);
static void *(*make)(void *top, size_t size, void (*entry)(struct transfer));

static void *boost_pair_context, *boost_loop_contexts[LOOP_FIBERS];
static void *boost_ring_contexts[RING_FIBERS], *boost_home;

static void *boost_new(void (*entry)(struct transfer))
{
	char *stack = aligned_alloc(4096, STACK_SIZE);

	bench_check(stack != NULL, "a stack for a peer");
	return make(stack + STACK_SIZE, STACK_SIZE, entry);
}

static void boost_pair_entry(struct transfer t)
{
	for (;;)
		t = jump(t.from, NULL);
}

static void boost_pair(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches; i += 2)
		boost_pair_context = jump(boost_pair_context, NULL).from;
}

static NOINLINE void boost_suspend(void)
{
	boost_home = jump(boost_home, NULL).from;
	NO_TAIL_CALL;
}

static NOINLINE void boost_work(void)
{
	boost_suspend();
	NO_TAIL_CALL;
}

static void boost_loop_entry(struct transfer t)
{
	boost_home = t.from;
	for (;;)
		boost_work();
}

static NOINLINE void boost_resume(void **context)
{
	*context = jump(*context, NULL).from;
	NO_TAIL_CALL;
}

static void boost_loop(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches / 2; i++)
		boost_resume(&boost_loop_contexts[i % LOOP_FIBERS]);
}

static size_t boost_place;
static long boost_left;

/* Who was left is known only to who comes next, and stored by it. */
static void boost_note(struct transfer t)
{
	if (t.data)
		*(void **)t.data = t.from;
}

static NOINLINE void boost_next_in_ring(void)
{
	void **from = &boost_ring_contexts[boost_place];

	boost_place = boost_place + 1 < RING_FIBERS ? boost_place + 1 : 0;
	boost_note(jump(--boost_left > 0 ? boost_ring_contexts[boost_place] : boost_home, from));
	NO_TAIL_CALL;
}

static NOINLINE void boost_ring_work(void)
{
	boost_next_in_ring();
	NO_TAIL_CALL;
}

static void boost_ring_entry(struct transfer t)
{
	boost_note(t);
	for (;;)
		boost_ring_work();
}

static void boost_ring(void *arg)
{
	(void)arg;
	boost_left = switches;
	boost_note(jump(boost_ring_contexts[boost_place], &boost_home));
}

static char *boost_life_stack;

static void boost_life_entry(struct transfer t)
{
	jump(t.from, NULL);
}

static void boost_life(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches; i += 2)
		jump(make(boost_life_stack + STACK_SIZE, STACK_SIZE, boost_life_entry), NULL);
}

static void boost_prepare(void)
{
	void *boost = dlopen("libboost_context.so", RTLD_NOW);

	if (!boost)
		boost = dlopen("libboost_context.so.1.74.0", RTLD_NOW);
	if (!boost)
		return;
	*(void **)&make = dlsym(boost, "make_fcontext");
	*(void **)&jump = dlsym(boost, "jump_fcontext");
	if (!make || !jump)
		return;
	boost_pair_context = boost_new(boost_pair_entry);
	for (size_t i = 0; i < LOOP_FIBERS; i++)
		boost_loop_contexts[i] = boost_new(boost_loop_entry);
	for (size_t i = 0; i < RING_FIBERS; i++)
		boost_ring_contexts[i] = boost_new(boost_ring_entry);
	boost_life_stack = aligned_alloc(4096, STACK_SIZE);
}

/* --- swapcontext ----------------------------------------------------------------- */

static ucontext_t c_here, c_pair;

static void c_pair_entry(void)
{
	for (;;)
		swapcontext(&c_pair, &c_here);
}

static void c_pair_run(void *arg)
{
	(void)arg;
	for (long i = 0; i < switches; i += 2)
		swapcontext(&c_here, &c_pair);
}

static void c_prepare(void)
{
	getcontext(&c_pair);
	c_pair.uc_stack.ss_sp = aligned_alloc(4096, STACK_SIZE);
	c_pair.uc_stack.ss_size = STACK_SIZE;
	bench_check(c_pair.uc_stack.ss_sp != NULL, "a stack for a peer");
	makecontext(&c_pair, c_pair_entry, 0);
}

/* ---------------------------------------------------------------------------------- */

static void measure(const char *what, bench_fn *weft, bench_fn *boost, bench_fn *c)
{
	struct bench_row row = { .what = what, .items = (double)switches };

	bench_plain(&row, "weft", weft, NULL);
	if (jump)
		bench_plain(&row, "boost", boost, NULL);
	if (c)
		bench_plain(&row, "swapcontext", c, NULL);
	/* One thread that never waits: CPU time is what it takes, on a busy machine too. */
	if (weft == weft_pair)
		bench_bar_cpu(&row, "P13", "weft", NULL, BENCH_AT_MOST, 5.0);
	bench_bar_cpu(&row, "P13", "weft", "boost", BENCH_AT_MOST, 1.05);
	bench_run(&row);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	switches = bench_quick() ? 20000 : 2000000;
	weft_prepare();
	boost_prepare();
	c_prepare();
	measure("switch: pair", weft_pair, boost_pair, c_pair_run);
	measure("switch: loop", weft_loop, boost_loop, NULL);
	measure("switch: ring", weft_ring, boost_ring, NULL);
	measure("switch: life", weft_life, boost_life, NULL);
	return bench_end();
}
