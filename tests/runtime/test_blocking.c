/* SPDX-License-Identifier: MIT */
/*
 * test_blocking.c - spare workers, and tasks that say that they block (CF-3)
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/tasks.h"

TestSuite(blocking, .timeout = 60);

/* One worker, so many spare ones; none is called by the time alone. */
static int run_with_spares(unsigned spares, weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .spare_workers = spares,
				     .block_warn = WEFT_NEVER);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

static int where_am_i(void *arg)
{
	store_release((uint32_t *)arg, (uint32_t)weft_worker_index() + 1);
	return 0;
}

/* --- a task that says so ------------------------------------------------- */

static uint32_t release_me, released_by;

static int blocks(void *arg)
{
	(void)arg;
	int rc = weft_blocking_begin();
	until(&release_me, 1);
	weft_blocking_end();
	return rc;
}

static int releases(void *arg)
{
	(void)arg;
	where_am_i(&released_by);
	store_release(&release_me, 1);
	return 0;
}

static int one_blocks(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	weft_spawn(&g, blocks, NULL);
	weft_spawn(&g, releases, NULL);
	return weft_group_close(&g, rc);
}

Test(blocking, what_waits_behind_a_task_that_blocks_is_run_by_a_spare_worker)
{
	cr_expect(eq(int, run_with_spares(1, one_blocks, NULL), 0));
	cr_expect(eq(u32, released_by, 2));
}

static int many_block(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	for (int i = 0; i < 3; i++)
		weft_spawn(&g, blocks, NULL);
	weft_spawn(&g, releases, NULL);
	return weft_group_close(&g, rc);
}

Test(blocking, each_task_that_blocks_has_a_spare_worker_of_its_own)
{
	cr_expect(eq(int, run_with_spares(3, many_block, NULL), 0));
}

/* --- when nobody is held --------------------------------------------------- */

enum { TASKS = 1000 };

static int spawn_many(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);
	uint32_t *at = arg;

	for (int i = 0; i < TASKS; i++)
		weft_spawn(&g, where_am_i, &at[i]);
	return weft_group_close(&g, rc);
}

Test(blocking, a_spare_worker_that_is_not_called_does_nothing)
{
	static uint32_t at[TASKS];

	cr_expect(eq(int, run_with_spares(2, spawn_many, at), 0));
	for (int i = 0; i < TASKS; i++)
		cr_assert(eq(u32, at[i], 1), "task %d", i);
}

Test(blocking, without_a_spare_worker_nothing_changes)
{
	store_release(&release_me, 1);
	cr_expect(eq(int, run_with_spares(0, one_blocks, NULL), 0));
	cr_expect(eq(u32, released_by, 1));
}

Test(blocking, is_for_tasks)
{
	cr_expect(eq(int, weft_blocking_begin(), WEFT_ENOTASK));
	weft_blocking_end();
}

/* Ends without begins, and begins twice: nothing is left behind. */
static int out_of_step(void *arg)
{
	struct weft__worker *w = weft__worker_self();

	(void)arg;
	weft_blocking_end();
	weft_blocking_begin();
	weft_blocking_begin();
	weft_blocking_end();
	weft_blocking_end();
	return load_relaxed(&w->runtime->idle.called) == 0 ? 0 : WEFT_EIO;
}

Test(blocking, begins_and_ends_out_of_step_do_no_harm)
{
	cr_expect(eq(int, run_with_spares(2, out_of_step, NULL), 0));
}

/* --- counts ------------------------------------------------------------------ */

static int count_workers(void *arg)
{
	(void)arg;
	return (int)weft_worker_count();
}

Test(blocking, spare_workers_count_and_have_the_highest_numbers)
{
	cr_expect(eq(int, run_with_spares(3, count_workers, NULL), 4));
}

Test(blocking, more_than_4096_are_refused)
{
	struct weft_runtime *rt;

	cr_expect(eq(int, weft_runtime_create(&rt, .spare_workers = 4097), WEFT_EINVAL));
}
