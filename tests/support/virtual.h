/* SPDX-License-Identifier: MIT */
/*
 * virtual.h - tests of time and of tasks, on a runtime with a virtual clock
 *
 *	static int body(void *arg)
 *	{
 *		HOLDS(weft_sleep(WEFT_SEC(3600)) == 0);
 *		return 0;
 *	}
 *
 *	VirtualTest(clock, an_hour_is_nothing)
 *	{
 *		cr_assert(eq(int, go(body, NULL), 0));
 *	}
 *
 * A VirtualTest runs with 1, 2 and 8 workers in turn.  HOLDS is for tasks, which may
 * not leave the test by a jump: the first that does not hold is told when go()
 * returns.  Static variables are the test's own, since each is a process; what a
 * body counts it sets to 0 first.
 */
#ifndef WEFT_TESTS_VIRTUAL_H
#define WEFT_TESTS_VIRTUAL_H

#include "support/assert.h"
#include <criterion/criterion.h>

#include "support/tasks.h"

static unsigned go_workers = 1;
static const char *broken;
static int broken_line;
static uint32_t broken_count;

static inline void tell(int line, const char *what)
{
	if (add_seqcst(&broken_count, 1) != 0)
		return;
	broken_line = line;
	broken = what;
}

#define HOLDS(x) ((x) ? (void)0 : tell(__LINE__, #x))

/* Runs fn(arg) as a root of a runtime made from `config`. */
static inline int go_with(struct weft_config config, weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;

	config.size = sizeof config;
	cr_assert(eq(int, weft_runtime_create_opt(&rt, &config), 0));
	int rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	cr_assert(broken_count == 0, "with %u workers, line %d: not true: %s", config.workers,
		  broken_line, broken);
	return rc;
}

static inline int go(weft_fn *fn, void *arg)
{
	return go_with((struct weft_config){ .workers = go_workers, .clock = WEFT_CLOCK_VIRTUAL },
		       fn, arg);
}

#define VirtualTest(suite, name)                                \
	static void suite##_##name##_body(void);                \
	Test(suite, name)                                       \
	{                                                       \
		static const unsigned counts[] = { 1, 2, 8 };   \
		for (size_t i = 0; i < COUNT_OF(counts); i++) { \
			go_workers = counts[i];                 \
			suite##_##name##_body();                \
		}                                               \
	}                                                       \
	static void suite##_##name##_body(void)

/* A test that is one body, which returns 0. */
#define TaskTest(suite, name)                                           \
	static int suite##_##name##_task(void *arg);                    \
	VirtualTest(suite, name)                                        \
	{                                                               \
		cr_assert(eq(int, go(suite##_##name##_task, NULL), 0)); \
	}                                                               \
	static int suite##_##name##_task(void *arg)

/* Tasks that tests need again and again. */
static inline int sleeps(void *arg)
{
	return weft_sleep(*(int64_t *)arg);
}

static inline int sleeps_forever(void *arg)
{
	(void)arg;
	return weft_sleep_forever();
}

static inline int returns(void *arg)
{
	return *(int *)arg;
}

#endif
