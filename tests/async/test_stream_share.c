/* SPDX-License-Identifier: MIT */
/*
 * test_stream_share.c - what weft_share and weft_partition promise
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/streams.h"

TestSuite(stream_share, .timeout = 60);

enum { MAX = 64, READERS = 3 };

static struct script src;
static struct weft_share_opts opts = { .size = sizeof opts };
static struct weft_stream *readers[READERS];
static struct reading r[READERS][MAX];
static size_t count[READERS];
static int64_t pause_of[READERS];
static size_t quota[READERS];
static int drops;
static size_t lead;
static bool by_thirds;

static void drop(void *item, void *arg)
{
	(void)item;
	(void)arg;
	drops++;
}

static size_t third(const void *item, void *arg)
{
	(void)arg;
	return (size_t)(*(const int64_t *)item % 4);
}

static int reader(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	while (count[i] < MAX && (!quota[i] || count[i] < quota[i])) {
		if (read_on(readers[i], &r[i][count[i]], 1) && r[i][count[i]].rc <= 0)
			break;
		count[i]++;
		lead = src.made - count[i] > lead ? src.made - count[i] : lead;
		if (pause_of[i])
			weft_sleep(pause_of[i]);
	}
	weft_stream_destroy(readers[i]);
	return 0;
}

static int all(void *arg)
{
	struct weft_group g;
	struct weft_stream *s = weft_stream_on_drop(script(&src), drop, NULL);
	int rc = by_thirds ? weft_partition_opt(s, third, NULL, readers, READERS, &opts)
			   : weft_share_opt(s, readers, READERS, &opts);

	(void)arg;
	if (rc != 0)
		return rc;
	weft_group_open(&g);
	for (uintptr_t i = 0; i < READERS; i++)
		weft_spawn(&g, reader, (void *)i);
	return weft_group_close(&g, 0);
}

Test(stream_share, each_reader_gets_all_items_and_the_error)
{
	src = (struct script){ .step = 1, .n = 40, .end = -77, .every = WEFT_MS(1) };
	pause_of[1] = WEFT_MS(7);
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	for (int i = 0; i < READERS; i++) {
		cr_assert(eq(sz, count[i], 40));
		for (int k = 0; k < 40; k++)
			cr_assert(eq(i64, r[i][k].item, k));
		cr_assert(eq(int, r[i][40].rc, -77));
	}
	cr_assert(src.closed == 1 && drops == 0);
}

Test(stream_share, the_slowest_reader_limits_the_others)
{
	opts.lead = 5;
	src = (struct script){ .step = 1, .n = 40 };
	pause_of[2] = WEFT_MS(7);
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	for (int i = 0; i < READERS; i++)
		cr_assert(eq(sz, count[i], 40));
	cr_assert(le(sz, lead, 6));
}

Test(stream_share, or_misses_some)
{
	opts.lead = 4;
	opts.drop_oldest = true;
	src = (struct script){ .step = 1, .n = 40, .every = WEFT_MS(1) };
	pause_of[2] = WEFT_MS(5);
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	cr_assert(count[0] == 40 && count[1] == 40);
	cr_assert(count[2] > 4 && count[2] < 20);
	cr_assert(eq(i64, r[2][count[2] - 1].item, 39));
	cr_assert(eq(int, drops, 0));
}

Test(stream_share, a_reader_that_leaves_holds_up_nobody)
{
	opts.lead = 4;
	quota[1] = 1;
	src = (struct script){ .step = 1, .n = 40, .every = WEFT_MS(1) };
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	cr_assert(count[0] == 40 && count[1] == 1 && count[2] == 40);
	cr_assert(eq(int, src.closed, 1));
}

Test(stream_share, items_that_nobody_has_read_are_dropped)
{
	opts.lead = 8;
	quota[0] = quota[1] = quota[2] = 1;
	by_thirds = true;
	src = (struct script){ .step = 1, .first = 2 };
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	cr_assert(eq(int, drops, (int)src.made - 3));
	cr_assert(eq(int, src.closed, 1));
}

Test(stream_share, partition_gives_each_item_to_one_reader_or_none)
{
	by_thirds = true;
	src = (struct script){ .step = 1, .n = 40 };
	pause_of[0] = WEFT_MS(3);
	cr_assert(eq(int, run_virtual(all, NULL), 0));
	for (int i = 0; i < READERS; i++) {
		cr_assert(eq(sz, count[i], 10));
		for (int k = 0; k < 10; k++)
			cr_assert(eq(i64, r[i][k].item, k * 4 + i));
	}
	cr_assert(eq(int, drops, 10));
}

static int puller_gives_up(void *arg)
{
	struct weft_group g;
	struct weft_scope scope;

	(void)arg;
	weft_share(script(&src), readers, 2);
	weft_group_open(&g);
	weft_scope_enter(&scope, .timeout = WEFT_MS(500));
	weft_spawn(&g, reader, (void *)(uintptr_t)1);
	int rc = weft_scope_leave(&scope, weft_next(readers[0], &r[0][0].item));
	count[0] = rc == WEFT_ETIMEDOUT;
	weft_stream_destroy(readers[0]);
	return weft_group_close(&g, 0);
}

Test(stream_share, when_the_one_that_pulls_is_cut_off_another_one_does)
{
	src = (struct script){ .step = 1, .n = 3, .delay = WEFT_SEC(1), .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(puller_gives_up, NULL), 0));
	cr_assert(count[0] == 1 && count[1] == 3 && src.closed == 1);
}

static int without_memory(void *arg)
{
	int failed = 0;

	(void)arg;
	for (uint64_t i = 1; i < 5; i++) {
		readers[0] = readers[1] = (struct weft_stream *)(uintptr_t)1;
		struct weft_stream *s = script(&src);
		weft__alloc_fail_at(i);
		int rc = weft_share(s, readers, 2);
		weft__alloc_fail_at(0);
		failed += rc == WEFT_ENOMEM && !readers[0] && !readers[1];
		for (int k = 0; rc == 0 && k < 2; k++)
			weft_stream_destroy(readers[k]);
	}
	return failed;
}

Test(stream_share, without_memory_there_are_no_readers)
{
	cr_assert(eq(int, run_virtual(without_memory, NULL), 3));
	cr_assert(eq(int, src.closed, 4));
}

static int refused(void *arg)
{
	(void)arg;
	count[0] = weft_share(script(&src), readers, 0) == WEFT_EINVAL;
	count[1] = weft_share(NULL, readers, 2) == WEFT_ENOMEM;
	count[2] = weft_partition(script(&src), NULL, NULL, readers, 2) == WEFT_EINVAL;
	return 0;
}

Test(stream_share, a_source_is_closed_also_when_it_is_refused)
{
	cr_assert(eq(int, run_virtual(refused, NULL), 0));
	cr_assert(count[0] == 1 && count[1] == 1 && count[2] == 1);
	cr_assert(eq(int, src.closed, 2));
}
