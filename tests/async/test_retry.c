/* SPDX-License-Identifier: MIT */
/*
 * test_retry.c - what weft_retry promises
 */
#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/deeds.h"
#include "support/tasks.h"

#include "async/retry.h"

TestSuite(retry, .timeout = 60);

enum { MAX = 16 };

/* A service that fails, and the log of who asked it when. */
struct service {
	int rc;	       /* what it returns */
	int fails;     /* so often; then 0 */
	int64_t takes; /* so long each time */
	int64_t after; /* what it says to wait at least */
	int asked, delays;
	int64_t at[MAX], delay[MAX];
};

static int ask(void *arg)
{
	struct service *s = arg;
	int rc = 0;

	if (s->asked < MAX)
		s->at[s->asked] = weft_now();
	s->asked++;
	if (s->takes)
		rc = weft_sleep(s->takes);
	if (rc != 0)
		return rc;
	return s->asked <= s->fails ? s->rc : 0;
}

static struct service sv;
static struct weft_retry_opts opts;
static struct weft_retry_stats stats;
static int64_t timeout, cancel_after, took;
static int outcome;
static int seen_attempts[MAX], seen_count;

static void fresh(void)
{
	sv = (struct service){ 0 };
	opts = (struct weft_retry_opts){ 0 };
	stats = (struct weft_retry_stats){ 0 };
	timeout = cancel_after = 0;
	seen_count = 0;
}

static int cancel_later(void *arg)
{
	weft_sleep(cancel_after);
	weft_scope_cancel(arg);
	return 0;
}

static int root(void *arg)
{
	struct weft_group g;
	int64_t began = weft_now();

	(void)arg;
	weft_group_open(&g, .timeout = timeout);
	if (cancel_after)
		weft_spawn(&g, cancel_later, weft_group_scope(&g));
	opts.size = sizeof opts;
	opts.stats = &stats;
	outcome = weft_retry_opt(ask, &sv, &opts);
	took = weft_now() - began;
	if (cancel_after == 0)
		weft_group_cancel(&g);
	weft_group_close(&g, 0);
	return 0;
}

static void go(void)
{
	cr_assert(eq(int, run_virtually(root, NULL), 0));
}

static void log_delay(const struct weft_retry_stats *st, void *arg)
{
	struct service *s = arg;

	if (s->delays < MAX)
		s->delay[s->delays] = st->next;
	s->delays++;
}

/* RE-1. */
WorkersTest(retry, RE01_delays_grow_to_their_limit_and_none_comes_last)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99 };
	opts = (struct weft_retry_opts){ .attempts = 6,
					 .delay = WEFT_SEC(1),
					 .backoff = 2,
					 .max_delay = WEFT_SEC(5),
					 .before_sleep = log_delay };
	go();

	const int64_t expected[5] = { 1, 2, 4, 5, 5 };
	cr_expect(eq(int, outcome, WEFT_EAGAIN));
	cr_expect(eq(int, sv.asked, 6));
	cr_assert(eq(int, sv.delays, 5));
	for (int i = 0; i < 5; i++) {
		cr_expect(eq(i64, sv.delay[i], WEFT_SEC(expected[i])));
		cr_expect(eq(i64, sv.at[i + 1] - sv.at[i], WEFT_SEC(expected[i])));
	}
	cr_expect(eq(i64, took, WEFT_SEC(17)));
}

WorkersTest(retry, RE5_statistics_tell_what_happened)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 2 };
	opts = (struct weft_retry_opts){ .attempts = 5, .delay = WEFT_SEC(1) };
	go();

	cr_expect(eq(int, outcome, 0));
	cr_expect(eq(uint, stats.attempts, 3));
	cr_expect(eq(i64, stats.slept, WEFT_SEC(2)));
	cr_expect(eq(int, stats.last_rc, 0));
}

static void see_attempt(const struct weft_retry_stats *st, void *arg)
{
	(void)arg;
	seen_attempts[seen_count++] = (int)st->attempts * 1000 - st->last_rc;
}

WorkersTest(retry, RE5_after_attempt_is_told_of_each)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 1 };
	opts = (struct weft_retry_opts){ .attempts = 5, .after_attempt = see_attempt };
	go();

	cr_assert(eq(int, seen_count, 2));
	cr_expect(eq(int, seen_attempts[0], 1000 + EAGAIN));
	cr_expect(eq(int, seen_attempts[1], 2000));
}

WorkersTest(retry, RE02_what_does_not_pass_is_tried_once)
{
	const int final[] = { WEFT_EINVAL, WEFT_ENOMEM, WEFT_ESHUTDOWN, WEFT_EIO, WEFT_EPERM };
	const int passing[] = { WEFT_EAGAIN, WEFT_ETIMEDOUT, WEFT_ECRASHED, -ECONNRESET };

	opts = (struct weft_retry_opts){ .attempts = 3 };
	for (size_t i = 0; i < COUNT_OF(final); i++) {
		sv = (struct service){ .rc = final[i], .fails = 99 };
		go();
		cr_expect(eq(int, sv.asked, 1));
		cr_expect(eq(int, outcome, final[i]));
	}
	for (size_t i = 0; i < COUNT_OF(passing); i++) {
		sv = (struct service){ .rc = passing[i], .fails = 99 };
		go();
		cr_expect(eq(int, sv.asked, 3));
	}
}

static bool always(int rc, void *arg)
{
	(void)rc, (void)arg;
	return true;
}

static bool all_but_eio(int rc, void *arg)
{
	(void)arg;
	return rc != WEFT_EIO;
}

WorkersTest(retry, RE2_a_predicate_decides_but_not_over_what_is_final)
{
	opts = (struct weft_retry_opts){ .attempts = 3, .retryable = all_but_eio };
	sv = (struct service){ .rc = WEFT_EPERM, .fails = 99 };
	go();
	cr_expect(eq(int, sv.asked, 3));
	sv = (struct service){ .rc = WEFT_EIO, .fails = 99 };
	go();
	cr_expect(eq(int, sv.asked, 1));
	sv = (struct service){ .rc = WEFT_EINVAL, .fails = 99 };
	go();
	cr_expect(eq(int, sv.asked, 1));
}

WorkersTest(retry, RE03_a_cancel_from_outside_is_not_retried_whatever_the_predicate_says)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99, .takes = WEFT_SEC(5) };
	opts = (struct weft_retry_opts){ .attempts = 9, .retryable = always };
	cancel_after = WEFT_SEC(2);
	go();

	cr_expect(eq(int, outcome, WEFT_ECANCELED));
	cr_expect(eq(int, sv.asked, 1));
	cr_expect(eq(i64, took, WEFT_SEC(2)));
}

WorkersTest(retry, RE3_an_attempt_that_times_out_is_tried_again)
{
	sv = (struct service){ .takes = WEFT_SEC(5) };
	opts = (struct weft_retry_opts){ .attempts = 3, .per_attempt = WEFT_SEC(2) };
	go();

	cr_expect(eq(int, outcome, WEFT_ETIMEDOUT));
	cr_expect(eq(int, sv.asked, 3));
	cr_expect(eq(i64, took, WEFT_SEC(6)));
}

WorkersTest(retry, RE3_a_time_out_outside_is_not_tried_again)
{
	sv = (struct service){ .takes = WEFT_SEC(5) };
	opts = (struct weft_retry_opts){ .attempts = 3,
					 .per_attempt = WEFT_SEC(4),
					 .retryable = always };
	timeout = WEFT_SEC(2);
	go();

	cr_expect(eq(int, outcome, WEFT_ECANCELED));
	cr_expect(eq(int, sv.asked, 1));
	cr_expect(eq(i64, took, WEFT_SEC(2)));
}

WorkersTest(retry, RE04_a_delay_past_the_deadline_is_not_slept)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99, .takes = WEFT_SEC(2) };
	opts = (struct weft_retry_opts){ .attempts = 9, .delay = WEFT_SEC(4) };
	timeout = WEFT_SEC(5);
	go();

	cr_expect(eq(int, outcome, WEFT_EAGAIN));
	cr_expect(eq(i64, took, WEFT_SEC(2)));
	cr_expect(eq(i64, stats.slept, 0));
}

static int64_t hint(int rc, void *arg)
{
	(void)rc;
	return ((struct service *)arg)->after;
}

WorkersTest(retry, RE4_a_hint_of_the_callee_makes_a_delay_longer)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 1, .after = WEFT_SEC(9) };
	opts = (struct weft_retry_opts){
		.attempts = 2, .delay = WEFT_SEC(1), .max_delay = WEFT_SEC(2), .retry_after = hint
	};
	go();
	cr_expect(eq(i64, took, WEFT_SEC(9)));

	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 1, .after = WEFT_MS(1) };
	go();
	cr_expect(eq(i64, took, WEFT_SEC(1)));
}

WorkersTest(retry, RE4_a_budget_ends_a_storm_and_success_refills_it)
{
	struct weft_retry_budget budget = { .tokens = 3, .successes = 2 };

	opts = (struct weft_retry_opts){ .attempts = 3, .budget = &budget };
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99 };
	go();
	cr_expect(eq(int, sv.asked, 3), "two tokens");
	sv.asked = 0;
	go();
	cr_expect(eq(int, sv.asked, 2), "the last one");
	cr_expect(eq(int, outcome, WEFT_EAGAIN));
	sv.asked = 0;
	go();
	cr_expect(eq(int, sv.asked, 1), "none");
	for (int i = 0; i < 2; i++) {
		sv = (struct service){ 0 };
		go();
	}
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99 };
	go();
	cr_expect(eq(int, sv.asked, 2), "one for two that succeeded");
}

Test(retry, RE4_a_budget_never_holds_more_than_its_tokens)
{
	struct weft_retry_budget budget = { .tokens = 1, .successes = 1 };

	for (int i = 0; i < 5; i++)
		weft__retry_earn(&budget);
	cr_expect(weft__retry_spend(&budget));
	cr_expect(not(weft__retry_spend(&budget)));
}

/* RE-1. */
Test(retry, RE05_jitter_stays_in_its_range_and_spreads)
{
	enum { SAMPLES = 1000, D = 1000000 };
	struct weft__rng rng;
	int full[4] = { 0 }, equal[4] = { 0 };

	weft__rng_init(&rng, 7);
	for (int i = 0; i < SAMPLES; i++) {
		int64_t f = weft__retry_jitter(&rng, WEFT_JITTER_FULL, D);
		int64_t e = weft__retry_jitter(&rng, WEFT_JITTER_EQUAL, D);
		cr_assert(ge(i64, f, 0) && le(i64, f, D));
		cr_assert(ge(i64, e, D / 2) && le(i64, e, D));
		full[f == D ? 3 : f * 4 / D]++;
		equal[e == D ? 3 : (e - D / 2) * 8 / D]++;
	}
	for (int i = 0; i < 4; i++) {
		cr_expect(gt(int, full[i], SAMPLES / 8));
		cr_expect(gt(int, equal[i], SAMPLES / 8));
	}
	cr_expect(eq(i64, weft__retry_jitter(&rng, WEFT_JITTER_NONE, D), D));
	cr_expect(eq(i64, weft__retry_jitter(&rng, WEFT_JITTER_FULL, 0), 0));
	cr_expect(ge(i64, weft__retry_jitter(&rng, WEFT_JITTER_FULL, INT64_MAX), 0));
	cr_expect(ge(i64, weft__retry_jitter(&rng, WEFT_JITTER_EQUAL, INT64_MAX), INT64_MAX / 2));
}

WorkersTest(retry, RE05_on_a_virtual_clock_jitter_repeats_and_differs_from_call_to_call)
{
	int64_t first[3];

	opts = (struct weft_retry_opts){ .attempts = 4,
					 .delay = WEFT_SEC(1),
					 .jitter = WEFT_JITTER_FULL,
					 .before_sleep = log_delay };
	for (int round = 0; round < 2; round++) {
		sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99 };
		go();
		cr_assert(eq(int, sv.delays, 3));
		for (int i = 0; i < 3; i++) {
			if (round == 0)
				first[i] = sv.delay[i];
			cr_expect(eq(i64, sv.delay[i], first[i]));
		}
	}
	cr_expect(ne(i64, first[0], first[1]));
}

/* RE-1: without an overflow. */
Test(retry, RE06_a_million_steps_do_not_overflow)
{
	int64_t capped = WEFT_SEC(1), free = WEFT_SEC(1);

	for (int i = 0; i < 1000000; i++) {
		capped = weft__retry_grow(capped, 2, WEFT_SEC(60));
		free = weft__retry_grow(free, 1e9, WEFT_NEVER);
		cr_assert(gt(i64, free, 0));
	}
	cr_expect(eq(i64, capped, WEFT_SEC(60)));
	cr_expect(eq(i64, free, WEFT_NEVER));
	cr_expect(eq(i64, weft__retry_grow(0, 2, WEFT_NEVER), 0));
	cr_expect(eq(i64, weft__retry_grow(WEFT_NEVER, 1, WEFT_NEVER), WEFT_NEVER));
}

WorkersTest(retry, RE06_a_thousand_attempts_wait_the_limit_each)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 999 };
	opts = (struct weft_retry_opts){
		.attempts = 1000, .delay = WEFT_SEC(60), .backoff = 2, .max_delay = WEFT_SEC(60)
	};
	go();

	cr_expect(eq(int, outcome, 0));
	cr_expect(eq(i64, took, WEFT_SEC(60) * 999));
}

struct pair {
	struct service services[2];
	struct weft_retry_stats stats[2];
	struct weft_retry_opts policy;
};

static int retry_first(void *arg)
{
	struct pair *p = arg;
	struct weft_retry_opts o = p->policy;

	o.stats = &p->stats[0];
	return weft_retry_opt(ask, &p->services[0], &o);
}

static int retry_second(void *arg)
{
	struct pair *p = arg;
	struct weft_retry_opts o = p->policy;

	o.stats = &p->stats[1];
	return weft_retry_opt(ask, &p->services[1], &o);
}

static int interleave(void *arg)
{
	return weft_gather(WEFT_CALLS(WEFT_CALL(retry_first, arg), WEFT_CALL(retry_second, arg)), 2,
			   NULL);
}

/* RE-1: they do not mix. */
WorkersTest(retry, RE07_two_that_share_a_policy_count_apart)
{
	struct pair p = {
		.services = { { .rc = WEFT_EAGAIN, .fails = 3 },
			      { .rc = WEFT_EAGAIN, .fails = 3, .takes = WEFT_MS(500) } },
		.policy = { .size = sizeof p.policy,
			    .attempts = 4,
			    .delay = WEFT_SEC(1),
			    .backoff = 2 },
	};

	cr_expect(eq(int, run_virtually(interleave, &p), 0));
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, p.services[i].asked, 4));
		cr_expect(eq(uint, p.stats[i].attempts, 4));
		cr_expect(eq(i64, p.stats[i].slept, WEFT_SEC(7)));
	}
}

WorkersTest(retry, RE08_a_cancel_ends_a_delay_at_once)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 99 };
	opts = (struct weft_retry_opts){ .attempts = 9, .delay = WEFT_SEC(10) };
	cancel_after = WEFT_SEC(3);
	go();

	cr_expect(eq(int, outcome, WEFT_ECANCELED));
	cr_expect(eq(int, sv.asked, 1));
	cr_expect(eq(i64, took, WEFT_SEC(3)));
	cr_expect(eq(i64, stats.slept, WEFT_SEC(3)));
	cr_expect(eq(int, stats.last_rc, WEFT_EAGAIN));
}

/* RE-1. */
Test(retry, RE08_options_that_make_no_sense_are_EINVAL)
{
	sv = (struct service){ 0 };
	cr_expect(eq(int, weft_retry(ask, &sv), WEFT_EINVAL), "no attempts");
	cr_expect(eq(int, weft_retry(NULL, &sv, .attempts = 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_retry(ask, &sv, .attempts = 1, .backoff = 0.5), WEFT_EINVAL));
	cr_expect(eq(int, weft_retry(ask, &sv, .attempts = 1, .backoff = 0.0 / 0.0), WEFT_EINVAL));
	cr_expect(eq(int, weft_retry(ask, &sv, .attempts = 1, .delay = -1), WEFT_EINVAL));
	cr_expect(eq(int, sv.asked, 0));
}

Test(retry, a_plain_thread_may_retry_but_has_no_scopes)
{
	sv = (struct service){ .rc = WEFT_EAGAIN, .fails = 2 };
	cr_expect(eq(int, weft_retry(ask, &sv, .attempts = 3), 0));
	cr_expect(eq(int, sv.asked, 3));
	cr_expect(eq(int, weft_retry(ask, &sv, .attempts = 3, .per_attempt = 1), WEFT_ENOTASK));
}
