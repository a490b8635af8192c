/* SPDX-License-Identifier: MIT */
/*
 * test_group.c - what weft/task.h promises of groups
 */
#include <string.h>

#include "async/async.h"
#include "async/group.h"
#include "deque/alloc.h"
#include "support/virtual.h"

TestSuite(group, .timeout = 60);

/* A child with a plan: sleep, then return; and what it saw. */
struct child {
	int64_t time;	 /* to sleep */
	int rc;		 /* to return after that */
	int64_t cleanup; /* to sleep shielded when cancelled */
	int saw;	 /* what the sleep returned */
	int64_t ended;
	uint32_t done;
};

static int child(void *arg)
{
	struct child *me = arg;

	me->saw = weft_sleep(me->time);
	if (me->cleanup)
		HOLDS(weft_shield(sleeps, &me->cleanup, WEFT_NEVER) == 0);
	me->ended = weft_now();
	store_release(&me->done, 1);
	return me->saw ? me->saw : me->rc;
}

/* GR-1. */
TaskTest(group, GR01_results_are_there_after_close)
{
	struct child a = { .time = WEFT_MS(100) }, b = { .time = WEFT_MS(200) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &a) == 0);
	HOLDS(weft_spawn(&g, child, &b) == 0);
	HOLDS(weft_group_size(&g) == 2);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(a.done && b.done);
	HOLDS(weft_now() == began + WEFT_MS(200));
	return 0;
}

/* Other workers may have ended some of them. */
static bool has_size(const struct weft_group *g, size_t n)
{
	size_t size = weft_group_size(g);
	return go_workers == 1 ? size == n : size <= n;
}

static int sees_size(void *arg)
{
	struct weft_group *g = arg;

	HOLDS(weft_group_size(g) >= 1 && weft_group_size(g) <= 70000);
	return 0;
}

/* The owner counts ahead, 65536 at a time. */
TaskTest(group, the_size_is_that_of_the_children_however_many_are_started)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (size_t i = 1; i <= 70000; i++) {
		HOLDS(weft_spawn(&g, sees_size, &g) == 0);
		if (i < 5 || (i > 65530 && i < 65550))
			HOLDS(has_size(&g, i));
	}
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(weft_group_size(&g) == 0);
	for (size_t i = 1; i <= 3; i++) {
		HOLDS(weft_spawn(&g, sees_size, &g) == 0);
		HOLDS(has_size(&g, i));
	}
	return weft_group_close(&g, 0);
}

struct spawner {
	struct weft_group *g;
	struct child *child;
	int64_t time;
	int rc;
};

static int spawns(void *arg)
{
	struct spawner *me = arg;

	HOLDS(weft_sleep(me->time) == 0);
	me->rc = weft_spawn(me->g, child, me->child);
	return 0;
}

TaskTest(group, GR02_children_spawn_siblings)
{
	struct weft_group g;
	struct child late = { .time = WEFT_MS(10) }, later = late;
	struct spawner s = { &g, &late, WEFT_MS(5), 1 };

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, spawns, &s) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_spawn(&g, child, &later) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(s.rc == 0 && late.done && later.done);
	return 0;
}

/* GR-4. */
TaskTest(group, GR03_a_child_cancelled_by_its_handle_does_not_fail_the_group)
{
	struct child a = { .time = WEFT_SEC(10) }, b = { .time = WEFT_SEC(1) };
	struct weft_group g;
	struct weft_task task;
	int rc = 1;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &a, .task = &task) == 0);
	HOLDS(weft_spawn(&g, child, &b) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_task_cancel(task));
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(weft_task_state(task) == WEFT_TASK_CANCELLED);
	HOLDS(weft_task_result(task, &rc) == 0 && rc == WEFT_ECANCELED);
	HOLDS(b.saw == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(weft_task_state(task) == WEFT_TASK_UNKNOWN);
	return 0;
}

/* GR-2. */
TaskTest(group, GR04_the_first_error_cancels_siblings_and_body)
{
	struct child bad = { .time = WEFT_MS(100), .rc = WEFT_EIO };
	struct child sibling = { .time = WEFT_SEC(1), .cleanup = WEFT_MS(50) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &bad) == 0);
	HOLDS(weft_spawn(&g, child, &sibling) == 0);
	int rc = weft_sleep(WEFT_SEC(1));
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_now() == began + WEFT_MS(100));
	HOLDS(weft_group_close(&g, rc) == WEFT_EIO);
	HOLDS(sibling.saw == WEFT_ECANCELED && sibling.done);
	HOLDS(weft_now() == began + WEFT_MS(150));
	return 0;
}

static int fails_while_unwinding(void *arg)
{
	int64_t cleanup = WEFT_MS(150);

	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	HOLDS(weft_shield(sleeps, &cleanup, WEFT_NEVER) == 0);
	return *(int *)arg;
}

TaskTest(group, GR05_an_error_while_unwinding_is_recorded_behind_the_first)
{
	struct child first = { .rc = WEFT_EIO };
	struct weft_failure failures[4];
	struct weft_group g;
	int second = WEFT_EINTR;

	(void)arg;
	HOLDS(weft_group_open(&g, .failures = failures, .max_failures = 4) == 0);
	HOLDS(weft_spawn(&g, fails_while_unwinding, &second, .name = "second") == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_spawn(&g, child, &first, .name = "first") == 0);
	HOLDS(weft_group_wait(&g) == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(weft_group_failures(&g) == 2);
	HOLDS(failures[0].rc == WEFT_EIO && strcmp(failures[0].name, "first") == 0);
	HOLDS(failures[1].rc == WEFT_EINTR && strcmp(failures[1].name, "second") == 0);
	return 0;
}

struct unwinder {
	int64_t time;
	int rc;
};

static int fails_at(void *arg)
{
	struct unwinder *me = arg;

	HOLDS(weft_shield(sleeps, &me->time, WEFT_NEVER) == 0);
	return me->rc;
}

static void three_failures(int body, int64_t when, int result)
{
	struct unwinder u[] = { { WEFT_MS(1), WEFT_EIO },
				{ WEFT_MS(2), WEFT_EPERM },
				{ WEFT_MS(3), WEFT_EINTR } };
	struct weft_failure failures[2];
	struct weft_group g;

	HOLDS(weft_group_open(&g, .failures = failures, .max_failures = 2) == 0);
	for (int i = 2; i >= 0; i--)
		HOLDS(weft_spawn(&g, fails_at, &u[i]) == 0);
	if (when)
		HOLDS(weft_sleep(when) == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, body) == result);
	HOLDS(weft_group_failures(&g) == 4);
	HOLDS(failures[0].rc == result);
	HOLDS(failures[1].rc == (result == body ? WEFT_EIO : when ? body : WEFT_EPERM));
}

/* GR-3. */
TaskTest(group, GR06_the_result_is_the_first_error_in_time)
{
	(void)arg;
	three_failures(WEFT_EINVAL, 0, WEFT_EINVAL);	    /* the body before all */
	three_failures(WEFT_EINVAL, WEFT_SEC(1), WEFT_EIO); /* after the first child */
	return 0;
}

static int five_children(void *arg)
{
	struct child c[5];
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 5; i++) {
		c[i] = (struct child){ .time = WEFT_SEC(10) };
		HOLDS(weft_spawn(&g, child, &c[i]) == 0);
	}
	int body = *(int *)arg ? weft_sleep_forever() : 0;
	int rc = weft_group_close(&g, body);
	for (int i = 0; i < 5; i++)
		HOLDS(c[i].saw == WEFT_ECANCELED && c[i].done);
	HOLDS(!*(int *)arg || body == WEFT_ECANCELED);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_group_failures(&g) == 0);
	return rc;
}

static void cancelled_from_outside(int body_sleeps)
{
	struct weft_group g;
	struct weft_task task;
	int rc = 0;

	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, five_children, &body_sleeps, .task = &task) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_task_cancel(task));
	HOLDS(weft_task_wait(task, &rc) == 0 && rc == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, 0) == 0);
}

TaskTest(group, GR07_a_cancel_from_outside_reaches_body_and_children)
{
	(void)arg;
	cancelled_from_outside(1);
	return 0;
}

/* GR-8. */
TaskTest(group, GR08_a_cancel_while_joining_cancels_and_joins_on)
{
	(void)arg;
	cancelled_from_outside(0);
	return 0;
}

/* GR-1. */
TaskTest(group, GR09_close_waits_for_the_cleaning_up)
{
	struct child c = { .time = WEFT_SEC(10), .cleanup = WEFT_MS(500) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &c) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&g, WEFT_ECANCELED) == 0);
	HOLDS(c.done && weft_now() == began + WEFT_MS(500));
	return 0;
}

TaskTest(group, GR10_a_crash_outside_ends_the_join_of_an_inner_group)
{
	struct child bad = { .time = WEFT_MS(100), .rc = WEFT_EIO };
	struct child inner_child = { .time = WEFT_SEC(10) };
	struct weft_group outer, inner;

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_spawn(&outer, child, &bad) == 0);
	HOLDS(weft_group_open(&inner) == 0);
	HOLDS(weft_spawn(&inner, child, &inner_child) == 0);
	int rc = weft_group_close(&inner, 0);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(inner_child.saw == WEFT_ECANCELED);
	HOLDS(weft_group_close(&outer, rc) == WEFT_EIO);
	return 0;
}

TaskTest(group, GR10_a_crash_inside_is_the_result_of_the_inner_group)
{
	struct child bad = { .time = WEFT_MS(100), .rc = WEFT_EIO };
	struct child outer_child = { .time = WEFT_SEC(10) };
	struct weft_group outer, inner;

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_spawn(&outer, child, &outer_child) == 0);
	HOLDS(weft_group_open(&inner) == 0);
	HOLDS(weft_spawn(&inner, child, &bad) == 0);
	int rc = weft_group_close(&inner, 0);
	HOLDS(rc == WEFT_EIO);
	HOLDS(weft_group_close(&outer, rc) == WEFT_EIO);
	HOLDS(outer_child.saw == WEFT_ECANCELED);
	return 0;
}

/* GR-6. */
TaskTest(group, GR11_while_it_closes_a_child_may_spawn_and_afterwards_nobody)
{
	struct weft_group g;
	struct child late = { .time = WEFT_MS(10) };
	struct spawner s = { &g, &late, WEFT_MS(5), 1 };

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, spawns, &s) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(s.rc == 0 && late.done);
	HOLDS(weft_spawn(&g, child, &late) == WEFT_ECLOSED);
	HOLDS(weft_group_close(&g, 0) == WEFT_EINVAL);
	return 0;
}

static uint32_t dropped;

static void drop(void *arg)
{
	(void)arg;
	add_seqcst(&dropped, 1);
}

TaskTest(group, GR12_unless_cancelled_does_not_start_in_a_cancelled_group)
{
	struct child a = { 0 }, b = { 0 };
	struct weft_group g;

	(void)arg;
	dropped = 0;
	HOLDS(weft_group_open(&g) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_spawn(&g, child, &a, .unless_cancelled = true, .drop = drop) == WEFT_ECANCELED);
	HOLDS(dropped == 1);
	HOLDS(weft_spawn(&g, child, &b, .drop = drop) == 0); /* GR-5: starts, and sees it */
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(!a.done && b.done && b.saw == WEFT_ECANCELED);
	HOLDS(dropped == 1);
	return 0;
}

static int spawns_unless_cancelled(void *arg)
{
	static struct child late;

	return weft_spawn(arg, child, &late, .unless_cancelled = true, .drop = drop);
}

static int spawns_in_a_shield(void *arg)
{
	HOLDS(weft_shield(spawns_unless_cancelled, arg, WEFT_NEVER) == WEFT_ECANCELED);
	return 0;
}

TaskTest(group, GR12_unless_cancelled_holds_while_it_waits_for_room)
{
	struct weft_group g;

	(void)arg;
	dropped = 0;
	HOLDS(weft_group_open(&g, .limit = 2) == 0);
	HOLDS(weft_spawn(&g, sleeps_forever, NULL) == 0);
	HOLDS(weft_spawn(&g, spawns_in_a_shield, &g) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	weft_group_cancel(&g); /* the sleeper ends: there is room */
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(dropped == 1);
	return 0;
}

/* GR-8. */
TaskTest(group, GR13_closing_an_empty_group_is_a_cancellation_point)
{
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_group_close(&g, 5) == 5);

	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_group_open(&g) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_group_close(&g, 0) == WEFT_ECANCELED);
	HOLDS(weft_group_open(&g) == WEFT_ECANCELED);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

static int closes_anothers(void *arg)
{
	static struct child c; /* it outlives this task */

	c = (struct child){ 0 };
	HOLDS(weft_group_close(arg, 0) == WEFT_EPERM);
	HOLDS(weft_group_wait(arg) == WEFT_EPERM);
	HOLDS(weft_group_next(arg, NULL, NULL) == WEFT_EPERM);
	HOLDS(weft_spawn(arg, child, &c) == 0);
	return 0;
}

static int spawns_from_outside(void *arg)
{
	struct child c = { 0 };

	HOLDS(weft_spawn(arg, child, &c) == WEFT_EPERM);
	return 0;
}

/* GR-6, GR-7. */
TaskTest(group, GR14_only_the_owner_closes_and_only_those_inside_spawn)
{
	struct weft_group outer, g;
	struct child c = { .time = 1 };

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_group_open(&g, .keep = true) == 0);
	HOLDS(weft_spawn(&outer, spawns_from_outside, &g) == 0);
	HOLDS(weft_spawn(&g, child, &c) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(c.done);
	HOLDS(weft_group_close(&outer, 0) == 0);
	return 0;
}

/* GR-7. */
TaskTest(group, GR14_a_child_may_not_close)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g, .keep = true) == 0);
	HOLDS(weft_spawn(&g, closes_anothers, &g) == 0);
	return weft_group_close(&g, 0);
}

/* GR-7, CO-7. */
TaskTest(group, GR15_closing_an_outer_group_closes_what_is_open_inside)
{
	struct weft_group outer, inner;
	struct weft_scope between;
	struct child a = { .time = WEFT_SEC(10) }, b = a;

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_spawn(&outer, child, &a) == 0);
	HOLDS(weft_scope_enter(&between) == 0);
	HOLDS(weft_group_open(&inner) == 0);
	HOLDS(weft_spawn(&inner, child, &b) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_group_close(&outer, 0) == WEFT_EINVAL);
	HOLDS(a.done && a.saw == WEFT_ECANCELED);
	HOLDS(b.done && b.saw == WEFT_ECANCELED);
	HOLDS(weft_group_close(&inner, 0) == WEFT_EINVAL);
	HOLDS(weft_scope_leave(&between, 0) == WEFT_EINVAL);
	return weft_checkpoint();
}

/* GR-9. */
TaskTest(group, GR16_in_a_supervisor_group_an_error_is_nobody_elses)
{
	struct child bad = { .rc = WEFT_EIO }, good = { .time = WEFT_SEC(1) };
	struct weft_failure failure;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g, .supervisor = true, .failures = &failure, .max_failures = 1) ==
	      0);
	HOLDS(weft_spawn(&g, child, &bad) == 0);
	HOLDS(weft_spawn(&g, child, &good) == 0);
	HOLDS(weft_sleep(WEFT_MS(100)) == 0);
	HOLDS(weft_group_failures(&g) == 1);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(failure.rc == WEFT_EIO);
	HOLDS(good.done && good.saw == 0);
	return 0;
}

/* GR-9. */
TaskTest(group, GR16_a_cancel_reaches_all_of_a_supervisor_group)
{
	struct child c[3];
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_group_open(&g, .supervisor = true) == 0);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct child){ .time = WEFT_SEC(1) };
		HOLDS(weft_spawn(&g, child, &c[i]) == 0);
	}
	int rc = weft_group_close(&g, 0);
	HOLDS(rc == WEFT_ECANCELED);
	for (int i = 0; i < 3; i++)
		HOLDS(c[i].saw == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	return 0;
}

/* GR-3: an error beats a cancel. */
TaskTest(group, GR17_an_error_of_the_body_beats_its_cancel)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g, .supervisor = true) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&g, WEFT_EIO) == WEFT_EIO);

	HOLDS(weft_group_open(&g) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&g, weft_checkpoint()) == 0);
	return 0;
}

static uint32_t active, most_active, started;

static int limited(void *arg)
{
	uint32_t now = add_seqcst(&active, 1) + 1;
	uint32_t most = load_relaxed(&most_active);

	(void)arg;
	add_seqcst(&started, 1);
	while (now > most && !cas_seqcst(&most_active, most, now))
		most = load_relaxed(&most_active);
	int rc = weft_sleep(WEFT_MS(1));
	add_seqcst(&active, (uint32_t)-1);
	return rc;
}

TaskTest(group, GR18_no_more_than_the_limit_run_at_once)
{
	struct weft_group g;

	(void)arg;
	active = most_active = started = 0;
	HOLDS(weft_group_open(&g, .limit = 10) == 0);
	for (int i = 0; i < 1024; i++)
		HOLDS(weft_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(started == 1024 && most_active == 10);
	return 0;
}

TaskTest(group, GR18_try_spawn_does_not_wait)
{
	struct weft_group g;

	(void)arg;
	started = 0;
	HOLDS(weft_group_open(&g, .limit = 2) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == WEFT_EAGAIN);
	HOLDS(weft_sleep(WEFT_MS(2)) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(started == 3);

	HOLDS(weft_group_open(&g, .closed = true) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == WEFT_EAGAIN);
	HOLDS(weft_group_set_limit(&g, 1) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	return weft_group_close(&g, 0);
}

struct order {
	struct weft_group *g;
	uint32_t *next;
	uint32_t place;
	int rc;
};

static int takes_place(void *arg)
{
	struct order *me = arg;

	me->place = add_seqcst(me->next, 1);
	return weft_sleep(WEFT_MS(1));
}

static int spawns_one(void *arg)
{
	struct order *me = arg;

	me->rc = weft_spawn(me->g, takes_place, me);
	return 0;
}

TaskTest(group, GR18_room_is_given_first_come_first_served)
{
	struct weft_group outer, g;
	struct order o[5];
	uint32_t next = 0;

	(void)arg;
	HOLDS(weft_group_open(&g, .closed = true) == 0);
	HOLDS(weft_group_open(&outer) == 0);
	for (int i = 0; i < 5; i++) {
		o[i] = (struct order){ &g, &next, 0, 1 };
		HOLDS(weft_spawn(&outer, spawns_one, &o[i]) == 0);
		HOLDS(weft_wait_all_blocked() == 0);
	}
	HOLDS(weft_group_set_limit(&g, 1) == 0);
	HOLDS(weft_group_close(&outer, 0) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	for (uint32_t i = 0; i < 5; i++)
		HOLDS(o[i].rc == 0 && o[i].place == i);
	return 0;
}

TaskTest(group, GR18_who_waits_for_room_is_cancelled_with_the_group)
{
	struct weft_group outer, g;
	struct order o[3];
	uint32_t next = 0;

	(void)arg;
	HOLDS(weft_group_open(&g, .closed = true) == 0);
	HOLDS(weft_group_open(&outer) == 0);
	for (int i = 0; i < 3; i++) {
		o[i] = (struct order){ &g, &next, 0, 1 };
		HOLDS(weft_spawn(&outer, spawns_one, &o[i]) == 0);
	}
	HOLDS(weft_wait_all_blocked() == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&outer, 0) == WEFT_ECANCELED);
	for (int i = 0; i < 3; i++)
		HOLDS(o[i].rc == WEFT_ECANCELED);
	HOLDS(next == 0);
	return weft_group_close(&g, WEFT_ECANCELED);
}

TaskTest(group, GR18_a_limit_is_lifted_and_set_again)
{
	struct weft_group g;

	(void)arg;
	active = most_active = started = 0;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 5; i++)
		HOLDS(weft_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_group_set_limit(&g, 2) == 0); /* of those that come from now on */
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == WEFT_EAGAIN);
	HOLDS(weft_group_set_limit(&g, SIZE_MAX) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(weft_group_set_limit(&g, 1) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == 0);
	HOLDS(weft_try_spawn(&g, limited, NULL) == WEFT_EAGAIN);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(started == 9);
	return 0;
}

static int run_codes(const int *codes, size_t n)
{
	struct child c[3];
	struct weft_group g;

	HOLDS(weft_group_open(&g) == 0);
	for (size_t i = 0; i < n; i++) {
		c[i] = (struct child){ .time = (int64_t)i, .rc = codes[i] };
		HOLDS(weft_spawn(&g, child, &c[i]) == 0);
	}
	return weft_group_close(&g, 0);
}

/* GR-3. */
TaskTest(group, GR19_close_returns_the_first_error_or_0)
{
	static const int codes[] = { WEFT_EIO, 0, WEFT_EINTR };

	(void)arg;
	HOLDS(run_codes(NULL, 0) == 0);
	HOLDS(run_codes(&codes[1], 1) == 0);
	HOLDS(run_codes(codes, 1) == WEFT_EIO);
	HOLDS(run_codes(codes, 3) == WEFT_EIO);
	return 0;
}

static int sets(void *arg)
{
	store_release((uint32_t *)arg, 1);
	return 0;
}

/* With one worker, what is ready runs when somebody gives way.  Closing a group that had
 * children does not, beyond what waiting for them takes. */
static int closes_an_empty_group_often(void *arg)
{
	struct weft_group outer, g;
	uint32_t ran[8] = { 0 };

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	for (size_t i = 0; i < COUNT_OF(ran); i++) {
		HOLDS(weft_spawn(&outer, sets, &ran[i]) == 0);
		HOLDS(weft_group_open(&g) == 0);
		HOLDS(ran[i] == 0);
		HOLDS(weft_group_close(&g, 0) == 0);
		HOLDS(ran[i] == 1);
	}
	return weft_group_close(&outer, 0);
}

/* GR-8. */
Test(group, GR13_closing_an_empty_group_gives_way_once)
{
	cr_expect(eq(int, go(closes_an_empty_group_often, NULL), 0));
}

static int closes_an_empty_group_when_cancelled(void *arg)
{
	struct weft_group outer, g;
	uint32_t ran = 0;

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&outer, sets, &ran) == 0);
	weft_group_cancel(&outer);
	HOLDS(weft_group_close(&g, 0) == WEFT_ECANCELED);
	HOLDS(ran == 0);
	return weft_group_close(&outer, 0);
}

Test(group, GR13_and_when_cancelled_it_returns_at_once)
{
	cr_expect(eq(int, go(closes_an_empty_group_when_cancelled, NULL), 0));
}

static int notes_reason(void *arg)
{
	int rc = weft_sleep_forever();

	*(struct weft_reason *)arg = weft_cancel_reason();
	return rc;
}

TaskTest(group, GR20_siblings_see_the_first_error_as_the_cause)
{
	struct child bad = { .rc = WEFT_EIO }, good = { 0 };
	struct weft_reason reason = { 0 };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, notes_reason, &reason) == 0);
	HOLDS(weft_spawn(&g, child, &bad) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(reason.kind == WEFT_REASON_SIBLING && reason.code == WEFT_EIO);

	/* Nobody is left to see the cause of a group that has ended well: there is none. */
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &good) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(!weft_scope_cancel_called(weft_group_scope(&g)));
	HOLDS(weft_scope_reason(weft_group_scope(&g)).kind == WEFT_REASON_NONE);
	return 0;
}

TaskTest(group, GR23_a_daemon_ends_with_the_other_children)
{
	struct child daemon = { .time = WEFT_SEC(100) }, normal = { .time = WEFT_SEC(1) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &daemon, .daemon = true) == 0);
	HOLDS(weft_spawn(&g, child, &normal) == 0);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(!load_acquire(&daemon.done) && weft_group_size(&g) == 1);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(daemon.done && daemon.saw == WEFT_ECANCELED);
	HOLDS(weft_now() == began + WEFT_SEC(1));
	return 0;
}

TaskTest(group, GR23_an_error_of_a_daemon_fails_the_group)
{
	struct child daemon = { .time = WEFT_MS(1), .rc = WEFT_EIO };
	struct child normal = { .time = WEFT_SEC(1) };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &daemon, .daemon = true) == 0);
	HOLDS(weft_spawn(&g, child, &normal) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(normal.saw == WEFT_ECANCELED);
	return 0;
}

static int uses_service(void *arg)
{
	struct child *service = arg;

	HOLDS(weft_sleep_forever() == WEFT_ECANCELED);
	int64_t cleanup = WEFT_MS(20);
	HOLDS(weft_shield(sleeps, &cleanup, WEFT_NEVER) == 0);
	HOLDS(!load_acquire(&service->done)); /* it is still there while we clean up */
	return WEFT_ECANCELED;
}

TaskTest(group, GR12_a_service_outlives_a_cancel_until_the_body_and_the_others_are_done)
{
	struct child service = { .time = WEFT_SEC(100) };
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g, .timeout = WEFT_MS(100)) == 0);
	HOLDS(weft_spawn(&g, child, &service, .service = true) == 0);
	HOLDS(weft_spawn(&g, uses_service, &service) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_ETIMEDOUT);
	HOLDS(service.done && service.saw == WEFT_ECANCELED);
	HOLDS(service.ended == began + WEFT_MS(120));
	return 0;
}

struct late_daemon {
	struct weft_group *g;
	struct child child;
	int rc;
};

/* A daemon that starts another one when it is told to end. */
static int spawns_daemon(void *arg)
{
	struct late_daemon *me = arg;
	int rc = weft_sleep_forever();

	me->rc = weft_spawn(me->g, child, &me->child, .daemon = true);
	return rc;
}

TaskTest(group, GR12_a_daemon_that_comes_too_late_is_told_to_end_or_refused)
{
	struct weft_group g;
	struct late_daemon late = { .g = &g, .child.time = WEFT_SEC(100) };
	int64_t began = weft_now();

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, spawns_daemon, &late, .daemon = true) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(late.rc == WEFT_ECLOSED || late.child.saw == WEFT_ECANCELED);
	HOLDS(weft_now() == began);
	return 0;
}

TaskTest(group, GR24_a_join_can_be_timed_and_the_group_goes_on)
{
	struct child c = { .time = WEFT_SEC(1) };
	struct weft_scope s;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(weft_spawn(&g, child, &c) == 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(50)) == 0);
	HOLDS(weft_scope_leave(&s, weft_group_wait(&g)) == WEFT_ETIMEDOUT);
	HOLDS(!load_acquire(&c.done) && weft_group_size(&g) == 1);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(c.done && c.saw == 0);
	c = (struct child){ .time = WEFT_SEC(1) };
	HOLDS(weft_spawn(&g, child, &c) == 0);
	weft_group_cancel(&g);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(c.saw == WEFT_ECANCELED);
	return 0;
}

TaskTest(group, GR25_close_whatever_the_children_do)
{
	struct child a = { 0 }, b = { .time = WEFT_SEC(1) }, c = b;
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &a) == 0); /* has not started */
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &a) == 0);
	HOLDS(weft_wait_all_blocked() == 0); /* has ended */
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &b) == 0);
	HOLDS(weft_spawn(&g, child, &c) == 0);
	HOLDS(weft_wait_all_blocked() == 0); /* two sleep */
	HOLDS(weft_group_close(&g, WEFT_EIO) == WEFT_EIO);
	HOLDS(b.saw == WEFT_ECANCELED && c.saw == WEFT_ECANCELED);
	return 0;
}

TaskTest(group, GR26_results_lie_where_the_caller_put_them)
{
	static struct child c[100];
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 100; i++) {
		c[i] = (struct child){ .time = WEFT_MS(1 + i * 37 % 100) };
		HOLDS(weft_spawn(&g, child, &c[i]) == 0);
	}
	int64_t began = weft_now();
	HOLDS(weft_group_close(&g, 0) == 0);
	for (int i = 0; i < 100; i++)
		HOLDS(c[i].ended == began + c[i].time);
	return 0;
}

TaskTest(group, GR27_a_crash_wakes_the_body_from_whatever_it_waits_for)
{
	struct child bad = { .time = WEFT_MS(10), .rc = WEFT_EIO }, other = { .time = WEFT_SEC(1) };
	struct weft_group outer, g;
	struct weft_task task;

	(void)arg;
	HOLDS(weft_group_open(&outer) == 0);
	HOLDS(weft_spawn(&outer, child, &other, .task = &task) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, child, &bad) == 0);
	int rc = weft_task_wait(task, NULL);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, rc) == WEFT_EIO);
	HOLDS(weft_group_close(&outer, 0) == 0);
	HOLDS(other.saw == 0);
	return 0;
}

static uint32_t counted;

static int counts(void *arg)
{
	(void)arg;
	add_seqcst(&counted, 1);
	return 0;
}

static int hundred_thousand(void *arg)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 100000; i++)
		HOLDS(weft_spawn(&g, counts, NULL) == 0);
	return weft_group_close(&g, 0);
}

/* Records are kept until the runtime ends, and used again. */
TaskTest(group, GR28_a_hundred_thousand_children)
{
	struct weft__records *records = &weft__worker_self()->runtime->async->records;

	(void)arg;
	counted = 0;
	HOLDS(hundred_thousand(NULL) == 0);
	uint32_t blocks = records->blocks;
	int64_t live = weft__alloc_live();
	/* The body may move to a worker whose queue of ready jobs has not grown yet; a ring of
	 * 128 Ki jobs and all before it are 2 MiB. */
	int64_t rings = go_workers > 1 ? (int64_t)go_workers << 21 : 0;
	for (int i = 0; i < 3; i++)
		HOLDS(hundred_thousand(NULL) == 0);
	HOLDS(counted == 400000);
	HOLDS(blocks <= 100000 / WEFT__RECORD_BLOCK + 1 + go_workers);
	HOLDS(records->blocks <= 100000 / WEFT__RECORD_BLOCK + 1 + go_workers);
	HOLDS(records->blocks != blocks || weft__alloc_live() <= live + 65536 + rings);
	return 0;
}

/* --- one by one ---------------------------------------------------------- */

TaskTest(group, GR13_next_gives_children_in_order_of_their_end)
{
	struct child c[4];
	struct weft_task tasks[4], task;
	struct weft_group g;
	int rc;

	(void)arg;
	HOLDS(weft_group_open(&g, .keep = true, .supervisor = true) == 0);
	HOLDS(weft_group_next(&g, NULL, NULL) == 0);
	for (int i = 0; i < 4; i++) {
		c[i] = (struct child){ .time = WEFT_MS(40 - 10 * i), .rc = i % 2 ? WEFT_EIO : i };
		HOLDS(weft_spawn(&g, child, &c[i], .task = &tasks[i]) == 0);
	}
	for (int i = 3; i >= 0; i--) {
		HOLDS(weft_group_next(&g, &task, &rc) == 1);
		HOLDS(rc == c[i].rc);
		HOLDS(task.slot == tasks[i].slot && task.generation == tasks[i].generation);
		HOLDS(weft_task_state(task) == (rc < 0 ? WEFT_TASK_FAILED : WEFT_TASK_DONE));
	}
	HOLDS(weft_group_next(&g, &task, &rc) == 0);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	return 0;
}

TaskTest(group, GR13_next_is_cancelled_and_loses_nobody)
{
	struct child c = { .time = WEFT_SEC(1), .rc = 7 };
	struct weft_scope s;
	struct weft_group g;
	int rc = 0;

	(void)arg;
	HOLDS(weft_group_open(&g, .keep = true) == 0);
	HOLDS(weft_spawn(&g, child, &c) == 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_scope_leave(&s, weft_group_next(&g, NULL, &rc)) == WEFT_ETIMEDOUT);
	HOLDS(weft_group_next(&g, NULL, &rc) == 1 && rc == 7);
	return weft_group_close(&g, 0);
}

/* --- misuse, and what runs out ------------------------------------------- */

Test(group, groups_are_for_tasks)
{
	struct weft_group g;

	cr_assert(eq(int, weft_group_open(&g), WEFT_ENOTASK));
	cr_assert(eq(int, weft_group_open_opt(NULL, NULL), WEFT_EINVAL));
	cr_assert(eq(int, weft_spawn_detached(counts, NULL, .drop = drop), WEFT_ENOTASK));
	cr_assert(eq(u32, dropped, 1));
	cr_assert(eq(int, weft_start(&g, counts, NULL, NULL, .drop = drop), WEFT_ENOTASK));
	cr_assert(eq(u32, dropped, 2));
	cr_assert(eq(int, weft_ready(NULL), WEFT_ENOTASK));
}

TaskTest(group, a_spawn_without_memory_changes_nothing)
{
	struct weft_group g;
	int failed = 0, spawned = 0;

	(void)arg;
	counted = dropped = 0;
	HOLDS(weft_group_open(&g, .limit = 5000) == 0);
	weft__alloc_fail_from(1);
	while (!failed && spawned < 4000) {
		int rc = weft_spawn(&g, counts, NULL, .drop = drop);
		failed += rc == WEFT_ENOMEM;
		spawned += rc == 0;
	}
	weft__alloc_fail_at(0);
	HOLDS(failed == 1 && dropped == 1);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(counted == (uint32_t)spawned);
	HOLDS(weft__group_of(&g)->running == 0);
	HOLDS(weft_spawn(&g, counts, NULL) == 0);
	return weft_group_close(&g, 0);
}

TaskTest(group, a_detached_task_runs_and_ends_with_the_runtime)
{
	(void)arg;
	counted = 0;
	HOLDS(weft_spawn_detached(counts, NULL) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(load_acquire(&counted) == 1);
	HOLDS(weft_spawn_detached(counts, NULL, .daemon = true) == WEFT_EINVAL);
	return 0;
}

TaskTest(group, GR13_next_tells_of_no_daemon)
{
	struct weft_group g;
	int rc = -1;

	(void)arg;
	HOLDS(weft_group_open(&g, .keep = true) == 0);
	HOLDS(weft_spawn(&g, sleeps_forever, NULL, .daemon = true) == 0);
	HOLDS(weft_spawn(&g, returns, &(int){ 7 }) == 0);
	HOLDS(weft_group_next(&g, NULL, &rc) == 1 && rc == 7);
	HOLDS(weft_group_next(&g, NULL, &rc) == 0);
	return weft_group_close(&g, 0);
}
