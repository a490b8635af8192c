/* SPDX-License-Identifier: MIT */
/*
 * workers.h - one test, with one worker and with more
 *
 *	static void fresh(void)
 *	{
 *		memset(&t, 0, sizeof t);
 *	}
 *
 *	WorkersTest(race, losers_are_joined)
 *	{
 *		cr_assert(eq(int, run_virtually(body, NULL), 0));
 *	}
 *
 * runs with 1, 2 and 8 workers in turn.  fresh() makes the suite's static variables what
 * they were at the start; it is called before each.
 *
 * With one worker it is known which task runs next.  A test that asserts such an order, as
 * opposed to one that weft promises, is a plain Test, which has one worker.
 */
#ifndef WEFT_TESTS_WORKERS_H
#define WEFT_TESTS_WORKERS_H

#include <criterion/criterion.h>
#include <criterion/logging.h>

/* How many a runtime of a test is to have. */
static unsigned test_workers = 1;

static inline void with_workers(void (*fresh)(void), void (*body)(void))
{
	static const unsigned counts[] = { 1, 2, 8 };

	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		test_workers = counts[i];
		cr_log_info("with %u workers", test_workers);
		fresh();
		body();
	}
}

#define WorkersTest(suite, name)                            \
	static void suite##_##name##_body(void);            \
	Test(suite, name)                                   \
	{                                                   \
		with_workers(fresh, suite##_##name##_body); \
	}                                                   \
	static void suite##_##name##_body(void)

#endif
