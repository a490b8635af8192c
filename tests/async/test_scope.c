/* SPDX-License-Identifier: MIT */
/*
 * test_scope.c - what weft/scope.h promises: who is cancelled, who absorbs, and what
 * leave() returns
 */
#include <string.h>
#include <time.h>

#include "async/async.h"
#include "async/scope.h"
#include "async/wait.h"
#include "support/virtual.h"

TestSuite(scope, .timeout = 60);

/* SC-5: an explicit cancel is 0, and caught. */
TaskTest(scope, SC01_a_second_cancel_is_nothing)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	weft_scope_cancel(&s);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == 0);
	HOLDS(weft_scope_cancel_called(&s));
	HOLDS(weft_scope_cancelled_caught(&s));
	return weft_checkpoint();
}

TaskTest(scope, SC02_every_wait_in_a_cancelled_scope_fails)
{
	struct weft_scope s;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_sleep(WEFT_SEC(1)) == WEFT_ECANCELED);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_wait_all_blocked() == WEFT_ECANCELED);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_check() == WEFT_ECANCELED);
	HOLDS(weft_now() == began);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

/* SC-9. */
TaskTest(scope, SC03_a_scope_may_be_cancelled_before_it_is_entered)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_init(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_scope_begin(&s) == 0);
	HOLDS(weft_sleep(1) == WEFT_ECANCELED);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

TaskTest(scope, SC04_a_cancel_after_the_last_point_is_not_caught)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_checkpoint() == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_scope_leave(&s, 0) == 0);
	HOLDS(weft_scope_cancel_called(&s));
	HOLDS(!weft_scope_cancelled_caught(&s));
	return weft_checkpoint();
}

TaskTest(scope, SC05_a_shield_hides_what_is_outside_and_nothing_else)
{
	struct weft_scope outer, shield, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&shield, .shield = true) == 0);
	weft_scope_cancel(&outer);
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_sleep(WEFT_SEC(1)) == 0);

	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&inner);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&inner, WEFT_ECANCELED) == 0);
	HOLDS(weft_checkpoint() == 0);

	weft_scope_set_shield(&shield, false);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	weft_scope_set_shield(&shield, true);
	HOLDS(weft_checkpoint() == 0);
	weft_scope_cancel(&shield);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&shield, WEFT_ECANCELED) == 0);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	return weft_scope_leave(&outer, WEFT_ECANCELED);
}

static uint32_t leaves_cancelled;

static int leaf(void *arg)
{
	int rc = weft_sleep_forever();

	(void)arg;
	if (rc == WEFT_ECANCELED)
		add_seqcst(&leaves_cancelled, 1);
	return rc;
}

static int branch(void *arg)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(weft_spawn(&g, leaf, NULL) == 0);
	return weft_group_close(&g, 0);
}

/* SC-2. */
TaskTest(scope, SC06_a_cancel_reaches_every_leaf_of_a_tree_once)
{
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	leaves_cancelled = 0;
	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, branch, NULL) == 0);
	HOLDS(weft_spawn(&g, branch, NULL) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_group_close(&g, 0) == WEFT_ECANCELED);
	HOLDS(leaves_cancelled == 6);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

/* SC-3, and SC-5: whose deadline it was tells of a time-out. */
TaskTest(scope, SC07_the_outer_deadline_wins_over_a_later_inner_one)
{
	struct weft_scope outer, inner;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_scope_enter(&outer, .timeout = WEFT_MS(100)) == 0);
	HOLDS(weft_scope_enter(&inner, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_effective_deadline() == began + WEFT_MS(100));
	HOLDS(weft_sleep(WEFT_SEC(2)) == WEFT_ECANCELED);
	HOLDS(weft_now() == began + WEFT_MS(100));
	HOLDS(weft_scope_leave(&inner, WEFT_ECANCELED) == WEFT_ECANCELED);
	HOLDS(!weft_scope_cancel_called(&inner));
	HOLDS(!weft_scope_cancelled_caught(&inner));
	HOLDS(weft_scope_leave(&outer, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	HOLDS(weft_scope_cancelled_caught(&outer));
	return 0;
}

TaskTest(scope, SC08_the_outermost_cancelled_scope_absorbs)
{
	struct weft_scope a, b, c;

	(void)arg;
	HOLDS(weft_scope_enter(&a) == 0);
	HOLDS(weft_scope_enter(&b) == 0);
	HOLDS(weft_scope_enter(&c) == 0);
	weft_scope_cancel(&c);
	weft_scope_cancel(&b);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&c, WEFT_ECANCELED) == WEFT_ECANCELED);
	HOLDS(weft_scope_cancel_called(&c) && !weft_scope_cancelled_caught(&c));
	HOLDS(weft_scope_leave(&b, WEFT_ECANCELED) == 0);
	HOLDS(weft_scope_cancelled_caught(&b));
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_scope_leave(&a, 0) == 0);
	HOLDS(!weft_scope_cancel_called(&a));
	return 0;
}

static void times_out_at_once(int64_t timeout, int64_t deadline)
{
	struct weft_scope s;

	HOLDS(weft_scope_enter(&s, .timeout = timeout, .deadline = deadline) == 0);
	HOLDS(weft_sleep(0) == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
}

/* SC-9. */
TaskTest(scope, SC09_a_deadline_now_or_in_the_past_has_passed)
{
	(void)arg;
	times_out_at_once(-1, 0);
	times_out_at_once(WEFT_SEC(-11), 0);
	times_out_at_once(0, weft_now());
	times_out_at_once(0, weft_now() - WEFT_SEC(11));
	return 0;
}

/* SC-8: before it has passed. */
TaskTest(scope, SC10_a_deadline_moves_both_ways)
{
	struct weft_scope s;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(100)) == 0);
	HOLDS(weft_scope_set_deadline(&s, began + WEFT_MS(400)) == 0);
	HOLDS(weft_scope_deadline(&s) == began + WEFT_MS(400));
	HOLDS(weft_sleep(WEFT_MS(200)) == 0);
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_scope_set_deadline(&s, began + WEFT_MS(50)) == 0);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return 0;
}

TaskTest(scope, SC10_a_deadline_that_was_taken_away_does_not_come)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(100)) == 0);
	HOLDS(weft_scope_set_deadline(&s, WEFT_NEVER) == 0);
	HOLDS(weft_sleep(WEFT_MS(200)) == 0);
	HOLDS(weft_scope_set_deadline(&s, weft_after(WEFT_MS(100))) == 0);
	HOLDS(weft_sleep(WEFT_MS(200)) == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return 0;
}

/* SC-8. */
TaskTest(scope, SC11_a_deadline_that_has_passed_stays_so)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_scope_set_deadline(&s, weft_after(WEFT_SEC(100))) == 0);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return 0;
}

/* The clock is moved by hand: the deadline has passed, and no timer has fired. */
TaskTest(scope, SC8_a_deadline_that_has_passed_stays_so_although_its_timer_is_late)
{
	struct weft__clock *clock = &weft__worker_self()->runtime->async->clock;
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	int64_t deadline = weft_scope_deadline(&s);
	store_release(&clock->now, deadline);
	HOLDS(weft_scope_set_deadline(&s, deadline + WEFT_SEC(100)) == 0);
	HOLDS(weft_scope_deadline(&s) == deadline);
	HOLDS(weft_scope_reason(&s).kind == WEFT_REASON_DEADLINE);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return 0;
}

/* SC-5, SC-6: an error stands. */
TaskTest(scope, SC12_an_error_of_the_body_is_not_hidden_by_the_deadline)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_scope_leave(&s, WEFT_EIO) == WEFT_EIO);
	HOLDS(weft_scope_reason(&s).kind == WEFT_REASON_NONE);

	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_EIO) == WEFT_EIO);
	HOLDS(weft_scope_reason(&s).kind == WEFT_REASON_DEADLINE);
	HOLDS(!weft_scope_cancelled_caught(&s));
	return 0;
}

static int in_ten_seconds(void *arg)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_SEC(10)) == 0);
	int rc = weft_scope_leave(&s, weft_sleep(WEFT_SEC(20)));
	HOLDS(!weft_scope_cancel_called(&s));
	HOLDS(weft_scope_reason(&s).kind != WEFT_REASON_DEADLINE);
	return rc;
}

/* SC-5: a cancel from outside is handed on. */
TaskTest(scope, SC13_a_cancel_from_outside_is_no_time_out)
{
	struct weft_group g;
	struct weft_task task;
	int rc = 1;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, in_ten_seconds, NULL, .task = &task) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_task_cancel(task));
	HOLDS(weft_task_wait(task, &rc) == 0);
	HOLDS(rc == WEFT_ECANCELED);
	return weft_group_close(&g, 0);
}

TaskTest(scope, SC14_an_explicit_cancel_does_not_become_a_time_out)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	weft_scope_cancel(&s);
	int64_t cleaning = WEFT_MS(50);
	HOLDS(weft_shield(sleeps, &cleaning, WEFT_SEC(1)) == 0);
	HOLDS(weft_scope_leave(&s, weft_checkpoint()) == 0);
	HOLDS(weft_scope_reason(&s).kind == WEFT_REASON_EXPLICIT);
	return 0;
}

TaskTest(scope, SC15_cleaning_up_is_shielded_and_bounded)
{
	struct weft_scope s;
	int64_t began = weft_now(), long_time = WEFT_SEC(10);

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(100)) == 0);
	int rc = weft_sleep_forever();
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_shield(sleeps, &long_time, WEFT_MS(10)) == WEFT_ETIMEDOUT);
	HOLDS(weft_now() == began + WEFT_MS(110));
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	return 0;
}

TaskTest(scope, SC16_the_outer_scope_absorbs_although_it_was_not_seen)
{
	struct weft_scope outer, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	weft_scope_cancel(&outer);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&inner);
	int rc = weft_scope_leave(&inner, weft_sleep_forever());
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(!weft_scope_cancelled_caught(&inner));
	HOLDS(weft_scope_leave(&outer, rc) == 0);
	HOLDS(weft_scope_cancelled_caught(&outer));
	return 0;
}

static void has_reason(struct weft_reason r, enum weft_reason_kind kind, int code,
		       const char *message)
{
	HOLDS(r.kind == kind);
	HOLDS(r.code == code);
	HOLDS(message ? r.message && strcmp(r.message, message) == 0 : !r.message);
}

/* SC-7. */
TaskTest(scope, SC17_the_first_reason_stays)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(1)) == 0);
	HOLDS(weft_cancel_reason().kind == WEFT_REASON_NONE);
	weft_scope_cancel_because(&s, WEFT_EIO, "hello");
	int64_t past_it = WEFT_MS(2);
	HOLDS(weft_shield(sleeps, &past_it, WEFT_SEC(1)) == 0);
	has_reason(weft_scope_reason(&s), WEFT_REASON_EXPLICIT, WEFT_EIO, "hello");
	has_reason(weft_cancel_reason(), WEFT_REASON_EXPLICIT, WEFT_EIO, "hello");
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == 0);

	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(1)) == 0);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	weft_scope_cancel_because(&s, WEFT_EIO, "too late");
	has_reason(weft_scope_reason(&s), WEFT_REASON_DEADLINE, WEFT_ETIMEDOUT, NULL);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == WEFT_ETIMEDOUT);
	return 0;
}

static int sees_sibling(void *arg)
{
	int rc = weft_sleep_forever();
	struct weft_reason r = weft_cancel_reason();

	(void)arg;
	has_reason(r, WEFT_REASON_SIBLING, WEFT_EIO, NULL);
	HOLDS(r.source && strcmp(r.source, "culprit") == 0);
	return rc;
}

/* SC-7. */
TaskTest(scope, SC17_a_sibling_is_named_as_the_reason)
{
	struct weft_group g;
	int error = WEFT_EIO;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sees_sibling, NULL) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_spawn(&g, returns, &error, .name = "culprit") == 0);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_scope_reason(weft_group_scope(&g)).kind == WEFT_REASON_SIBLING);
	HOLDS(weft_group_close(&g, WEFT_ECANCELED) == WEFT_EIO);
	return 0;
}

/* SC-7. */
TaskTest(scope, SC17_a_cancel_from_outside_is_the_parents)
{
	struct weft_scope outer, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel_because(&outer, WEFT_EIO, "outside");
	has_reason(weft_scope_reason(&inner), WEFT_REASON_PARENT, WEFT_EIO, "outside");
	has_reason(weft_cancel_reason(), WEFT_REASON_EXPLICIT, WEFT_EIO, "outside");
	HOLDS(weft_scope_leave(&inner, WEFT_ECANCELED) == WEFT_ECANCELED);
	return weft_scope_leave(&outer, WEFT_ECANCELED);
}

static int leaves_anothers(void *arg)
{
	HOLDS(weft_scope_leave(arg, 0) == WEFT_EPERM);
	HOLDS(weft_scope_begin(arg) == WEFT_EINVAL);
	HOLDS(weft_scope_enter((struct weft_scope *)arg) == WEFT_EINVAL);
	return 0;
}

/* CO-7: a code, and the state of the others as it was; SC-9: entered once. */
TaskTest(scope, SC18_misuse_is_refused_and_changes_nothing)
{
	struct weft_scope outer, inner;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_scope_init(&outer) == 0);
	HOLDS(weft_scope_leave(&outer, 0) == WEFT_EINVAL);
	HOLDS(weft_scope_begin(&outer) == 0);
	HOLDS(weft_scope_begin(&outer) == WEFT_EINVAL);
	HOLDS(weft_scope_enter(&outer) == WEFT_EINVAL);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, leaves_anothers, &outer) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);

	HOLDS(weft_scope_enter(&inner) == 0);
	HOLDS(weft_scope_leave(&outer, 0) == WEFT_EINVAL);
	weft_scope_cancel(&inner);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&inner, WEFT_ECANCELED) == 0);
	HOLDS(weft_scope_leave(&inner, 0) == WEFT_EINVAL);
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_scope_leave(&outer, 7) == 7);
	HOLDS(weft_scope_leave(&outer, 7) == WEFT_EINVAL);
	HOLDS(weft_scope_begin(&outer) == WEFT_EINVAL);
	return 0;
}

Test(scope, SC18_scopes_are_for_tasks)
{
	const struct weft_scope_opts old = { .size = 8 };
	struct weft_scope s;

	cr_assert(eq(int, weft_scope_enter(&s), WEFT_ENOTASK));
	cr_assert(eq(int, weft_scope_init(&s), 0));
	cr_assert(eq(int, weft_scope_begin(&s), WEFT_ENOTASK));
	cr_assert(eq(int, weft_scope_init_opt(NULL, NULL), WEFT_EINVAL));
	cr_assert(eq(int, weft_scope_init(&s, .grace = -1), WEFT_EINVAL));
	cr_assert(eq(int, weft_scope_init_opt(&s, &old), WEFT_EINVAL));
	cr_assert(eq(int, weft_check(), 0));
	cr_assert(eq(int, weft_checkpoint(), 0));
	cr_assert(eq(int, weft_wait_all_blocked(), WEFT_ENOTASK));
}

static int is_called(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

Test(scope, SC10_a_shield_is_for_tasks_and_does_not_call_otherwise)
{
	bool called = false;

	cr_expect(eq(int, weft_shield(is_called, &called, WEFT_SEC(1)), WEFT_ENOTASK));
	cr_expect(eq(int, weft_shield(NULL, &called, WEFT_SEC(1)), WEFT_EINVAL));
	cr_expect(not(called));
}

enum { DEEP = 5000 };

static struct weft_scope deep[DEEP];

static int cancels_outermost(void *arg)
{
	(void)arg;
	HOLDS(weft_wait_all_blocked() == 0);
	weft_scope_cancel(&deep[0]);
	return 0;
}

/* SC-2: without recursion. */
TaskTest(scope, SC19_five_thousand_nested_scopes)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_scope_enter(&deep[0]) == 0);
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 1; i < DEEP; i++)
		HOLDS(weft_scope_enter(&deep[i], .timeout = WEFT_SEC(i)) == 0);
	HOLDS(weft_spawn(&g, cancels_outermost, NULL) == 0);
	int rc = weft_sleep_forever();
	HOLDS(rc == WEFT_ECANCELED);
	for (int i = DEEP - 1; i > 0; i--)
		HOLDS((rc = weft_scope_leave(&deep[i], rc)) == WEFT_ECANCELED);
	HOLDS((rc = weft_group_close(&g, rc)) == WEFT_ECANCELED);
	return weft_scope_leave(&deep[0], rc);
}

TaskTest(scope, SC20_a_deadline_that_moves_often_is_one_timer)
{
	struct weft_scope s;
	struct weft__clock *clock = &weft__worker_self()->runtime->async->clock;
	size_t timers = 0;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_SEC(1)) == 0);
	for (int i = 0; i < 2000; i++)
		HOLDS(weft_scope_set_deadline(&s, weft_after(i % 2 ? WEFT_SEC(1) : WEFT_SEC(2))) ==
		      0);
	for (unsigned i = 0; i < clock->count; i++)
		timers += clock->timers[i].wheel.size;
	HOLDS(timers == 1);
	return weft_scope_leave(&s, 0);
}

struct named {
	struct weft_token token;
	uint32_t cancelled, entered;
};

static int two_under_a_token(void *arg)
{
	struct named *n = arg;
	struct weft_scope s;
	struct weft_group g;

	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_scope_token(&s, &n->token) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, branch, NULL) == 0);
	HOLDS(weft_spawn(&g, branch, NULL) == 0);
	int rc = weft_group_close(&g, 0);
	n->cancelled = rc == WEFT_ECANCELED;
	return weft_scope_leave(&s, rc);
}

/* SC-2: each is woken once. */
TaskTest(scope, SC21_a_token_cancels_its_descendants_and_no_other)
{
	struct named parent = { 0 }, a = { 0 }, b = { 0 };
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	leaves_cancelled = 0;
	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_scope_token(&s, &parent.token) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, two_under_a_token, &a) == 0);
	HOLDS(weft_spawn(&g, two_under_a_token, &b) == 0);
	HOLDS(weft_wait_all_blocked() == 0);

	HOLDS(weft_token_cancel(a.token));
	HOLDS(!weft_token_cancel(a.token));
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(leaves_cancelled == 6);
	HOLDS(a.cancelled && !b.cancelled);
	HOLDS(!weft_token_cancel(a.token)); /* it has been left */
	HOLDS(weft_checkpoint() == 0);

	HOLDS(weft_token_cancel(parent.token));
	int rc = weft_group_close(&g, 0);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(leaves_cancelled == 12);
	return weft_scope_leave(&s, rc);
}

TaskTest(scope, SC22_what_is_entered_in_a_cancelled_scope_is_cancelled_at_birth)
{
	struct weft_scope outer, inner;
	struct weft_token token;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	weft_scope_cancel(&outer);
	HOLDS(weft_scope_enter(&inner) == 0);
	HOLDS(weft_scope_token(&inner, &token) == 0);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_effective_deadline() == INT64_MIN);
	HOLDS(weft_scope_leave(&inner, WEFT_ECANCELED) == WEFT_ECANCELED);
	return weft_scope_leave(&outer, WEFT_ECANCELED);
}

static int64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return WEFT_SEC(t.tv_sec) + t.tv_nsec;
}

static int shielded_sleeper(void *arg)
{
	return weft_shield(sleeps, arg, WEFT_SEC(10));
}

static int waits_for_a_shielded_child(void *arg)
{
	struct weft_group g;
	int64_t time = WEFT_MS(200), cpu = cpu_time(), began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, shielded_sleeper, &time) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&g, WEFT_ECANCELED) == 0);
	HOLDS(weft_now() - began >= time);
	HOLDS(cpu_time() - cpu < time / 2);
	return 0;
}

/* SC-2: nothing is told twice, and nothing polls. */
Test(scope, SC23_waiting_for_a_shield_takes_no_cpu)
{
	struct weft_config real = { .workers = 2 };

	cr_assert(eq(int, go_with(real, waits_for_a_shielded_child, NULL), 0));
}

struct stubborn {
	struct weft__strand *strand;
	uint64_t ticket;
	uint32_t woken;
};

static int stubborn_wait(void *arg)
{
	struct stubborn *me = arg;

	me->strand = weft__strand_self();
	HOLDS(weft__wait_begin(me->strand, 0) == 0);
	me->ticket = weft__wait_ticket(me->strand);
	HOLDS(weft__wait_park(me->strand, "test", me) == WEFT__GRANTED);
	me->woken = 1;
	return weft_check();
}

TaskTest(scope, SC24_a_wait_that_is_not_abortable_ends_first)
{
	struct stubborn me = { 0 };
	struct weft_group g;
	struct weft_scope hidden;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, stubborn_wait, &me) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	weft_group_cancel(&g);
	HOLDS(weft_scope_enter(&hidden, .shield = true) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(!load_acquire(&me.woken));
	HOLDS(weft__wake(me.strand, me.ticket, WEFT__GRANTED));
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(load_acquire(&me.woken));
	HOLDS(weft_scope_leave(&hidden, 0) == 0);
	return weft_group_close(&g, weft_check());
}

/* SC-6. */
TaskTest(scope, SC25_a_result_after_the_deadline_counts)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(1)) == 0);
	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, 7) == 7);
	HOLDS(weft_scope_cancel_called(&s));
	HOLDS(!weft_scope_cancelled_caught(&s));
	return 0;
}

enum { SORTED = 30 };

struct sorter {
	int64_t timeout;
	uint32_t place;
};

static uint32_t sorted;

static int sleep_sort(void *arg)
{
	struct sorter *me = arg;
	struct weft_scope s;
	int64_t began = weft_now();

	HOLDS(weft_scope_enter(&s, .timeout = me->timeout) == 0);
	int rc = weft_scope_leave(&s, weft_sleep(WEFT_MS(300)));
	me->place = add_seqcst(&sorted, 1);
	HOLDS(weft_now() - began == (me->timeout < WEFT_MS(300) ? me->timeout : WEFT_MS(300)));
	HOLDS(rc == (me->timeout < WEFT_MS(300) ? WEFT_ETIMEDOUT : 0));
	return 0;
}

/* With one worker the order is that of the deadlines, equal ones first come first;
 * with several, those that wake at one instant run side by side. */
TaskTest(scope, SC26_sleepers_wake_by_deadline)
{
	static struct sorter s[SORTED];
	struct weft_group g;

	(void)arg;
	sorted = 0;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < SORTED; i++) {
		s[i].timeout = WEFT_MS(10 + 10 * (i * 7 % (SORTED / 3)));
		HOLDS(weft_spawn(&g, sleep_sort, &s[i]) == 0);
	}
	HOLDS(weft_group_close(&g, 0) == 0);
	for (int i = 0; i < SORTED; i++)
		for (int j = 0; j < SORTED; j++) {
			if (s[i].timeout < s[j].timeout)
				HOLDS(s[i].place < s[j].place);
			if (go_workers == 1 && s[i].timeout == s[j].timeout && i < j)
				HOLDS(s[i].place < s[j].place);
		}
	return 0;
}

/* SC-3. */
TaskTest(scope, SC27_a_shield_hides_deadlines_too)
{
	struct weft_scope outer, shield;

	(void)arg;
	HOLDS(weft_effective_deadline() == WEFT_NEVER);
	HOLDS(weft_scope_enter(&outer, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_effective_deadline() == weft_after(WEFT_SEC(1)));
	weft_scope_cancel(&outer);
	HOLDS(weft_effective_deadline() == INT64_MIN);
	HOLDS(weft_scope_enter(&shield, .shield = true) == 0);
	HOLDS(weft_effective_deadline() == WEFT_NEVER);
	HOLDS(weft_sleep(WEFT_SEC(2)) == 0);
	HOLDS(weft_scope_leave(&shield, 0) == 0);
	HOLDS(weft_effective_deadline() == INT64_MIN);
	return weft_scope_leave(&outer, WEFT_ECANCELED);
}

TaskTest(scope, SC28_only_the_shielded_part_of_a_nest_goes_on)
{
	struct weft_scope a, b, c;

	(void)arg;
	HOLDS(weft_scope_enter(&a) == 0);
	HOLDS(weft_scope_enter(&b) == 0);
	HOLDS(weft_scope_enter(&c, .shield = true) == 0);
	weft_scope_cancel(&a);
	weft_scope_cancel(&b);
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_scope_leave(&c, 0) == 0);
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&b, WEFT_ECANCELED) == WEFT_ECANCELED);
	return weft_scope_leave(&a, WEFT_ECANCELED);
}

/* --- SC-4, SC-10, SC-12 -------------------------------------------------- */

/* The clock is moved by hand: the deadline has passed, and no timer has fired. */
TaskTest(scope, SC4_a_late_timer_of_the_outer_scope_is_an_outer_cancel)
{
	struct weft__clock *clock = &weft__worker_self()->runtime->async->clock;
	struct weft_scope outer, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&inner);
	int rc = weft_sleep_forever();
	store_release(&clock->now, load_acquire(&clock->now) + WEFT_SEC(2));
	rc = weft_scope_leave(&inner, rc);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(!weft_scope_cancelled_caught(&inner));
	HOLDS(weft_checkpoint() == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&outer, rc) == WEFT_ETIMEDOUT);
	return 0;
}

static int late_child(void *arg)
{
	struct weft__clock *clock = &weft__worker_self()->runtime->async->clock;
	struct weft_scope inner;

	(void)arg;
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&inner);
	int rc = weft_sleep_forever();
	store_release(&clock->now, load_acquire(&clock->now) + WEFT_SEC(2));
	return weft_scope_leave(&inner, rc);
}

TaskTest(scope, SC4_a_late_timer_of_a_group_is_its_time_out)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_spawn(&g, late_child, NULL) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_ETIMEDOUT);
	HOLDS(weft_group_failures(&g) == 0);
	return 0;
}

TaskTest(scope, SC4_a_shield_lowered_on_the_way_does_not_change_who_absorbs)
{
	struct weft_scope outer, middle, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&middle, .shield = true) == 0);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&outer);
	weft_scope_cancel(&inner);
	int rc = weft_sleep_forever();
	weft_scope_set_shield(&middle, false);
	rc = weft_scope_leave(&inner, rc);
	HOLDS(rc == WEFT_ECANCELED);
	rc = weft_scope_leave(&middle, rc);
	HOLDS(rc == WEFT_ECANCELED);
	return weft_scope_leave(&outer, rc);
}

TaskTest(scope, SC4_a_shield_raised_on_the_way_does_not_change_who_absorbs)
{
	struct weft_scope outer, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&outer);
	int rc = weft_sleep_forever();
	weft_scope_set_shield(&inner, true);
	rc = weft_scope_leave(&inner, rc);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(!weft_scope_cancelled_caught(&inner));
	rc = weft_scope_leave(&outer, rc);
	HOLDS(weft_scope_cancelled_caught(&outer));
	return rc;
}

/* What counts is what is visible when it is left; the cancel outside is not lost. */
TaskTest(scope, SC4_a_cancelled_scope_behind_a_raised_shield_absorbs_its_own)
{
	struct weft_scope outer, middle, inner;

	(void)arg;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&middle) == 0);
	HOLDS(weft_scope_enter(&inner) == 0);
	weft_scope_cancel(&outer);
	weft_scope_cancel(&inner);
	int rc = weft_sleep_forever();
	weft_scope_set_shield(&middle, true);
	HOLDS(weft_scope_leave(&inner, rc) == 0);
	HOLDS(weft_scope_cancelled_caught(&inner));
	HOLDS(weft_checkpoint() == 0);
	HOLDS(weft_scope_leave(&middle, 0) == 0);
	rc = weft_checkpoint();
	HOLDS(rc == WEFT_ECANCELED);
	return weft_scope_leave(&outer, rc);
}

static int lowers_shield(void *arg)
{
	HOLDS(weft_wait_all_blocked() == 0);
	weft_scope_set_shield(arg, false);
	return 0;
}

TaskTest(scope, SC10_lowering_a_shield_wakes_those_inside)
{
	struct weft_scope outer, shield;
	struct weft_group g;

	(void)arg;
	leaves_cancelled = 0;
	HOLDS(weft_scope_enter(&outer) == 0);
	HOLDS(weft_scope_enter(&shield, .shield = true) == 0);
	HOLDS(weft_group_open(&g) == 0);
	weft_scope_cancel(&outer);
	HOLDS(weft_spawn(&g, branch, NULL) == 0);
	HOLDS(weft_spawn(&g, lowers_shield, &shield) == 0);
	int rc = weft_sleep_forever();
	HOLDS(rc == WEFT_ECANCELED);
	rc = weft_group_close(&g, rc);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(leaves_cancelled == 3);
	rc = weft_scope_leave(&shield, rc);
	return weft_scope_leave(&outer, rc);
}

struct graceful {
	int64_t hard, soft;
	uint32_t asked;
};

static int ends_soft(void *arg)
{
	struct graceful *seen = arg;
	int rc = weft_sleep_soft(WEFT_NEVER);

	seen->soft = weft_now();
	HOLDS(weft_cancel_requested());
	HOLDS(weft_check() == 0);
	return rc;
}

static int ends_hard(void *arg)
{
	struct graceful *seen = arg;
	int rc = weft_sleep_forever();

	seen->hard = weft_now();
	return rc;
}

static void with_grace(int64_t timeout, int result)
{
	struct graceful seen = { 0 };
	struct weft_group g;
	int64_t began = weft_now();

	HOLDS(weft_group_open(&g, .grace = WEFT_SEC(1), .timeout = timeout) == 0);
	HOLDS(weft_spawn(&g, ends_soft, &seen) == 0);
	HOLDS(weft_spawn(&g, ends_hard, &seen) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(!weft_cancel_requested());
	if (timeout == 0)
		weft_group_cancel(&g);
	else
		began += timeout;
	HOLDS(weft_group_close(&g, 0) == result);
	HOLDS(seen.soft == began);
	HOLDS(seen.hard == began + WEFT_SEC(1));
}

TaskTest(scope, SC12_grace_asks_first_and_cancels_later)
{
	(void)arg;
	with_grace(0, 0);
	return 0;
}

TaskTest(scope, SC12_grace_follows_a_deadline_too)
{
	(void)arg;
	with_grace(WEFT_SEC(5), WEFT_ETIMEDOUT);
	return 0;
}

TaskTest(scope, SC12_a_scope_that_is_left_within_its_grace_was_not_cancelled_hard)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .grace = WEFT_SEC(1), .timeout = WEFT_SEC(9)) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_cancel_requested());
	HOLDS(weft_sleep(WEFT_MS(500)) == 0);
	HOLDS(weft_scope_leave(&s, 0) == 0);
	HOLDS(weft_scope_cancel_called(&s));
	HOLDS(!weft_cancel_requested());
	return weft_sleep(WEFT_SEC(2));
}

TaskTest(scope, CO4_a_sleep_that_is_over_is_not_cancelled)
{
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_sleep(WEFT_MS(9)) == 0);
	HOLDS(weft_checkpoint() == 0);
	return weft_scope_leave(&s, 0);
}

/* --- SC-12 and those who cut off themselves ------------------------------------------ */

static int obeys_when_asked(void *arg)
{
	(void)arg;
	return weft_sleep_soft(WEFT_SEC(3));
}

static int goes_on_when_asked(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(500)) ? -1 : 5;
}

static int cancels_soon(void *arg)
{
	weft_sleep(WEFT_MS(10));
	weft_scope_cancel(arg);
	return 0;
}

TaskTest(scope, who_obeys_a_cancel_with_grace_has_not_won_a_race)
{
	struct weft_group g;
	size_t winner = 9;

	(void)arg;
	HOLDS(weft_group_open(&g, .grace = WEFT_SEC(1)) == 0);
	HOLDS(weft_spawn(&g, cancels_soon, weft_group_scope(&g)) == 0);
	int rc = weft_race(
		WEFT_CALLS(WEFT_CALL(obeys_when_asked, NULL), WEFT_CALL(goes_on_when_asked, NULL)),
		2, &winner);
	HOLDS(rc == 5 && winner == 1);
	weft_group_close(&g, 0);
	return 0;
}

static int sleeps_for(void *item, void *arg)
{
	(void)arg;
	return weft_sleep(*(int64_t *)item);
}

TaskTest(scope, closing_a_map_keeps_a_cancel_that_it_has_not_made)
{
	struct weft_scope s;
	struct weft_map_iter it;
	int64_t nine[] = { WEFT_SEC(9) };

	(void)arg;
	HOLDS(weft_scope_enter(&s, .grace = WEFT_SEC(5)) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_map_open(&it, sleeps_for, nine, 1, NULL) == 0);
	int rc = weft_map_close(&it, weft_sleep_soft(WEFT_SEC(1)));
	HOLDS(rc == WEFT_ECANCELED);
	weft_scope_leave(&s, rc);
	return 0;
}
