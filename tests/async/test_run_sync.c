/* SPDX-License-Identifier: MIT */
/*
 * test_run_sync.c - run_sync from everywhere, settings, shutdown, fork()
 */
#include <sys/wait.h>
#include <unistd.h>

#include "async/config.h"
#include "support/virtual.h"

TestSuite(run_sync, .timeout = 60);

static int seven(void *arg)
{
	(void)arg;
	return 7;
}

/* IN-1 (a): from a plain thread. */
Test(run_sync, IN01_run_sync_starts_the_runtime_again_after_a_shutdown)
{
	cr_assert(eq(int, weft_run_sync(seven, NULL), 7));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, weft_run_sync(seven, NULL), 7));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

static int nested(void *arg)
{
	int *depth = arg;

	HOLDS(weft_sleep(WEFT_MS(10)) == 0);
	if (--*depth == 0)
		return 7;
	int rc = weft_run_sync(nested, arg);
	HOLDS(weft_sleep(WEFT_MS(10)) == 0);
	return rc;
}

/* IN-1 (b): on the same task. */
VirtualTest(run_sync, IN02_run_sync_three_levels_deep)
{
	int depth = 3;

	cr_assert(eq(int, go(nested, &depth), 7));
}

struct event {
	struct weft_token token;
	uint32_t waiting;
};

static int waits_for_b(void *arg)
{
	struct event *e = arg;
	struct weft_scope s;

	HOLDS(weft_scope_enter(&s) == 0);
	HOLDS(weft_scope_token(&s, &e->token) == 0);
	store_release(&e->waiting, 1);
	return weft_scope_leave(&s, weft_sleep_forever());
}

static int task_a(void *arg)
{
	return weft_run_sync(waits_for_b, arg);
}

static int task_b(void *arg)
{
	struct event *e = arg;

	while (!load_acquire(&e->waiting))
		weft_yield();
	HOLDS(weft_token_cancel(e->token));
	return 0;
}

/* IN-1 (b). */
TaskTest(run_sync, IN03_a_task_in_run_sync_does_not_hold_its_worker)
{
	struct event e = { 0 };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, task_a, &e) == 0);
	HOLDS(weft_spawn(&g, task_b, &e) == 0);
	return weft_group_close(&g, 0);
}

static int asks_settings(void *arg)
{
	(void)arg;
	HOLDS(weft__config_pool_size(weft__strand_self()) == 3);
	HOLDS(weft__config_timeout(weft__strand_self()) == WEFT_MS(100));
	HOLDS(weft__config_shield_limit() == WEFT_SEC(2));
	return 0;
}

Test(run_sync, CF01_settings_reach_the_calls_and_a_bad_one_changes_nothing)
{
	cr_assert(eq(int,
		     weft_configure(.workers = 2, .default_pool_size = 3,
				    .default_timeout = WEFT_MS(100), .shield_limit = WEFT_SEC(2)),
		     0));
	cr_assert(eq(int, weft_configure(.workers = 5000, .default_pool_size = 9), WEFT_EINVAL));
	cr_assert(eq(int, weft_configure(.stack_size = 1, .default_pool_size = 9), WEFT_EINVAL));
	cr_assert(eq(int, weft_configure(.workers = 1, .clock = 77), WEFT_EINVAL));
	cr_assert(eq(int, weft_configure(.workers = 1, .on_deadlock = 77), WEFT_EINVAL));
	cr_assert(eq(int, weft_configure(.workers = 1, .shield_limit = -1), WEFT_EINVAL));
	cr_assert(eq(int, weft_run_sync(asks_settings, NULL), 0));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, (int)broken_count, 0), "line %d: %s", broken_line, broken);
}

static int sleeps_too_long(void *arg)
{
	int64_t time = WEFT_SEC(3600);

	return weft_shield(sleeps, &time, *(int64_t *)arg);
}

TaskTest(run_sync, CF01_a_shield_that_says_no_limit_has_that_of_the_settings)
{
	int64_t none = 0, began = weft_now();

	(void)arg;
	HOLDS(sleeps_too_long(&none) == WEFT_ETIMEDOUT);
	HOLDS(weft_now() == began + WEFT_SEC(10));
	none = WEFT_NEVER;
	HOLDS(sleeps_too_long(&none) == 0);
	return 0;
}

static int shuts_down(void *arg)
{
	(void)arg;
	return weft_shutdown(WEFT_NEVER);
}

Test(run_sync, CF03_shutdown_twice_and_from_a_task)
{
	cr_assert(eq(int, weft_run_sync(shuts_down, NULL), WEFT_EDEADLK));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

static uint32_t sleeping;

static int sleeps_until_shutdown(void *arg)
{
	(void)arg;
	store_release(&sleeping, 1);
	int rc = weft_sleep_forever();
	HOLDS(weft_cancel_reason().kind == WEFT_REASON_SHUTDOWN);
	return rc;
}

static int spawns_detached(void *arg)
{
	return weft_spawn_detached(sleeps_until_shutdown, arg);
}

Test(run_sync, CF03_shutdown_cancels_and_joins_what_is_detached)
{
	cr_assert(eq(int, weft_run_sync(spawns_detached, NULL), 0));
	until(&sleeping, 1);
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, (int)broken_count, 0), "line %d: %s", broken_line, broken);
}

static uint32_t may_end;

static int ignores_cancels(void *arg)
{
	(void)arg;
	store_release(&sleeping, 1);
	until(&may_end, 1);
	return 0;
}

Test(run_sync, CF03_shutdown_gives_up_at_its_deadline_and_may_be_called_again)
{
	struct runner r;

	runner_start(&r, NULL, ignores_cancels, NULL);
	until(&sleeping, 1);
	cr_assert(eq(int, weft_shutdown(weft_after(WEFT_MS(1))), WEFT_ETIMEDOUT));
	cr_assert(eq(int, weft_run_sync(seven, NULL), WEFT_ESHUTDOWN));
	store_release(&may_end, 1);
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, runner_join(&r), 0));
	cr_assert(eq(int, weft_run_sync(seven, NULL), 7));
}

/* IN-1 (f). */
Test(run_sync, CF04_a_forked_child_is_told_that_nothing_works)
{
	struct weft_task task = { 0, 1 };
	int status;

	cr_assert(eq(int, weft_run_sync(seven, NULL), 7));
	pid_t pid = fork();
	if (pid == 0)
		_exit(weft_run_sync(seven, NULL) == WEFT_ESHUTDOWN &&
				      weft_shutdown(0) == WEFT_ESHUTDOWN && !weft_task_cancel(task)
			      ? 0
			      : 1);
	waitpid(pid, &status, 0);
	cr_assert(eq(int, status, 0));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
}
