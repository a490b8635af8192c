/* SPDX-License-Identifier: MIT */
/*
 * test_race.c - what weft_race and weft_first_success promise
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"
#include "support/tasks.h"

TestSuite(race, .timeout = 60);

/* Where calls end at the same instant, it is known only with one worker which has ended
 * when the caller looks: these are plain Tests. */

enum { MAX = 8 };

/* A race, how it is run, and what came out. */
static struct {
	struct deed deeds[MAX];
	struct weft_call calls[MAX];
	size_t n;
	bool first_success;
	struct weft_wait_opts opts;
	int64_t cancel_after; /* not 0: a scope around it is cancelled then */

	int rc, rcs[MAX];
	size_t winner;
	int64_t took;
	int busy; /* deeds begun and not ended when it returned */
	bool outer_cancelled;
} t;

static int drop_count;

static void fresh(void)
{
	memset(&t, 0, sizeof t);
	drop_count = 0;
}

static int cancel_later(void *arg)
{
	weft_sleep(t.cancel_after);
	weft_scope_cancel(arg);
	return 0;
}

static int count_busy(void)
{
	int busy = 0;

	for (size_t i = 0; i < t.n; i++)
		busy += t.deeds[i].begun - t.deeds[i].ended;
	return busy;
}

static void run_race(void)
{
	int64_t began = weft_now();

	t.winner = 99;
	t.opts.size = sizeof t.opts;
	if (t.first_success)
		t.rc = weft_first_success_opt(t.calls, t.n, &t.winner, t.rcs, &t.opts);
	else
		t.rc = weft_race_opt(t.calls, t.n, &t.winner, &t.opts);
	t.took = weft_now() - began;
	t.busy = count_busy();
	t.outer_cancelled = weft_check() == WEFT_ECANCELED;
}

static int root(void *arg)
{
	struct weft_group g;

	(void)arg;
	call_deeds(t.calls, t.deeds, t.n);
	if (t.cancel_after == 0) {
		run_race();
		return 0;
	}
	weft_group_open(&g);
	weft_spawn(&g, cancel_later, weft_group_scope(&g));
	run_race();
	return weft_group_close(&g, 0);
}

static void go(size_t n)
{
	t.n = n;
	cr_assert(eq(int, run_virtually(root, NULL), 0));
	cr_expect(eq(int, t.busy, 0), "something is still running");
}

/* --- race ------------------------------------------------------------------- */

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int race_nobody(void *arg)
{
	int *rc = arg;
	size_t w;

	rc[0] = weft_race(NULL, 0, &w);
	rc[1] = weft_first_success(NULL, 0, &w, NULL);
	rc[2] = weft_race(WEFT_CALLS(WEFT_CALL(nothing, NULL)), 1, &w, .stagger = -1);
	return 0;
}

Test(race, WA03_without_contestants_is_EINVAL)
{
	int rc[3];

	cr_assert(eq(int, run_virtually(race_nobody, rc), 0));
	cr_expect(eq(int, rc[0], WEFT_EINVAL));
	cr_expect(eq(int, rc[1], WEFT_EINVAL));
	cr_expect(eq(int, rc[2], WEFT_EINVAL));
	cr_expect(eq(int, weft_race(WEFT_CALLS(WEFT_CALL(nothing, NULL)), 1, NULL), WEFT_ENOTASK));
}

/* WA-1. */
WorkersTest(race, WA04_the_first_to_end_wins_and_the_loser_has_cleaned_up)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(1), .cleanup = WEFT_MS(50) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(100) };
	go(2);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.winner, 1));
	cr_expect(eq(i64, t.deeds[1].ended_at - t.deeds[1].began_at, WEFT_MS(100)));
	cr_expect(eq(i64, t.took, WEFT_MS(150)));
	cr_expect(eq(int, t.deeds[0].ended, 1));
}

/* WA-1. */
WorkersTest(race, a_loser_learns_that_it_lost_a_race)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(1) };
	go(2);

	cr_expect(eq(int, t.deeds[0].reason, WEFT_REASON_RACE));
}

static int many_ties(void *arg)
{
	size_t *lost = arg, w;
	struct deed d[2] = { 0 };
	struct weft_call c[2];

	call_deeds(c, d, 2);
	for (int i = 0; i < 10000; i++) {
		d[0].sleeps = d[1].sleeps = i % 10 == 0 ? WEFT_MS(1) : 0;
		*lost += weft_race(c, 2, &w) != 0 || w != 0;
	}
	return 0;
}

/* WA-1: the lowest index. */
Test(race, WA05_of_those_ready_at_the_same_instant_the_lowest_index_wins)
{
	size_t lost = 0;

	cr_assert(eq(int, run_virtually(many_ties, &lost), 0));
	cr_expect(eq(sz, lost, 0));
}

/* WA-1: the first in time. */
WorkersTest(race, WA01_what_ends_first_in_time_wins_over_a_lower_index)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(10) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(9) };
	go(2);

	cr_expect(eq(sz, t.winner, 1));
}

static int sleep_and_yield(void *arg)
{
	weft_yield();
	int rc = weft_sleep(*(int64_t *)arg);
	weft_yield();
	return rc;
}

static void count_drop(void *arg)
{
	(void)arg;
	drop_count++;
}

/* At 20 ms come, in this order: call 0, which gives way once more; the turn of call 2;
 * call 1, which ends; and call 0 ends, before the caller has looked. */
static int race_that_ends_backwards(void *arg)
{
	int64_t twenty = WEFT_MS(20), ten = WEFT_MS(10);
	size_t *w = arg;

	return weft_race(WEFT_CALLS(WEFT_CALL(sleep_and_yield, &twenty), WEFT_CALL(sleep_for, &ten),
				    WEFT_CALL(sleep_for, &ten)),
			 3, w, .stagger = WEFT_MS(10), .drop = count_drop);
}

Test(race, WA01_of_those_that_ended_before_the_caller_looked_the_lowest_index_wins)
{
	size_t w = 99;

	cr_assert(eq(int, run_virtually(race_that_ends_backwards, &w), 0));
	cr_expect(eq(sz, w, 0));
	cr_expect(eq(int, drop_count, 1), "call 1, which was first for a moment");
}

/* WA-1: joined, when the time is over too. */
WorkersTest(race, WA06_a_time_out_ends_all_contestants)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(10) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_SEC(10) };
	t.opts.timeout = WEFT_MS(20);
	go(2);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(i64, t.took, WEFT_MS(20)));
	cr_expect(eq(int, t.deeds[0].ended + t.deeds[1].ended, 2));
	cr_expect(eq(sz, t.winner, 99), "written although nobody won");
}

WorkersTest(race, WA07_a_failure_decides_too)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(10) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(1), .rc = WEFT_EIO };
	go(2);

	cr_expect(eq(int, t.rc, WEFT_EIO));
	cr_expect(eq(sz, t.winner, 1));
	cr_expect(eq(i64, t.took, WEFT_MS(1)));
}

/* WA-1: joined, when it is cancelled too. */
WorkersTest(race, WA07_a_cancel_from_outside_joins_all)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(10), .cleanup = WEFT_MS(7) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_SEC(10) };
	t.cancel_after = WEFT_MS(3);
	go(2);

	cr_expect(eq(int, t.rc, WEFT_ECANCELED));
	cr_expect(eq(i64, t.took, WEFT_MS(10)));
	cr_expect(eq(int, t.deeds[0].ended + t.deeds[1].ended, 2));
}

Test(race, WA02_a_loser_that_succeeds_after_all_is_dropped_once)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(1) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(5), .stubborn = true };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(5), .stubborn = true, .rc = WEFT_EIO };
	t.deeds[3] = (struct deed){ .sleeps = WEFT_MS(1) };
	t.deeds[4] = (struct deed){ .sleeps = WEFT_MS(9) };
	t.opts.drop = drop_deed;
	go(5);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.winner, 0));
	cr_expect(eq(int, t.deeds[0].dropped, 0), "the winner");
	cr_expect(eq(int, t.deeds[1].dropped, 1), "late");
	cr_expect(eq(int, t.deeds[2].dropped, 0), "failed");
	cr_expect(eq(int, t.deeds[3].dropped, 1), "at the same instant");
	cr_expect(eq(int, t.deeds[4].dropped, 0), "cut off");
}

static void not_this(void *arg)
{
	((struct deed *)arg)->dropped += 100;
}

Test(race, WA02_each_call_may_have_a_drop_of_its_own)
{
	void (*const drops[3])(void *) = { not_this, drop_deed, NULL };

	for (int i = 0; i < 3; i++)
		t.deeds[i] = (struct deed){ .sleeps = WEFT_MS(1) };
	t.opts.drops = drops;
	t.opts.drop = not_this;
	go(3);

	cr_expect(eq(int, t.deeds[0].dropped, 0));
	cr_expect(eq(int, t.deeds[1].dropped, 1));
	cr_expect(eq(int, t.deeds[2].dropped, 100));
}

WorkersTest(race, CO4_what_succeeds_in_spite_of_a_cancel_wins)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_SEC(10) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(5), .stubborn = true };
	t.opts.drop = drop_deed;
	t.cancel_after = WEFT_MS(3);
	go(2);

	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, t.winner, 1));
	cr_expect(eq(int, t.deeds[1].dropped, 0));
	cr_expect(t.outer_cancelled, "the next call tells of it");
}

static int race_cancelled(void *arg)
{
	struct deed *d = arg;
	struct weft_scope s;
	struct weft_call c[1];
	size_t w;

	call_deeds(c, d, 1);
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	int rc = weft_race(c, 1, &w);
	return weft_scope_leave(&s, 0) ? 1 : rc;
}

WorkersTest(race, CO3_nothing_begins_in_a_cancelled_scope)
{
	struct deed d = { 0 };

	cr_expect(eq(int, run_virtually(race_cancelled, &d), WEFT_ECANCELED));
	cr_expect(eq(int, d.begun, 0));
}

static int cancel_oneself(void *arg)
{
	(void)arg;
	weft_task_cancel(weft_task_self());
	return weft_checkpoint();
}

static int race_of_the_cancelled(void *arg)
{
	size_t w = 99;

	(void)arg;
	return weft_race(
		WEFT_CALLS(WEFT_CALL(cancel_oneself, NULL), WEFT_CALL(cancel_oneself, NULL)), 2,
		&w);
}

WorkersTest(race, when_every_contestant_was_cancelled_by_itself_it_is_ECANCELED)
{
	cr_expect(eq(int, run_virtually(race_of_the_cancelled, NULL), WEFT_ECANCELED));
}

/* --- stagger ------------------------------------------------------------------ */

/* WA-7. */
WorkersTest(race, WA07_stagger_starts_the_next_when_the_one_before_is_slow)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(500) };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(100) };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(100) };
	t.opts.stagger = WEFT_MS(200);
	go(3);

	cr_expect(eq(sz, t.winner, 1));
	cr_expect(eq(i64, t.took, WEFT_MS(300)));
	cr_expect(eq(int, t.deeds[2].begun, 0));
}

/* WA-7. */
WorkersTest(race, WA07_stagger_starts_the_next_at_once_after_a_failure)
{
	t.first_success = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EINTR };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(10) };
	t.opts.stagger = WEFT_SEC(1);
	go(3);

	cr_expect(eq(sz, t.winner, 2));
	cr_expect(eq(i64, t.took, WEFT_MS(30)));
}

/* WA-7. */
WorkersTest(race, WA07_stagger_counts_from_the_start_of_the_one_before)
{
	t.first_success = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EIO };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_SEC(9) };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(10) };
	t.opts.stagger = WEFT_MS(100);
	go(3);

	cr_expect(eq(i64, t.deeds[2].began_at - t.deeds[1].began_at, WEFT_MS(100)));
	cr_expect(eq(i64, t.took, WEFT_MS(120)));
}

/* WA-7. */
Test(race, WA07_the_next_never_starts_when_one_has_succeeded_at_the_same_instant)
{
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(200) };
	t.opts.stagger = WEFT_MS(200);
	go(2);

	cr_expect(eq(sz, t.winner, 0));
	cr_expect(eq(int, t.deeds[1].begun, 0));
}

/* --- first_success --------------------------------------------------------------- */

/* WA-4. */
WorkersTest(race, WA08_first_success_passes_over_failures)
{
	t.first_success = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(50), .rc = WEFT_EIO };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(100), .rc = 7 };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(200) };
	go(3);

	cr_expect(eq(int, t.rc, 7));
	cr_expect(eq(sz, t.winner, 1));
	cr_expect(eq(i64, t.took, WEFT_MS(100)));
	cr_expect(eq(int, t.rcs[0], WEFT_EIO));
	cr_expect(eq(int, t.rcs[1], 7));
	cr_expect(eq(int, t.rcs[2], WEFT_ECANCELED));
}

/* WA-4. */
WorkersTest(race, WA08_when_all_fail_it_is_the_first_error_by_time)
{
	t.first_success = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(50), .rc = WEFT_EIO };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(10), .rc = WEFT_EINTR };
	t.deeds[2] = (struct deed){ .sleeps = WEFT_MS(70), .rc = WEFT_EBUSY };
	go(3);

	cr_expect(eq(int, t.rc, WEFT_EINTR));
	cr_expect(eq(int, t.rcs[0], WEFT_EIO));
	cr_expect(eq(int, t.rcs[1], WEFT_EINTR));
	cr_expect(eq(int, t.rcs[2], WEFT_EBUSY));
	cr_expect(eq(sz, t.winner, 99));
}

/* WA-4. */
WorkersTest(race, WA09_first_success_that_times_out_has_not_failed)
{
	t.first_success = true;
	t.deeds[0] = (struct deed){ .sleeps = WEFT_MS(5), .rc = WEFT_EIO };
	t.deeds[1] = (struct deed){ .sleeps = WEFT_SEC(5) };
	t.opts.timeout = WEFT_MS(20);
	go(2);

	cr_expect(eq(int, t.rc, WEFT_ETIMEDOUT));
	cr_expect(eq(int, t.rcs[0], WEFT_EIO));
	cr_expect(eq(int, t.rcs[1], WEFT_ECANCELED));
	cr_expect(eq(i64, t.took, WEFT_MS(20)));
}

Test(race, first_success_dropped_results_count_as_cut_off)
{
	t.first_success = true;
	t.deeds[1] = (struct deed){ .sleeps = WEFT_MS(5), .stubborn = true };
	t.opts.drop = drop_deed;
	go(3);

	cr_expect(eq(sz, t.winner, 0));
	for (int i = 1; i < 3; i++) {
		cr_expect(eq(int, t.rcs[i], WEFT_ECANCELED));
		cr_expect(eq(int, t.deeds[i].dropped, 1));
	}
}

/* --- the default time-out ---------------------------------------------------------- */

static int race_sleepers(void *arg)
{
	int64_t forever = WEFT_SEC(60), second = WEFT_SEC(1);
	int *rc = arg;
	size_t w;

	rc[0] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_for, &forever)), 1, &w);
	rc[1] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_for, &second)), 1, &w,
			  .timeout = WEFT_NO_TIMEOUT);
	rc[2] = weft_first_success(WEFT_CALLS(WEFT_CALL(sleep_for, &forever)), 1, &w, NULL);
	rc[3] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_for, &second)), 1, &w, .timeout = WEFT_SEC(2));
	return 0;
}

static int sleep_and_tell(void *arg)
{
	return weft_sleep(*(int64_t *)arg);
}

static int gather_sleepers(void *arg)
{
	int64_t forever = WEFT_SEC(60), second = WEFT_SEC(1);
	int *rc = arg;

	rc[0] = weft_gather(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &forever)), 1, NULL);
	rc[1] = weft_gather(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &second)), 1, NULL,
			    .timeout = WEFT_NO_TIMEOUT);
	return 0;
}

struct shielded {
	weft_fn *fn;
	void *arg;
};

/* The root has that time-out too, and is to outlive what it calls here. */
static int run_shielded(void *arg)
{
	struct shielded *s = arg;

	return weft_shield(s->fn, s->arg, WEFT_NEVER);
}

static int run_with_default_timeout(weft_fn *fn, int *rc)
{
	struct weft_runtime *rt;

	if (weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL,
				.default_timeout = WEFT_MS(100)) != 0)
		return 1;
	struct shielded shielded = { fn, rc };
	int error = weft_runtime_run(rt, run_shielded, &shielded);
	weft_runtime_destroy(rt);
	return error;
}

/* sleep_for returns 0 although it was cancelled, which would win. */
static int race_honest_sleepers(void *arg)
{
	int64_t forever = WEFT_SEC(60), second = WEFT_SEC(1);
	int *rc = arg;
	size_t w;

	rc[0] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &forever)), 1, &w);
	rc[1] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &second)), 1, &w,
			  .timeout = WEFT_NO_TIMEOUT);
	rc[2] = weft_first_success(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &forever)), 1, &w, NULL);
	rc[3] = weft_race(WEFT_CALLS(WEFT_CALL(sleep_and_tell, &second)), 1, &w,
			  .timeout = WEFT_SEC(2));
	return 0;
}

/* WA-8. */
WorkersTest(race, WA08_CF02_the_configured_time_out_holds_unless_told_otherwise)
{
	int rc[4];

	cr_assert(eq(int, run_with_default_timeout(race_honest_sleepers, rc), 0));
	cr_expect(eq(int, rc[0], WEFT_ETIMEDOUT));
	cr_expect(eq(int, rc[1], 0));
	cr_expect(eq(int, rc[2], WEFT_ETIMEDOUT));
	cr_expect(eq(int, rc[3], 0));
	cr_assert(eq(int, run_with_default_timeout(gather_sleepers, rc), 0));
	cr_expect(eq(int, rc[0], WEFT_ETIMEDOUT));
	cr_expect(eq(int, rc[1], 0));
	cr_assert(eq(int, run_with_default_timeout(race_sleepers, rc), 0));
	cr_expect(eq(int, rc[0], 0), "it ended in spite of the time-out");
}
