/* SPDX-License-Identifier: MIT */
/*
 * stress_timer.c - arming, firing and disarming against each other
 *
 * Sleepers sleep for some microseconds inside of a scope whose deadline is about as
 * far away, and sometimes are cancelled by a token at that time, too: a grant, a
 * deadline and a cancel meet at one word, each armed on one worker and met on another.
 * Each sleep must end exactly once, and early only when it was cancelled.  Beside them
 * tasks arm and disarm bare timers, which must fire exactly when they were not
 * disarmed.
 */
#include <weft/weft.h>

#include "async/clock.h"
#include "runtime/runtime.h"
#include "support/stress.h"

enum { SLEEPERS = 64, PROBES = 8, ROUNDS = 100 };

static uint64_t slept, timed_out, cancelled;

static void count(int rc)
{
	if (rc == 0)
		add_seqcst(&slept, 1);
	else if (rc == WEFT_ETIMEDOUT)
		add_seqcst(&timed_out, 1);
	else
		STRESS_CHECK(!"a sleep ended with another code");
}

static int sleep_in_scope(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uintptr_t)arg);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		int64_t deadline = weft_after((int64_t)weft__rng_below(&rng, WEFT_US(200)) + 1);
		struct weft_scope s;
		int64_t timeout = (int64_t)weft__rng_below(&rng, WEFT_US(200)) + 1;
		int rc = weft_scope_enter(&s, .timeout = timeout);

		STRESS_CHECK(rc == 0);
		if (weft__rng_below(&rng, 4) == 0)
			weft_scope_set_deadline(&s, weft_after(timeout));
		rc = weft_sleep_until(deadline);
		STRESS_CHECK(rc == WEFT_ECANCELED || (rc == 0 && weft_now() >= deadline));
		count(weft_scope_leave(&s, rc));
	}
	return 0;
}

/* --- cancelled by somebody else ---------------------------------------- */

struct victim {
	struct weft_token token;
	uint32_t armed; /* the token is there; counts rounds */
};

static struct victim victims[SLEEPERS];

static int be_cancelled(void *arg)
{
	struct victim *v = arg;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uintptr_t)arg);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		struct weft_scope s;
		int rc = weft_scope_enter(&s, .timeout = WEFT_SEC(1000));

		STRESS_CHECK(rc == 0);
		STRESS_CHECK(weft_scope_token(&s, &v->token) == 0);
		store_release(&v->armed, (uint32_t)i + 1);
		rc = weft_sleep((int64_t)weft__rng_below(&rng, WEFT_US(50)) + 1);
		STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED);
		while (load_acquire(&v->armed) != 0) /* the canceller has had its turn */
			weft_yield();
		STRESS_CHECK(weft_scope_leave(&s, rc) == 0);
		add_seqcst(&cancelled, rc != 0);
	}
	return 0;
}

static int cancel_it(void *arg)
{
	struct victim *v = arg;

	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		while (load_acquire(&v->armed) != (uint32_t)i + 1)
			weft_yield();
		weft_token_cancel(v->token);
		store_release(&v->armed, 0);
	}
	return 0;
}

/* --- bare timers ------------------------------------------------------- */

struct probe {
	struct weft__timer timer;
	uint32_t fired;
};

static bool claim_probe(struct weft__timer *t)
{
	add_seqcst(&WEFT__CONTAINER(t, struct probe, timer)->fired, 1);
	return false;
}

static int arm_and_disarm(void *arg)
{
	struct weft_runtime *rt = weft__strand_self()->runtime;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uintptr_t)arg);
	for (long i = 0; i < ROUNDS * 20 * stress_scale; i++) {
		struct probe p = { .timer.claim = claim_probe };
		int64_t ahead = (int64_t)weft__rng_below(&rng, WEFT_US(20));

		STRESS_CHECK(weft__timer_arm(rt, &p.timer, weft__later(weft_now(), ahead)) == 0);
		for (uint64_t n = weft__rng_below(&rng, 4); n > 0; n--)
			weft_yield();
		bool disarmed = weft__timer_disarm(&p.timer);
		STRESS_CHECK(load_acquire(&p.fired) == !disarmed);
	}
	return 0;
}

/* --- all together ------------------------------------------------------ */

static int everybody(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "everybody");

	(void)arg;
	for (uintptr_t i = 0; i < SLEEPERS && rc == 0; i++)
		rc = weft_spawn(&g, sleep_in_scope, (void *)i);
	for (int i = 0; i < PROBES && rc == 0; i++) {
		rc = weft_spawn(&g, be_cancelled, &victims[i]);
		rc = rc ? rc : weft_spawn(&g, cancel_it, &victims[i]);
		rc = rc ? rc : weft_spawn(&g, arm_and_disarm, &victims[i]);
	}
	return weft_group_close(&g, rc);
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;

	stress_begin(argc, argv);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	STRESS_CHECK(weft_runtime_run(rt, everybody, NULL) == 0);
	weft_runtime_destroy(rt);
	STRESS_CHECK(slept + timed_out == (uint64_t)(SLEEPERS * ROUNDS * stress_scale));
	printf("%" PRIu64 " slept, %" PRIu64 " timed out, %" PRIu64 " cancelled\n", slept,
	       timed_out, cancelled);
	return 0;
}
