/* SPDX-License-Identifier: MIT */
/*
 * test_map.c - what weft_map and its iterator promise
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"
#include "support/tasks.h"

#include "async/async.h"

TestSuite(map, .timeout = 60);

enum { MAX = 70 };

struct item {
	int64_t sleeps;
	int rc;
	int out;
	int begun, ended;
};

static struct {
	struct item items[MAX];
	size_t n;
	struct weft_map_opts opts;
	int64_t cancel_after;

	int rc, rcs[MAX];
	size_t failed, order[MAX], started, active, most_active;
	int64_t took;
	bool outer_cancelled;
} t;

/* What came out of an iterator. */
static struct {
	size_t taken, stop_after, order[MAX];
	int codes[MAX], next_rc, again_rc, close_rc;
	int64_t at[MAX], began, reader_sleeps;
} it;

static void fresh(void)
{
	memset(&t, 0, sizeof t);
	memset(&it, 0, sizeof it);
}

static int work(void *arg, void *ctx)
{
	struct item *me = arg;
	size_t *started = ctx;
	int rc = 0;

	t.order[add_seqcst(started, 1)] = (size_t)(me - t.items);
	me->begun++;
	size_t active = add_seqcst(&t.active, 1) + 1, most;
	while ((most = load_acquire(&t.most_active)) < active)
		if (cas_seqcst(&t.most_active, most, active))
			break;
	if (me->sleeps > 0)
		rc = weft_sleep(me->sleeps);
	add_seqcst(&t.active, (size_t)-1);
	me->ended++;
	me->out = (int)(me - t.items) + 1;
	return rc ? rc : me->rc;
}

static int cancel_later(void *arg)
{
	weft_sleep(t.cancel_after);
	weft_scope_cancel(arg);
	return 0;
}

static int root(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	if (t.cancel_after)
		weft_spawn(&g, cancel_later, weft_group_scope(&g));
	int64_t began = weft_now();
	t.opts.size = sizeof t.opts;
	t.opts.failed_index = &t.failed;
	t.failed = 99;
	t.rc = weft_map_opt(work, t.items, t.n, sizeof *t.items, &t.started, &t.opts);
	t.took = weft_now() - began;
	t.outer_cancelled = weft_check() == WEFT_ECANCELED;
	return weft_group_close(&g, 0);
}

static void go(size_t n)
{
	t.n = n;
	cr_assert(eq(int, run_virtually(root, NULL), 0));
	cr_expect(eq(sz, t.active, 0), "something is still running");
}

static void map_seventy(void)
{
	for (int i = 0; i < 70; i++)
		t.items[i].sleeps = WEFT_MS(10);
	t.opts.limit = 7;
	go(70);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.most_active, 7));
	cr_expect(eq(i64, t.took, WEFT_MS(100)));
	for (size_t i = 0; i < 70; i++)
		cr_expect(eq(int, t.items[i].out, (int)i + 1));
}

WorkersTest(map, WA10_as_many_at_a_time_as_the_limit)
{
	map_seventy();
}

/* With more workers two that took one item behind the other may begin the other way. */
Test(map, WA10_in_order)
{
	map_seventy();
	for (size_t i = 0; i < 70; i++)
		cr_expect(eq(sz, t.order[i], i));
}

/* With more workers others may do any number of items before the error is there. */
Test(map, WA11_after_an_error_no_item_starts)
{
	t.items[0].rc = WEFT_EIO;
	t.opts.limit = 3;
	go(70);

	cr_expect(eq(int, t.rc, WEFT_EIO));
	cr_expect(eq(sz, t.failed, 0));
	cr_expect(lt(sz, t.started, 6));
}

WorkersTest(map, WA11_an_error_cancels_what_runs)
{
	for (int i = 0; i < 10; i++)
		t.items[i].sleeps = WEFT_SEC(10);
	t.items[2] = (struct item){ .sleeps = WEFT_MS(1), .rc = WEFT_EIO };
	t.opts.limit = 3;
	go(10);

	cr_expect(eq(int, t.rc, WEFT_EIO));
	cr_expect(eq(sz, t.failed, 2));
	cr_expect(eq(sz, t.started, 3));
	cr_expect(eq(i64, t.took, WEFT_MS(1)));
}

WorkersTest(map, WA03_of_nothing_is_0)
{
	go(0);
	cr_expect(eq(int, t.rc, 0));
}

static int square(void *arg, void *ctx)
{
	uint32_t *v = arg;

	*v = *v * *v;
	add_seqcst((uint64_t *)ctx, 1);
	return 0;
}

static int waiting_square(void *arg, void *ctx)
{
	uint32_t *v = arg;

	*v = *v * *v;
	add_seqcst((uint64_t *)ctx, 1);
	weft_yield();
	return 0;
}

enum { MILLION = WEFT__ASAN ? 100000 : 1000000 };

struct million {
	uint32_t *v;
	weft_item_fn *fn;
	uint64_t done;
	uint32_t blocks;
};

static int map_million(void *arg)
{
	struct million *m = arg;

	for (uint32_t i = 0; i < MILLION; i++)
		m->v[i] = i;
	int rc = weft_map(m->fn, m->v, MILLION, &m->done, .limit = 10);
	m->blocks = weft__worker_self()->runtime->async->records.blocks;
	return rc;
}

static void try_million(unsigned workers, weft_item_fn *fn)
{
	struct million m = { .v = malloc(MILLION * sizeof *m.v), .fn = fn };
	size_t wrong = 0;

	cr_assert(eq(int, run_on(workers, map_million, &m), 0));
	for (uint32_t i = 0; i < MILLION; i++)
		wrong += m.v[i] != i * i;
	cr_expect(eq(sz, wrong, 0));
	cr_expect(eq(u64, m.done, MILLION));
	cr_expect(le(u32, m.blocks, 1), "one block holds 1024 tasks");
	free(m.v);
}

Test(map, WA12_a_million_items_take_no_more_tasks_than_the_limit)
{
	try_million(1, square);
	try_million(2, square);
	try_million(1, waiting_square);
}

WorkersTest(map, WA6_the_limit_is_that_of_the_configuration_and_SIZE_MAX_is_none)
{
	struct weft_runtime *rt;

	t.n = 20;
	for (int i = 0; i < 20; i++)
		t.items[i].sleeps = WEFT_MS(10);
	cr_assert(eq(int,
		     weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL,
					 .default_pool_size = 3),
		     0));
	cr_assert(eq(int, weft_runtime_run(rt, root, NULL), 0));
	cr_expect(eq(sz, t.most_active, 3), "CF01");
	t.opts.limit = SIZE_MAX;
	t.started = 0;
	cr_assert(eq(int, weft_runtime_run(rt, root, NULL), 0));
	cr_expect(eq(sz, t.most_active, 20));
	weft_runtime_destroy(rt);
}

WorkersTest(map, WA6_settled_goes_on_after_errors)
{
	for (int i = 0; i < 10; i++)
		t.items[i] = (struct item){ .sleeps = WEFT_MS(1), .rc = i % 3 ? 0 : WEFT_EIO };
	t.opts.limit = 2;
	t.opts.rcs = t.rcs;
	go(10);

	cr_expect(eq(int, t.rc, 0));
	for (int i = 0; i < 10; i++)
		cr_expect(eq(int, t.rcs[i], i % 3 ? 0 : WEFT_EIO));
}

WorkersTest(map, WA6_settled_tells_what_a_cancel_cut_off)
{
	for (int i = 0; i < 10; i++)
		t.items[i].sleeps = WEFT_MS(10);
	t.opts.limit = 2;
	t.opts.rcs = t.rcs;
	t.cancel_after = WEFT_MS(25);
	go(10);

	cr_expect(eq(int, t.rc, WEFT_ECANCELED));
	cr_expect(eq(sz, t.started, 6));
	for (int i = 0; i < 10; i++)
		cr_expect(eq(int, t.rcs[i], i < 4 ? 0 : WEFT_ECANCELED));
}

WorkersTest(map, a_time_out_is_ETIMEDOUT)
{
	for (int i = 0; i < 10; i++)
		t.items[i].sleeps = WEFT_MS(10);
	t.opts.limit = 2;
	t.opts.timeout = WEFT_MS(25);
	go(10);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(i64, t.took, WEFT_MS(25)));
}

static int cancel_runner(void *item, void *ctx)
{
	(void)item, (void)ctx;
	weft_task_cancel(weft_task_self());
	return weft_checkpoint();
}

static int map_in_a_task(void *arg)
{
	char items[10];

	(void)arg;
	return weft_map(cancel_runner, items, 10, NULL, .limit = 1);
}

static int spawn_map(void *arg)
{
	struct weft_task *task = arg;
	struct weft_group g;
	int rc = 0;

	weft_group_open(&g);
	weft_spawn(&g, map_in_a_task, NULL, .task = task);
	weft_task_wait(*task, &rc);
	weft_group_close(&g, 0);
	return rc;
}

WorkersTest(map, an_item_that_cancels_its_own_task_leaves_no_silent_gap)
{
	struct weft_task task;

	cr_expect(eq(int, run_virtually(spawn_map, &task), WEFT_ECANCELED));
}

/* Four items wait for each other, so all four must be under way. */
static int meet(void *item, void *ctx)
{
	uint32_t *here = ctx;

	(void)item;
	add_seqcst(here, 1);
	until(here, 2);
	return 0;
}

static int map_that_meets(void *arg)
{
	char items[2];

	return weft_map(meet, items, 2, arg);
}

Test(map, items_that_only_compute_run_on_all_workers)
{
	uint32_t here = 0;

	cr_expect(eq(int, run_on(2, map_that_meets, &here), 0));
}

/* --- as completed ------------------------------------------------------------ */

static int iterate(void *arg)
{
	struct weft_map_iter iter;
	int rc;

	(void)arg;
	t.opts.size = sizeof t.opts;
	it.began = weft_now();
	rc = weft_map_open_opt(&iter, work, t.items, t.n, sizeof *t.items, &t.started, &t.opts);
	if (rc != 0)
		return rc;
	while ((rc = weft_map_next(&iter, &it.order[it.taken], &it.codes[it.taken])) > 0) {
		it.at[it.taken] = weft_now() - it.began;
		if (++it.taken == it.stop_after)
			break;
		if (it.reader_sleeps)
			weft_sleep(it.reader_sleeps);
	}
	it.next_rc = rc;
	it.again_rc = it.stop_after ? 0 : weft_map_next(&iter, NULL, NULL);
	it.close_rc = weft_map_close(&iter, rc > 0 ? 0 : rc);
	t.took = weft_now() - it.began;
	return weft_map_close(&iter, 0) != WEFT_EINVAL;
}

static void take(size_t n)
{
	t.n = n;
	cr_assert(eq(int, run_virtually(iterate, NULL), 0));
	cr_expect(eq(sz, t.active, 0), "something is still running");
}

WorkersTest(map, WA13_items_come_as_they_are_completed)
{
	t.items[0].sleeps = WEFT_MS(30);
	t.items[1].sleeps = WEFT_MS(10);
	t.items[2] = (struct item){ .sleeps = WEFT_MS(20), .rc = WEFT_EIO };
	t.opts.limit = 3;
	take(3);

	cr_assert(eq(sz, it.taken, 3));
	cr_expect(eq(sz, it.order[0], 1));
	cr_expect(eq(sz, it.order[1], 2));
	cr_expect(eq(sz, it.order[2], 0));
	cr_expect(eq(i64, it.at[1], WEFT_MS(20)), "an error of an item stops nobody");
	cr_expect(eq(int, it.codes[1], WEFT_EIO));
	cr_expect(eq(int, it.next_rc, 0));
	cr_expect(eq(int, it.again_rc, 0));
	cr_expect(eq(int, it.close_rc, 0));
}

WorkersTest(map, WA13_leaving_early_cancels_the_rest)
{
	for (int i = 0; i < 10; i++)
		t.items[i].sleeps = i == 1 ? WEFT_MS(10) : WEFT_SEC(10);
	t.opts.limit = 3;
	t.opts.rcs = t.rcs;
	it.stop_after = 1;
	take(10);

	cr_expect(eq(sz, it.order[0], 1));
	cr_expect(eq(int, it.close_rc, 0));
	cr_expect(eq(i64, t.took, WEFT_MS(10)));
	cr_expect(eq(int, t.rcs[0], WEFT_ECANCELED));
	cr_expect(eq(int, t.rcs[1], 0));
	cr_expect(eq(int, t.rcs[9], WEFT_ECANCELED));
	cr_expect(le(sz, t.started, 4));
}

WorkersTest(map, WA13_a_slow_reader_holds_fast_items_back)
{
	it.reader_sleeps = WEFT_MS(10);
	it.stop_after = 5;
	t.opts.limit = 2;
	take(50);

	cr_expect(eq(sz, it.taken, 5));
	cr_expect(le(sz, t.started, 7));
}

WorkersTest(map, WA13_the_time_out_of_an_iterator)
{
	for (int i = 0; i < 4; i++)
		t.items[i].sleeps = WEFT_MS(10 + 20 * i);
	t.opts.limit = 4;
	t.opts.timeout = WEFT_MS(20);
	take(4);

	cr_expect(eq(sz, it.taken, 1));
	cr_expect(eq(int, it.next_rc, WEFT_ECANCELED));
	cr_expect(eq(int, it.close_rc, WEFT_ETIMEDOUT));
}

WorkersTest(map, WA13_of_nothing_ends_at_once)
{
	take(0);
	cr_expect(eq(sz, it.taken, 0));
	cr_expect(eq(int, it.next_rc, 0));
}

static int take_cancelled(void *arg)
{
	struct weft_map_iter iter;
	char items[10];
	int *rc = arg;

	weft_map_open(&iter, cancel_runner, items, 10, NULL, .limit = 2);
	rc[0] = weft_map_next(&iter, NULL, NULL);
	rc[1] = weft_map_close(&iter, 0);
	return 0;
}

WorkersTest(map, WA13_runners_that_were_cancelled_by_themselves_do_not_hang_the_reader)
{
	int rc[2];

	cr_assert(eq(int, run_virtually(take_cancelled, rc), 0));
	cr_expect(eq(int, rc[0], WEFT_ECANCELED));
}
