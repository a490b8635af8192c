/* SPDX-License-Identifier: MIT */
/*
 * test_handle.c - handles of tasks: asking, waiting, cancelling, forgetting
 */
#include <string.h>

#include "async/async.h"
#include "support/virtual.h"

TestSuite(handle, .timeout = 60);

static bool same(struct weft_task a, struct weft_task b)
{
	return a.slot == b.slot && a.generation == b.generation;
}

TaskTest(handle, states_follow_the_life_of_a_task)
{
	struct weft_group g;
	struct weft_task done, failed, cancelled, pending;
	int good = 3, bad = WEFT_EIO, rc = 1;
	int64_t time = WEFT_SEC(1);

	(void)arg;
	HOLDS(weft_group_open(&g, .supervisor = true) == 0);
	HOLDS(weft_spawn(&g, returns, &good, .task = &done) == 0);
	HOLDS(weft_spawn(&g, returns, &bad, .task = &failed) == 0);
	HOLDS(weft_spawn(&g, sleeps, &time, .task = &cancelled) == 0);
	if (go_workers == 1)
		HOLDS(weft_task_state(done) == WEFT_TASK_PENDING);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_task_state(done) == WEFT_TASK_DONE);
	HOLDS(weft_task_result(done, &rc) == 0 && rc == 3);
	HOLDS(weft_task_state(failed) == WEFT_TASK_FAILED);
	HOLDS(weft_task_result(failed, &rc) == 0 && rc == WEFT_EIO);
	HOLDS(weft_task_state(cancelled) == WEFT_TASK_RUNNING);
	HOLDS(weft_task_result(cancelled, &rc) == WEFT_EAGAIN);
	HOLDS(weft_task_cancel(cancelled));
	HOLDS(!weft_task_cancel(cancelled));
	HOLDS(weft_task_wait(cancelled, &rc) == 0 && rc == WEFT_ECANCELED);
	HOLDS(weft_task_state(cancelled) == WEFT_TASK_CANCELLED);
	HOLDS(!weft_task_cancel(done));

	memset(&pending, 0, sizeof pending);
	HOLDS(weft_task_state(pending) == WEFT_TASK_UNKNOWN);
	HOLDS(weft_task_result(pending, &rc) == WEFT_EINVAL);
	HOLDS(weft_task_wait(pending, &rc) == WEFT_EINVAL);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(weft_task_state(done) == WEFT_TASK_UNKNOWN);
	return 0;
}

static int waits_for(void *arg)
{
	struct weft_task *task = arg;
	int rc = 0;

	int error = weft_task_wait(*task, &rc);
	return error ? error : rc;
}

static int waits_for_itself(void *arg)
{
	struct weft_task me = weft_task_self();

	(void)arg;
	HOLDS(me.generation != 0);
	HOLDS(same(me, weft_task_self()));
	HOLDS(weft_task_state(me) == WEFT_TASK_RUNNING);
	HOLDS(weft_task_wait(me, NULL) == WEFT_EDEADLK);
	HOLDS(strcmp(weft_task_self_name(), "narcissus") == 0);
	return 0;
}

TaskTest(handle, nobody_waits_for_himself)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_task_self().generation == 0);
	HOLDS(weft_task_self_name() == NULL);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, waits_for_itself, NULL, .name = "narcissus") == 0);
	return weft_group_close(&g, 0);
}

TaskTest(handle, a_cancelled_wait_leaves_the_task_running)
{
	struct weft_group g;
	struct weft_scope s;
	struct weft_task task;
	int64_t time = WEFT_SEC(1);
	int rc = 1;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sleeps, &time, .task = &task) == 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(10)) == 0);
	HOLDS(weft_scope_leave(&s, weft_task_wait(task, &rc)) == WEFT_ETIMEDOUT);
	HOLDS(rc == 1);
	HOLDS(weft_task_state(task) == WEFT_TASK_RUNNING);
	HOLDS(weft_task_wait(task, &rc) == 0 && rc == 0);
	return weft_group_close(&g, 0);
}

/* The group is closed, and the record gone, before those who waited get to run. */
TaskTest(handle, many_wait_for_one_and_have_its_result_although_its_group_is_gone)
{
	struct weft_group g, waiters;
	struct weft_task task, w[5];
	int seven = 7, rc;

	(void)arg;
	HOLDS(weft_group_open(&waiters, .supervisor = true) == 0);
	HOLDS(weft_group_open(&g, .closed = true) == 0);
	HOLDS(weft_group_set_limit(&g, 1) == 0);
	HOLDS(weft_spawn(&g, returns, &seven, .task = &task) == 0);
	for (int i = 0; i < 5; i++)
		HOLDS(weft_spawn(&waiters, waits_for, &task, .task = &w[i]) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	for (int i = 0; i < 5; i++) {
		HOLDS(weft_task_wait(w[i], &rc) == 0);
		HOLDS(rc == 7 || rc == WEFT_EINVAL); /* it came too late to wait */
	}
	weft_group_close(&waiters, 0);
	return 0;
}

static int is_parked_for(void *arg)
{
	int64_t time = WEFT_MS(1);

	(void)arg;
	return sleeps(&time) ? WEFT_EIO : 7;
}

TaskTest(handle, a_wait_that_was_granted_has_the_result)
{
	struct weft_group g, waiters;
	struct weft_task task, w[5];
	int rc;

	(void)arg;
	HOLDS(weft_group_open(&waiters) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, is_parked_for, NULL, .task = &task) == 0);
	for (int i = 0; i < 5; i++)
		HOLDS(weft_spawn(&waiters, waits_for, &task, .task = &w[i]) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(weft_task_state(task) == WEFT_TASK_UNKNOWN);
	for (int i = 0; i < 5; i++)
		HOLDS(weft_task_wait(w[i], &rc) == 0 && rc == 7);
	return weft_group_close(&waiters, 0);
}

TaskTest(handle, a_forgotten_task_gives_its_record_back)
{
	struct weft_group g;
	struct weft_task running, ended, again;
	int64_t time = WEFT_SEC(1);
	int rc = 0;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, returns, &rc, .task = &ended) == 0);
	HOLDS(weft_spawn(&g, sleeps, &time, .task = &running) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	weft_task_forget(ended);
	HOLDS(weft_task_state(ended) == WEFT_TASK_UNKNOWN);
	weft_task_forget(ended);
	if (go_workers == 1) {
		HOLDS(weft_spawn(&g, returns, &rc, .task = &again) == 0);
		HOLDS(again.slot == ended.slot && again.generation != ended.generation);
	}
	weft_task_forget(running);
	HOLDS(weft_task_state(running) == WEFT_TASK_RUNNING);
	HOLDS(weft_group_wait(&g) == 0);
	HOLDS(weft_task_state(running) == WEFT_TASK_UNKNOWN);
	return weft_group_close(&g, 0);
}

static int returns_at_once(void *arg)
{
	(void)arg;
	return 0;
}

/* The node of a task that has not waited is in no list, and the cancel queues it all
 * the same. */
TaskTest(handle, a_task_may_be_cancelled_before_it_starts)
{
	struct weft_group g;
	struct weft_task task[200];
	int64_t time = WEFT_SEC(1);
	int rc = 0;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 200; i++) {
		weft_fn *fn = i % 2 ? sleeps : returns_at_once;
		HOLDS(weft_spawn(&g, fn, &time, .task = &task[i]) == 0);
		weft_task_cancel(task[i]);
	}
	HOLDS(weft_group_wait(&g) == 0);
	for (int i = 1; i < 200; i += 2) {
		HOLDS(weft_task_result(task[i], &rc) == 0);
		HOLDS(rc == WEFT_ECANCELED);
	}
	return weft_group_close(&g, 0);
}

static int leaves_a_handle(void *arg)
{
	struct weft_group g;
	int zero = 0;
	int rc = weft_group_open(&g);

	if (rc == 0)
		rc = weft_spawn(&g, returns, &zero, .task = arg);
	return weft_group_close(&g, rc);
}

/* The first task of this runtime has the record that the first one of the last had. */
static int is_not_meant(void *arg)
{
	const struct weft_task *old = arg;
	struct weft_task own = weft_task_self();

	HOLDS(own.generation != old->generation);
	HOLDS(weft_task_state(*old) == WEFT_TASK_UNKNOWN);
	HOLDS(!weft_task_cancel(*old));
	HOLDS(weft_check() == 0);
	return 0;
}

static int spawns_one_that_is_not_meant(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc == 0)
		rc = weft_spawn(&g, is_not_meant, arg);
	return weft_group_close(&g, rc);
}

Test(handle, one_from_before_a_restart_names_nobody)
{
	struct weft_task old[20];

	for (int i = 0; i < 20; i++) {
		cr_assert(eq(int, weft_run_sync(leaves_a_handle, &old[i]), 0));
		cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
		for (int k = 0; k <= i; k++)
			cr_assert(eq(int, weft_run_sync(spawns_one_that_is_not_meant, &old[k]), 0));
		cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	}
	cr_assert(broken_count == 0, "line %d: not true: %s", broken_line, broken);
}

Test(handle, a_plain_thread_may_ask_and_may_not_wait)
{
	struct weft_task none = { 5, 1 };

	cr_assert(eq(int, weft_task_state(none), WEFT_TASK_UNKNOWN));
	cr_assert(not(weft_task_cancel(none)));
	cr_assert(eq(int, weft_task_wait(none, NULL), WEFT_ENOTASK));
	weft_task_forget(none);
}

/* --- a record that is gone before the waiter runs --------------------------------- */

static struct weft_task brief;

static int returns_seven(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(5)) ? -1 : 7;
}

static int forgets_it(void *arg)
{
	int rc = 0;

	(void)arg;
	HOLDS(weft_task_wait(brief, &rc) == 0 && rc == 7);
	weft_task_forget(brief);
	return 0;
}

static int waits_for_any(void *arg)
{
	struct weft_task two[] = { *(struct weft_task *)arg, brief };
	size_t which = 9;
	int rc = 0;

	HOLDS(weft_wait_any(two, 2, &which, &rc) == 0);
	HOLDS(which == 1 && rc == 7);
	return 0;
}

TaskTest(handle, wait_any_has_the_result_of_a_task_whose_record_is_gone)
{
	struct weft_group g;
	struct weft_task other;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sleeps, &(int64_t){ WEFT_SEC(1) }, .task = &other) == 0);
	HOLDS(weft_spawn(&g, returns_seven, NULL, .task = &brief) == 0);
	HOLDS(weft_spawn(&g, forgets_it, NULL) == 0);
	HOLDS(weft_spawn(&g, waits_for_any, &other) == 0);
	return weft_group_close(&g, 0);
}
