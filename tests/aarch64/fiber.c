/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - the promises of test_fiber.c that depend on the processor, as a plain
 * program: it is linked statically and run by an emulator, see fiber.sh
 *
 * With the argument "overflow" it overflows a fiber's stack and must die.
 */
#include "runtime/fiber.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "../runtime/registers.h"
#include "runtime/overflow.h"
#include "runtime/stackmap.h"

REGISTERS_AROUND;

#define CHECK(x)                                                                          \
	do {                                                                              \
		if (!(x)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #x); \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__fiber here;
static struct weft__fiber *fiber;

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

static void start(void (*entry)(void *arg), void *arg)
{
	fiber = weft__fiber_get(&cache, entry, arg);
	CHECK(fiber);
	go();
}

static void finish(void)
{
	weft__fiber_put(&cache, fiber);
}

/* --- registers ------------------------------------------------------------- */

static uint64_t mine[REGISTERS], its[REGISTERS];

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
	uint64_t in[REGISTERS];

	for (uint64_t i = 0; i < REGISTERS; i++)
		in[i] = i + 1000;
	registers_around(back_once, NULL, in, out);
	end();
}

static void check_registers(void)
{
	uint64_t in[REGISTERS];

	for (uint64_t i = 0; i < REGISTERS; i++)
		in[i] = i + 2000;
	fiber = weft__fiber_get(&cache, fiber_with_registers, its);
	registers_around(go_once, NULL, in, mine);
	go();
	for (uint64_t i = 0; i < REGISTERS; i++) {
		CHECK(mine[i] == i + 2000);
		CHECK(its[i] == i + 1000);
	}
	finish();
}

/* --- rounding ---------------------------------------------------------------- */

static void fiber_that_rounds_up(void *arg)
{
	int *modes = arg;

	modes[0] = rounding_get();
	rounding_set(ROUND_UP);
	back();
	modes[1] = rounding_get();
	end();
}

static void check_rounding(void)
{
	int modes[2];

	rounding_set(ROUND_DOWN);
	start(fiber_that_rounds_up, modes);
	CHECK(rounding_get() == ROUND_DOWN);
	go();
	CHECK(rounding_get() == ROUND_DOWN);
	CHECK(modes[0] == ROUND_NEAREST);
	CHECK(modes[1] == ROUND_UP);
	rounding_set(ROUND_NEAREST);
	finish();
}

/* --- switching ----------------------------------------------------------------- */

static void fiber_that_counts(void *arg)
{
	for (;;) {
		++*(long *)arg;
		back();
	}
}

static void check_ping_pong(void)
{
	long count = 0;

	start(fiber_that_counts, &count);
	for (long i = 1; i < 1000000; i++)
		go();
	CHECK(count == 1000000);
	finish();
}

static void *resume_elsewhere(void *arg)
{
	weft__fiber_of_thread(&here);
	go();
	return arg;
}

static void check_threads(void)
{
	long count = 0;
	pthread_t thread;

	start(fiber_that_counts, &count);
	CHECK(pthread_create(&thread, NULL, resume_elsewhere, NULL) == 0);
	pthread_join(thread, NULL);
	CHECK(count == 2);
	finish();
}

static void fiber_that_looks_at_sp(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0);
	end();
}

static void check_alignment(void)
{
	uintptr_t place = 1;

	start(fiber_that_looks_at_sp, &place);
	CHECK(place % 16 == 0);
	CHECK(place < (uintptr_t)fiber && place > (uintptr_t)fiber - 1024);
	finish();
}

/* --- a call on another stack ------------------------------------------------------- */

static _Alignas(16) char second[64 << 10];

static int call_there(void *arg)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	CHECK(frame > (uintptr_t)second && frame < (uintptr_t)second + sizeof second);
	for (int i = 0; i < 3; i++) {
		++*(int *)arg;
		back();
	}
	return 42;
}

static void fiber_that_calls(void *arg)
{
	*(int *)arg += weft__call_on(second + sizeof second, call_there, arg);
	end();
}

static void check_call(void)
{
	int count = 0;

	start(fiber_that_calls, &count);
	for (int i = 1; i <= 3; i++) {
		CHECK(count == i);
		go();
	}
	CHECK(count == 3 + 42);
	finish();
}

static int registers_on_second(void *out)
{
	uint64_t in[REGISTERS];

	for (uint64_t i = 0; i < REGISTERS; i++)
		in[i] = i + 3000;
	registers_around(back_once, NULL, in, out);
	return 0;
}

static void call_registers(void *out)
{
	weft__call_on(second + sizeof second, registers_on_second, out);
}

static void fiber_that_calls_with_registers(void *out)
{
	uint64_t in[REGISTERS];

	for (uint64_t i = 0; i < REGISTERS; i++)
		in[i] = i + 1000;
	registers_around(call_registers, mine, in, out);
	end();
}

static void check_call_registers(void)
{
	start(fiber_that_calls_with_registers, its);
	go();
	for (uint64_t i = 0; i < REGISTERS; i++) {
		CHECK(mine[i] == i + 3000);
		CHECK(its[i] == i + 1000);
	}
	finish();
}

/* --- backtraces -------------------------------------------------------------------- */

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

static bool in_start(uintptr_t address)
{
	return address > (uintptr_t)weft__fiber_start &&
	       address < (uintptr_t)weft__fiber_start + 64;
}

static void fiber_that_traces(void *arg)
{
	_Unwind_Backtrace(note_frame, arg);
	end();
}

static void check_tables(void)
{
	struct trace trace = { 0 };

	fiber = weft__fiber_get(&cache, fiber_that_traces, &trace);
	fiber->stack.next = (struct weft__stack *)(uintptr_t)fiber_that_counts;
	go();
	CHECK(trace.frames >= 3 && trace.frames <= 6);
	CHECK(in_start(trace.last));
	finish();
}

static int trace_there(void *arg)
{
	_Unwind_Backtrace(note_frame, arg);
	return 0;
}

static void fiber_that_traces_there(void *arg)
{
	weft__call_on(second + sizeof second, trace_there, arg);
	end();
}

static void check_tables_of_call(void)
{
	struct trace trace = { 0 };

	start(fiber_that_traces_there, &trace);
	CHECK(trace.frames >= 5 && trace.frames <= 8);
	CHECK(in_start(trace.last));
	finish();
}

static void fiber_that_waits(void *arg)
{
	(void)arg;
	back();
	end();
}

static void trace_as(void *arg)
{
	trace_there(arg);
}

static void check_tables_of_a_suspended_one(void)
{
	struct trace trace = { 0 };

	start(fiber_that_waits, NULL);
	weft__call_as(fiber->stack.sp, trace_as, &trace);
	CHECK(trace.frames >= 4 && trace.frames <= 9);
	CHECK(in_start(trace.last));
	go();
	finish();
}

#if defined(__aarch64__)
/* Frame records: (caller's x29, return address), to the one with x29 = 0. */
static struct trace follow_records(const uintptr_t *record)
{
	struct trace trace = { 0 };

	while (record && ++trace.frames < 50) {
		/* Without the signature that branch protection may have put there. */
		trace.last = record[1] & (((uintptr_t)1 << 48) - 1);
		record = (const uintptr_t *)record[0];
	}
	return trace;
}

static void fiber_with_records(void *arg)
{
	*(struct trace *)arg = follow_records(__builtin_frame_address(0));
	back();
	end();
}

static void check_records(void)
{
	struct trace running, asleep;

	start(fiber_with_records, &running);
	CHECK(running.frames >= 2 && running.frames < 6);
	CHECK(in_start(running.last));

	asleep = follow_records(fiber->stack.sp);
	CHECK(asleep.frames > running.frames && asleep.frames < 8);
	CHECK(in_start(asleep.last));
	go();
	finish();
}
#else
static void check_records(void)
{
}
#endif

/* --- the end of a stack ------------------------------------------------------------- */

static volatile int never;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[200];

	frame[0] = (char)depth;
	if (depth == never - 1)
		return 0;
	return recurse(depth + 1) + frame[0];
}

static void fiber_that_recurses(void *arg)
{
	(void)arg;
	recurse(0);
	end();
}

int main(int argc, char **argv)
{
	weft__overflow_install();
	weft__overflow_thread_init();
	CHECK(weft__stack_pool_init(&pool, (size_t)256 << 10) == 0);
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);

	if (argc > 1 && !strcmp(argv[1], "overflow")) {
		fiber = weft__fiber_get(&cache, fiber_that_recurses, NULL);
		fiber->name = "bob";
		go();
		return 1;
	}
	check_registers();
	check_rounding();
	check_ping_pong();
	check_threads();
	check_alignment();
	check_call();
	check_call_registers();
	check_tables();
	check_tables_of_call();
	check_tables_of_a_suspended_one();
	check_records();
	weft__stack_cache_fini(&cache);
	weft__stack_pool_fini(&pool);
	puts("fibers: fine");
	return 0;
}
