/* SPDX-License-Identifier: MIT */
/*
 * test_gather.c - what weft_gather promises
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"
#include "support/tasks.h"

TestSuite(gather, .timeout = 60);

enum { MAX = 8 };

static struct {
	struct deed deeds[MAX];
	struct weft_call calls[MAX];
	size_t n;
	bool settled;
	struct weft_wait_opts opts;
	int64_t cancel_after;

	int rc, rcs[MAX], busy;
	size_t failed;
	int64_t took;
	bool outer_cancelled;
} t;

static void fresh(void)
{
	memset(&t, 0, sizeof t);
}

static int cancel_later(void *arg)
{
	weft_sleep(t.cancel_after);
	weft_scope_cancel(arg);
	return 0;
}

static void run_gather(void)
{
	int64_t began = weft_now();

	t.opts.size = sizeof t.opts;
	t.opts.failed_index = &t.failed;
	t.failed = 99;
	t.rc = weft_gather_opt(t.calls, t.n, t.settled ? t.rcs : NULL, &t.opts);
	t.took = weft_now() - began;
	for (size_t i = 0; i < t.n; i++)
		t.busy += t.deeds[i].begun - t.deeds[i].ended;
	t.outer_cancelled = weft_check() == WEFT_ECANCELED;
}

static int root(void *arg)
{
	struct weft_group g;

	(void)arg;
	call_deeds(t.calls, t.deeds, t.n);
	weft_group_open(&g);
	if (t.cancel_after)
		weft_spawn(&g, cancel_later, weft_group_scope(&g));
	run_gather();
	return weft_group_close(&g, 0);
}

static void go(size_t n)
{
	t.n = n;
	cr_assert(eq(int, run_virtually(root, NULL), 0));
	cr_expect(eq(int, t.busy, 0), "something is still running");
}

WorkersTest(gather, WA01_codes_are_in_the_order_of_the_calls)
{
	t.settled = true;
	for (int i = 0; i < 4; i++)
		t.deeds[i] = (struct deed){ .sleeps = WEFT_MS(40 - 10 * i), .rc = i };
	go(4);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(i64, t.took, WEFT_MS(40)));
	for (int i = 0; i < 4; i++)
		cr_expect(eq(int, t.rcs[i], i));
	cr_expect(lt(i64, t.deeds[3].ended_at, t.deeds[0].ended_at));
}

WorkersTest(gather, WA02_the_first_error_cancels_and_joins_the_others)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(1), .cleanup = WEFT_MS(30) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(11), .stubborn = true, .rc = WEFT_EINTR };
	go(3);

	cr_expect(eq(int, t.rc, WEFT_EIO));
	cr_expect(eq(sz, t.failed, 1));
	cr_expect(eq(int, t.deeds[0].ended, 1));
	cr_expect(eq(int, t.deeds[0].reason, WEFT_REASON_SIBLING));
	cr_expect(eq(i64, t.took, WEFT_MS(40)));
}

WorkersTest(gather, WA03_of_nothing_is_0)
{
	go(0);
	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(int, weft_gather(NULL, 0, NULL), WEFT_ENOTASK));
	cr_expect(eq(int, weft_gather(NULL, 1, NULL), WEFT_EINVAL));
}

WorkersTest(gather, WA5_settled_an_error_cancels_nobody)
{
	t.settled = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(20) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	t.deeds[2] = (struct deed){ .rc = WEFT_ECANCELED };
	go(3);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(int, t.rcs[0], 0));
	cr_expect(eq(int, t.rcs[1], WEFT_EIO));
	cr_expect(eq(int, t.rcs[2], WEFT_ECANCELED));
	cr_expect(eq(sz, t.failed, 99));
}

WorkersTest(gather, WA5_settled_honours_a_cancel_from_outside)
{
	t.settled = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(1) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(1), .rc = WEFT_EIO };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_SEC(1) };
	t.cancel_after = WEFT_MS(5);
	go(3);

	cr_expect(eq(int, t.rc, WEFT_ECANCELED));
	cr_expect(eq(int, t.rcs[0], 0));
	cr_expect(eq(int, t.rcs[1], WEFT_EIO));
	cr_expect(eq(int, t.rcs[2], WEFT_ECANCELED));
}

WorkersTest(gather, WA5_settled_honours_its_time_out)
{
	t.settled = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(1) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_SEC(1) };
	t.opts.timeout = WEFT_MS(5);
	go(2);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(int, t.rcs[0], 0));
	cr_expect(eq(int, t.rcs[1], WEFT_ECANCELED));
}

WorkersTest(gather, CO4_all_done_in_spite_of_a_cancel_is_success)
{
	for (int i = 0; i < 2; i++)
		t.deeds[i] = (struct deed){ .sleeps = WEFT_MS(10), .stubborn = true };
	t.cancel_after = WEFT_MS(5);
	go(2);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(t.outer_cancelled);
}

WorkersTest(gather, WA5_an_error_beats_a_cancel)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(10), .stubborn = true, .rc = WEFT_EIO };
	t.cancel_after = WEFT_MS(5);
	go(1);

	cr_expect(eq(int, t.rc, WEFT_EIO));
	cr_expect(eq(sz, t.failed, 0));
}

static int fail_at_once(void *arg)
{
	(void)arg;
	return WEFT_EIO;
}

static int count(void *arg)
{
	add_seqcst((uint32_t *)arg, 1);
	return 0;
}

static int gather_thousand(void *arg)
{
	static struct weft_call calls[1000];

	for (int i = 0; i < 1000; i++)
		calls[i] = (struct weft_call)WEFT_CALL(count, arg);
	int rc = weft_gather(calls, 1000, NULL);
	calls[3].fn = fail_at_once;
	size_t failed = 99;
	int failure = weft_gather(calls, 1000, NULL, .failed_index = &failed);
	return rc != 0 || failure != WEFT_EIO || failed != 3;
}

Test(gather, each_call_is_made_once_on_any_number_of_workers)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		uint32_t made = 0;

		cr_expect(eq(int, run_on(worker_counts[i], gather_thousand, &made), 0));
		cr_expect(ge(u32, made, 1000));
		cr_expect(le(u32, made, 1999));
	}
}
