/* SPDX-License-Identifier: MIT */
/*
 * test_inject.c - what deque/inject.h promises, one promise a test
 *
 * Races are in stress/stress_inject.c.
 */
#include "deque/inject.h"

#include <criterion/criterion.h>

#include "deque/alloc.h"
#include "support/assert.h"

static struct weft__inject inject;
static struct weft__job job[64];

static void setup(void)
{
	weft__inject_init(&inject);
}

TestSuite(inject, .init = setup, .timeout = 10);

static void push_some(int from, int to)
{
	for (int i = from; i < to; i++)
		weft__inject_push(&inject, &job[i]);
}

static void expect_pops(int from, int to)
{
	for (int i = from; i < to; i++)
		cr_expect(eq(ptr, weft__inject_pop(&inject), &job[i]), "job %d", i);
}

Test(inject, jobs_leave_in_the_order_in_which_they_came)
{
	push_some(0, 3);
	expect_pops(0, 3);
	cr_expect(eq(ptr, weft__inject_pop(&inject), NULL));
}

Test(inject, there_is_no_bound)
{
	push_some(0, 64);
	expect_pops(0, 64);
	cr_expect(eq(ptr, weft__inject_pop(&inject), NULL));
}

Test(inject, nothing_overtakes_what_was_turned_around_before)
{
	push_some(0, 8);
	expect_pops(0, 2);
	push_some(8, 10);
	expect_pops(2, 10);
}

Test(inject, is_empty_tells_whether_a_job_is_there)
{
	cr_expect(weft__inject_is_empty(&inject));
	push_some(0, 1);
	cr_expect(not(weft__inject_is_empty(&inject)), "in the stack");
	push_some(1, 8);
	expect_pops(0, 7);
	cr_expect(not(weft__inject_is_empty(&inject)), "in the list");
	expect_pops(7, 8);
	cr_expect(weft__inject_is_empty(&inject));
}

Test(inject, push_and_pop_allocate_nothing)
{
	weft__alloc_fail_from(1);
	push_some(0, 64);
	expect_pops(0, 64);
	cr_expect(eq(u64, weft__alloc_failures(), 0));
}

Test(inject, a_popped_job_may_be_pushed_again)
{
	push_some(0, 8);
	for (int i = 0; i < 100; i++) {
		struct weft__job *oldest = weft__inject_pop(&inject);

		cr_expect(eq(ptr, oldest, &job[i % 8]));
		weft__inject_push(&inject, oldest);
	}
}
