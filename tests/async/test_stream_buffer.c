/* SPDX-License-Identifier: MIT */
/*
 * test_stream_buffer.c - what weft_buffer, weft_prefetch and weft_conflate promise
 */
#include <signal.h>

#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/streams.h"

TestSuite(stream_buffer, .timeout = 60);

enum { MAX = 64 };

static struct script src;
static struct reading r[MAX];
static size_t count;
static size_t made[MAX]; /* items the source had made after each read */
static int drops;
static int64_t dropped;
static size_t n;
static int rc;
static int64_t took;

static void drop(void *item, void *arg)
{
	(void)arg;
	drops++;
	dropped += *(int64_t *)item;
}

/* --- ST06, ST07, ST08 ------------------------------------------------------- */

static int lead(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), n);

	(void)arg;
	for (int i = 0; i < 8; i++) {
		count += read_on(s, &r[i], 1);
		let_run();
		made[i] = src.made;
	}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, ST06_the_source_leads_by_n_and_one_at_most)
{
	for (n = 0; n <= 3; n++) {
		src = (struct script){ .step = 1 };
		count = 0;
		cr_assert(eq(int, run_virtual(lead, NULL), 0));
		cr_assert(eq(sz, count, 8));
		for (size_t i = 0; i < 8; i++) {
			cr_assert(eq(i64, r[i].item, (int64_t)i));
			cr_assert(le(sz, made[i], i + 1 + n + 1));
			cr_assert(ge(sz, made[i], i + 2));
		}
		cr_assert(eq(int, src.closed, 1));
	}
}

static int read_all(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), n);

	(void)arg;
	count = read_on(s, r, MAX);
	count += read_on(s, &r[count], 1);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, ST07_three_items_then_the_error_for_ever)
{
	for (n = 0; n <= 4; n++) {
		src = (struct script){ .step = 1, .n = 3, .end = -77 };
		cr_assert(eq(int, run_virtual(read_all, NULL), 0));
		cr_assert(eq(sz, count, 5));
		for (int i = 0; i < 3; i++)
			cr_assert(r[i].rc == 1 && r[i].item == i);
		cr_assert(r[3].rc == -77 && r[4].rc == -77);
	}
}

Test(stream_buffer, ST08_items_of_zeros_are_items)
{
	n = 2;
	src = (struct script){ .n = 20 };
	cr_assert(eq(int, run_virtual(read_all, NULL), 0));
	cr_assert(eq(sz, count, 22));
	for (int i = 0; i < 20; i++)
		cr_assert(r[i].rc == 1 && r[i].item == 0);
	cr_assert(r[20].rc == 0 && r[21].rc == 0);
}

/* --- ST09, ST19: closing ------------------------------------------------------ */

static int close_full(void *arg)
{
	struct weft_stream *s = weft_stream_on_drop(weft_buffer(script(&src), n), drop, NULL);
	int64_t began = weft_now();

	(void)arg;
	count = read_on(s, r, 1);
	let_run();
	weft_stream_close(s);
	took = weft_now() - began;
	rc = weft_next(s, &r[1].item);
	weft_stream_close(s);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, ST09_closing_a_full_one_returns_at_once)
{
	for (n = 0; n <= 3; n++) {
		drops = 0;
		dropped = 0;
		src = (struct script){ .step = 1 };
		cr_assert(eq(int, run_virtual(close_full, NULL), 0));
		cr_assert(eq(i64, took, 0));
		cr_assert(eq(int, rc, WEFT_ECLOSED));
		cr_assert(eq(int, src.closed, 1));
		cr_assert(eq(sz, (size_t)drops + 1, src.made));
		cr_assert(eq(i64, dropped, (int64_t)(src.made * (src.made - 1) / 2)));
	}
}

static int close_waiting(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), 2);
	struct weft_scope scope;

	(void)arg;
	weft_scope_enter(&scope, .timeout = WEFT_SEC(1));
	rc = weft_scope_leave(&scope, weft_next(s, &r[0].item));
	weft_stream_destroy(s);
	took = weft_now();
	return 0;
}

Test(stream_buffer, closing_while_the_source_waits_cuts_it_off)
{
	src = (struct script){ .n = 1, .delay = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(close_waiting, NULL), 0));
	cr_assert(eq(int, rc, WEFT_ETIMEDOUT));
	cr_assert(src.cut_off == 1 && src.closed == 1);
}

static int close_unread(void *arg)
{
	(void)arg;
	weft_stream_destroy(weft_buffer(script(&src), 2));
	return 0;
}

Test(stream_buffer, nothing_runs_before_the_first_read)
{
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(close_unread, NULL), 0));
	cr_assert(src.made == 0 && src.closed == 1);
}

/* --- ST-2 ----------------------------------------------------------------------- */

static int impatient(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), 2);
	size_t i = 0;

	(void)arg;
	for (;;) {
		struct weft_scope scope;
		weft_scope_enter(&scope, .timeout = WEFT_MS(300));
		r[i].rc = weft_scope_leave(&scope, weft_next(s, &r[i].item));
		if (r[i].rc == WEFT_ETIMEDOUT)
			rc++;
		else if (r[i++].rc <= 0)
			break;
	}
	count = i;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, a_reader_that_is_cut_off_comes_again_and_has_lost_nothing)
{
	rc = 0;
	src = (struct script){ .step = 1, .n = 5, .every = WEFT_SEC(1), .delay = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(impatient, NULL), 0));
	cr_assert(eq(sz, count, 6));
	for (int i = 0; i < 5; i++)
		cr_assert(eq(i64, r[i].item, i));
	cr_assert(ge(int, rc, 15));
}

/* --- low water -------------------------------------------------------------------- */

static int drain(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), 9, .low = 3);

	(void)arg;
	for (int i = 0; i < 12; i++) {
		read_on(s, &r[i], 1);
		let_run();
		made[i] = src.made;
	}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, a_full_one_is_not_filled_before_low_are_left)
{
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(drain, NULL), 0));
	for (int i = 0; i < 6; i++)
		cr_assert(eq(sz, made[i], 10));
	cr_assert(gt(sz, made[6], 10));
}

/* --- prefetch ------------------------------------------------------------------------ */

static int prefetch(void *arg)
{
	struct weft_stream *s = weft_prefetch(script(&src), 4);

	(void)arg;
	let_run();
	made[0] = src.made;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, prefetch_begins_before_it_is_read)
{
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(prefetch, NULL), 0));
	cr_assert(made[0] == 5 && src.closed == 1);
}

/* --- conflate ------------------------------------------------------------------------- */

static int conflate(void *arg)
{
	struct weft_stream *s = weft_stream_on_drop(weft_conflate(script(&src)), drop, NULL);

	(void)arg;
	read_on(s, &r[0], 1);
	weft_sleep(WEFT_MS(350));
	read_on(s, &r[1], 1);
	weft_sleep(WEFT_SEC(10));
	count = 2 + read_on(s, &r[2], 4);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, conflate_gives_the_newest_and_drops_those_before)
{
	drops = 0;
	dropped = 0;
	src = (struct script){ .step = 1, .n = 10, .delay = WEFT_MS(100), .every = WEFT_MS(100) };
	cr_assert(eq(int, run_virtual(conflate, NULL), 0));
	cr_assert(eq(sz, count, 4));
	cr_assert(r[0].item == 0 && r[1].item == 3 && r[2].item == 9 && r[3].rc == 0);
	cr_assert(drops == 7 && dropped == 45 - 12);
}

/* --- errors ----------------------------------------------------------------------------- */

static int refuse(void *arg)
{
	struct weft_stream *s = weft_buffer(script(&src), 2, .low = 3);

	(void)arg;
	rc = weft_next(s, r);
	weft_stream_destroy(s);
	made[0] = (size_t)(weft_buffer(NULL, 2) == NULL);
	return 0;
}

Test(stream_buffer, a_low_above_n_is_refused_and_no_source_is_no_stream)
{
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(refuse, NULL), 0));
	cr_assert(rc == WEFT_EINVAL && src.closed == 1 && made[0] == 1);
}

Test(stream_buffer, outside_of_a_task_there_is_none)
{
	src = (struct script){ .step = 1 };
	struct weft_stream *s = weft_buffer(script(&src), 2);
	cr_assert(eq(int, weft_next(s, r), WEFT_ENOTASK));
	weft_stream_destroy(s);
	cr_assert(eq(int, src.closed, 1));
}

/* Allocations that fail, one after the other. */
static int without_memory(void *arg)
{
	uint64_t *at = arg;

	for (*at = 1;; ++*at) {
		src = (struct script){ .step = 1, .n = 10 };
		weft__alloc_fail_at(*at);
		struct weft_stream *s = weft_buffer(script(&src), 3);
		count = read_on(s, r, MAX);
		weft_stream_destroy(s);
		uint64_t failed = weft__alloc_failures();
		weft__alloc_fail_at(0);
		if (failed == 0)
			return 0;
		rc = r[count - 1].rc != WEFT_ENOMEM && r[count - 1].rc != 0;
		if (rc)
			return 1;
	}
}

Test(stream_buffer, each_allocation_may_fail)
{
	uint64_t at;
	cr_assert(eq(int, run_virtual(without_memory, &at), 0));
	cr_assert(ge(int, (int)at, 3));
}

static int leave_early(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_scope_enter(&scope);
	struct weft_stream *s = weft_buffer(script(&src), 3);
	weft_scope_leave(&scope, 0);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_buffer, a_scope_that_is_left_before_the_stream_is_closed_is_a_bug, .signal = SIGABRT)
{
	run_virtual(leave_early, NULL);
}

static int other_scope(void *arg)
{
	struct weft_scope outer;
	struct weft_scope inner;

	(void)arg;
	weft_scope_enter(&outer);
	struct weft_stream *s = weft_buffer(script(&src), 3);
	weft_scope_enter(&inner);
	read_on(s, &r[0], 1);
	weft_scope_leave(&inner, 0);
	read_on(s, &r[1], 1);
	weft_scope_cancel(&outer);
	let_run();
	weft_stream_destroy(s);
	rc = weft_scope_leave(&outer, weft_check());
	return 0;
}

Test(stream_buffer, its_task_belongs_to_the_scope_in_which_it_was_made)
{
	src = (struct script){ .step = 1, .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(other_scope, NULL), 0));
	cr_assert(r[0].item == 0 && r[1].item == 1 && rc == 0);
	cr_assert(src.cut_off == 1 && src.closed == 1);
}
