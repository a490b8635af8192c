/* SPDX-License-Identifier: MIT */
/*
 * test_region.c - which regions are offered, and to whom
 *
 * A worker that has no thread, in a runtime that has no other workers; its ticks are
 * as long as a test wants.
 */
#include "runtime/region.h"

#include <criterion/criterion.h>

#include "runtime/runtime.h"
#include "runtime/worker.h"
#include "support/assert.h"

static struct weft_runtime rt;
static struct weft__worker worker;

/* More than a test takes, so that no region ripens by itself. */
static const uint64_t long_us = UINT64_C(1) << 50;

static void setup(void)
{
	rt.ticks_per_us = long_us;
	worker.runtime = &rt;
	weft__worker_become(&worker);
}

static void teardown(void)
{
	weft__worker_become(NULL);
}

TestSuite(region, .init = setup, .fini = teardown, .timeout = 10);

static bool enter(double us)
{
	return weft__region_enter(&worker, us * (double)rt.ticks_per_us);
}

/* Forks until one may be offered; 0 when none of many may. */
static int first_offered(void)
{
	for (int i = 1; i <= 1000; i++)
		if (weft__region_offers(&worker))
			return i;
	return 0;
}

Test(region, one_of_which_nothing_is_known_is_offered_at_once)
{
	cr_expect(enter(0));
	cr_expect(eq(int, first_offered(), 1));
}

Test(region, one_known_to_outlast_a_wake_up_is_offered_at_once)
{
	cr_expect(enter(WEFT__WAKE_US + 1));
	cr_expect(eq(int, first_offered(), 1));
}

Test(region, a_young_one_is_offered_only_while_somebody_searches)
{
	cr_expect(enter(WEFT__WAKE_US - 1));
	cr_expect(eq(int, first_offered(), 0));
	rt.idle.searching = 1;
	cr_expect(eq(int, first_offered(), 1));
	rt.idle.searching = 0;
	cr_expect(eq(int, first_offered(), 0));
}

Test(region, one_shorter_than_a_hand_over_is_not_even_offered_to_who_searches)
{
	rt.idle.searching = 1;
	cr_expect(enter(WEFT__SHARE_US * 0.9));
	cr_expect(eq(int, first_offered(), 0));
}

Test(region, one_that_lasts_grows_old_whatever_was_expected)
{
	rt.ticks_per_us = 1; /* every look at the counter is past the time */
	cr_expect(enter(1));
	cr_expect(gt(int, first_offered(), 0));
	cr_expect(eq(int, first_offered(), 1), "and stays so");
}

Test(region, one_inside_another_changes_nothing)
{
	cr_expect(enter(WEFT__SHARE_US + 1));
	cr_expect(not(enter(0)));
	cr_expect(not(enter(WEFT__WAKE_US + 1)));
	cr_expect(eq(int, first_offered(), 0));
}

Test(region, the_next_one_begins_after_the_end)
{
	cr_expect(enter(0));
	weft__region_leave();
	cr_expect(enter(WEFT__SHARE_US + 1));
	cr_expect(eq(int, first_offered(), 0));
}

/* --- what is remembered ------------------------------------------------ */

static char keys[100000];

Test(region, what_was_learnt_of_a_key_is_recalled)
{
	cr_expect(eq(u64, weft__region_duration(&worker, &keys[0]), 0));
	weft__region_learn_duration(&keys[0], 7);
	weft__region_learn_item_cost(&keys[0], 8);
	cr_expect(eq(u64, weft__region_duration(&worker, &keys[0]), 7));
	cr_expect(eq(u64, weft__region_item_cost(&worker, &keys[0]), 8));
}

/* Of so many keys some share an entry; whatever the entries, nobody is told what
 * was learnt of another key. */
Test(region, keys_are_never_taken_for_each_other)
{
	uint64_t remembered = 0;

	for (size_t i = 0; i < sizeof keys; i++)
		weft__region_learn_duration(&keys[i], i + 1);
	for (size_t i = 0; i < sizeof keys; i++) {
		uint64_t known = weft__region_duration(&worker, &keys[i]);
		cr_assert(known == 0 || known == i + 1, "key %zu", i);
		remembered += known != 0;
	}
	cr_expect(le(u64, remembered, WEFT__MEMORIES));
}

Test(region, without_a_worker_nothing_is_learnt)
{
	weft__worker_become(NULL);
	weft__region_learn_duration(&keys[0], 7);
	weft__region_learn_item_cost(&keys[0], 8);
	weft__region_leave();
	cr_expect(eq(u64, weft__region_duration(&worker, &keys[0]), 0));
}

/* Ones that are measured, of so many in a row. */
static int measured(double us, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += !weft__region_is_short(&worker, &keys[0], us * (double)rt.ticks_per_us);
	return count;
}

Test(region, short_ones_are_measured_now_and_then_and_all_others_always)
{
	cr_expect(eq(int, measured(0, 160), 160), "nothing is known");
	cr_expect(eq(int, measured(WEFT__SHARE_US + 1, 160), 160));
	cr_expect(gt(int, measured(WEFT__SHARE_US * 0.9, 160), 0));
	cr_expect(lt(int, measured(WEFT__SHARE_US * 0.9, 160), 80));
}
