/* SPDX-License-Identifier: MIT */
/*
 * test_start.c - weft_start and weft_ready
 */
#include "support/virtual.h"

TestSuite(start, .timeout = 60);

struct starting {
	int64_t before, after; /* to sleep, until it is ready and then */
	int unready;	       /* 1: return rc without being ready */
	int rc;
	int saw, ready;
	uint32_t done;
};

static int starts(void *arg)
{
	struct starting *me = arg;

	me->ready = 1;
	me->saw = weft_sleep(me->before);
	if (me->saw == 0 && !me->unready) {
		me->ready = weft_ready(me);
		HOLDS(weft_ready(me) == WEFT_EINVAL);
		me->saw = weft_sleep(me->after);
	}
	store_release(&me->done, 1);
	return me->saw ? me->saw : me->rc;
}

TaskTest(start, GR21_start_returns_with_the_value_when_the_child_is_ready)
{
	struct starting c = { .before = WEFT_MS(100), .after = WEFT_MS(200) };
	struct weft_group g;
	void *value = NULL;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_start(&g, starts, &c, &value) == 0);
	HOLDS(value == &c);
	HOLDS(weft_now() == began + WEFT_MS(100));
	HOLDS(!load_acquire(&c.done));
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(c.ready == 0);
	HOLDS(weft_now() == began + WEFT_MS(300));
	return 0;
}

TaskTest(start, GR21_an_error_before_ready_is_starts_and_not_the_groups)
{
	struct starting c = { .before = WEFT_MS(1), .unready = 1, .rc = WEFT_EIO };
	struct weft_group g;
	int value = 0;
	void *out = &value;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_start(&g, starts, &c, &out) == WEFT_EIO);
	HOLDS(out == &value);
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_group_failures(&g) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	return 0;
}

TaskTest(start, GR21_an_error_after_ready_is_the_groups)
{
	struct starting c = { .after = WEFT_MS(1), .rc = WEFT_EIO };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_start(&g, starts, &c, NULL) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	return 0;
}

TaskTest(start, GR21_a_child_that_is_never_ready_is_an_error)
{
	struct starting c = { .unready = 1 };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_start(&g, starts, &c, NULL) == WEFT_EINVAL);
	return weft_group_close(&g, 0);
}

static int is_ready_unasked(void *arg)
{
	(void)arg;
	HOLDS(weft_ready(NULL) == WEFT_EINVAL);
	return 0;
}

TaskTest(start, GR21_only_a_child_of_start_is_ready)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_ready(NULL) == WEFT_EINVAL);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, is_ready_unasked, NULL) == 0);
	return weft_group_close(&g, 0);
}

TaskTest(start, GR22_a_cancelled_starter_cancels_and_joins_the_child)
{
	struct starting c = { .before = WEFT_SEC(10) };
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	int rc = weft_start(&g, starts, &c, NULL);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(load_acquire(&c.done) && c.saw == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	HOLDS(weft_checkpoint() == 0);
	return weft_group_close(&g, 0);
}

static int ready_too_late(void *arg)
{
	int64_t cleanup = WEFT_MS(5);

	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_shield(sleeps, &cleanup, WEFT_NEVER) == 0);
	HOLDS(weft_ready(arg) == WEFT_ECANCELED);
	return WEFT_ECANCELED;
}

TaskTest(start, GR22_nobody_waits_for_a_ready_that_comes_too_late)
{
	struct weft_scope s;
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_start(&g, ready_too_late, NULL, NULL) == WEFT_ECANCELED);
	HOLDS(weft_now() == began + WEFT_MS(15));
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return weft_group_close(&g, 0);
}

TaskTest(start, GR22_a_cancelled_caller_starts_nothing)
{
	struct starting c = { 0 };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_start(&g, starts, &c, NULL) == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(!c.done && c.ready == 0);
	return 0;
}

static int is_ready_late(void *arg)
{
	(void)arg;
	HOLDS(weft_sleep(WEFT_SEC(9)) == WEFT_ECANCELED);
	return 0; /* it has cleaned up */
}

TaskTest(start, a_start_that_is_out_of_time_was_cancelled_however_the_child_ends)
{
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_group_open(&g) == 0);
	int rc = weft_start(&g, is_ready_late, NULL, NULL);
	HOLDS(rc == WEFT_ECANCELED);
	rc = weft_group_close(&g, rc);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	return 0;
}
