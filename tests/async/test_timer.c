/* SPDX-License-Identifier: MIT */
/*
 * test_timer.c - what async/clock.h promises of timers, one promise a test
 *
 * On virtual time: a test takes as long as its steps, and each wake-up comes at its
 * nanosecond.  Races are in stress/stress_timer.c.
 */
#include <criterion/criterion.h>

#include "async/async.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(timer, .timeout = 60);

static int run_virtual(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* --- order ------------------------------------------------------------- */

enum { SLEEPERS = 200 };

static struct sleeper {
	int64_t duration, woke;
	int place; /* in the order of waking */
} sleepers[SLEEPERS];

static int woken;

static int sleep_and_note(void *arg)
{
	struct sleeper *s = arg;
	int rc = weft_sleep(s->duration);

	s->woke = weft_now();
	s->place = woken++;
	return rc;
}

static int all_sleep(void *arg)
{
	struct weft_group g;
	int64_t *began = arg;
	int rc = weft_group_open(&g, .name = "sleepers");

	*began = weft_now();
	for (int i = 0; i < SLEEPERS && rc == 0; i++)
		rc = weft_spawn(&g, sleep_and_note, &sleepers[i]);
	return weft_group_close(&g, rc);
}

Test(timer, SC26_sleepers_wake_in_the_order_of_their_deadlines)
{
	int64_t began = 0;

	for (int i = 0; i < SLEEPERS; i++)
		sleepers[i].duration = WEFT_MS(10) * (1 + i * 77 % SLEEPERS);
	cr_assert(eq(int, run_virtual(all_sleep, &began), 0));
	for (int i = 0; i < SLEEPERS; i++) {
		cr_expect(eq(int, sleepers[i].place, i * 77 % SLEEPERS));
		cr_expect(eq(i64, sleepers[i].woke - began, sleepers[i].duration));
	}
}

struct in_line {
	int64_t deadline, extra;
	int order[SLEEPERS], begun;
};

static struct in_line line;

static int join_line(void *arg)
{
	int me = line.begun++;
	int rc = weft_sleep_until(line.deadline);

	(void)arg;
	line.order[woken++] = me;
	return rc;
}

static int line_up(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "line");

	(void)arg;
	line.deadline = weft_now() + WEFT_SEC(7) + line.extra;
	for (int i = 0; i < SLEEPERS && rc == 0; i++) {
		rc = weft_spawn(&g, join_line, NULL);
		if (i == SLEEPERS / 2)
			rc = weft_sleep(WEFT_SEC(3)); /* the second half comes later */
	}
	return weft_group_close(&g, rc);
}

Test(timer, CF05_equal_deadlines_wake_in_the_order_in_which_they_were_armed)
{
	/* Different ways through the levels of the wheel. */
	for (int64_t extra = 0; extra < WEFT_SEC(3600); extra = extra * 900 + 1) {
		line = (struct in_line){ .extra = extra };
		woken = 0;
		cr_assert(eq(int, run_virtual(line_up, NULL), 0));
		for (int i = 0; i < SLEEPERS; i++)
			cr_assert(eq(int, line.order[i], i));
	}
}

static int sleep_from_ns_to_years(void *arg)
{
	int64_t *longest = arg;

	for (int64_t d = 1; d < INT64_MAX / 4; d *= 3) {
		int64_t began = weft_now();
		if (weft_sleep(d) != 0 || weft_now() - began != d)
			return WEFT_EINVAL;
		*longest = d;
	}
	return 0;
}

Test(timer, a_sleep_is_exact_from_a_nanosecond_to_decades)
{
	int64_t longest = 0;

	cr_expect(eq(int, run_virtual(sleep_from_ns_to_years, &longest), 0));
	cr_expect(gt(i64, longest, WEFT_SEC(3600) * 24 * 365 * 20));
}

/* --- moving and leaving ------------------------------------------------ */

static size_t timers_armed(void)
{
	const struct weft__clock *clock = &weft__strand_self()->runtime->async->clock;
	size_t n = 0;

	for (unsigned i = 0; i < clock->count; i++) {
		weft__wheel_check(&clock->timers[i].wheel);
		n += clock->timers[i].wheel.size;
	}
	return n;
}

struct moves {
	size_t most, after;
	int64_t slept;
};

static int move_deadline(void *arg)
{
	struct moves *m = arg;
	struct weft_scope s;
	int64_t began = weft_now();
	int rc = weft_scope_enter(&s, .timeout = WEFT_SEC(1));

	for (int i = 0; i < 2000 && rc == 0; i++) {
		rc = weft_scope_set_deadline(&s, began + (i % 2 ? WEFT_SEC(1) : WEFT_SEC(90)));
		if (timers_armed() > m->most)
			m->most = timers_armed();
	}
	if (rc == 0)
		rc = weft_sleep_forever();
	rc = weft_scope_leave(&s, rc);
	m->slept = weft_now() - began;
	m->after = timers_armed();
	return rc;
}

Test(timer, SC20_moving_a_deadline_2000_times_leaves_one_timer)
{
	struct moves m = { 0 };

	cr_expect(eq(int, run_virtual(move_deadline, &m), WEFT_ETIMEDOUT));
	cr_expect(eq(sz, m.most, 1));
	cr_expect(eq(sz, m.after, 0));
	cr_expect(eq(i64, m.slept, WEFT_SEC(1)));
}

static int many_scopes(void *arg)
{
	struct moves *m = arg;
	int rc = 0;

	for (int i = 0; i < 2000 && rc == 0; i++) {
		struct weft_scope s;
		rc = weft_scope_enter(&s, .timeout = WEFT_SEC(1 + i % 100));
		m->most = m->most > timers_armed() ? m->most : timers_armed();
		rc = weft_scope_leave(&s, rc);
	}
	m->after = timers_armed();
	return rc;
}

Test(timer, SC16_scopes_that_were_left_leave_no_timer)
{
	struct moves m = { 0 };

	cr_expect(eq(int, run_virtual(many_scopes, &m), 0));
	cr_expect(eq(sz, m.most, 1));
	cr_expect(eq(sz, m.after, 0));
}

/* --- firing against disarming ------------------------------------------ */

struct probe {
	struct weft__timer timer;
	int claimed, done;
	bool claims;
	bool disarmed[2];
};

static bool probe_claim(struct weft__timer *t)
{
	struct probe *p = WEFT__CONTAINER(t, struct probe, timer);

	p->claimed++;
	return p->claims;
}

static void probe_done(struct weft__timer *t)
{
	WEFT__CONTAINER(t, struct probe, timer)->done++;
}

static int arm(struct probe *p, int64_t ahead)
{
	struct weft_runtime *rt = weft__strand_self()->runtime;

	p->timer.claim = probe_claim;
	p->timer.done = probe_done;
	return weft__timer_arm(rt, &p->timer, weft_after(ahead));
}

static int fire_and_disarm(void *arg)
{
	struct probe *p = arg;
	int rc = arm(p, WEFT_SEC(1));

	if (rc == 0)
		rc = weft_sleep(WEFT_SEC(2));
	p->disarmed[0] = weft__timer_disarm(&p->timer);
	return rc;
}

Test(timer, a_timer_that_fired_cannot_be_disarmed)
{
	struct probe p = { .claims = true };

	cr_expect(eq(int, run_virtual(fire_and_disarm, &p), 0));
	cr_expect(eq(int, p.claimed, 1));
	cr_expect(eq(int, p.done, 1));
	cr_expect(not(p.disarmed[0]));
}

Test(timer, a_timer_that_claims_nothing_is_not_done)
{
	struct probe p = { .claims = false };

	cr_expect(eq(int, run_virtual(fire_and_disarm, &p), 0));
	cr_expect(eq(int, p.claimed, 1));
	cr_expect(eq(int, p.done, 0));
}

static int disarm_and_wait(void *arg)
{
	struct probe *p = arg;
	int rc = arm(p, WEFT_SEC(1));

	p->disarmed[0] = weft__timer_disarm(&p->timer);
	p->disarmed[1] = weft__timer_disarm(&p->timer);
	return rc ? rc : weft_sleep(WEFT_SEC(2));
}

Test(timer, a_timer_that_was_disarmed_does_not_fire)
{
	struct probe p = { .claims = true };

	cr_expect(eq(int, run_virtual(disarm_and_wait, &p), 0));
	cr_expect(eq(int, p.claimed, 0));
	cr_expect(p.disarmed[0]);
	cr_expect(not(p.disarmed[1]), "a second time");
}

static int arm_for_ever(void *arg)
{
	struct probe *p = arg;
	struct weft_runtime *rt = weft__strand_self()->runtime;
	int rc = weft__timer_arm(rt, &p->timer, WEFT_NEVER);

	p->claimed = (int)timers_armed();
	p->disarmed[0] = weft__timer_disarm(&p->timer);
	return rc;
}

Test(timer, CO6_never_is_not_armed)
{
	struct probe p = { .claims = true };

	cr_expect(eq(int, run_virtual(arm_for_ever, &p), 0));
	cr_expect(eq(int, p.claimed, 0));
	cr_expect(not(p.disarmed[0]));
}

/* --- the real clock ---------------------------------------------------- */

static int sleep_in_turn(void *arg)
{
	int64_t *early = arg;

	for (int i = 0; i < 20; i++) {
		int64_t deadline = weft_after(WEFT_US(10 * i));
		int rc = weft_sleep_until(deadline);
		if (rc != 0)
			return rc;
		if (weft_now() < deadline)
			++*early;
	}
	return 0;
}

Test(timer, nobody_wakes_early_by_the_real_clock)
{
	int64_t early = 0;

	cr_expect(eq(int, run_on(1, sleep_in_turn, &early), 0));
	cr_expect(eq(i64, early, 0));
}

static int first_sleeps_longer(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "two");

	(void)arg;
	sleepers[0].duration = WEFT_SEC(3600);
	sleepers[1].duration = WEFT_MS(1);
	if (rc == 0)
		rc = weft_spawn(&g, sleep_and_note, &sleepers[0]);
	weft_yield();
	if (rc == 0)
		rc = sleep_and_note(&sleepers[1]);
	weft_group_cancel(&g);
	return weft_group_close(&g, rc);
}

Test(timer, an_earlier_timer_wakes_the_event_thread_from_a_longer_sleep)
{
	cr_expect(eq(int, run_on(1, first_sleeps_longer, NULL), 0));
	cr_expect(eq(int, sleepers[1].place, 0));
}
