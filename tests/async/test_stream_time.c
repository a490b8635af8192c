/* SPDX-License-Identifier: MIT */
/*
 * test_stream_time.c - what stages that know the time promise
 *
 * Throttle, batch and window by time, timeout_each, debounce, sample, interval; and the
 * rate limiter.
 */
#include <criterion/criterion.h>

#include <weft/rate.h>

#include "support/assert.h"
#include "support/streams.h"

TestSuite(stream_time, .timeout = 60);

enum { MAX = 64 };

static struct script src;
static struct reading r[MAX];
static size_t count;
static int drops;
static int rc;
static int64_t took;

static void drop(void *item, void *arg)
{
	(void)item;
	(void)arg;
	drops++;
}

/* --- throttle ---------------------------------------------------------------- */

static struct weft_throttle_opts slow = { .size = sizeof slow, .rate = 20, .burst = 1 };

static int throttled(void *arg)
{
	struct weft_stream *s = weft_throttle_opt(script(&src), &slow);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, ST10_21_items_at_20_a_second_take_a_second)
{
	src = (struct script){ .step = 1, .n = 21 };
	cr_assert(eq(int, run_virtual(throttled, NULL), 0));
	cr_assert(eq(sz, count, 22));
	for (int i = 0; i < 21; i++)
		cr_assert(eq(i64, r[i].at - r[0].at, i * 50));
}

static int thirds(void *arg)
{
	struct weft_stream *s =
		weft_throttle(weft_from_range(0, 3001, 1), .rate = 3, .per = WEFT_US(1));
	int64_t began = weft_now(), item;

	(void)arg;
	while (weft_next(s, &item) > 0) {
		int64_t at = weft_now() - began;
		rc |= at * 3 < item * 1000 || at * 3 > item * 1000 + 2;
		count++;
	}
	took = weft_now() - began;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, throttle_rounds_no_error_up)
{
	cr_assert(eq(int, run_virtual(thirds, NULL), 0));
	cr_assert(eq(sz, count, 3001));
	cr_assert(eq(int, rc, 0));
	cr_assert(eq(i64, took, 1000000));
}

static int bursts(void *arg)
{
	struct weft_stream *s = weft_throttle_opt(script(&src), &slow);

	(void)arg;
	count = read_on(s, r, 8);
	weft_sleep(WEFT_SEC(60));
	count += read_on(s, &r[8], 7);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, ST11_a_pause_gives_a_burst_and_no_more)
{
	src = (struct script){ .step = 1 };
	slow.rate = slow.burst = 5;
	slow.per = WEFT_SEC(10);
	cr_assert(eq(int, run_virtual(bursts, NULL), 0));
	for (int i = 0; i < 8; i++)
		cr_assert(eq(i64, r[i].at - r[0].at, i < 5 ? 0 : (i - 4) * 2000));
	for (int i = 8; i < 15; i++)
		cr_assert(eq(i64, r[i].at - r[8].at, i < 13 ? 0 : (i - 12) * 2000));
}

Test(stream_time, throttle_needs_a_rate)
{
	slow.rate = 0;
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(throttled, NULL), 0));
	cr_assert(count == 1 && r[0].rc == WEFT_EINVAL && src.closed == 1);
}

static int throttle_cut_off(void *arg)
{
	struct weft_stream *s =
		weft_stream_on_drop(weft_throttle_opt(script(&src), &slow), drop, NULL);
	struct weft_scope scope;

	(void)arg;
	read_on(s, &r[0], 1);
	weft_scope_enter(&scope, .timeout = WEFT_MS(300));
	rc = weft_scope_leave(&scope, weft_next(s, &r[1].item));
	count = read_on(s, &r[1], 1);
	weft_scope_enter(&scope, .timeout = WEFT_MS(300));
	weft_scope_leave(&scope, weft_next(s, &r[2].item));
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, a_throttle_that_is_cut_off_takes_no_slot_and_loses_nothing)
{
	slow.rate = 1;
	src = (struct script){ .step = 1 };
	cr_assert(eq(int, run_virtual(throttle_cut_off, NULL), 0));
	cr_assert(eq(int, rc, WEFT_ETIMEDOUT));
	cr_assert(r[1].item == 1 && r[1].at - r[0].at == 1000);
	cr_assert(eq(int, drops, 1));
}

/* --- the rate limiter --------------------------------------------------------- */

static struct weft_rate_limiter limiter;
static int64_t passed[4];

static int take_units(void *arg)
{
	int64_t *at = arg;

	weft_rate_acquire(&limiter, at == &passed[0] ? 5 : 1);
	*at = ms_now();
	return 0;
}

static int in_line(void *arg)
{
	struct weft_group g;

	(void)arg;
	rc = weft_rate_limiter_init(&limiter, 1, WEFT_SEC(1), 5);
	weft_group_open(&g);
	took = ms_now();
	rc |= weft_rate_acquire(&limiter, 4);
	for (int i = 0; i < 4; i++) {
		weft_spawn(&g, take_units, &passed[i]);
		let_run();
	}
	count = weft_rate_try_acquire(&limiter, 1) == WEFT_EAGAIN;
	count += weft_rate_acquire(&limiter, 6) == WEFT_EINVAL;
	return weft_group_close(&g, 0);
}

Test(stream_time, a_large_request_is_not_passed_by_small_ones)
{
	cr_assert(eq(int, run_virtual(in_line, NULL), 0));
	cr_assert(eq(int, rc, 0));
	for (int i = 0; i < 4; i++)
		cr_assert(eq(i64, passed[i] - took, 4000 + i * 1000));
	cr_assert(eq(sz, count, 2));
}

static int give_up(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_rate_limiter_init(&limiter, 1, WEFT_SEC(1), 1);
	took = ms_now();
	weft_rate_acquire(&limiter, 1);
	weft_scope_enter(&scope, .timeout = WEFT_MS(500));
	rc = weft_scope_leave(&scope, weft_rate_acquire(&limiter, 1));
	weft_rate_acquire(&limiter, 1);
	took = ms_now() - took;
	return 0;
}

Test(stream_time, who_gives_up_has_taken_nothing)
{
	cr_assert(eq(int, run_virtual(give_up, NULL), 0));
	cr_assert(eq(int, rc, WEFT_ETIMEDOUT));
	cr_assert(eq(i64, took, 1000));
}

Test(stream_time, a_limiter_without_rate_time_or_burst_is_none)
{
	cr_assert(eq(int, weft_rate_limiter_init(&limiter, 0, 1, 1), WEFT_EINVAL));
	cr_assert(eq(int, weft_rate_limiter_init(&limiter, 1, 0, 1), WEFT_EINVAL));
	cr_assert(eq(int, weft_rate_limiter_init(&limiter, 1, 1, 0), WEFT_EINVAL));
	cr_assert(eq(int, weft_rate_limiter_init(&limiter, 1, WEFT_NEVER, 2), WEFT_EINVAL));
}

/* --- batch --------------------------------------------------------------------- */

static size_t size;
static int64_t timeout;
static struct weft_batch_opts batch_opts = { .size = sizeof batch_opts };
static struct {
	int rc;
	size_t n;
	int64_t first, at;
} b[MAX];
static int64_t patience;

static int next_chunk(struct weft_stream *s, size_t i)
{
	struct weft_chunk chunk = { NULL, 0 };
	struct weft_scope scope;

	weft_scope_enter(&scope, .timeout = patience);
	b[i].rc = weft_scope_leave(&scope, weft_next(s, &chunk));
	b[i].n = chunk.n;
	b[i].first = chunk.n ? *(int64_t *)chunk.items : -1;
	b[i].at = ms_now();
	return b[i].rc;
}

static void read_chunks(struct weft_stream *s)
{
	while (count < MAX) {
		int got = next_chunk(s, count);
		if (got == WEFT_ETIMEDOUT && patience)
			rc++;
		else if (count++, got <= 0)
			break;
	}
	if (count < MAX)
		next_chunk(s, count); /* the end stays */
	weft_stream_destroy(s);
}

static int batched(void *arg)
{
	(void)arg;
	read_chunks(weft_batch_opt(script(&src), size, timeout, &batch_opts));
	return 0;
}

Test(stream_time, ST12_two_two_and_the_rest)
{
	size = 2;
	src = (struct script){ .step = 1, .n = 5 };
	cr_assert(eq(int, run_virtual(batched, NULL), 0));
	cr_assert(eq(sz, count, 4));
	cr_assert(b[0].n == 2 && b[1].n == 2 && b[2].n == 1);
	cr_assert(b[0].first == 0 && b[1].first == 2 && b[2].first == 4);
	cr_assert(b[3].rc == 0 && b[4].rc == 0);
}

Test(stream_time, ST12_a_size_of_0_is_refused)
{
	src = (struct script){ .step = 1, .n = 5 };
	cr_assert(eq(int, run_virtual(batched, NULL), 0));
	cr_assert(count == 1 && b[0].rc == WEFT_EINVAL && src.closed == 1);
}

Test(stream_time, ST13_the_time_begins_with_the_first_item_and_no_batch_is_empty)
{
	size = 100;
	timeout = WEFT_SEC(5);
	src = (struct script){ .step = 1, .n = 2, .delay = WEFT_SEC(7), .every = WEFT_SEC(20) };
	cr_assert(eq(int, run_virtual(batched, NULL), 0));
	cr_assert(eq(sz, count, 3));
	cr_assert(b[0].n == 1 && b[1].n == 1 && b[2].rc == 0);
	cr_assert(eq(i64, b[1].at - b[0].at, 15000));
}

static int batch_began(void *arg)
{
	int64_t began = weft_now();
	struct weft_stream *s = weft_batch(script(&src), 100, WEFT_SEC(5));
	struct weft_chunk chunk;

	(void)arg;
	rc = weft_next(s, &chunk);
	took = weft_now() - began;
	count = chunk.n;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, ST13_an_item_after_7_s_is_flushed_after_12)
{
	src = (struct script){ .step = 1, .delay = WEFT_SEC(7), .every = WEFT_SEC(5) };
	cr_assert(eq(int, run_virtual(batch_began, NULL), 0));
	cr_assert(rc == 1);
	cr_assert(eq(sz, count, 2)); /* the one that comes at the deadline is in */
	cr_assert(eq(i64, took, WEFT_SEC(12) + 1));
}

Test(stream_time, ST14_five_slow_items_are_five_batches)
{
	size = 3;
	timeout = WEFT_MS(100);
	src = (struct script){ .step = 1, .n = 5, .every = WEFT_MS(150) };
	cr_assert(eq(int, run_virtual(batched, NULL), 0));
	cr_assert(eq(sz, count, 6));
	for (int i = 0; i < 5; i++)
		cr_assert(b[i].rc == 1 && b[i].n == 1 && b[i].first == i);
	cr_assert(b[5].rc == 0);
}

Test(stream_time, ST15_what_came_before_an_error_is_a_batch)
{
	for (timeout = 0; timeout <= WEFT_SEC(1); timeout += WEFT_SEC(1)) {
		size = 3;
		count = 0;
		src = (struct script){ .step = 1, .n = 5, .end = -77 };
		cr_assert(eq(int, run_virtual(batched, NULL), 0));
		cr_assert(eq(sz, count, 3));
		cr_assert(b[0].n == 3 && b[1].n == 2 && b[1].first == 3);
		cr_assert(b[2].rc == -77 && b[3].rc == -77);
	}
}

static int dropping(void *arg)
{
	(void)arg;
	read_chunks(weft_batch_opt(weft_stream_on_drop(script(&src), drop, NULL), size, timeout,
				   &batch_opts));
	return 0;
}

Test(stream_time, a_partial_batch_can_be_dropped_instead)
{
	size = 3;
	batch_opts.drop_partial = true;
	src = (struct script){ .step = 1, .n = 5, .end = -77 };
	cr_assert(eq(int, run_virtual(dropping, NULL), 0));
	cr_assert(count == 2 && b[0].n == 3 && b[1].rc == -77 && b[2].rc == -77);
	cr_assert(eq(int, drops, 2));
}

Test(stream_time, ST16_a_reader_that_is_cut_off_finds_its_partial_batch)
{
	for (timeout = 0; timeout <= WEFT_SEC(10); timeout += WEFT_SEC(10)) {
		size = 3;
		count = 0;
		rc = 0;
		patience = WEFT_MS(300);
		src = (struct script){ .step = 1, .n = 8, .every = WEFT_SEC(1) };
		cr_assert(eq(int, run_virtual(batched, NULL), 0));
		cr_assert(eq(sz, count, 4));
		cr_assert(b[0].n == 3 && b[1].n == 3 && b[2].n == 2);
		cr_assert(b[1].first == 3 && b[2].first == 6 && b[3].rc == 0);
		cr_assert(gt(int, rc, 10));
	}
}

static int close_partial(void *arg)
{
	struct weft_stream *s =
		weft_batch(weft_stream_on_drop(script(&src), drop, NULL), 10, WEFT_SEC(100));

	(void)arg;
	patience = WEFT_MS(2500);
	rc = next_chunk(s, 0);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, a_partial_batch_is_dropped_by_close)
{
	src = (struct script){ .step = 1, .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(close_partial, NULL), 0));
	cr_assert(rc == WEFT_ETIMEDOUT && drops == 3 && src.closed == 1);
}

/* --- windows -------------------------------------------------------------------- */

static size_t step;

static int windows(void *arg)
{
	(void)arg;
	read_chunks(weft_window(weft_stream_on_drop(script(&src), drop, NULL), size, step));
	return 0;
}

Test(stream_time, windows_slide)
{
	size = 3;
	step = 1;
	src = (struct script){ .step = 1, .n = 5 };
	cr_assert(eq(int, run_virtual(windows, NULL), 0));
	cr_assert(eq(sz, count, 4));
	for (int i = 0; i < 3; i++)
		cr_assert(b[i].n == 3 && b[i].first == i);
	cr_assert(b[3].rc == 0 && b[4].rc == 0);
}

Test(stream_time, the_last_window_has_what_was_in_none)
{
	size = 4;
	step = 3;
	src = (struct script){ .step = 1, .n = 6 };
	cr_assert(eq(int, run_virtual(windows, NULL), 0));
	cr_assert(count == 3 && b[0].n == 4 && b[1].n == 3 && b[1].first == 3 && b[2].rc == 0);
}

Test(stream_time, windows_with_gaps_drop_what_is_between)
{
	size = 2;
	step = 3;
	src = (struct script){ .step = 1, .n = 7 };
	cr_assert(eq(int, run_virtual(windows, NULL), 0));
	cr_assert(eq(sz, count, 4));
	cr_assert(b[0].first == 0 && b[1].first == 3 && b[2].first == 6 && b[2].n == 1);
	cr_assert(eq(int, drops, 2));
}

static int timed_windows(void *arg)
{
	(void)arg;
	read_chunks(weft_window_time(script(&src), WEFT_SEC(3), WEFT_SEC(2), 100));
	return 0;
}

Test(stream_time, windows_by_time_have_what_came_in_it)
{
	/* At 0.5, 1.5 ... 5.5 s: (-1, 2], (1, 4], (3, 6], (5, 8]; then there is the end. */
	src = (struct script){ .step = 1, .n = 6, .delay = WEFT_MS(500), .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(timed_windows, NULL), 0));
	cr_assert(b[0].n == 2 && b[0].first == 0);
	cr_assert(b[1].n == 3 && b[1].first == 1);
	cr_assert(b[2].first == 3 && b[2].n == 3);
	cr_assert(b[count - 1].rc == 0 && b[count].rc == 0);
}

static struct weft_stream *droppable(struct script *s)
{
	return weft_stream_on_drop(script(s), drop, NULL);
}

static int timed_windows_that_touch(void *arg)
{
	(void)arg;
	read_chunks(weft_window_time(droppable(&src), WEFT_SEC(10), WEFT_SEC(10), 100));
	return 0;
}

Test(stream_time, windows_by_time_that_touch_have_every_item_once)
{
	/* The first at the moment of the first read, two at the border. */
	src = (struct script){ .step = 1, .n = 5, .every = WEFT_SEC(5) };
	cr_assert(eq(int, run_virtual(timed_windows_that_touch, NULL), 0));
	cr_assert(b[0].n == 2 && b[0].first == 0);
	cr_assert(b[1].n == 2 && b[1].first == 2);
	cr_assert(b[2].n == 1 && b[2].first == 4);
	cr_assert(count == 4 && b[3].rc == 0 && drops == 0);
}

static int small_timed_windows(void *arg)
{
	struct weft_stream *s = weft_window_time(droppable(&src), WEFT_SEC(4), WEFT_SEC(2), 2);
	struct weft_chunk chunk;

	(void)arg;
	rc = weft_next(s, &chunk);
	took = *(const int64_t *)chunk.items;
	count = chunk.n;
	weft_sleep(WEFT_SEC(1));
	rc = weft_next(s, &chunk);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, what_leaves_a_window_by_time_unread_is_dropped)
{
	/* 0 1 2 3 come at once, 0 and 1 leave unread; then 4 and 5, with which 2 and 3, that
	 * were read, leave. */
	src = (struct script){ .step = 1, .n = 6 };
	cr_assert(eq(int, run_virtual(small_timed_windows, NULL), 0));
	cr_assert(count == 2 && took == 4);
	cr_assert(eq(int, drops, 4));
}

/* --- timeout for each -------------------------------------------------------------- */

static int each(void *arg)
{
	struct weft_stream *s = weft_timeout_each(script(&src), WEFT_SEC(1));

	(void)arg;
	while (count < MAX) {
		r[count].item = -1;
		r[count].rc = weft_next(s, &r[count].item);
		if (r[count].rc != WEFT_ETIMEDOUT && r[count].rc <= 0)
			break;
		count++;
	}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, ST21_a_gap_times_out_once_and_the_stream_goes_on)
{
	const int codes[] = { 1, WEFT_ETIMEDOUT, 1, WEFT_ETIMEDOUT, 1, WEFT_ETIMEDOUT };
	src = (struct script){ .step = 1, .n = 3, .every = WEFT_SEC(10) };
	cr_assert(eq(int, run_virtual(each, NULL), 0));
	cr_assert(eq(sz, count, 5));
	for (int i = 0; i < 5; i++)
		cr_assert(eq(int, r[i].rc, codes[i]));
	cr_assert(r[5].rc == 0);
}

Test(stream_time, ST_8_an_item_at_the_deadline_wins)
{
	src = (struct script){ .step = 1, .n = 5, .delay = WEFT_SEC(1), .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(each, NULL), 0));
	cr_assert(eq(sz, count, 5));
	for (int i = 0; i < 5; i++)
		cr_assert(eq(int, r[i].rc, 1));
}

static int batched_each(void *arg)
{
	(void)arg;
	read_chunks(weft_batch(weft_timeout_each(script(&src), WEFT_SEC(1)), 100, 0));
	return 0;
}

Test(stream_time, ST21_for_a_stage_behind_it_a_gap_is_the_end)
{
	src = (struct script){ .step = 1, .n = 5, .every = WEFT_SEC(10) };
	cr_assert(eq(int, run_virtual(batched_each, NULL), 0));
	cr_assert(b[0].n == 1 && b[1].rc == WEFT_ETIMEDOUT && count == 2);
}

/* A buffer is full of items while its reader is busy elsewhere. */
static int each_behind_a_batch(void *arg)
{
	struct weft_stream *s = weft_timeout_each(weft_buffer(script(&src), 100), WEFT_SEC(3));
	struct weft_chunk chunk;
	size_t items = 0;

	(void)arg;
	s = weft_batch(s, 1000, WEFT_MS(250));
	while ((rc = weft_next(s, &chunk)) > 0) {
		items += chunk.n;
		weft_sleep(WEFT_SEC(4));
	}
	count = items;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, ST21_no_time_passes_while_nobody_reads)
{
	src = (struct script){ .step = 1, .n = 40, .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(each_behind_a_batch, NULL), 0));
	cr_assert(rc == 0 && count == 40);
}

/* --- debounce, sample ---------------------------------------------------------------- */

static int debounced(void *arg)
{
	struct weft_stream *two[2] = { script(&src), weft_from_nothing(sizeof(int64_t)) };
	struct weft_stream *s =
		weft_stream_on_drop(weft_debounce(weft_merge(two, 2), WEFT_SEC(1)), drop, NULL);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, debounce_gives_the_last_item_before_a_pause)
{
	src = (struct script){ .step = 1, .n = 4, .every = WEFT_MS(900) };
	cr_assert(eq(int, run_virtual(debounced, NULL), 0));
	cr_assert(count == 2 && r[0].item == 3 && r[1].rc == 0 && drops == 3);
	count = 0;
	drops = 0;
	src = (struct script){ .step = 1, .n = 4, .every = WEFT_MS(1100), .end = -77 };
	cr_assert(eq(int, run_virtual(debounced, NULL), 0));
	cr_assert(count == 5 && r[3].item == 3 && r[4].rc == -77 && drops == 0);
}

static int sampled(void *arg)
{
	struct weft_stream *s =
		weft_stream_on_drop(weft_sample(script(&src), WEFT_SEC(1)), drop, NULL);

	(void)arg;
	took = ms_now();
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, sample_gives_the_last_item_of_each_period)
{
	src = (struct script){ .step = 1, .n = 6, .delay = WEFT_MS(300), .every = WEFT_MS(400) };
	cr_assert(eq(int, run_virtual(sampled, NULL), 0));
	cr_assert(eq(sz, count, 4)); /* 0 1 | 2 3 4 (1.9) | 5, the end at 2.3 */
	cr_assert(r[0].item == 1 && r[0].at - took == 1000);
	cr_assert(r[1].item == 4 && r[1].at - took == 2000);
	cr_assert(r[2].item == 5 && r[3].rc == 0);
	cr_assert(eq(int, drops, 3));
}

static int sampled_at_last(void *arg)
{
	struct weft_stream *s = weft_sample(script(&src), *(int64_t *)arg);

	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_time, a_period_that_never_ends_is_ended_by_the_source)
{
	int64_t periods[] = { WEFT_NEVER, WEFT_NEVER - 1, WEFT_NEVER / 2 };

	for (int i = 0; i < 3; i++) {
		src = (struct script){ .step = 1, .n = 4, .every = WEFT_SEC(1) };
		cr_assert(eq(int, run_virtual(sampled_at_last, &periods[i]), 0));
		cr_assert(count == 2 && r[0].item == 3 && r[1].rc == 0);
	}
}

static int batched_late(void *arg)
{
	(void)arg;
	read_chunks(weft_batch(script(&src), 100, WEFT_NEVER - 1));
	return 0;
}

Test(stream_time, a_batch_whose_time_is_never_over_is_full)
{
	src = (struct script){ .step = 1, .n = 7, .every = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(batched_late, NULL), 0));
	cr_assert(count == 2 && b[0].n == 7 && b[1].rc == 0);
}

/* --- interval --------------------------------------------------------------------------- */

static enum weft_late late;

static int ticks(void *arg)
{
	struct weft_stream *s = weft_interval(WEFT_SEC(1), late);
	int64_t began = ms_now();

	(void)arg;
	for (int i = 0; i < 6; i++) {
		weft_next(s, &r[i].item);
		r[i].at = ms_now() - began;
		if (i == 0)
			weft_sleep(WEFT_MS(2500)); /* until 3.5 s */
	}
	weft_stream_destroy(s);
	return 0;
}

static void ticked(const int64_t *items, const int64_t *times)
{
	cr_assert(eq(int, run_virtual(ticks, NULL), 0));
	for (int i = 0; i < 6; i++) {
		cr_assert(eq(i64, r[i].item, items[i]));
		cr_assert(eq(i64, r[i].at, times[i]));
	}
}

Test(stream_time, ST22_a_late_reader_gets_a_burst)
{
	late = WEFT_LATE_BURST;
	ticked((int64_t[]){ 0, 1, 2, 3, 4, 5 }, (int64_t[]){ 1000, 3500, 3500, 4000, 5000, 6000 });
}

Test(stream_time, ST22_a_late_reader_shifts_what_follows)
{
	late = WEFT_LATE_DELAY;
	ticked((int64_t[]){ 0, 1, 2, 3, 4, 5 }, (int64_t[]){ 1000, 3500, 4500, 5500, 6500, 7500 });
}

Test(stream_time, ST22_a_late_reader_skips_what_it_missed)
{
	late = WEFT_LATE_SKIP;
	ticked((int64_t[]){ 0, 2, 3, 4, 5, 6 }, (int64_t[]){ 1000, 3500, 4000, 5000, 6000, 7000 });
}

/* --- channels ------------------------------------------------------------------------------ */

static int from_channel(void *arg)
{
	struct weft_channel *c;
	struct weft_scope scope;
	int64_t item = 7;

	(void)arg;
	weft_channel_create(&c, sizeof item, 4);
	struct weft_stream *s = weft_from_channel(c, sizeof item);
	weft_scope_enter(&scope, .timeout = WEFT_SEC(1));
	rc = weft_scope_leave(&scope, weft_next(s, &item));
	weft_channel_send(c, &item);
	weft_channel_close(c);
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	s = weft_from_channel(c, sizeof item + 1);
	took = weft_next(s, &item);
	weft_stream_destroy(s);
	weft_channel_destroy(c);
	return 0;
}

Test(stream_time, ST20_a_channel_is_read_until_it_is_closed)
{
	cr_assert(eq(int, run_virtual(from_channel, NULL), 0));
	cr_assert(rc == WEFT_ETIMEDOUT && count == 2 && r[0].item == 7 && r[1].rc == 0);
	cr_assert(took == WEFT_EINVAL);
}
