/* SPDX-License-Identifier: MIT */
/*
 * test_fiber.c - what a switch preserves, and how a fiber lives
 *
 * Fibers that move between threads are in stress/stress_fiber.c, where
 * ThreadSanitizer can look on.
 */
#include "runtime/fiber.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <unwind.h>

#include "registers.h"
#include "support/assert.h"

REGISTERS_AROUND;

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__fiber here;
static struct weft__fiber *fiber;

static void setup(void)
{
	cr_assert(eq(int, weft__stack_pool_init(&pool, (size_t)256 << 10), 0));
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
}

static void teardown(void)
{
	weft__stack_cache_fini(&cache);
	weft__stack_pool_fini(&pool);
}

TestSuite(fiber, .init = setup, .fini = teardown, .timeout = 60);

static void go(void)
{
	weft__fiber_switch(&here, fiber);
}

static void back(void)
{
	weft__fiber_switch(fiber, &here);
}

static _Noreturn void end(void)
{
	weft__fiber_leave(fiber, &here);
}

/* Runs entry(arg) on a fiber of its own until it goes back or ends. */
static void start(void (*entry)(void *arg), void *arg)
{
	fiber = weft__fiber_get(&cache, entry, arg);
	cr_assert(ne(ptr, fiber, NULL));
	go();
}

/* --- what a switch preserves -------------------------------------------- */

static const uint64_t *values(uint64_t seed)
{
	static uint64_t all[2][REGISTERS];

	for (uint64_t i = 0; i < REGISTERS; i++)
		all[seed][i] = (seed + 1) * 0x0101010101010101 + i;
	return all[seed];
}

static void go_once(void *arg)
{
	(void)arg;
	go();
}

static void back_once(void *arg)
{
	(void)arg;
	back();
}

static void fiber_with_registers(void *out)
{
	registers_around(back_once, NULL, values(1), out);
	end();
}

Test(fiber, a_switch_preserves_what_a_call_must)
{
	uint64_t mine[REGISTERS] = { 0 }, its[REGISTERS] = { 0 };

	fiber = weft__fiber_get(&cache, fiber_with_registers, its);
	registers_around(go_once, NULL, values(0), mine);
	go();

	for (int i = 0; i < REGISTERS; i++) {
		cr_expect(eq(u64, mine[i], values(0)[i]), "register %d of the thread", i);
		cr_expect(eq(u64, its[i], values(1)[i]), "register %d of the fiber", i);
	}
}

/* 1/3 by SSE and by x87, rounded the way that is set; volatile, so that it is
 * computed when asked for. */
static double third(void)
{
	volatile double one = 1, three = 3;

	return one / three;
}

static long double long_third(void)
{
	volatile long double one = 1, three = 3;

	return one / three;
}

struct thirds {
	double third[3];
	long double long_third[3];
	int mode[3];
};

static void look(struct thirds *t, int i)
{
	t->third[i] = third();
	t->long_third[i] = long_third();
	t->mode[i] = rounding_get();
}

static void fiber_that_rounds_up(void *arg)
{
	look(arg, 0);
	rounding_set(ROUND_UP);
	look(arg, 1);
	back();
	look(arg, 2);
	end();
}

Test(fiber, the_rounding_mode_belongs_to_the_fiber)
{
	struct thirds mine, its;

	look(&mine, 0);
	start(fiber_that_rounds_up, &its);
	look(&mine, 1);
	rounding_set(ROUND_DOWN);
	go();
	look(&mine, 2);

	cr_expect(eq(int, its.mode[1], ROUND_UP));
	cr_expect(eq(int, its.mode[2], ROUND_UP));
	cr_expect(eq(dbl, its.third[2], its.third[1]));
	cr_expect(eq(ldbl, its.long_third[2], its.long_third[1]));
	cr_expect(gt(dbl, its.third[1], its.third[0]));
	cr_expect(ge(ldbl, its.long_third[1], its.long_third[0]));

	cr_expect(eq(int, mine.mode[1], ROUND_NEAREST));
	cr_expect(eq(dbl, mine.third[1], mine.third[0]));
	cr_expect(eq(ldbl, mine.long_third[1], mine.long_third[0]));
	cr_expect(eq(int, mine.mode[2], ROUND_DOWN));
	cr_expect(lt(ldbl, mine.long_third[2], its.long_third[2]));
}

static void fiber_that_looks(void *arg)
{
	look(arg, 0);
	end();
}

Test(fiber, a_new_fiber_rounds_to_nearest_whoever_made_it)
{
	struct thirds its;

	rounding_set(ROUND_UP);
	start(fiber_that_looks, &its);

	cr_expect(eq(int, its.mode[0], ROUND_NEAREST));
	cr_expect(eq(int, rounding_get(), ROUND_UP));
}

#if defined(__x86_64__)
/* Where an aligned store faults on a stack that is not. */
static void fiber_that_stores_aligned(void *arg)
{
	alignas(16) char block[16];

	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tmovaps %%xmm0, %0" : "=m"(block) : : "xmm0");
	*(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0) | (uintptr_t)block;
	end();
}
#else
static void fiber_that_stores_aligned(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0);
	end();
}
#endif

Test(fiber, entry_finds_its_stack_aligned)
{
	uintptr_t bits = 1;

	start(fiber_that_stores_aligned, &bits);

	cr_expect(eq(u64, bits % 16, 0));
}

static void fiber_that_counts(void *arg)
{
	for (;;) {
		++*(long *)arg;
		back();
	}
}

Test(fiber, a_million_switches_lose_none)
{
	long count = 0;

	start(fiber_that_counts, &count);
	for (long i = 1; i < 1000000; i++)
		go();

	cr_expect(eq(long, count, 1000000));
}

/* A red zone holds data of a function that calls nothing; the switch must not
 * push into it.  noinline and leaf but for the switch. */
static __attribute__((noinline)) long sum_over_a_switch(long a, long b)
{
	volatile long kept[8] = { a, b, a + b, a - b, 2 * a, 2 * b, 3 * a, 3 * b };
	long sum = 0;

	weft__fiber_switch(&here, fiber);
	for (int i = 0; i < 8; i++)
		sum += kept[i];
	return sum;
}

Test(fiber, a_switch_leaves_the_red_zone_alone)
{
	long count = 0;

	fiber = weft__fiber_get(&cache, fiber_that_counts, &count);

	cr_expect(eq(long, sum_over_a_switch(3, 5), 8 * 3 + 6 * 5));
}

/* --- life and death ------------------------------------------------------ */

static void fiber_that_looks_down(void *arg)
{
	char here_too;

	*(char **)arg = &here_too;
	end();
}

Test(fiber, runs_on_its_own_stack)
{
	char *place = NULL;

	start(fiber_that_looks_down, &place);

#if WEFT__ASAN
	cr_skip_test("use-after-return detection keeps variables elsewhere");
#endif
	cr_expect(lt(ptr, place, (char *)fiber));
	cr_expect(gt(ptr, place, (char *)fiber - 1024), "deeper than a shallow call should be");
	cr_expect(ge(ptr, place, fiber->stack.low));
}

Test(fiber, get_takes_the_newest_that_was_put)
{
	struct weft__fiber *a = weft__fiber_get(&cache, fiber_that_counts, NULL);
	struct weft__fiber *b = weft__fiber_get(&cache, fiber_that_counts, NULL);

	weft__fiber_put(&cache, a);
	weft__fiber_put(&cache, b);

	cr_expect(eq(ptr, weft__fiber_get(&cache, fiber_that_counts, NULL), b));
	cr_expect(eq(ptr, weft__fiber_get(&cache, fiber_that_counts, NULL), a));
	weft__fiber_put(&cache, a);
	weft__fiber_put(&cache, b);
}

static void fiber_that_ends_deep(void *arg)
{
	volatile char frame[4096];

	frame[0] = frame[4095] = 1;
	++*(int *)arg;
	end();
}

Test(fiber, a_stack_is_used_again_from_its_top)
{
	int lives = 0;
	struct weft__fiber *first = NULL;

	for (int i = 0; i < 1000; i++) {
		start(fiber_that_ends_deep, &lives);
		first = first ? first : fiber;
		cr_assert(eq(ptr, fiber, first));
		weft__fiber_put(&cache, fiber);
	}

	cr_expect(eq(int, lives, 1000));
}

Test(fiber, get_forgets_the_name_of_the_last_life)
{
	fiber = weft__fiber_get(&cache, fiber_that_counts, NULL);
	fiber->name = "old";
	weft__fiber_put(&cache, fiber);

	cr_expect(eq(ptr, (void *)weft__fiber_get(&cache, fiber_that_counts, NULL)->name, NULL));
}

static void fiber_that_returns(void *arg)
{
	(void)arg;
}

Test(fiber, returning_from_entry_is_a_bug, .signal = SIGABRT)
{
	start(fiber_that_returns, NULL);
}

static void *resume_elsewhere(void *arg)
{
	(void)arg;
	weft__fiber_of_thread(&here);
	go();
	return NULL;
}

static void fiber_that_notes_stacks(void *arg)
{
	for (char **places = arg;; places++) {
		*places = __builtin_frame_address(0);
		back();
	}
}

Test(fiber, goes_on_where_it_was_on_another_thread)
{
	char *places[2] = { NULL, NULL };
	pthread_t thread;

	start(fiber_that_notes_stacks, places);
	cr_assert(eq(int, pthread_create(&thread, NULL, resume_elsewhere, NULL), 0));
	pthread_join(thread, NULL);

	cr_expect(ne(ptr, places[0], NULL));
	cr_expect(eq(ptr, places[0], places[1]));
}

/* --- backtraces ------------------------------------------------------------ */

struct trace {
	int frames;
	uintptr_t last;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *arg)
{
	struct trace *trace = arg;

	if (++trace->frames > 50)
		return _URC_NORMAL_STOP;
	if (_Unwind_GetIP(context))
		trace->last = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static void fiber_that_traces(void *arg)
{
	_Unwind_Backtrace(note_frame, arg);
	end();
}

Test(fiber, a_backtrace_ends_at_the_start_of_the_fiber)
{
	struct trace trace = { 0 };

	/* What lies above the first frame must not pass for a return address. */
	fiber = weft__fiber_get(&cache, fiber_that_traces, &trace);
	fiber->stack.next = (struct weft__stack *)(uintptr_t)fiber_that_counts;
	go();

	/* The trace, fiber_that_traces, weft__fiber_main, weft__fiber_start. */
	cr_expect(ge(int, trace.frames, 3));
	cr_expect(le(int, trace.frames, 6));
	cr_expect(gt(u64, trace.last, (uintptr_t)weft__fiber_start));
	cr_expect(lt(u64, trace.last, (uintptr_t)weft__fiber_start + 64));
}

static void trace_from_here(void *arg)
{
	_Unwind_Backtrace(note_frame, arg);
}

Test(fiber, a_backtrace_of_a_suspended_one_is_made_from_outside)
{
	struct trace trace = { 0 };
	long count = 0;

	start(fiber_that_counts, &count);
	weft__call_as(fiber->stack.sp, trace_from_here, &trace);
	cr_expect(ge(int, trace.frames, 4));
	cr_expect(le(int, trace.frames, 8));
	cr_expect(gt(u64, trace.last, (uintptr_t)weft__fiber_start));
	cr_expect(lt(u64, trace.last, (uintptr_t)weft__fiber_start + 64));
}
