/* SPDX-License-Identifier: MIT */
/*
 * test_deque.c - what deque/deque.h promises, one promise a test
 *
 * Races are not here but in stress/stress_deque.c, which also runs under
 * ThreadSanitizer.
 */
#include "deque/deque.h"

#include <criterion/criterion.h>
#include <signal.h>

#include <weft/error.h>

#include "deque/alloc.h"
#include "support/assert.h"

static struct weft__deque dq;
static struct weft__job job[256];

static void setup(void)
{
	cr_assert(eq(int, weft__deque_init(&dq, 4), 0));
}

static void teardown(void)
{
	weft__deque_check(&dq);
	weft__deque_fini(&dq);
}

TestSuite(deque, .init = setup, .fini = teardown, .timeout = 10);

static void push_some(int from, int to)
{
	for (int i = from; i < to; i++)
		cr_assert(eq(int, weft__deque_push(&dq, &job[i]), 0));
}

static void expect_steal(struct weft__job *want)
{
	struct weft__job *got = NULL;

	cr_assert(eq(int, (int)weft__deque_steal(&dq, &got), WEFT__STEAL_TAKEN));
	cr_expect(eq(ptr, got, want));
}

Test(deque, the_owner_pops_newest_first)
{
	push_some(0, 3);

	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[2]));
	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[1]));
	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[0]));
	cr_expect(eq(ptr, weft__deque_pop(&dq), NULL));
}

Test(deque, a_thief_takes_oldest_first)
{
	push_some(0, 3);

	expect_steal(&job[0]);
	expect_steal(&job[1]);
	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[2]));
	cr_expect(eq(ptr, weft__deque_pop(&dq), NULL));
}

Test(deque, an_empty_steal_leaves_the_result_alone)
{
	struct weft__job *got = &job[7];

	cr_expect(eq(int, (int)weft__deque_steal(&dq, &got), WEFT__STEAL_EMPTY));
	cr_expect(eq(ptr, got, &job[7]));
}

Test(deque, pop_item_takes_the_newest)
{
	push_some(0, 2);

	cr_expect(weft__deque_pop_item(&dq, &job[1]));
	cr_expect(weft__deque_pop_item(&dq, &job[0]));
	cr_expect(eq(sz, weft__deque_size(&dq), 0));
}

Test(deque, pop_item_refuses_what_is_not_newest_and_changes_nothing)
{
	push_some(0, 2);

	cr_expect(not(weft__deque_pop_item(&dq, &job[0])));
	cr_expect(not(weft__deque_pop_item(&dq, &job[5])));
	cr_expect(eq(sz, weft__deque_size(&dq), 2));
	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[1]));
}

/* The slot still names the job: only top tells that it is gone. */
Test(deque, pop_item_refuses_a_job_that_was_stolen)
{
	push_some(0, 1);
	expect_steal(&job[0]);

	cr_expect(not(weft__deque_pop_item(&dq, &job[0])));
	cr_expect(eq(sz, weft__deque_size(&dq), 0));
	push_some(1, 2);
	cr_expect(weft__deque_pop_item(&dq, &job[1]));
}

Test(deque, pop_item_refuses_a_job_that_was_popped)
{
	push_some(0, 2);
	cr_expect(eq(ptr, weft__deque_pop(&dq), &job[1]));

	cr_expect(not(weft__deque_pop_item(&dq, &job[1])));
	cr_expect(weft__deque_pop_item(&dq, &job[0]));
	cr_expect(not(weft__deque_pop_item(&dq, &job[0])));
}

Test(deque, pop_item_of_an_untouched_deque_is_false)
{
	cr_expect(not(weft__deque_pop_item(&dq, &job[0])));
}

Test(deque, the_same_job_may_come_again)
{
	for (int i = 0; i < 20; i++) {
		push_some(0, 1);
		cr_expect(weft__deque_pop_item(&dq, &job[0]));
		push_some(0, 1);
		expect_steal(&job[0]);
	}
}

Test(deque, growing_keeps_every_job_and_its_order)
{
	push_some(0, 1);
	expect_steal(&job[0]); /* top = 1: the copy must not start at slot 0 */
	push_some(0, 200);

	for (int i = 0; i < 100; i++)
		expect_steal(&job[i]);
	for (int i = 199; i >= 100; i--)
		cr_expect(eq(ptr, weft__deque_pop(&dq), &job[i]), "job %d", i);
	cr_expect(eq(sz, weft__deque_size(&dq), 0));
}

Test(deque, a_full_ring_is_used_to_the_last_slot)
{
	push_some(0, 4);
	weft__alloc_fail_from(1);

	cr_expect(eq(int, weft__deque_push(&dq, &job[4]), WEFT_ENOMEM));
	expect_steal(&job[0]);
	cr_expect(eq(int, weft__deque_push(&dq, &job[4]), 0), "a slot is free again");
	weft__alloc_fail_from(0);
}

Test(deque, a_push_that_cannot_grow_changes_nothing)
{
	push_some(0, 4);
	weft__alloc_fail_at(1);

	cr_expect(eq(int, weft__deque_push(&dq, &job[4]), WEFT_ENOMEM));
	cr_expect(eq(sz, weft__deque_size(&dq), 4));
	push_some(4, 6);
	for (int i = 0; i < 6; i++)
		expect_steal(&job[i]);
}

Test(deque, size_counts_what_is_there)
{
	cr_expect(eq(sz, weft__deque_size(&dq), 0));
	push_some(0, 5);
	cr_expect(eq(sz, weft__deque_size(&dq), 5));
	expect_steal(&job[0]);
	weft__deque_pop(&dq);
	cr_expect(eq(sz, weft__deque_size(&dq), 3));
}

/* Below 0, over 0, and far up: differences and slots must come out right. */
Test(deque, indices_may_start_anywhere)
{
	static const int64_t starts[] = { -1, -3, -200, INT64_MIN / 2, INT64_MAX / 2 - 2 };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		weft__deque_fini(&dq);
		cr_assert(eq(int, weft__deque_init_at(&dq, 2, starts[i]), 0));
		cr_expect(eq(ptr, weft__deque_pop(&dq), NULL));
		push_some(0, 9);
		expect_steal(&job[0]);
		for (int k = 8; k > 0; k--)
			cr_expect(eq(ptr, weft__deque_pop(&dq), &job[k]));
		cr_expect(eq(ptr, weft__deque_pop(&dq), NULL));
	}
}

Test(deque, check_aborts_on_crossed_indices, .signal = SIGABRT)
{
	dq.top = dq.bottom + 1;
	weft__deque_check(&dq);
}

Test(deque, check_aborts_on_an_empty_slot, .signal = SIGABRT)
{
	dq.bottom++;
	weft__deque_check(&dq);
}

Test(deque, init_refuses_a_capacity_out_of_range)
{
	struct weft__deque none;

	cr_expect(eq(int, weft__deque_init(&none, 0), WEFT_EINVAL));
	cr_expect(eq(int, weft__deque_init(&none, WEFT__RING_MAX + 1), WEFT_EINVAL));
}

Test(deque, init_reports_that_memory_is_short)
{
	struct weft__deque none;

	weft__alloc_fail_at(1);
	cr_expect(eq(int, weft__deque_init(&none, 8), WEFT_ENOMEM));
}

Test(deque, fini_frees_old_rings_too)
{
	struct weft__deque grown;
	int64_t before = weft__alloc_live();

	cr_assert(eq(int, weft__deque_init(&grown, 1), 0));
	for (int i = 0; i < 256; i++)
		cr_assert(eq(int, weft__deque_push(&grown, &job[i]), 0));
	weft__deque_fini(&grown);
	cr_expect(eq(i64, weft__alloc_live(), before));
}

/* Against a model: an array whose ends are what they say. */
Test(deque, agrees_with_a_plain_array)
{
	static struct weft__job *model[100000];
	size_t begin = 0, end = 0;
	uint64_t seed = 20;

	for (int i = 0; i < 100000; i++) {
		struct weft__job *got = NULL;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		switch (seed >> 62) {
		case 0:
		case 1:
			model[end++] = &job[i % 256];
			cr_assert(eq(int, weft__deque_push(&dq, &job[i % 256]), 0));
			break;
		case 2:
			cr_assert(eq(ptr, weft__deque_pop(&dq), begin < end ? model[--end] : NULL));
			break;
		default:
			weft__deque_steal(&dq, &got);
			cr_assert(eq(ptr, got, begin < end ? model[begin++] : NULL));
		}
		cr_assert(eq(sz, weft__deque_size(&dq), end - begin));
	}
}
