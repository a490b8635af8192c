/* SPDX-License-Identifier: MIT */
/*
 * workers.h - one test, with one worker and with more
 *
 *	WorkersTest(race, losers_are_joined)
 *	{
 *		cr_assert(eq(int, run_virtually(body, NULL), 0));
 *	}
 *
 * makes the tests losers_are_joined, losers_are_joined_on_2 and losers_are_joined_on_8,
 * each a process of its own: static variables are as they were written.
 *
 * With one worker it is known which task runs next.  A test that asserts such an order, as
 * opposed to one that weft promises, is a plain Test, which has one worker.
 */
#ifndef WEFT_TESTS_WORKERS_H
#define WEFT_TESTS_WORKERS_H

#include <criterion/criterion.h>

/* How many a runtime of a test is to have. */
static unsigned test_workers = 1;

#define WorkersTest(suite, name)                 \
	static void suite##_##name##_body(void); \
	Test(suite, name)                        \
	{                                        \
		suite##_##name##_body();         \
	}                                        \
	WORKERS_TEST_ON(suite, name, 2)          \
	WORKERS_TEST_ON(suite, name, 8)          \
	static void suite##_##name##_body(void)

#define WORKERS_TEST_ON(suite, name, workers) \
	Test(suite, name##_on_##workers)      \
	{                                     \
		test_workers = workers;       \
		suite##_##name##_body();      \
	}

#endif
