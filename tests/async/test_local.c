/* SPDX-License-Identifier: MIT */
/*
 * test_local.c - task locals
 */
#include "deque/alloc.h"
#include "support/virtual.h"

TestSuite(local, .timeout = 60);

static uint32_t drops;

static void count_drop(void *value)
{
	(void)value;
	add_seqcst(&drops, 1);
}

static const struct weft_key key = { "key", NULL }, other = { "other", NULL },
			     owned = { "owned", count_drop };
static int one = 1, two = 2;

static int value_of(const struct weft_key *k)
{
	int *value = weft_local(k);
	return value ? *value : 0;
}

static int sees_two(void *arg)
{
	(void)arg;
	HOLDS(value_of(&key) == 2);
	HOLDS(value_of(&other) == 1);
	return weft_sleep(WEFT_MS(1));
}

static int sees_one(void *arg)
{
	(void)arg;
	HOLDS(value_of(&key) == 1);
	HOLDS(weft_sleep(WEFT_MS(1)) == 0);
	HOLDS(value_of(&key) == 1);
	return 0;
}

static int binds_two(void *arg)
{
	HOLDS(value_of(&key) == 1);
	HOLDS(weft_with_local(&key, &two, sees_two, arg) == 0);
	HOLDS(value_of(&key) == 1);
	return 0;
}

static int with_children(void *arg)
{
	struct weft_group g;

	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, binds_two, arg) == 0);
	HOLDS(weft_spawn(&g, sees_one, arg) == 0);
	HOLDS(weft_sleep(WEFT_US(500)) == 0);
	HOLDS(value_of(&key) == 1);
	return weft_group_close(&g, 0);
}

static int binds_one(void *arg)
{
	return weft_with_local(&other, &one, with_children, arg);
}

/* IN-5. */
TaskTest(local, IN08_a_child_inherits_and_its_changes_are_its_own)
{
	HOLDS(weft_local(&key) == NULL);
	HOLDS(weft_with_local(&key, &one, binds_one, arg) == 0);
	HOLDS(weft_local(&key) == NULL);
	return 0;
}

static int sees_owned(void *arg)
{
	(void)arg;
	HOLDS(weft_sleep(WEFT_MS(10)) == 0);
	HOLDS(value_of(&owned) == 1);
	HOLDS(load_acquire(&drops) == 0);
	return 0;
}

static int spawns_and_leaves(void *arg)
{
	return weft_spawn(arg, sees_owned, NULL);
}

TaskTest(local, a_value_is_dropped_when_the_last_that_inherited_it_has_ended)
{
	struct weft_group g;
	int64_t live = weft__alloc_live();

	(void)arg;
	drops = 0;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_with_local(&owned, &one, spawns_and_leaves, &g) == 0);
	HOLDS(load_acquire(&drops) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(drops == 1);
	(void)live;
	return 0;
}

static uint32_t worked;

static int work(struct weft_range *r, void *arg)
{
	(void)arg;
	add_seqcst(&worked, (uint32_t)(r->end - r->begin));
	return 0;
}

static void use_all(void *value)
{
	(void)value;
	HOLDS(weft_local(&key) == NULL);
	HOLDS(weft_for(0, 4000, work, NULL) == 0);
	HOLDS(weft_sleep(WEFT_MS(1)) == 0);
	HOLDS(weft_checkpoint() == 0);
}

static const struct weft_key busy = { "busy", use_all };

static int ends_last(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(10));
}

static int spawns_the_last(void *arg)
{
	return weft_spawn(arg, ends_last, NULL);
}

TaskTest(local, a_drop_may_do_what_a_task_may)
{
	struct weft_group g;

	(void)arg;
	worked = 0;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_with_local(&busy, &one, spawns_the_last, &g) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(worked == 4000);
	return 0;
}

static int run_inside(void *arg)
{
	return weft_run_sync(sees_one, arg);
}

/* IN-5. */
TaskTest(local, IN08_run_sync_inside_a_task_keeps_them)
{
	return weft_with_local(&key, &one, run_inside, arg);
}

static int forks(void *arg)
{
	return apart(sees_one, arg, sees_one, arg);
}

static int forks_bound(void *arg)
{
	return weft_with_local(&key, &one, forks, arg);
}

Test(local, stolen_pieces_see_what_their_forker_sees)
{
	struct weft_config two_workers = { .workers = 2, .clock = WEFT_CLOCK_VIRTUAL };

	cr_assert(eq(int, go_with(two_workers, forks_bound, NULL), 0));
}

TaskTest(local, without_memory_nothing_is_bound_and_nothing_runs)
{
	weft__alloc_fail_from(1);
	int rc = weft_with_local(&key, &one, sees_two, arg);
	weft__alloc_fail_at(0);
	HOLDS(rc == WEFT_ENOMEM);
	HOLDS(weft_local(&key) == NULL);
	return 0;
}

Test(local, outside_of_tasks_there_are_none)
{
	cr_assert(eq(ptr, weft_local(&key), NULL));
	cr_assert(eq(int, weft_with_local(&key, &one, sees_one, NULL), WEFT_ENOTASK));
	cr_assert(eq(int, weft_with_local(NULL, &one, sees_one, NULL), WEFT_EINVAL));
}
