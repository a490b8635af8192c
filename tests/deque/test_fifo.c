/* SPDX-License-Identifier: MIT */
/*
 * test_fifo.c - what deque/fifo.h promises, one promise a test
 *
 * Races are in stress/stress_deque.c.
 */
#include "deque/fifo.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "deque/alloc.h"
#include "support/assert.h"

static struct weft__fifo fifo;
static struct weft__job job[64];

static void setup(void)
{
	cr_assert(eq(int, weft__fifo_init(&fifo, 2), 0));
}

static void teardown(void)
{
	weft__fifo_check(&fifo);
	weft__fifo_fini(&fifo);
}

TestSuite(fifo, .init = setup, .fini = teardown, .timeout = 10);

static void push_some(int from, int to)
{
	for (int i = from; i < to; i++)
		cr_assert(eq(int, weft__fifo_push(&fifo, &job[i]), 0));
}

Test(fifo, jobs_leave_in_the_order_in_which_they_came)
{
	push_some(0, 2);

	cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[0]));
	cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[1]));
	cr_expect(eq(ptr, weft__fifo_take(&fifo), NULL));
}

Test(fifo, growing_keeps_every_job_and_its_order)
{
	push_some(0, 2);
	cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[0]));
	push_some(2, 64);

	for (int i = 1; i < 64; i++)
		cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[i]), "job %d", i);
	cr_expect(eq(ptr, weft__fifo_take(&fifo), NULL));
}

Test(fifo, a_steady_flow_never_grows)
{
	push_some(0, 1);
	weft__alloc_fail_from(1);
	for (int i = 1; i < 64; i++) {
		push_some(i, i + 1);
		cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[i - 1]));
	}
	cr_expect(eq(u64, weft__alloc_failures(), 0));
}

Test(fifo, an_owner_alone_takes_the_oldest_first_too)
{
	push_some(0, 3);
	for (int i = 0; i < 3; i++)
		cr_expect(eq(ptr, weft__fifo_take_alone(&fifo), &job[i]));
	cr_expect(eq(ptr, weft__fifo_take_alone(&fifo), NULL));
	push_some(3, 4);
	cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[3]));
}

Test(fifo, is_empty_tells_whether_a_job_is_there)
{
	cr_expect(weft__fifo_is_empty(&fifo));
	push_some(0, 1);
	cr_expect(not(weft__fifo_is_empty(&fifo)));
	weft__fifo_take(&fifo);
	cr_expect(weft__fifo_is_empty(&fifo));
}

Test(fifo, a_push_that_cannot_grow_changes_nothing)
{
	push_some(0, 2);
	weft__alloc_fail_at(1);

	cr_expect(eq(int, weft__fifo_push(&fifo, &job[2]), WEFT_ENOMEM));
	cr_expect(eq(int, weft__fifo_push(&fifo, &job[2]), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(ptr, weft__fifo_take(&fifo), &job[i]));
}

Test(fifo, check_aborts_on_crossed_indices, .signal = SIGABRT)
{
	fifo.top = fifo.bottom + 1;
	weft__fifo_check(&fifo);
}

Test(fifo, check_aborts_on_an_empty_slot, .signal = SIGABRT)
{
	fifo.bottom++;
	weft__fifo_check(&fifo);
}

Test(fifo, init_refuses_a_capacity_out_of_range)
{
	struct weft__fifo none;

	cr_expect(eq(int, weft__fifo_init(&none, 0), WEFT_EINVAL));
	cr_expect(eq(int, weft__fifo_init(&none, WEFT__RING_MAX + 1), WEFT_EINVAL));
}

Test(fifo, init_reports_that_memory_is_short)
{
	struct weft__fifo none;

	weft__alloc_fail_at(1);
	cr_expect(eq(int, weft__fifo_init(&none, 8), WEFT_ENOMEM));
}
