/* SPDX-License-Identifier: MIT */
/*
 * test_quiet.c - when virtual time passes
 */
#include <criterion/criterion.h>

#include "runtime/idle.h"
#include "support/assert.h"
#include "support/deeds.h"
#include "support/virtual.h"

TestSuite(quiet, .timeout = 60);

static int sleep_in_a_shield(void *arg)
{
	struct weft_scope s;
	int64_t ten = WEFT_MS(10), began = weft_now();

	weft_scope_enter(&s, .timeout = WEFT_MS(5));
	weft_shield(sleep_for, &ten, WEFT_NEVER);
	weft_scope_leave(&s, 0);
	*(int64_t *)arg = weft_now() - began;
	return 0;
}

Test(quiet, CF05_time_goes_on_after_a_timer_that_wakes_nobody)
{
	int64_t took = 0;

	cr_assert(eq(int, run_virtually(sleep_in_a_shield, &took), 0));
	cr_expect(eq(i64, took, WEFT_MS(10)));
}

/* --- a thread of the application and a clock that stands still ------------------------- */

struct patient {
	struct weft_runtime *rt;
	struct weft_token token;
	uint32_t begun;
};

static int waits_with_grace(void *arg)
{
	struct patient *p = arg;
	struct weft_scope s;
	struct weft_event never;

	weft_event_init(&never);
	weft_scope_enter(&s, .grace = WEFT_SEC(1));
	weft_scope_token(&s, &p->token);
	int64_t began = weft_now();
	store_release(&p->begun, 1);
	int rc = weft_event_wait(&never);
	HOLDS(weft_now() - began == WEFT_SEC(1));
	weft_scope_leave(&s, rc);
	return rc;
}

static void until_all_sleep(struct weft_runtime *rt)
{
	while (!weft__idle_all_asleep(rt))
		sched_yield();
}

/* SC-12: the token only asks, and the grace period is over when the clock says so. */
Test(quiet, CF05_time_goes_on_for_a_timer_that_a_thread_arms)
{
	struct weft_config config = { .size = sizeof config,
				      .clock = WEFT_CLOCK_VIRTUAL,
				      .on_deadlock = WEFT_DEADLOCK_IGNORE };

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct patient p = { 0 };
		struct runner r;

		config.workers = worker_counts[i];
		cr_assert(eq(int, weft_runtime_create_opt(&p.rt, &config), 0));
		runner_start(&r, p.rt, waits_with_grace, &p);
		until(&p.begun, 1);
		until_all_sleep(p.rt);
		cr_expect(weft_token_cancel(p.token));
		cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
		weft_runtime_destroy(p.rt);
	}
	cr_assert(broken_count == 0, "line %d: not true: %s", broken_line, broken);
}
