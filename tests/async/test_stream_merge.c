/* SPDX-License-Identifier: MIT */
/*
 * test_stream_merge.c - what weft_merge, weft_flat_map and weft_retry_stream promise
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/streams.h"

TestSuite(stream_merge, .timeout = 60);

enum { MAX = 64, MANY = 10000 };

static struct script src[4];
static size_t n;
static struct weft_merge_opts opts;
static struct reading r[MAX];
static size_t count, most;
static int drops;
static int64_t took;

static struct weft_stream *merged(void)
{
	struct weft_stream *sources[4];

	for (size_t i = 0; i < n; i++)
		sources[i] = script(&src[i]);
	opts.size = sizeof opts;
	return weft_merge_opt(sources, n, &opts);
}

static void drop(void *item, void *arg)
{
	(void)item;
	(void)arg;
	drops++;
}

static int read_merged(void *arg)
{
	struct weft_stream *s = weft_stream_on_drop(merged(), drop, NULL);

	(void)arg;
	count = read_on(s, r, most ? most : MAX);
	int64_t began = weft_now();
	weft_stream_destroy(s);
	took = weft_now() - began;
	return 0;
}

static bool all_closed(void)
{
	for (size_t i = 0; i < n; i++)
		if (src[i].closed != 1 || src[i].in_wait)
			return false;
	return true;
}

static bool items_are(const int64_t *items, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (r[i].rc != 1 || r[i].item != items[i])
			return false;
	return true;
}

/* --- merge --------------------------------------------------------------------- */

Test(stream_merge, ST01_evens_and_odds_in_order_of_time)
{
	n = 2;
	src[0] = (struct script){ .step = 2, .n = 3, .every = WEFT_SEC(2) };
	src[1] = (struct script){ 1, 2, .n = 2, .every = WEFT_SEC(2), .delay = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(eq(sz, count, 6));
	for (int i = 0; i < 5; i++) {
		cr_assert(eq(i64, r[i].item, i));
		cr_assert(eq(i64, r[i].at - r[0].at, i * 1000));
	}
	cr_assert(r[5].rc == 0);
	cr_assert(all_closed());
}

Test(stream_merge, ST02_of_nothing_is_the_end)
{
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(count == 1 && r[0].rc == 0);
}

Test(stream_merge, ST03_closing_leaves_no_source_open_and_no_task)
{
	n = 3;
	most = 3;
	for (int i = 0; i < 3; i++)
		src[i] = (struct script){ i, 0, .every = WEFT_SEC(100) };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(eq(sz, count, 3));
	cr_assert(all_closed());
	cr_assert(eq(i64, took, 0));
}

Test(stream_merge, ST03_items_at_hand_are_dropped_once)
{
	n = 3;
	most = 4;
	for (int i = 0; i < 3; i++)
		src[i] = (struct script){ .first = i };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(all_closed());
	cr_assert(eq(int, drops, (int)(src[0].made + src[1].made + src[2].made) - 4));
}

Test(stream_merge, ST04_an_error_cancels_the_others_and_comes_after_the_items)
{
	const int64_t items[] = { 0, 10, 11 };
	n = 2;
	src[0] = (struct script){ .n = 1, .end = -77, .every = WEFT_SEC(1) };
	src[1] = (struct script){ 10, 1, .n = 2, .every = WEFT_SEC(1), .delay = WEFT_MS(500) };
	src[0].n = 1;
	src[2] = (struct script){ .delay = WEFT_SEC(1000) };
	n = 3;
	src[0].end = 0;
	src[1].end = -77;
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(eq(sz, count, 4));
	cr_assert(items_are(items, 3));
	cr_assert(eq(int, r[3].rc, -77));
	cr_assert(lt(i64, r[3].at - r[0].at, 10000));
	cr_assert(src[2].cut_off == 1 && all_closed());
}

Test(stream_merge, delayed_errors_come_at_the_end)
{
	const int64_t items[] = { 0, 10, 11 };
	n = 2;
	opts.delay_errors = true;
	src[0] = (struct script){ .n = 1, .end = -77 };
	src[1] = (struct script){ 10, 1, .n = 2, .every = WEFT_SEC(1), .delay = WEFT_MS(500) };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(count == 4 && items_are(items, 3) && r[3].rc == -77);
}

Test(stream_merge, a_source_that_fails_can_be_skipped)
{
	const int64_t items[] = { 0, 10, 11 };
	n = 2;
	opts.on_error = WEFT_MERGE_SKIP;
	src[0] = (struct script){ .n = 1, .end = -77 };
	src[1] = (struct script){ 10, 1, .n = 2, .every = WEFT_SEC(1), .delay = WEFT_MS(500) };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(count == 4 && items_are(items, 3) && r[3].rc == 0);
}

Test(stream_merge, a_source_that_fails_can_end_it_all)
{
	n = 2;
	opts.on_error = WEFT_MERGE_STOP;
	src[0] = (struct script){ .n = 1, .end = -77 };
	src[1] = (struct script){ 10, 1, .n = 2, .every = WEFT_SEC(1), .delay = WEFT_MS(500) };
	cr_assert(eq(int, run_virtual(read_merged, NULL), 0));
	cr_assert(count == 2 && r[0].item == 0 && r[1].rc == 0);
	cr_assert(all_closed());
}

/* A source that makes an error out of a cancel. */
static int fails_when_cut_off(void *item, void *arg)
{
	(void)item;
	(void)arg;
	return weft_sleep(WEFT_SEC(1000)) ? -79 : 0;
}

static int rcs[4];

static int read_failing(void *arg)
{
	struct weft_stream *sources[] = {
		script(&src[0]), weft_from_function(fails_when_cut_off, NULL, sizeof(int64_t)),
		script(&src[2]), script(&src[3])
	};
	struct weft_stream *s = weft_merge(sources, 4, .rcs = rcs);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST_4_errors_after_the_first_are_kept)
{
	src[0] = (struct script){ .n = 1, .end = -77, .delay = WEFT_SEC(1) };
	src[2] = (struct script){ .delay = WEFT_SEC(1000) };
	src[3] = (struct script){ .n = 1 };
	cr_assert(eq(int, run_virtual(read_failing, NULL), 0));
	cr_assert(count == 3 && r[2].rc == -77);
	cr_assert(rcs[0] == -77 && rcs[1] == -79 && rcs[2] == WEFT_ECANCELED && rcs[3] == 0);
}

static int fails(void *item, void *arg)
{
	(void)item;
	(void)arg;
	return -78;
}

static int consume(void *arg)
{
	struct weft_stream *s = weft_buffer(merged(), 2);

	*(int *)arg = weft_stream_for_each(s, fails, NULL);
	int64_t began = weft_now();
	weft_stream_destroy(s);
	took = weft_now() - began;
	return 0;
}

Test(stream_merge, ST18_an_error_of_the_consumer_cancels_what_runs_upstream)
{
	int rc;

	n = 2;
	src[0] = (struct script){ .step = 1, .every = WEFT_SEC(1) };
	src[1] = (struct script){ .delay = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(consume, &rc), 0));
	cr_assert(eq(int, rc, -78));
	cr_assert(eq(i64, took, 0));
	cr_assert(all_closed() && src[0].cut_off == 1 && src[1].cut_off == 1);
}

/* One source always has an item, the other one now and then: `wait` is the number of reads
 * between it being there and being read. */
static int fairness(void *arg)
{
	struct weft_stream *s = merged();
	int waited = 0;

	(void)arg;
	for (int i = 0; i < 50; i++) {
		int64_t item;
		size_t ready = src[1].made;
		weft_next(s, &item);
		weft_sleep(WEFT_MS(10));
		waited = ready > count ? waited + 1 : 0;
		if (item >= 1000) {
			count++;
			waited = 0;
		}
		took = waited > took ? waited : took;
	}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST05_a_slow_source_is_seen_within_two_reads)
{
	n = 2;
	src[0] = (struct script){ .step = 1 };
	src[1] = (struct script){ 1000, 1, .every = WEFT_MS(35) };
	cr_assert(eq(int, run_virtual(fairness, NULL), 0));
	cr_assert(gt(sz, count, 5));
	cr_assert(le(i64, took, 2));
}

static int by_priority(void *arg)
{
	struct weft_stream *s = merged();

	(void)arg;
	read_on(s, &r[0], 1);
	let_run();
	count = read_on(s, &r[1], 3);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, with_priority_the_least_index_that_is_ready_comes_first)
{
	n = 3;
	opts.priority = true;
	src[0] = (struct script){ 0, 1, .n = 1, .delay = WEFT_MS(1) };
	src[1] = (struct script){ 10, 1, .n = 1, .delay = WEFT_MS(1) };
	src[2] = (struct script){ 20, 1, .n = 2 };
	cr_assert(eq(int, run_virtual(by_priority, NULL), 0));
	cr_assert(eq(i64, r[0].item, 20));
	cr_assert(eq(i64, r[1].item, 21));
	cr_assert(eq(i64, r[2].item, 0));
	cr_assert(eq(i64, r[3].item, 10));
}

static int one_by_one(void *arg)
{
	struct weft_stream *s = merged();
	size_t i = 0;

	(void)arg;
	while (i < MAX) {
		struct weft_scope scope;
		weft_scope_enter(&scope, .timeout = WEFT_MS(300));
		r[i].rc = weft_scope_leave(&scope, weft_next(s, &r[i].item));
		if (r[i].rc != WEFT_ETIMEDOUT && r[i++].rc <= 0)
			break;
	}
	count = i;
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, a_reader_that_is_cut_off_has_lost_nothing)
{
	n = 2;
	src[0] = (struct script){ .step = 2, .n = 5, .every = WEFT_SEC(2) };
	src[1] = (struct script){ 1, 2, .n = 5, .every = WEFT_SEC(2), .delay = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(one_by_one, NULL), 0));
	cr_assert(eq(sz, count, 11));
	for (int i = 0; i < 10; i++)
		cr_assert(eq(i64, r[i].item, i));
}

static int many_sources(void *arg)
{
	static struct weft_stream *sources[MANY];
	static int64_t numbers[MANY];
	static bool seen[MANY];
	int64_t item;

	(void)arg;
	for (int i = 0; i < MANY; i++) {
		numbers[i] = i;
		sources[i] = weft_from_array(&numbers[i], 1, sizeof numbers[i]);
	}
	struct weft_stream *s = weft_merge(sources, MANY);
	while (weft_next(s, &item) > 0 && !seen[item]) {
		seen[item] = true;
		count++;
	}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST24_of_ten_thousand_sources_with_one_item_each)
{
	cr_assert(eq(int, run_virtual(many_sources, NULL), 0));
	cr_assert(eq(sz, count, MANY));
}

/* A pull of an item is a task, and AddressSanitizer makes a task dear. */
enum { ITEMS = WEFT__ASAN ? 20000 : 1000000 };

static int through_all(void *arg)
{
	struct weft_stream *two[2] = { weft_from_range(0, ITEMS / 2, 1),
				       weft_from_range(ITEMS / 2, ITEMS, 1) };
	struct weft_stream *s = weft_batch(weft_buffer(weft_merge(two, 2), 64), 100, 0);
	struct weft_chunk chunk;

	(void)arg;
	while (weft_next(s, &chunk) > 0)
		for (size_t i = 0; i < chunk.n; i++) {
			count++;
			took += ((int64_t *)chunk.items)[i];
		}
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST23_a_million_items_through_merge_buffer_and_batch)
{
	cr_assert(eq(int, run_virtual(through_all, NULL), 0));
	cr_assert(eq(sz, count, ITEMS));
	cr_assert(eq(i64, took, (int64_t)ITEMS * (ITEMS - 1) / 2));
}

static int take_one(void *arg)
{
	struct weft_stream *s = weft_take(merged(), 1);

	(void)arg;
	count = read_on(s, r, 1);
	most = (size_t)(src[0].closed + src[1].closed);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST17_take_joins_what_runs_upstream_with_the_last_item)
{
	n = 2;
	src[0] = (struct script){ .every = WEFT_SEC(1) };
	src[1] = (struct script){ .delay = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(take_one, NULL), 0));
	cr_assert(count == 1 && most == 2 && src[1].cut_off == 1);
}

/* --- flat_map ----------------------------------------------------------------------- */

static struct weft_stream *inner(const void *item, void *arg)
{
	int64_t i = *(const int64_t *)item;

	(void)arg;
	if (i == 3)
		return script(&src[3]);
	return weft_from_range(i * 10, i * 10 + 3, 1);
}

static size_t limit;

static int flat(void *arg)
{
	struct weft_stream *s = weft_stream_on_drop(
		weft_flat_map(script(&src[0]), inner, NULL, sizeof(int64_t), .limit = limit), drop,
		NULL);

	(void)arg;
	count = read_on(s, r, most ? most : MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, flat_map_with_one_at_a_time_keeps_the_order)
{
	const int64_t items[] = { 0, 1, 2, 10, 11, 12, 20, 21, 22 };
	limit = 1;
	src[0] = (struct script){ .step = 1, .n = 3 };
	cr_assert(eq(int, run_virtual(flat, NULL), 0));
	cr_assert(count == 10 && items_are(items, 9) && r[9].rc == 0);
	cr_assert(eq(int, src[0].closed, 1));
}

Test(stream_merge, flat_map_pulls_no_more_streams_than_its_limit)
{
	limit = 2;
	most = 4;
	src[0] = (struct script){ .step = 1 };
	src[3] = (struct script){ .delay = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(flat, NULL), 0));
	cr_assert(eq(sz, count, 4));
	cr_assert(le(sz, src[0].made, 4));
	cr_assert(eq(int, src[0].closed, 1));
}

Test(stream_merge, flat_map_ends_with_the_first_error_after_what_came)
{
	limit = 4;
	src[0] = (struct script){ .step = 1, .n = 4 };
	src[3] = (struct script){ .n = 1, .first = 99, .end = -78, .delay = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(flat, NULL), 0));
	cr_assert(eq(sz, count, 11));
	cr_assert(r[9].item == 99 && r[10].rc == -78);
	cr_assert(src[3].closed == 1 && src[0].closed == 1);
}

Test(stream_merge, flat_map_closed_early_destroys_what_it_made)
{
	limit = 4;
	most = 1;
	src[0] = (struct script){ 3, 1, .n = 2, .every = WEFT_SEC(1) };
	src[3] = (struct script){ .every = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(flat, NULL), 0));
	cr_assert(src[3].closed == 1 && src[3].cut_off == 1 && src[0].closed == 1);
}

static struct weft_stream *failing(const void *item, void *arg)
{
	(void)arg;
	return *(const int64_t *)item == 0
		       ? script(&src[1])
		       : weft_from_function(fails_when_cut_off, NULL, sizeof(int64_t));
}

static struct weft_failure failures[2];
static size_t failed;

static int read_flat_failing(void *arg)
{
	struct weft_stream *s =
		weft_flat_map(script(&src[0]), failing, NULL, sizeof(int64_t), .limit = 3,
			      .failures = failures, .max_failures = 2, .failed = &failed);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, flat_map_keeps_the_errors_after_the_first)
{
	src[0] = (struct script){ .step = 1, .n = 3 };
	src[1] = (struct script){ .n = 1, .end = -77, .delay = WEFT_SEC(1) };
	cr_assert(eq(int, run_virtual(read_flat_failing, NULL), 0));
	cr_assert(count == 2 && r[1].rc == -77);
	cr_assert(eq(sz, failed, 3));
	cr_assert(failures[0].rc == -77 && failures[1].rc == -79);
	cr_assert(eq(str, (char *)failures[0].name, "script"));
}

/* --- retry --------------------------------------------------------------------------- */

static int makes;

static struct weft_stream *make(void *arg)
{
	(void)arg;
	return makes < 4 ? script(&src[makes++]) : NULL;
}

static int retried(void *arg)
{
	struct weft_stream *s =
		weft_retry_stream(make, NULL, sizeof(int64_t), .attempts = 3, .delay = WEFT_SEC(1));
	struct weft_scope scope;

	weft_scope_enter(&scope, .timeout = arg ? WEFT_SEC(30) : 0);
	count = read_on(s, r, MAX);
	took = weft_scope_leave(&scope, r[count - 1].rc);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, ST25_a_stream_that_fails_is_made_again)
{
	const int64_t items[] = { 0, 1, 10, 20, 21 };
	src[0] = (struct script){ 0, 1, .n = 2, .end = WEFT_EAGAIN };
	src[1] = (struct script){ 10, 1, .n = 1, .end = WEFT_EAGAIN };
	src[2] = (struct script){ 20, 1, .n = 2 };
	cr_assert(eq(int, run_virtual(retried, NULL), 0));
	cr_assert(count == 6 && items_are(items, 5) && r[5].rc == 0);
	cr_assert(eq(i64, r[4].at - r[0].at, 2000));
	cr_assert(src[0].closed == 1 && src[1].closed == 1 && src[2].closed == 1);
}

Test(stream_merge, ST25_errors_that_are_final_are_not_retried)
{
	src[0] = (struct script){ 0, 1, .n = 2, .end = WEFT_EINVAL };
	cr_assert(eq(int, run_virtual(retried, NULL), 0));
	cr_assert(count == 3 && r[2].rc == WEFT_EINVAL && makes == 1);
}

Test(stream_merge, ST25_a_cancel_from_outside_is_not_retried)
{
	src[0] = (struct script){ 0, 1, .n = 2, .every = WEFT_SEC(1000) };
	cr_assert(eq(int, run_virtual(retried, &makes), 0));
	cr_assert(count == 2 && took == WEFT_ETIMEDOUT && makes == 1);
	cr_assert(src[0].closed == 1 && src[0].cut_off == 1);
}

static struct weft_retry_stats stats;

static int retried_in_time(void *arg)
{
	struct weft_stream *s =
		weft_retry_stream(make, NULL, sizeof(int64_t), .attempts = 3, .delay = WEFT_SEC(1),
				  .per_attempt = WEFT_SEC(10), .stats = &stats);

	(void)arg;
	count = read_on(s, r, MAX);
	weft_stream_destroy(s);
	return 0;
}

Test(stream_merge, a_stream_that_is_late_with_an_item_is_made_again)
{
	const int64_t items[] = { 0, 10, 11 };
	src[0] = (struct script){ 0, 1, .n = 2, .every = WEFT_SEC(100) };
	src[1] = (struct script){ 10, 1, .n = 2, .every = WEFT_SEC(9) };
	cr_assert(eq(int, run_virtual(retried_in_time, NULL), 0));
	cr_assert(count == 4 && items_are(items, 3) && r[3].rc == 0);
	cr_assert(eq(i64, r[1].at - r[0].at, 11000));
	cr_assert(src[0].closed == 1 && src[0].cut_off == 1 && src[1].closed == 1);
	cr_assert(stats.attempts == 5 && stats.slept == WEFT_SEC(1) && stats.last_rc == 0);
}

Test(stream_merge, a_stream_that_is_late_each_time_has_timed_out)
{
	for (int i = 0; i < 3; i++)
		src[i] = (struct script){ .delay = WEFT_SEC(100) };
	cr_assert(eq(int, run_virtual(retried_in_time, NULL), 0));
	cr_assert(count == 1 && r[0].rc == WEFT_ETIMEDOUT && makes == 3);
	cr_assert(stats.attempts == 3 && stats.slept == WEFT_SEC(2));
	cr_assert(stats.last_rc == WEFT_ETIMEDOUT);
}
