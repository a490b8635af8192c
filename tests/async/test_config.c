/* SPDX-License-Identifier: MIT */
/*
 * test_config.c - what weft_configure promises: all or nothing, 0 keeps, live
 */
#include <criterion/criterion.h>

#include "async/config.h"
#include "support/assert.h"
#include "support/tasks.h"

static void shut_down(void)
{
	weft_shutdown(WEFT_NEVER);
}

TestSuite(config, .fini = shut_down, .timeout = 60);

/* What a task of the default runtime finds. */
struct found {
	int64_t timeout, shield, stall, block;
	size_t pool;
	unsigned threads, processes, workers;
};

static int look(void *arg)
{
	struct found *f = arg;
	struct weft__strand *s = weft__strand_self();
	struct weft_runtime *rt = s->runtime;

	*f = (struct found){
		.timeout = weft__config_timeout(s),
		.shield = weft__config_shield_limit(),
		.stall = weft__config_stall_warn(rt),
		.block = weft__config_block_warn(rt),
		.pool = weft__config_pool_size(s),
		.threads = weft__config_thread_workers(rt),
		.processes = weft__config_process_workers(rt),
		.workers = weft_worker_count(),
	};
	return 0;
}

static struct found found(void)
{
	struct found f = { 0 };

	cr_assert(eq(int, weft_run_sync(look, &f), 0));
	return f;
}

Test(config, CF_1_has_defaults)
{
	cr_assert(eq(int, weft_configure(.workers = 2), 0));
	struct found f = found();

	cr_expect(eq(i64, f.timeout, 0));
	cr_expect(eq(i64, f.shield, WEFT_SEC(10)));
	cr_expect(eq(i64, f.stall, WEFT_SEC(1)));
	cr_expect(eq(i64, f.block, WEFT_MS(100)));
	cr_expect(eq(sz, f.pool, 2));
	cr_expect(eq(uint, f.threads, 512));
	cr_expect(eq(uint, f.processes, 2));
}

Test(config, CF_1_before_the_start_sets_all_and_0_keeps)
{
	cr_assert(eq(int,
		     weft_configure(.workers = 3, .default_timeout = WEFT_SEC(7),
				    .shield_limit = WEFT_SEC(8), .default_pool_size = 9),
		     0));
	cr_assert(eq(int,
		     weft_configure(.default_thread_workers = 10, .default_process_workers = 11),
		     0));
	cr_assert(
		eq(int, weft_configure(.stall_warn = WEFT_SEC(12), .block_warn = WEFT_SEC(13)), 0));
	struct found f = found();

	cr_expect(eq(uint, f.workers, 3));
	cr_expect(eq(i64, f.timeout, WEFT_SEC(7)));
	cr_expect(eq(i64, f.shield, WEFT_SEC(8)));
	cr_expect(eq(sz, f.pool, 9));
	cr_expect(eq(uint, f.threads, 10));
	cr_expect(eq(uint, f.processes, 11));
	cr_expect(eq(i64, f.stall, WEFT_SEC(12)));
	cr_expect(eq(i64, f.block, WEFT_SEC(13)));
}

Test(config, CF01_of_a_running_runtime_holds_at_once)
{
	cr_assert(eq(int, weft_configure(.workers = 2), 0));
	found();
	cr_assert(eq(int,
		     weft_configure(.default_pool_size = 3, .workers = 5, .stall_warn = WEFT_NEVER),
		     0));
	struct found f = found();

	cr_expect(eq(sz, f.pool, 3));
	cr_expect(eq(i64, f.stall, WEFT_NEVER));
	cr_expect(eq(uint, f.workers, 2), "workers apply at the next start");
	shut_down();
	f = found();
	cr_expect(eq(uint, f.workers, 5));
	cr_expect(eq(sz, f.pool, 3));
}

Test(config, CF01_an_invalid_value_is_einval_and_changes_nothing)
{
	cr_assert(eq(int, weft_configure(.workers = 2, .default_pool_size = 3), 0));
	found();
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .default_timeout = -1),
		     WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .shield_limit = -1), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .stall_warn = -1), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .block_warn = -1), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .clock = 3), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .on_deadlock = 4), WEFT_EINVAL));
	cr_expect(eq(int,
		     weft_configure(.default_pool_size = 4, .default_thread_workers = 1u << 20),
		     WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.default_pool_size = 4, .default_process_workers = 5000),
		     WEFT_EINVAL));
	cr_expect(eq(sz, found().pool, 3));
	shut_down();
	cr_expect(eq(sz, found().pool, 3));
}

/* --- many at once ------------------------------------------------------------ */

static uint32_t stop;

static void *configure_often(void *arg)
{
	while (!load_acquire(&stop))
		weft_configure(.default_pool_size = (unsigned)(uintptr_t)arg,
			       .default_thread_workers = (unsigned)(uintptr_t)arg);
	return NULL;
}

Test(config, CF_1_any_number_of_threads_may_set)
{
	pthread_t threads[4];

	cr_assert(eq(int, weft_configure(.default_pool_size = 1, .workers = 2), 0));
	for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
		pthread_create(&threads[i], NULL, configure_often, (void *)(i + 1));
	for (int i = 0; i < 200; i++) {
		struct found f = found();
		cr_assert(f.pool >= 1 && f.pool <= 4, "%zu", f.pool);
		if (i % 50 == 0)
			shut_down();
	}
	store_release(&stop, 1);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
}

/* --- the time that a root has ------------------------------------------------------ */

static int sleep_forever(void *arg)
{
	(void)arg;
	return weft_sleep_forever();
}

static int is_in_time(void *arg)
{
	*(int64_t *)arg = weft_effective_deadline() - weft_now();
	return 5;
}

Test(config, CF02_the_default_timeout_is_that_of_a_root)
{
	int64_t left = 0;

	cr_assert(eq(int,
		     weft_configure(.workers = 1, .clock = WEFT_CLOCK_VIRTUAL,
				    .default_timeout = WEFT_MS(100)),
		     0));
	cr_expect(eq(int, weft_run_sync(sleep_forever, NULL), WEFT_ETIMEDOUT));
	cr_expect(eq(int, weft_run_sync(is_in_time, &left), 5));
	cr_expect(eq(i64, left, WEFT_MS(100)));
}

Test(config, CF02_never_is_no_default_timeout)
{
	int64_t left = 0;

	cr_assert(eq(int,
		     weft_configure(.default_timeout = WEFT_MS(100), .clock = WEFT_CLOCK_VIRTUAL),
		     0));
	cr_assert(eq(int, weft_configure(.default_timeout = WEFT_NEVER), 0));
	cr_expect(eq(int, weft_run_sync(is_in_time, &left), 5));
	cr_expect(gt(i64, left, WEFT_SEC(1000000)));
}

static int run_inside(void *arg)
{
	weft_configure(.default_timeout = WEFT_MS(1));
	return weft_run_sync(is_in_time, arg);
}

Test(config, CF02_a_run_inside_of_a_task_has_the_time_of_that)
{
	int64_t left = 0;

	cr_assert(eq(int,
		     weft_configure(.default_timeout = WEFT_SEC(9), .clock = WEFT_CLOCK_VIRTUAL),
		     0));
	cr_expect(eq(int, weft_run_sync(run_inside, &left), 5));
	cr_expect(eq(i64, left, WEFT_SEC(9)));
}
