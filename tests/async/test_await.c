/* SPDX-License-Identifier: MIT */
/*
 * test_await.c - what weft_wait_any and weft_wait_all promise
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"
#include "support/tasks.h"

TestSuite(await, .timeout = 60);

enum { MAX = 40 };

static struct {
	struct deed deeds[MAX];
	size_t n;
	struct weft_task tasks[MAX];
	weft_fn *body;

	int rc, rcs[MAX], one;
	size_t which;
	int64_t took;
} t;

static int root(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g, .supervisor = true);
	for (size_t i = 0; i < t.n; i++)
		weft_spawn(&g, do_deed, &t.deeds[i], .task = &t.tasks[i]);
	int64_t began = weft_now();
	t.rc = t.body(&g);
	t.took = weft_now() - began;
	weft_group_close(&g, 0);
	return 0;
}

static void go(size_t n, weft_fn *body)
{
	t.n = n;
	t.body = body;
	t.which = 99;
	cr_assert(eq(int, run_virtually(root, NULL), 0));
}

static int any(void *arg)
{
	(void)arg;
	return weft_wait_any(t.tasks, t.n, &t.which, &t.one);
}

static int all(void *arg)
{
	(void)arg;
	return weft_wait_all(t.tasks, t.n, t.rcs);
}

Test(await, any_is_the_first_task_to_end)
{
	t.deeds[0].sleeps = WEFT_MS(30);
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	t.deeds[2].sleeps = WEFT_MS(20);
	go(3, any);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.which, 1));
	cr_expect(eq(int, t.one, WEFT_EIO));
	cr_expect(eq(i64, t.took, WEFT_MS(10)));
	cr_expect(eq(int, t.deeds[0].ended, 1), "tasks go on");
	cr_expect(eq(int, t.deeds[0].reason, WEFT_REASON_NONE));
}

Test(await, any_of_those_that_have_ended_is_the_lowest_index)
{
	t.deeds[1].sleeps = t.deeds[2].sleeps = WEFT_MS(10);
	t.deeds[0].sleeps = WEFT_MS(20);
	go(3, any);

	cr_expect(eq(sz, t.which, 1));
}

Test(await, any_of_more_than_lie_on_the_stack)
{
	for (int i = 0; i < MAX; i++)
		t.deeds[i].sleeps = WEFT_MS(i == 33 ? 5 : 50);
	go(MAX, any);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.which, 33));
}

static int any_in_time(void *arg)
{
	struct weft_scope s;

	weft_scope_enter(&s, .timeout = WEFT_MS(10));
	return weft_scope_leave(&s, t.body == any_in_time ? any(arg) : all(arg));
}

static int all_in_time(void *arg)
{
	return any_in_time(arg);
}

Test(await, any_ends_by_a_cancel_and_the_tasks_do_not)
{
	t.deeds[0].sleeps = t.deeds[1].sleeps = WEFT_MS(30);
	go(2, any_in_time);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(sz, t.which, 99));
	cr_expect(eq(int, t.deeds[0].reason, WEFT_REASON_NONE));
	cr_expect(eq(i64, t.deeds[0].ended_at - t.deeds[0].began_at, WEFT_MS(30)));
}

Test(await, all_waits_for_the_last_and_tells_each_code)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(30), .rc = 4 };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	go(2, all);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(int, t.rcs[0], 4));
	cr_expect(eq(int, t.rcs[1], WEFT_EIO));
	cr_expect(eq(i64, t.took, WEFT_MS(30)));
}

Test(await, all_ends_by_a_cancel)
{
	t.deeds[0].sleeps = WEFT_MS(30);
	go(1, all_in_time);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(i64, t.took, WEFT_MS(10)));
}

static int wait_wrongly(void *arg)
{
	struct weft_task stale = { 5, 77 }, self = weft_task_self();
	int *rc = arg;

	rc[0] = weft_wait_any(NULL, 0, NULL, NULL);
	rc[1] = weft_wait_any(&stale, 1, NULL, NULL);
	rc[2] = weft_wait_all(&stale, 1, NULL);
	rc[3] = weft_wait_any(&self, 1, NULL, NULL);
	rc[4] = weft_wait_all(&self, 1, NULL);
	rc[5] = weft_wait_all(NULL, 0, NULL);
	return 0;
}

static int spawn_wrong(void *arg)
{
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, wait_wrongly, arg);
	return weft_group_close(&g, 0);
}

Test(await, mistakes_are_told)
{
	const int expected[6] = { WEFT_EINVAL,	WEFT_EINVAL,  WEFT_EINVAL,
				  WEFT_EDEADLK, WEFT_EDEADLK, 0 };
	struct weft_task none = { 0 };
	int rc[6];

	cr_assert(eq(int, run_virtually(spawn_wrong, rc), 0));
	for (int i = 0; i < 6; i++)
		cr_expect(eq(int, rc[i], expected[i]), "%d", i);
	cr_expect(eq(int, weft_wait_any(&none, 1, NULL, NULL), WEFT_ENOTASK));
}
