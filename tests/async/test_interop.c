/* SPDX-License-Identifier: MIT */
/*
 * test_interop.c - what weft/interop.h promises, one promise a test
 */
#include <pthread.h>

#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(interop, .timeout = 60);

static int add_one(void *arg)
{
	int *n = arg;

	*n += weft_worker_index() >= 0;
	return 0;
}

/* --- from a blocking call --------------------------------------------------- */

struct time_bomb {
	struct weft_scope scope;
	int slept, call, caught;
};

static int bomb(void *arg)
{
	struct time_bomb *b = arg;

	weft_scope_cancel(&b->scope);
	b->slept = weft_sleep(WEFT_SEC(1000));
	return b->slept;
}

static int goes_back(void *arg)
{
	return weft_from_thread(NULL, bomb, arg);
}

static int host(void *arg)
{
	struct time_bomb *b = arg;

	weft_scope_enter(&b->scope);
	b->call = weft_to_thread(goes_back, b);
	int rc = weft_scope_leave(&b->scope, weft_check());
	b->caught = weft_scope_cancelled_caught(&b->scope);
	return rc;
}

/* IN-2. */
Test(interop, TH07_what_a_call_runs_is_in_the_scope_of_its_caller)
{
	struct time_bomb b = { 0 };

	cr_expect(eq(int, run_on(1, host, &b), 0));
	cr_expect(eq(int, b.slept, WEFT_ECANCELED));
	cr_expect(eq(int, b.call, WEFT_ECANCELED));
	cr_expect(eq(int, b.caught, 1));
}

struct threads {
	pthread_t outer, inner;
};

static int inner_thread(void *arg)
{
	((struct threads *)arg)->inner = pthread_self();
	return 0;
}

static int task_between(void *arg)
{
	return weft_to_thread(inner_thread, arg);
}

static int outer_thread(void *arg)
{
	((struct threads *)arg)->outer = pthread_self();
	return weft_from_thread(NULL, task_between, arg);
}

static int nest_threads(void *arg)
{
	return weft_to_thread(outer_thread, arg);
}

Test(interop, TH08_a_call_in_a_call_has_a_thread_of_its_own)
{
	struct threads t = { 0 };

	cr_expect(eq(int, run_on(1, nest_threads, &t), 0));
	cr_expect(not(pthread_equal(t.outer, t.inner)));
}

static int sleeps_nothing(void *arg)
{
	(void)arg;
	return weft_sleep(0);
}

static int back_and_forth(void *arg)
{
	(void)arg;
	return weft_from_thread(NULL, sleeps_nothing, NULL);
}

static int reenter(void *arg)
{
	int rc = 0;

	while (rc == 0)
		rc = weft_to_thread(back_and_forth, arg);
	return rc;
}

static int reenter_for_a_while(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g, .timeout = WEFT_MS(100));
	for (int i = 0; i < 4; i++)
		weft_spawn(&g, reenter, NULL);
	return weft_group_close(&g, 0);
}

Test(interop, TH09_re_entry_does_not_deadlock)
{
	cr_expect(eq(int, run_on(1, reenter_for_a_while, NULL), WEFT_ETIMEDOUT));
	cr_expect(eq(int, run_on(2, reenter_for_a_while, NULL), WEFT_ETIMEDOUT));
}

static int runs_sync(void *arg)
{
	return weft_run_sync(bomb, arg);
}

static int sync_host(void *arg)
{
	struct time_bomb *b = arg;

	weft_scope_enter(&b->scope);
	b->call = weft_to_thread(runs_sync, b);
	return weft_scope_leave(&b->scope, weft_check());
}

/* IN-1 (c). */
Test(interop, IN04_run_sync_in_a_blocking_call_is_cancelled_with_its_caller)
{
	struct time_bomb b = { 0 };

	cr_expect(eq(int, run_on(1, sync_host, &b), 0));
	cr_expect(eq(int, b.call, WEFT_ECANCELED));
}

/* --- portals ------------------------------------------------------------------ */

/* IN-2. */
Test(interop, IN05_without_a_portal_there_is_no_task_to_act_for)
{
	int n = 0;

	cr_expect(eq(int, weft_from_thread(NULL, add_one, &n), WEFT_ENOTASK));
}

static int open_and_close(void *arg)
{
	struct weft_portal *p = arg;
	int rc = weft_portal_open(p);

	return rc ? rc : weft_portal_close(p, 0);
}

/* IN-2. */
Test(interop, IN05_a_closed_portal_takes_no_calls)
{
	struct weft_portal p;
	int n = 0;

	cr_assert(eq(int, run_on(1, open_and_close, &p), 0));
	cr_expect(eq(int, weft_from_thread(&p, add_one, &n), WEFT_ECLOSED));
	cr_expect(eq(int, n, 0));
}

enum { THREADS = 8, CALLS = 100 };

struct many {
	struct weft_portal portal;
	pthread_t threads[THREADS];
	uint32_t calls, started;
	int wrong;
};

static int count_call(void *arg)
{
	struct many *m = arg;

	add_seqcst(&m->calls, 1);
	return weft_worker_index() >= 0 ? 0 : WEFT_EINVAL;
}

static void *calls_through(void *arg)
{
	struct many *m = arg;

	add_seqcst(&m->started, 1);
	for (int i = 0; i < CALLS; i++)
		if (weft_from_thread(&m->portal, count_call, m) != 0)
			return m;
	return NULL;
}

static int hold_portal(void *arg)
{
	struct many *m = arg;

	weft_portal_open(&m->portal);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&m->threads[i], NULL, calls_through, m);
	while (load_acquire(&m->calls) < THREADS * CALLS)
		weft_yield();
	return weft_portal_close(&m->portal, 0);
}

/* IN-3. */
Test(interop, IN07_plain_threads_call_through_a_portal)
{
	struct many m = { 0 };

	cr_expect(eq(int, run_on(2, hold_portal, &m), 0));
	for (int i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(m.threads[i], &failed);
		cr_expect(eq(ptr, failed, NULL));
	}
	cr_expect(eq(u32, m.calls, THREADS * CALLS));
}

/* A call that is under way while the portal is closed. */
struct under_way {
	struct weft_portal portal;
	struct weft_future future;
	uint32_t opened, begun, may_end, may_close, has_closed;
	bool forever; /* the call sleeps until it is cancelled */
	int how, slept, closed;
};

static int sleep_long(void *arg)
{
	struct under_way *u = arg;

	store_release(&u->begun, 1);
	u->slept = u->forever ? weft_sleep_forever() : 0;
	return u->slept;
}

static int portal_task(void *arg)
{
	struct under_way *u = arg;

	weft_portal_open(&u->portal);
	store_release(&u->opened, 1);
	while (!load_acquire(&u->may_close))
		weft_yield();
	u->closed = weft_portal_close(&u->portal, u->how);
	store_release(&u->has_closed, 1);
	return 0;
}

/* IN-3. */
Test(interop, IN07_closing_with_an_error_cancels_what_is_under_way_and_waits_for_it)
{
	struct under_way u = { .how = WEFT_EIO, .forever = true };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, portal_task, &u);
	until(&u.opened, 1);
	cr_assert(eq(int, weft_from_thread_nowait(&u.portal, sleep_long, &u, &u.future), 0));
	until(&u.begun, 1);
	store_release(&u.may_close, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, u.closed, WEFT_EIO));
	cr_expect(eq(int, u.slept, WEFT_ECANCELED));
	cr_expect(eq(int, weft_future_wait(&u.future, &rc), 0));
	cr_expect(eq(int, rc, WEFT_ECANCELED));
	weft_runtime_destroy(rt);
}

/* The portal is being closed, which waits for calls under way. */
static void until_it_closes(struct under_way *u)
{
	int n = 0;

	while (weft_from_thread(&u->portal, add_one, &n) != WEFT_ECLOSED)
		sched_yield();
}

static int works_until_told(void *arg)
{
	struct under_way *u = arg;

	store_release(&u->begun, 1);
	while (!load_acquire(&u->may_end))
		weft_yield();
	u->slept = weft_check();
	return u->slept;
}

/* IN-3. */
Test(interop, IN07_closing_without_an_error_waits_for_what_is_under_way)
{
	struct under_way u = { .slept = 1, .closed = 1 };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 2), 0));
	runner_start(&runner, rt, portal_task, &u);
	until(&u.opened, 1);
	cr_assert(eq(int, weft_from_thread_nowait(&u.portal, works_until_told, &u, &u.future), 0));
	until(&u.begun, 1);
	store_release(&u.may_close, 1);
	until_it_closes(&u);
	cr_expect(eq(u32, load_acquire(&u.has_closed), 0));
	cr_expect(not(weft_future_is_done(&u.future)));
	store_release(&u.may_end, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, u.closed, 0));
	cr_expect(eq(int, u.slept, 0), "it was not cancelled");
	cr_expect(weft_future_is_done(&u.future));
	cr_expect(eq(int, weft_future_wait(&u.future, &rc), 0));
	cr_expect(eq(int, rc, 0));
	weft_runtime_destroy(rt);
}

static int checks(void *arg)
{
	*(int *)arg = weft_check();
	return weft_sleep_forever();
}

/* Holds the one worker, so that nothing starts. */
static int portal_on_a_held_worker(void *arg)
{
	struct under_way *u = arg;

	weft_portal_open(&u->portal);
	store_release(&u->opened, 1);
	until(&u->may_close, 1);
	u->closed = weft_portal_close(&u->portal, 0);
	return 0;
}

/* IN-3. */
Test(interop, IN06_a_future_that_is_cancelled_before_it_starts_starts_and_sees_it)
{
	struct under_way u = { .closed = 1 };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1, saw = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, portal_on_a_held_worker, &u);
	until(&u.opened, 1);
	cr_assert(eq(int, weft_from_thread_nowait(&u.portal, checks, &saw, &u.future), 0));
	cr_expect(weft_future_cancel(&u.future));
	cr_expect(not(weft_future_cancel(&u.future)), "once");
	cr_expect(eq(int, saw, 1), "it has not started");
	store_release(&u.may_close, 1);
	cr_expect(eq(int, weft_future_wait(&u.future, &rc), 0));
	cr_expect(eq(int, rc, WEFT_ECANCELED));
	cr_expect(eq(int, saw, WEFT_ECANCELED));
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, u.closed, 0), "the cancel of a call is its own");
	weft_runtime_destroy(rt);
}

Test(interop, IN06_a_future_is_cancelled_while_it_runs_and_not_when_it_is_done)
{
	struct under_way u = { .how = WEFT_EIO, .forever = true };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, portal_task, &u);
	until(&u.opened, 1);
	weft_from_thread_nowait(&u.portal, sleep_long, &u, &u.future);
	until(&u.begun, 1);
	cr_expect(weft_future_cancel(&u.future));
	cr_expect(eq(int, weft_future_wait(&u.future, &rc), 0));
	cr_expect(eq(int, rc, WEFT_ECANCELED));
	cr_expect(eq(int, u.slept, WEFT_ECANCELED));
	cr_expect(not(weft_future_cancel(&u.future)), "it is done");
	store_release(&u.may_close, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(not(weft_future_cancel(&u.future)), "nor after the portal was closed");
	weft_runtime_destroy(rt);
}

/* IN-3. */
Test(interop, IN06_a_future_is_cancelled_while_the_portal_is_being_closed)
{
	struct under_way u = { .closed = 1, .forever = true };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, portal_task, &u);
	until(&u.opened, 1);
	weft_from_thread_nowait(&u.portal, sleep_long, &u, &u.future);
	until(&u.begun, 1);
	store_release(&u.may_close, 1);
	until_it_closes(&u);
	cr_expect(not(weft_future_is_done(&u.future)), "closing with 0 cancels nothing");
	cr_expect(weft_future_cancel(&u.future));
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, u.closed, 0));
	cr_expect(eq(int, weft_future_wait(&u.future, &rc), 0));
	cr_expect(eq(int, rc, WEFT_ECANCELED));
	weft_runtime_destroy(rt);
}

/* --- bindings ------------------------------------------------------------------ */

static const struct weft_key key = { "key", NULL };

struct seen {
	int in_call, in_back, changed, next;
};

static int value(void)
{
	int *v = weft_local(&key);
	return v ? *v : 0;
}

static int look_back(void *arg)
{
	((struct seen *)arg)->in_back = value();
	return 0;
}

static int look_changed(void *arg)
{
	((struct seen *)arg)->changed = value();
	return 0;
}

static int look_in_call(void *arg)
{
	static int two = 2;
	struct seen *s = arg;

	s->in_call = value();
	weft_from_thread(NULL, look_back, s);
	return weft_with_local(&key, &two, look_changed, s);
}

static int look_next(void *arg)
{
	((struct seen *)arg)->next = value();
	return 0;
}

static int bound(void *arg)
{
	return weft_to_thread(look_in_call, arg);
}

static int binds(void *arg)
{
	static int one = 1;
	int rc = weft_with_local(&key, &one, bound, arg);

	return rc ? rc : weft_to_thread(look_next, arg);
}

/* IN-5. */
Test(interop, TH12_bindings_travel_and_are_not_left_behind)
{
	struct seen s = { 0 };

	cr_expect(eq(int, run_on(1, binds, &s), 0));
	cr_expect(eq(int, s.in_call, 1));
	cr_expect(eq(int, s.in_back, 1));
	cr_expect(eq(int, s.changed, 2));
	cr_expect(eq(int, s.next, 0));
}

/* --- adapters -------------------------------------------------------------------- */

static int is_on_a_worker(void *arg)
{
	*(int *)arg = weft_worker_index() >= 0;
	return 0;
}

static int adapt(void *arg)
{
	int *on_worker = arg;
	struct weft_adapter a, b;
	struct weft_call calls[2] = {
		weft_async_adapter(&a, is_on_a_worker, &on_worker[0]),
		weft_sync_adapter(&b, is_on_a_worker, &on_worker[1]),
	};

	size_t winner = 9;
	int rc = weft_all(calls, 2);

	if (rc == 0)
		rc = weft_gather(calls, 2, NULL);
	for (size_t i = 0; i < 2 && rc == 0; i++)
		rc = weft_race(&calls[i], 1, &winner);
	return rc ? rc : winner == 0 ? on_worker[0] + 2 * on_worker[1] : WEFT_EIO;
}

/* IN-4. */
Test(interop, adapters_make_call_objects_of_the_other_kind)
{
	int on_worker[2] = { -1, -1 };

	cr_expect(eq(int, run_on(1, adapt, on_worker), 2));
	cr_expect(eq(int, on_worker[0], 0));
	cr_expect(eq(int, on_worker[1], 1));
}

/* --- several waiters --------------------------------------------------------------- */

struct shared {
	struct under_way *u;
	int rc, error;
};

static int waits_for_it(void *arg)
{
	struct shared *s = arg;

	s->error = weft_future_wait(&s->u->future, &s->rc);
	return 0;
}

static int gives_up(void *arg)
{
	struct shared *s = arg;
	struct weft_scope scope;

	weft_scope_enter(&scope, .timeout = WEFT_MS(1));
	s->error = weft_future_wait(&s->u->future, &s->rc);
	return weft_scope_leave(&scope, 0);
}

/* Two wait, and one that waited before them has given up. */
static int several_wait(void *arg)
{
	struct shared *s = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, waits_for_it, &s[0]);
	weft_spawn(&g, waits_for_it, &s[1]);
	gives_up(&s[2]);
	weft_future_cancel(&s->u->future);
	return weft_group_close(&g, 0);
}

Test(interop, any_number_of_tasks_wait_for_a_future)
{
	struct under_way u = { .forever = true };
	struct shared s[3] = { { &u, 1, 1 }, { &u, 1, 1 }, { &u, 1, 1 } };
	struct weft_runtime *rt;
	struct runner runner;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, portal_task, &u);
	until(&u.opened, 1);
	cr_assert(eq(int, weft_from_thread_nowait(&u.portal, sleep_long, &u, &u.future), 0));
	until(&u.begun, 1);
	cr_expect(eq(int, run_on(2, several_wait, s), 0));
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, s[i].error, 0));
		cr_expect(eq(int, s[i].rc, WEFT_ECANCELED));
	}
	cr_expect(eq(int, s[2].error, WEFT_ECANCELED));
	store_release(&u.may_close, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	weft_runtime_destroy(rt);
}

/* --- the bindings of a portal -------------------------------------------------------- */

struct bound_portal {
	struct weft_portal portal;
	int seen;
	uint32_t drops, drops_inside;
};

static uint32_t bound_drops;

static void count_drop(void *value)
{
	(void)value;
	add_seqcst(&bound_drops, 1);
}

static const struct weft_key dropped_key = { "dropped", count_drop };

static int open_bound(void *arg)
{
	return weft_portal_open(&((struct bound_portal *)arg)->portal);
}

static int look_bound(void *arg)
{
	int *v = weft_local(&dropped_key);

	((struct bound_portal *)arg)->seen = v ? *v : 0;
	return 0;
}

static void *look_from_outside(void *arg)
{
	struct bound_portal *b = arg;

	weft_from_thread(&b->portal, look_bound, b);
	return NULL;
}

static int open_inside_of_a_binding(void *arg)
{
	static int five = 5;
	struct bound_portal *b = arg;
	pthread_t thread;
	int rc = weft_with_local(&dropped_key, &five, open_bound, b);

	if (rc != 0)
		return rc;
	b->drops_inside = load_acquire(&bound_drops);
	pthread_create(&thread, NULL, look_from_outside, b);
	pthread_join(thread, NULL);
	return weft_portal_close(&b->portal, 0);
}

Test(interop, IN_5_a_portal_keeps_the_bindings_it_was_opened_in)
{
	struct bound_portal b = { 0 };

	cr_expect(eq(int, run_on(2, open_inside_of_a_binding, &b), 0));
	cr_expect(eq(u32, b.drops_inside, 0));
	cr_expect(eq(int, b.seen, 5));
	cr_expect(eq(u32, bound_drops, 1));
}

/* --- virtual time ---------------------------------------------------------------------- */

static int sleeps_for_an_hour(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(3600));
}

static int comes_back_to_sleep(void *arg)
{
	return weft_from_thread(NULL, sleeps_for_an_hour, arg);
}

static int sleeps_by_way_of_a_thread(void *arg)
{
	return weft_to_thread(comes_back_to_sleep, arg);
}

Test(interop, CF_4_virtual_time_passes_while_a_call_waits_for_a_task)
{
	cr_expect(eq(int, run_virtual(sleeps_by_way_of_a_thread, NULL), 0));
}

/* --- a group that is closed around an open portal ---------------------------------- */

struct around {
	struct under_way u;
	int outer;
};

static int forgets_its_portal(void *arg)
{
	struct around *a = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_portal_open(&a->u.portal);
	store_release(&a->u.opened, 1);
	while (!load_acquire(&a->u.may_close))
		weft_yield();
	a->outer = weft_group_close(&g, 0);
	return 0;
}

Test(interop, GR_7_a_portal_that_was_left_open_is_cancelled_and_joined_with_its_group)
{
	struct around a = { .u.forever = true };
	struct weft_runtime *rt;
	struct runner runner;
	int rc = 1;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 2), 0));
	runner_start(&runner, rt, forgets_its_portal, &a);
	until(&a.u.opened, 1);
	cr_assert(eq(int, weft_from_thread_nowait(&a.u.portal, sleep_long, &a.u, &a.u.future), 0));
	until(&a.u.begun, 1);
	store_release(&a.u.may_close, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, a.outer, WEFT_EINVAL));
	cr_expect(eq(int, weft_future_wait(&a.u.future, &rc), 0));
	cr_expect(eq(int, rc, WEFT_ECANCELED));
	cr_expect(eq(int, weft_from_thread(&a.u.portal, sleeps_nothing, NULL), WEFT_ECLOSED));
	weft_runtime_destroy(rt);
}

/* --- the end of a runtime of one's own -------------------------------------------------- */

struct late_call {
	struct weft_runtime *rt;
	uint32_t begun;
	int rc, sum;
};

static int call_back_late(void *arg)
{
	struct late_call *l = arg;

	store_release(&l->begun, 1);
	while (load_acquire(&l->rt->gate.inside) < WEFT__GATE_CLOSED)
		sched_yield();
	l->rc = weft_from_thread(NULL, add_one, &l->sum);
	return 0;
}

static int calls_late(void *arg)
{
	return weft_to_thread(call_back_late, arg);
}

/* Destroying waits for what is under way, and cancels nothing of it. */
Test(interop, IN_2_a_call_back_while_its_runtime_is_about_to_be_destroyed)
{
	struct late_call l = { .rc = 1 };
	struct runner runner;

	cr_assert(eq(int, weft_runtime_create(&l.rt, .workers = 1), 0));
	runner_start(&runner, l.rt, calls_late, &l);
	until(&l.begun, 1);
	weft_runtime_destroy(l.rt);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, l.rc, 0));
	cr_expect(eq(int, l.sum, 1));
}

static int closes_what_was_cut_off(void *arg)
{
	struct weft_scope s;
	struct weft_portal p;

	(void)arg;
	int rc = weft_scope_enter(&s, .grace = WEFT_SEC(5));
	weft_scope_cancel(&s);
	weft_portal_open(&p);
	rc = weft_portal_close(&p, weft_sleep_soft(WEFT_SEC(1)));
	weft_scope_leave(&s, rc);
	return rc;
}

Test(interop, a_portal_keeps_a_cancel_that_it_has_not_made)
{
	cr_expect(eq(int, run_on(1, closes_what_was_cut_off, NULL), WEFT_ECANCELED));
}
