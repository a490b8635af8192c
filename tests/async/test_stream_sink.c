/* SPDX-License-Identifier: MIT */
/*
 * What reads a stream until it is over.
 */
#include "async/stream.h"
#include "deque/alloc.h"
#include "support/virtual.h"

#include <weft/stream_check.h>

TestSuite(stream_sink, .timeout = 60);

static int add(void *acc, const void *item, void *arg)
{
	const int64_t *last = arg;

	*(int64_t *)acc += *(const int64_t *)item;
	return last && *(const int64_t *)item == *last ? WEFT_EIO : 0;
}

static int adds(void *item, void *arg)
{
	*(int64_t *)arg += *(int64_t *)item;
	return *(int64_t *)item == 7 ? WEFT_EIO : 0;
}

Test(stream_sink, count_reduce_first_and_last)
{
	struct weft_probe probe = { .n = 5 };
	struct weft_stream *s = weft_probe_open(&probe);
	int64_t item = -1, last = 3;
	uint64_t n;

	cr_assert(eq(int, weft_stream_count(s, &n), 0));
	cr_assert(eq(u64, n, 5));
	cr_assert(eq(i64, probe.dropped, 5));
	cr_assert(eq(int, probe.closed, 0));
	weft_stream_destroy(s);

	s = weft_from_range(0, 10, 1);
	item = 100;
	cr_assert(eq(int, weft_stream_reduce(s, &item, add, &last), WEFT_EIO));
	cr_assert(eq(i64, item, 106));
	cr_assert(eq(int, weft_stream_reduce(s, &item, add, NULL), 0));
	cr_assert(eq(i64, item, 145));
	weft_stream_destroy(s);

	probe = (struct weft_probe){ .n = 5 };
	s = weft_probe_open(&probe);
	cr_assert(eq(int, weft_stream_first(s, &item), 1));
	cr_assert(eq(i64, item, 0));
	cr_assert(eq(int, probe.closed, 1));
	cr_assert(eq(int, weft_stream_first(s, &item), WEFT_ECLOSED));
	weft_stream_destroy(s);

	probe = (struct weft_probe){ .n = 5 };
	s = weft_probe_open(&probe);
	cr_assert(eq(int, weft_stream_last(s, &item), 1));
	cr_assert(eq(i64, item, 4));
	cr_assert(eq(i64, probe.dropped, 4));
	cr_assert(eq(int, weft_stream_last(s, &item), 0));
	weft_stream_destroy(s);

	probe = (struct weft_probe){ .n = 5, .rc = WEFT_EIO };
	s = weft_probe_open(&probe);
	cr_assert(eq(int, weft_stream_last(s, &item), WEFT_EIO));
	cr_assert(eq(i64, probe.dropped, 5));
	weft_stream_destroy(s);
}

Test(stream_sink, null_is_out_of_memory_for_every_sink)
{
	struct weft_list list = { 0 };
	int64_t item;
	uint64_t n;

	cr_assert(eq(int, weft_stream_count(NULL, &n), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_reduce(NULL, &item, add, NULL), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_first(NULL, &item), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_last(NULL, &item), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_collect(NULL, &list, 0), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_for_each(NULL, adds, &item), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_for_each(NULL, adds, &item, .limit = 2), WEFT_ENOMEM));
	cr_assert(eq(int, weft_stream_to_fd(NULL, 1, NULL, 0), WEFT_ENOMEM));
}

Test(stream_sink, collect_stops_at_its_bound_and_goes_on)
{
	struct weft_stream *s = weft_from_range(0, 1000, 1);
	struct weft_list list = { 0 };

	cr_assert(eq(int, weft_stream_collect(s, &list, 10), 1));
	cr_assert(eq(sz, list.n, 10));
	cr_assert(eq(int, weft_stream_collect(s, &list, 0), 0));
	cr_assert(eq(sz, list.n, 1000));
	for (int64_t i = 0; i < 1000; i++)
		cr_assert(eq(i64, ((int64_t *)list.items)[i], i));
	weft_stream_destroy(s);
	s = weft_from_array("abc", 3, 1);
	cr_assert(eq(int, weft_stream_collect(s, &list, 0), WEFT_EINVAL));
	weft_stream_destroy(s);
	weft_list_free(&list);
	cr_assert(zero(sz, list.n));
}

Test(stream_sink, collect_without_memory_takes_no_item)
{
	int64_t live = weft__alloc_live();
	struct weft_probe probe = { .n = 100 };
	struct weft_stream *s = weft_probe_open(&probe);
	struct weft_list list = { 0 };

	weft__alloc_fail_at(2);
	cr_assert(eq(int, weft_stream_collect(s, &list, 0), WEFT_ENOMEM));
	weft__alloc_fail_at(0);
	cr_assert(eq(sz, list.n, (size_t)probe.given));
	cr_assert(eq(int, weft_stream_collect(s, &list, 0), 0));
	cr_assert(eq(sz, list.n, 100));
	weft_list_free(&list);
	weft_stream_destroy(s);
	cr_assert(eq(i64, weft__alloc_live(), live));
}

Test(stream_sink, for_each_ends_with_the_first_error_and_the_stream_goes_on)
{
	struct weft_stream *s = weft_from_range(0, 20, 1);
	int64_t sum = 0;

	cr_assert(eq(int, weft_stream_for_each(s, adds, &sum), WEFT_EIO));
	cr_assert(eq(i64, sum, 28));
	cr_assert(eq(int, weft_stream_for_each(s, adds, &sum), 0));
	cr_assert(eq(i64, sum, 190));
	weft_stream_destroy(s);
}

/* --- several at once -------------------------------------------------------- */

static uint32_t now, most, done, started;
static int64_t bad;

static int works(void *item, void *arg)
{
	uint32_t here = add_seqcst(&now, 1) + 1;
	int rc;

	(void)arg;
	add_seqcst(&started, 1);
	while (here > load_relaxed(&most))
		store_relaxed(&most, here);
	rc = weft_sleep(WEFT_SEC(1));
	add_seqcst(&now, (uint32_t)-1);
	add_seqcst(&done, rc == 0);
	return rc ? rc : *(int64_t *)item == bad ? WEFT_EIO : 0;
}

TaskTest(stream_sink, for_each_runs_so_many_at_a_time)
{
	struct weft_stream *s = weft_from_range(0, 100, 1);
	int64_t began = weft_now();

	(void)arg;
	bad = -1;
	now = most = done = started = 0;
	HOLDS(weft_stream_for_each(s, works, NULL, .limit = 10) == 0);
	HOLDS(done == 100);
	HOLDS(most <= 10);
	HOLDS(weft_now() - began == WEFT_SEC(10));
	weft_stream_destroy(s);
	return 0;
}

TaskTest(stream_sink, for_each_cancels_the_others_when_one_fails)
{
	struct weft_probe probe = { .n = INT64_MAX };
	struct weft_stream *s = weft_probe_open(&probe);

	(void)arg;
	bad = 0;
	now = most = done = started = 0;
	HOLDS(weft_stream_for_each(s, works, NULL, .limit = 4) == WEFT_EIO);
	HOLDS(now == 0);
	HOLDS(done <= 4);
	HOLDS(probe.given == started + probe.dropped);
	weft_stream_destroy(s);
	return 0;
}

TaskTest(stream_sink, for_each_ends_its_tasks_when_it_is_cancelled)
{
	struct weft_probe probe = { .n = INT64_MAX };
	struct weft_stream *s = weft_probe_open(&probe);
	struct weft_scope scope;

	(void)arg;
	bad = -1;
	now = most = done = started = 0;
	weft_scope_enter(&scope, .timeout = WEFT_MS(2500));
	int rc = weft_stream_for_each(s, works, NULL, .limit = 4);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&scope, rc) == WEFT_ETIMEDOUT);
	HOLDS(now == 0);
	HOLDS(done == 8);
	HOLDS(probe.given == started + probe.dropped);
	weft_stream_destroy(s);
	return 0;
}

/* --- to a channel -------------------------------------------------------------- */

struct sending {
	struct weft_channel *channel;
	struct weft_probe probe;
	int rc;
};

static int sends(void *arg)
{
	struct sending *x = arg;
	struct weft_stream *s = weft_probe_open(&x->probe);

	x->rc = weft_stream_to_channel(s, x->channel, true);
	weft_stream_destroy(s);
	return 0;
}

TaskTest(stream_sink, to_channel_sends_all_and_closes)
{
	struct sending x = { .probe = { .n = 100 } };
	struct weft_group g;
	int64_t item, n = 0;

	(void)arg;
	HOLDS(weft_channel_create(&x.channel, 8, 3) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sends, &x) == 0);
	while (weft_channel_recv(x.channel, &item) == 0)
		HOLDS(item == n++);
	HOLDS(n == 100);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(x.rc == 0);
	weft_channel_destroy(x.channel);
	return 0;
}

TaskTest(stream_sink, to_channel_drops_the_item_that_it_cannot_send)
{
	struct sending x = { .probe = { .n = 100 } };

	(void)arg;
	HOLDS(weft_channel_create(&x.channel, 8, 3) == 0);
	weft_channel_close(x.channel);
	HOLDS(sends(&x) == 0);
	HOLDS(x.rc == WEFT_ECLOSED);
	HOLDS(x.probe.given == 1);
	HOLDS(x.probe.dropped == 1);
	weft_channel_destroy(x.channel);
	return 0;
}
