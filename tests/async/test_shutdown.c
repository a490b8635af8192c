/* SPDX-License-Identifier: MIT */
/*
 * test_shutdown.c - what weft_shutdown and weft_request_shutdown promise
 */
#include <criterion/criterion.h>

#include "async/clock.h"
#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

static void shut_down(void)
{
	weft_shutdown(WEFT_NEVER);
}

TestSuite(shutdown, .fini = shut_down, .timeout = 60);

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* --- tasks that sleep for ever ----------------------------------------------------- */

struct sleeper {
	uint32_t begun;
	struct weft_reason reason;
};

static int sleep_on(void *arg)
{
	struct sleeper *s = arg;

	add_seqcst(&s->begun, 1);
	int rc = weft_sleep_forever();
	s->reason = weft_cancel_reason();
	return rc;
}

static int sleep_in_a_group(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 10 && rc == 0; i++)
		rc = weft_spawn(&g, sleep_on, arg);
	return weft_group_close(&g, rc);
}

Test(shutdown, CF_2_of_tasks_that_sleep_for_ever_ends_at_once)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct sleeper s = { 0 };
		struct runner r;

		weft_configure(.workers = worker_counts[i]);
		runner_start(&r, NULL, sleep_in_a_group, &s);
		until(&s.begun, 10);
		cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
		cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
		cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
		cr_expect(eq(int, s.reason.code, WEFT_ESHUTDOWN));
	}
}

static int spawn_detached(void *arg)
{
	return weft_spawn_detached(sleep_on, arg);
}

Test(shutdown, CF_2_cancels_and_joins_detached_tasks)
{
	struct sleeper s = { 0 };

	cr_assert(eq(int, weft_run_sync(spawn_detached, &s), 0));
	until(&s.begun, 1);
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
}

Test(shutdown, CF03_twice_is_0_and_0_and_a_restart_works)
{
	cr_assert(eq(int, weft_run_sync(nothing, NULL), 0));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

static void *shut_down_thread(void *arg)
{
	*(int *)arg = weft_shutdown(WEFT_NEVER);
	return NULL;
}

Test(shutdown, CF_2_callers_at_the_same_time_share_the_result)
{
	struct sleeper s = { 0 };
	struct runner r;
	pthread_t threads[8];
	int rcs[8];

	runner_start(&r, NULL, sleep_in_a_group, &s);
	until(&s.begun, 10);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		rcs[i] = -1;
		pthread_create(&threads[i], NULL, shut_down_thread, &rcs[i]);
	}
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		pthread_join(threads[i], NULL);
		cr_expect(eq(int, rcs[i], 0));
	}
	runner_join(&r);
}

/* --- from where it may be called -------------------------------------------------- */

static int shut_down_here(void *arg)
{
	*(int *)arg = weft_shutdown(WEFT_NEVER);
	return 0;
}

static int shut_down_in_a_call(void *arg)
{
	return weft_to_thread(shut_down_here, arg);
}

Test(shutdown, CF03_from_a_task_or_its_blocking_call_is_edeadlk)
{
	int rc = 0;

	cr_assert(eq(int, weft_run_sync(shut_down_here, &rc), 0));
	cr_expect(eq(int, rc, WEFT_EDEADLK));
	rc = 0;
	cr_assert(eq(int, weft_run_sync(shut_down_in_a_call, &rc), 0));
	cr_expect(eq(int, rc, WEFT_EDEADLK));
}

static int request(void *arg)
{
	struct sleeper *s = arg;

	weft_request_shutdown();
	weft_request_shutdown();
	return sleep_on(s);
}

Test(shutdown, CF_2_a_task_may_request_it)
{
	struct sleeper s = { 0 };

	cr_expect(eq(int, weft_run_sync(request, &s), WEFT_ECANCELED));
	cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

Test(shutdown, CF_2_requested_from_a_thread_ends_what_sleeps)
{
	struct sleeper s = { 0 };
	struct runner r;

	weft_request_shutdown(); /* of nothing: nothing */
	runner_start(&r, NULL, sleep_on, &s);
	until(&s.begun, 1);
	weft_request_shutdown();
	cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

Test(shutdown, CF_2_requested_in_a_runtime_of_ones_own_is_of_that)
{
	struct weft_runtime *rt;
	struct sleeper s = { 0 };

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	cr_expect(eq(int, weft_runtime_run(rt, request, &s), WEFT_ECANCELED));
	cr_expect(eq(int, weft_runtime_run(rt, nothing, NULL), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
	weft_runtime_destroy(rt);
}

/* --- what does not end ------------------------------------------------------------- */

static uint32_t let_go;

static int stuck_thread(void *arg)
{
	store_release((uint32_t *)arg, 1);
	until(&let_go, 1);
	return 0;
}

static int stuck_task(void *arg)
{
	return weft_to_thread(stuck_thread, arg);
}

static int stuck_root(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "customers");

	if (rc == 0)
		rc = weft_spawn(&g, stuck_task, arg, .name = "stuck-one");
	return weft_group_close(&g, rc);
}

static void child_stuck(void)
{
	uint32_t begun = 0;
	struct runner r;

	runner_start(&r, NULL, stuck_root, &begun);
	until(&begun, 1);
	CHILD_CHECK(weft_shutdown(0) == WEFT_ETIMEDOUT); /* and nothing is said */
	CHILD_CHECK(weft_shutdown(weft__monotonic() + WEFT_MS(200)) == WEFT_ETIMEDOUT);
	CHILD_CHECK(weft_run_sync(nothing, NULL) == WEFT_ESHUTDOWN);
	store_release(&let_go, 1);
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	runner_join(&r);
}

Test(shutdown, CF03_past_its_deadline_is_etimedout_and_names_what_is_stuck)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_stuck, said), 0));
	cr_expect(eq(ptr, strstr(said, "weft: shutdown: the time is over"), said), "%s", said);
	cr_expect(eq(ptr, strstr(said + 1, "weft: shutdown: the time is over"), NULL), "%s", said);
	cr_expect(ne(ptr, strstr(said, "group customers, 1 to join"), NULL), "%s", said);
	cr_expect(ne(ptr, strstr(said, "task stuck-one: waits for a blocking call"), NULL), "%s",
		  said);
}

/* --- the end of the process ---------------------------------------------------------- */

static int exit_here(void *arg)
{
	(void)arg;
	exit(7);
}

static int exit_in_a_group(void *arg)
{
	struct sleeper s = { 0 };
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 4 && rc == 0; i++)
		rc = weft_spawn(&g, sleep_on, &s);
	if (rc == 0)
		rc = weft_spawn(&g, exit_here, arg);
	return weft_group_close(&g, rc);
}

static void in_exit_handler(void)
{
	struct sleeper s = { 0 };

	weft_run_sync(request, &s);
	weft_shutdown(WEFT_NEVER);
}

static void child_exits_in_a_task(void)
{
	weft_configure(.workers = 2);
	weft_run_sync(exit_in_a_group, NULL);
}

static void child_exits_with_a_handler(void)
{
	atexit(in_exit_handler);
	child_exits_in_a_task();
}

static void child_handler_stops_sleepers(void)
{
	static struct sleeper s;
	static struct runner r;

	atexit(shut_down);
	runner_start(&r, NULL, sleep_in_a_group, &s);
	until(&s.begun, 10);
	exit(7);
}

static int exit_in_a_call(void *arg)
{
	return weft_to_thread(exit_here, arg);
}

static void child_exits_in_a_blocking_call(void)
{
	atexit(in_exit_handler);
	weft_run_sync(exit_in_a_call, NULL);
}

Test(shutdown, CF_2_exit_never_hangs)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_exits_in_a_task, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_exits_with_a_handler, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_handler_stops_sleepers, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_exits_in_a_blocking_call, said), 7), "%s", said);
}
