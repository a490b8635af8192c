/* SPDX-License-Identifier: MIT */
/*
 * test_quiet.c - when virtual time passes
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"

TestSuite(quiet, .timeout = 60);

static int sleep_in_a_shield(void *arg)
{
	struct weft_scope s;
	int64_t ten = WEFT_MS(10), began = weft_now();

	weft_scope_enter(&s, .timeout = WEFT_MS(5));
	weft_shield(sleep_for, &ten, WEFT_NEVER);
	weft_scope_leave(&s, 0);
	*(int64_t *)arg = weft_now() - began;
	return 0;
}

Test(quiet, CF05_time_goes_on_after_a_timer_that_wakes_nobody)
{
	int64_t took = 0;

	cr_assert(eq(int, run_virtually(sleep_in_a_shield, &took), 0));
	cr_expect(eq(i64, took, WEFT_MS(10)));
}
