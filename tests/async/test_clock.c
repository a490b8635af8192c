/* SPDX-License-Identifier: MIT */
/*
 * test_clock.c - virtual and real time
 */
#include "async/clock.h"
#include "support/virtual.h"

TestSuite(clock, .timeout = 60);

/* CF-4. */
TaskTest(clock, CF05_an_hour_passes_at_once)
{
	int64_t began = weft_now(), real = weft__monotonic();

	(void)arg;
	HOLDS(weft_sleep(WEFT_SEC(3600)) == 0);
	HOLDS(weft_now() == began + WEFT_SEC(3600));
	HOLDS(weft__monotonic() - real < WEFT_SEC(15));
	return 0;
}

static uint32_t place;

static int takes_place(void *arg)
{
	uint32_t *mine = arg;

	HOLDS(weft_sleep(WEFT_MS(10)) == 0);
	*mine = add_seqcst(&place, 1);
	return 0;
}

/* CF-4.  With more workers each wakes, and once; the order is nobody's promise. */
TaskTest(clock, CF05_equal_deadlines_are_first_come_first_served_with_one_worker)
{
	struct weft_group g;
	uint32_t places[20];
	bool taken[20] = { false };

	(void)arg;
	place = 0;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 20; i++)
		HOLDS(weft_spawn(&g, takes_place, &places[i]) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	for (uint32_t i = 0; i < 20; i++) {
		HOLDS(places[i] == i || go_workers > 1);
		HOLDS(places[i] < 20 && !taken[places[i]]);
		taken[places[i] % 20] = true;
	}
	return 0;
}

/* CF-4. */
TaskTest(clock, time_stands_still_while_something_runs)
{
	int64_t began = weft_now();

	(void)arg;
	for (int i = 0; i < 1000; i++)
		weft_yield();
	HOLDS(weft_now() == began);
	return 0;
}

TaskTest(clock, CO6_durations_saturate_and_negative_ones_are_over)
{
	int64_t now = weft_now();

	(void)arg;
	HOLDS(weft_after(WEFT_NEVER) == WEFT_NEVER);
	HOLDS(weft_after(WEFT_NEVER - 1) == WEFT_NEVER);
	HOLDS(weft_after(0) == now);
	HOLDS(weft_after(INT64_MIN) == now);
	HOLDS(weft_sleep(INT64_MIN) == 0);
	HOLDS(weft_sleep(0) == 0);
	HOLDS(weft_sleep_until(now - 1) == 0);
	HOLDS(weft_now() == now);
	return 0;
}

/* The real clock began with 0: what is before is no time of the kernel's. */
Test(clock, CO6_a_plain_thread_does_not_sleep_until_the_past)
{
	cr_expect(eq(int, weft_sleep_until(-1), 0));
	cr_expect(eq(int, weft_sleep_until(INT64_MIN), 0));
	cr_expect(eq(int, weft_sleep_until(0), 0));
	cr_expect(eq(int, weft_sleep_until(weft_now() - 1), 0));
	cr_expect(eq(int, weft_sleep(INT64_MIN), 0));
}

/* A timer that makes nothing ready does not stop the clock. */
TaskTest(clock, a_deadline_that_nobody_waits_for_lets_the_clock_go_on)
{
	struct weft_scope cancelled, shield;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_scope_enter(&cancelled, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_scope_enter(&shield, .shield = true) == 0);
	HOLDS(weft_sleep(WEFT_SEC(2)) == 0);
	HOLDS(weft_now() == began + WEFT_SEC(2));
	HOLDS(weft_scope_leave(&shield, 0) == 0);
	HOLDS(weft_scope_leave(&cancelled, weft_checkpoint()) == WEFT_ETIMEDOUT);
	return 0;
}

static int sleeps_in_turn(void *arg)
{
	int64_t step = *(int64_t *)arg, began = weft_now();

	for (int i = 1; i <= 50; i++) {
		HOLDS(weft_sleep(step) == 0);
		HOLDS(weft_now() == began + i * step);
	}
	return 0;
}

TaskTest(clock, no_jump_is_lost_and_none_goes_too_far)
{
	static int64_t steps[] = { WEFT_MS(1), WEFT_MS(2), WEFT_MS(3), WEFT_MS(7), WEFT_US(1) };
	struct weft_group g;

	(void)arg;
	for (int round = 0; round < 8; round++) {
		HOLDS(weft_group_open(&g) == 0);
		for (size_t i = 0; i < COUNT_OF(steps); i++)
			HOLDS(weft_spawn(&g, sleeps_in_turn, &steps[i]) == 0);
		HOLDS(weft_group_close(&g, 0) == 0);
	}
	return 0;
}

static int sleeps_really(void *arg)
{
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_sleep(WEFT_MS(20)) == 0);
	HOLDS(weft_now() - began >= WEFT_MS(20));
	return 0;
}

Test(clock, the_real_clock_is_the_monotonic_one)
{
	struct weft_config real = { .workers = 2 };
	int64_t began = weft__monotonic();

	cr_assert(eq(int, go_with(real, sleeps_really, NULL), 0));
	cr_assert(ge(i64, weft__monotonic() - began, WEFT_MS(20)));
	cr_assert(eq(int, weft_sleep(WEFT_US(10)), 0)); /* a plain thread */
}

/* --- everything blocked -------------------------------------------------- */

struct blocked {
	uint32_t slept;
	int64_t time;
};

static int sleeps_and_tells(void *arg)
{
	struct blocked *b = arg;

	HOLDS(weft_sleep(b->time) == 0);
	store_release(&b->slept, 1);
	return 0;
}

/* CF-4. */
TaskTest(clock, wait_all_blocked_comes_before_time_passes)
{
	struct blocked b = { .time = WEFT_MS(1) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sleeps_and_tells, &b) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_now() == began && !load_acquire(&b.slept));
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(b.slept);
	return 0;
}
