/* SPDX-License-Identifier: MIT */
/*
 * test_stream_apply.c - what weft_apply with a limit promises
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/streams.h"

TestSuite(stream_apply, .timeout = 60);

enum { MAX = 64 };

static struct script src;
static struct weft_apply_opts opts = { .size = sizeof opts };
static struct reading r[MAX];
static size_t count, most;
static int busy, busiest, drops, input_drops, cut_off;

static void drop(void *item, void *arg)
{
	(void)item;
	(void)arg;
	drops++;
}

static void drop_input(void *item, void *arg)
{
	(void)item;
	(void)arg;
	input_drops++;
}

/* Item i takes so many ms that it is done before the one in front of it. */
static int work(const void *in, void *out, void *arg)
{
	int64_t i = *(const int64_t *)in;

	(void)arg;
	busy++;
	busiest = busy > busiest ? busy : busiest;
	int rc = weft_sleep(WEFT_MS(100 - i % 4 * 10));
	busy--;
	cut_off += rc != 0;
	*(int64_t *)out = i * i;
	if (i == 30)
		return -77;
	return rc ? rc : i == 21 ? 0 : 1;
}

static int apply(void *arg)
{
	struct weft_stream *source = weft_stream_on_drop(script(&src), drop_input, NULL);
	struct weft_stream *s = weft_stream_on_drop(
		weft_apply_opt(source, work, NULL, sizeof(int64_t), &opts), drop, NULL);

	(void)arg;
	count = read_on(s, r, most ? most : MAX);
	let_run();
	weft_stream_destroy(s);
	return 0;
}

Test(stream_apply, results_come_in_the_order_of_the_source)
{
	opts.limit = 4;
	src = (struct script){ .step = 1, .n = 12 };
	cr_assert(eq(int, run_virtual(apply, NULL), 0));
	cr_assert(eq(sz, count, 13));
	for (int64_t i = 0; i < 12; i++)
		cr_assert(eq(i64, r[i].item, i * i));
	cr_assert(eq(int, busiest, 4));
	cr_assert(eq(i64, r[3].at - r[0].at, 0));
	cr_assert(eq(int, src.closed, 1));
}

Test(stream_apply, unordered_results_come_as_they_are_done)
{
	const int64_t items[] = { 9, 4, 1, 0 };
	opts.limit = 4;
	opts.unordered = true;
	src = (struct script){ .step = 1, .n = 4 };
	cr_assert(eq(int, run_virtual(apply, NULL), 0));
	cr_assert(eq(sz, count, 5));
	for (int i = 0; i < 4; i++)
		cr_assert(eq(i64, r[i].item, items[i]));
}

Test(stream_apply, zero_leaves_an_item_out)
{
	opts.limit = 3;
	src = (struct script){ 20, 1, .n = 3 };
	cr_assert(eq(int, run_virtual(apply, NULL), 0));
	cr_assert(count == 3 && r[0].item == 400 && r[1].item == 484 && r[2].rc == 0);
}

static int odd_ones(const void *in, void *out, void *arg)
{
	(void)arg;
	*(int64_t *)out = *(const int64_t *)in;
	int rc = weft_sleep(WEFT_MS(1));
	return rc ? rc : *(const int64_t *)in % 20 == 19;
}

static int seldom(void *arg)
{
	struct weft_stream *s =
		weft_apply_opt(script(&src), odd_ones, NULL, sizeof(int64_t), &opts);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

/* As many in a row as run at once, and more. */
Test(stream_apply, most_items_may_be_left_out)
{
	for (int unordered = 0; unordered < 2; unordered++)
		for (size_t limit = 1; limit < 10; limit++) {
			opts.limit = limit;
			opts.unordered = unordered;
			src = (struct script){ .step = 1, .n = 100 };
			cr_assert(eq(int, run_virtual(seldom, NULL), 0));
			cr_assert(eq(sz, count, 6));
			for (int64_t i = 0; i < 5; i++)
				cr_assert(eq(i64, r[i].item, 20 * i + 19));
			cr_assert(eq(int, r[5].rc, 0));
		}
}

Test(stream_apply, an_error_comes_after_the_items_before_it)
{
	for (int i = 0; i < 2; i++) {
		opts.limit = 3;
		src = (struct script){ .first = 27, .step = 1 };
		cr_assert(eq(int, run_virtual(apply, NULL), 0));
		cr_assert(eq(sz, count, 4));
		cr_assert(r[0].item == 27 * 27 && r[2].item == 29 * 29 && r[3].rc == -77);
		cr_assert(src.closed == 1 && busy == 0);
	}
}

Test(stream_apply, an_error_of_the_source_comes_after_its_items)
{
	opts.limit = 3;
	src = (struct script){ .step = 1, .n = 5, .end = -78 };
	cr_assert(eq(int, run_virtual(apply, NULL), 0));
	cr_assert(count == 6 && r[4].item == 16 && r[5].rc == -78);
}

Test(stream_apply, results_that_nobody_reads_hold_up_the_source_and_are_dropped)
{
	opts.limit = 4;
	most = 1;
	src = (struct script){ .step = 1, .every = 0 };
	cr_assert(eq(int, run_virtual(apply, NULL), 0));
	cr_assert(le(sz, src.made, 5));
	cr_assert(eq(int, drops + cut_off + 1, (int)src.made));
	cr_assert(eq(int, input_drops, cut_off), "a call that was cut off has not used its item");
	cr_assert(src.closed == 1 && busy == 0);
}

static int impatient(void *arg)
{
	struct weft_stream *s = weft_apply_opt(script(&src), work, NULL, sizeof(int64_t), &opts);
	size_t i = 0;

	(void)arg;
	while (i < MAX) {
		struct weft_scope scope;
		weft_scope_enter(&scope, .timeout = WEFT_MS(30));
		r[i].rc = weft_scope_leave(&scope, weft_next(s, &r[i].item));
		if (r[i].rc != WEFT_ETIMEDOUT && r[i++].rc <= 0)
			break;
	}
	count = i;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_apply, a_reader_that_is_cut_off_has_lost_nothing)
{
	opts.limit = 2;
	src = (struct script){ .step = 1, .n = 9 };
	cr_assert(eq(int, run_virtual(impatient, NULL), 0));
	cr_assert(eq(sz, count, 10));
	for (int64_t i = 0; i < 9; i++)
		cr_assert(eq(i64, r[i].item, i * i));
	cr_assert(eq(int, cut_off, 0));
}
