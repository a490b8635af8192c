/* SPDX-License-Identifier: MIT */
/*
 * test_offload.c - what weft/offload.h promises, one promise a test
 *
 * Calls and tasks wait for each other by words, never for time to pass.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "async/thread_pool.h"
#include "runtime/idle.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(offload, .timeout = 60);

/* A call that says that it runs and stays until it may go. */
struct call {
	uint32_t begun, may_end, ended;
	pthread_t thread;
	int rc;
	int seen; /* of weft_thread_check at the end */
	uint32_t dropped;
};

static int stay(void *arg)
{
	struct call *c = arg;

	c->thread = pthread_self();
	store_release(&c->begun, 1);
	until(&c->may_end, 1);
	c->seen = weft_thread_check();
	store_release(&c->ended, 1);
	return c->rc;
}

static int give_back(void *arg)
{
	struct call *c = arg;

	c->thread = pthread_self();
	store_release(&c->begun, 1);
	return c->rc;
}

/* --- values ------------------------------------------------------------- */

static int on_a_thread(void *arg)
{
	return weft_to_thread(give_back, arg);
}

Test(offload, TH01_value_error_and_another_thread)
{
	struct call seven = { .rc = 7 }, error = { .rc = WEFT_EIO };

	cr_expect(eq(int, run_on(1, on_a_thread, &seven), 7));
	cr_expect(eq(int, run_on(1, on_a_thread, &error), WEFT_EIO));
	cr_expect(not(pthread_equal(seven.thread, pthread_self())));
}

Test(offload, a_plain_thread_calls_at_once)
{
	struct call c = { .rc = 3 };

	cr_expect(eq(int, weft_to_thread(give_back, &c), 3));
	cr_expect(pthread_equal(c.thread, pthread_self()));
}

static int adds_one(void *arg)
{
	++*(int *)arg;
	return 0;
}

static int copies(void *arg)
{
	return weft_to_thread(adds_one, arg, .copy = sizeof(int));
}

Test(offload, a_copy_leaves_the_original_alone)
{
	int n = 1;

	cr_expect(eq(int, run_on(1, copies, &n), 0));
	cr_expect(eq(int, n, 1));
}

/* --- cancelling --------------------------------------------------------- */

static int in_a_cancelled_scope(void *arg)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s);

	weft_scope_cancel(&s);
	rc = weft_to_thread(give_back, arg);
	weft_scope_leave(&s, 0);
	return rc;
}

Test(offload, TH02_a_cancelled_caller_calls_nothing)
{
	struct call c = { 0 };

	cr_expect(eq(int, run_on(1, in_a_cancelled_scope, &c), WEFT_ECANCELED));
	cr_expect(eq(u32, c.begun, 0));
}

/* A caller in a scope that somebody else cancels while the call runs. */
struct caller {
	struct call call;
	struct weft_scope scope;
	uint32_t entered;
	bool abandon;
	int rc, next, left;
};

static void drop(void *arg)
{
	struct call *c = *(struct call **)arg;

	store_release(&c->dropped, c->dropped + 1);
}

static int stay_at(void *arg)
{
	return stay(*(struct call **)arg);
}

static int caller(void *arg)
{
	struct caller *me = arg;
	struct call *c = &me->call;

	weft_scope_enter(&me->scope);
	store_release(&me->entered, 1);
	if (me->abandon)
		me->rc = weft_to_thread(stay_at, &c, .abandon = true, .copy = sizeof c,
					.drop = drop);
	else
		me->rc = weft_to_thread(stay, c);
	me->next = weft_check();
	me->left = weft_scope_leave(&me->scope, me->next);
	return 0;
}

static int cancel_while_it_runs(void *arg)
{
	struct caller *me = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, caller, me);
	while (!load_acquire(&me->call.begun))
		weft_yield();
	weft_scope_cancel(&me->scope);
	if (!me->abandon)
		store_release(&me->call.may_end, 1);
	int rc = weft_group_close(&g, 0);
	if (me->abandon) {
		me->call.seen = (int)load_acquire(&me->call.ended); /* not yet */
		store_release(&me->call.may_end, 1);
		until(&me->call.dropped, 1);
	}
	return rc;
}

Test(offload, TH03_a_running_call_is_waited_for_and_its_value_counts)
{
	struct caller me = { .call.rc = 5 };

	cr_assert(eq(int, run_on(2, cancel_while_it_runs, &me), 0));
	cr_expect(eq(int, me.rc, 5));
	cr_expect(eq(u32, me.call.ended, 1));
	cr_expect(eq(int, me.next, WEFT_ECANCELED), "the next point tells");
	cr_expect(eq(int, me.left, 0));
}

Test(offload, TH04_an_abandoned_call_runs_on_and_its_argument_is_dropped_once)
{
	struct caller me = { .abandon = true };

	cr_assert(eq(int, run_on(2, cancel_while_it_runs, &me), 0));
	cr_expect(eq(int, me.rc, WEFT_ECANCELED));
	cr_expect(eq(u32, me.call.dropped, 1));
}

static int abandons_its_stack(void *arg)
{
	return weft_to_thread(give_back, arg, .abandon = true);
}

Test(offload, TH05_abandoning_needs_an_argument_of_its_own)
{
	struct call c = { 0 };

	cr_expect(eq(int, run_on(1, abandons_its_stack, &c), WEFT_EINVAL));
	cr_expect(eq(u32, c.begun, 0));
}

/* A call that ends when it sees that its caller was cancelled. */
static int look_out(void *arg)
{
	struct call *c = arg;

	store_release(&c->begun, 1);
	while (!weft_thread_cancelled())
		sched_yield();
	c->seen = weft_thread_check();
	store_release(&c->ended, 1);
	return c->rc;
}

static int watched_caller(void *arg)
{
	struct caller *me = arg;

	weft_scope_enter(&me->scope);
	me->rc = weft_to_thread(look_out, &me->call);
	return weft_scope_leave(&me->scope, 0);
}

static int cancel_watched(void *arg)
{
	struct caller *me = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, watched_caller, me);
	while (!load_acquire(&me->call.begun))
		weft_yield();
	weft_scope_cancel(&me->scope);
	return weft_group_close(&g, 0);
}

Test(offload, TH06_the_call_sees_that_its_caller_was_cancelled)
{
	struct caller me = { .call.rc = 9 }, alone = { .call.may_end = 1 };

	cr_expect(eq(int, run_on(1, cancel_watched, &me), 0));
	cr_expect(eq(int, me.rc, 9));
	run_on(1, caller, &alone);
	cr_expect(eq(int, alone.call.seen, 0));
	cr_expect(eq(int, me.call.seen, WEFT_ECANCELED));
	cr_expect(eq(int, weft_thread_check(), WEFT_ENOTASK));
	cr_expect(not(weft_thread_cancelled()));
	cr_expect(eq(int, weft_thread_commit(), WEFT_ENOTASK));
}

static int look_out_at(void *arg)
{
	return look_out(*(struct call **)arg);
}

static int abandons(void *arg)
{
	struct caller *me = arg;
	struct call *c = &me->call;

	weft_scope_enter(&me->scope);
	me->rc = weft_to_thread(look_out_at, &c, .abandon = true, .copy = sizeof c, .drop = drop);
	return weft_scope_leave(&me->scope, 0);
}

static int cancel_who_abandons(void *arg)
{
	struct caller *me = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, abandons, me);
	while (!load_acquire(&me->call.begun))
		weft_yield();
	weft_scope_cancel(&me->scope);
	int rc = weft_group_close(&g, 0);
	until(&me->call.dropped, 1);
	return rc;
}

Test(offload, TH06_an_abandoned_call_sees_it_too)
{
	struct caller me = { 0 };

	cr_expect(eq(int, run_on(1, cancel_who_abandons, &me), 0));
	cr_expect(eq(int, me.rc, WEFT_ECANCELED));
	cr_expect(eq(int, me.call.seen, WEFT_ECANCELED));
}

/* --- back into the world of tasks, and then for long ---------------------- */

static int sleeps(void *arg)
{
	store_release(&((struct call *)arg)->begun, 1);
	return weft_sleep_forever();
}

static int comes_back_and_stays(void *arg)
{
	struct call *c = *(struct call **)arg;

	c->rc = weft_from_thread(NULL, sleeps, c);
	until(&c->may_end, 1);
	return 0;
}

static int abandons_while_pinned(void *arg)
{
	struct caller *me = arg;
	struct call *c = &me->call;

	weft_scope_enter(&me->scope);
	me->rc = weft_to_thread(comes_back_and_stays, &c, .abandon = true, .copy = sizeof c,
				.drop = drop);
	return weft_scope_leave(&me->scope, 0);
}

static int cancel_while_pinned(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		struct caller me = { 0 };
		struct weft_group g;

		weft_group_open(&g);
		weft_spawn(&g, abandons_while_pinned, &me);
		while (!load_acquire(&me.call.begun))
			weft_yield();
		weft_scope_cancel(&me.scope);
		int rc = weft_group_close(&g, 0);
		store_release(&me.call.may_end, 1);
		until(&me.call.dropped, 1);
		if (rc != 0 || me.rc != WEFT_ECANCELED || me.call.rc != WEFT_ECANCELED)
			return i + 1;
	}
	return 0;
}

/* The caller cannot go while something runs on its behalf; then it does, at once. */
Test(offload, TH_2_a_call_that_came_back_is_abandoned_when_it_is_alone_again)
{
	cr_expect(eq(int, run_on(1, cancel_while_pinned, NULL), 0));
	cr_expect(eq(int, run_on(2, cancel_while_pinned, NULL), 0));
}

/* --- limits ----------------------------------------------------------------- */

struct limited {
	struct weft_limiter limiter;
	struct caller one;
	struct call other;
	size_t borrowed, after;
	int other_rc;
	struct weft_thread_pool *pool;
	int closed;
	size_t size;
};

static int first_of_limited(void *arg)
{
	struct limited *l = arg;
	struct call *c = &l->one.call;

	weft_scope_enter(&l->one.scope);
	l->one.rc = weft_to_thread(stay_at, &c, .abandon = true, .copy = sizeof c, .drop = drop,
				   .limiter = &l->limiter);
	return weft_scope_leave(&l->one.scope, 0);
}

static int second_of_limited(void *arg)
{
	struct limited *l = arg;

	l->other_rc = weft_to_thread(give_back, &l->other, .limiter = &l->limiter);
	return 0;
}

static int abandon_with_a_token(void *arg)
{
	struct limited *l = arg;
	struct weft_group g;

	weft_limiter_init(&l->limiter, 1);
	weft_group_open(&g);
	weft_spawn(&g, first_of_limited, l);
	while (!load_acquire(&l->one.call.begun))
		weft_yield();
	weft_scope_cancel(&l->one.scope);
	while (weft_group_size(&g) > 0)
		weft_yield();
	l->borrowed = weft_limiter_stats(&l->limiter).borrowed;
	weft_spawn(&g, second_of_limited, l);
	while (weft_limiter_stats(&l->limiter).waiters == 0)
		weft_yield();
	store_release(&l->one.call.may_end, 1);
	int rc = weft_group_close(&g, 0);
	l->after = weft_limiter_stats(&l->limiter).borrowed;
	weft_limiter_fini(&l->limiter);
	return rc;
}

Test(offload, TH_3_an_abandoned_call_keeps_its_token_until_the_thread_is_done)
{
	struct limited l = { .other.rc = 4 };

	cr_expect(eq(int, run_on(1, abandon_with_a_token, &l), 0));
	cr_expect(eq(int, l.one.rc, WEFT_ECANCELED));
	cr_expect(eq(sz, l.borrowed, 1));
	cr_expect(eq(int, l.other_rc, 4));
	cr_expect(eq(sz, l.after, 0));
}

static int second_in_pool(void *arg)
{
	struct limited *l = arg;

	l->other_rc = weft_thread_pool_run(l->pool, give_back, &l->other, .limiter = &l->limiter);
	return 0;
}

static int closes_pool(void *arg)
{
	struct limited *l = arg;

	l->closed = weft_thread_pool_close(l->pool, 0);
	return 0;
}

/* The only token is out; who waits for it is to run in a pool that is closed meanwhile. */
static int close_while_it_waits_for_a_token(void *arg)
{
	struct limited *l = arg;
	struct weft_group g;

	weft_limiter_init(&l->limiter, 1);
	weft_limiter_acquire_for(&l->limiter, l);
	weft_thread_pool_create(&l->pool, .threads = 1);
	weft_group_open(&g);
	weft_spawn(&g, second_in_pool, l);
	while (weft_limiter_stats(&l->limiter).waiters == 0)
		weft_yield();
	weft_spawn(&g, closes_pool, l);
	weft_yield(); /* one worker: it has closed, and waits */
	l->size = weft_group_size(&g);
	weft_limiter_release_for(&l->limiter, l);
	int rc = weft_group_close(&g, 0);
	l->after = weft_limiter_stats(&l->limiter).borrowed;
	weft_limiter_fini(&l->limiter);
	return rc;
}

Test(offload, TH_7_a_pool_outlasts_who_waits_for_a_token)
{
	struct limited l = { .other_rc = 1 };

	cr_expect(eq(int, run_on(1, close_while_it_waits_for_a_token, &l), 0));
	cr_expect(eq(sz, l.size, 2), "closing waits");
	cr_expect(eq(int, l.other_rc, WEFT_ECLOSED));
	cr_expect(eq(u32, l.other.begun, 0));
	cr_expect(eq(int, l.closed, 0));
	cr_expect(eq(sz, l.after, 0));
}

enum { MEMBERS = 4 };

struct limited_crowd {
	struct weft_limiter limiter;
	struct call calls[MEMBERS];
	uint32_t next;
	struct weft_limiter_stats stats;
};

static int limited_member(void *arg)
{
	struct limited_crowd *c = arg;
	uint32_t i = add_seqcst(&c->next, 1);

	return weft_to_thread(stay, &c->calls[i], .limiter = &c->limiter);
}

static int limited_crowd(void *arg)
{
	struct limited_crowd *c = arg;
	struct weft_group g;

	weft_limiter_init(&c->limiter, 3);
	weft_group_open(&g);
	for (int i = 0; i < MEMBERS; i++)
		weft_spawn(&g, limited_member, c);
	while (weft_limiter_stats(&c->limiter).waiters == 0)
		weft_yield();
	c->stats = weft_limiter_stats(&c->limiter);
	for (int i = 0; i < MEMBERS; i++)
		store_release(&c->calls[i].may_end, 1);
	int rc = weft_group_close(&g, 0);
	weft_limiter_fini(&c->limiter);
	return rc;
}

Test(offload, TH13_a_limiter_lets_as_many_run_as_it_has_tokens)
{
	struct limited_crowd c = { 0 };

	cr_expect(eq(int, run_on(1, limited_crowd, &c), 0));
	cr_expect(eq(sz, c.stats.borrowed, 3));
	cr_expect(eq(sz, c.stats.waiters, 1));
}

/* --- the pool ------------------------------------------------------------ */

struct submitted {
	struct weft_thread_pool *pool;
	struct call calls[3];
	int rc, after;
};

static int submits(void *arg)
{
	struct submitted *s = arg;
	struct weft_group g;

	weft_thread_pool_create(&s->pool, .threads = 3);
	weft_group_open(&g);
	for (int i = 0; i < 3 && s->rc == 0; i++)
		s->rc = weft_thread_pool_submit(s->pool, &g, stay, &s->calls[i]);
	for (int i = 0; i < 3; i++)
		while (!load_acquire(&s->calls[i].begun))
			weft_yield();
	for (int i = 0; i < 3; i++)
		store_release(&s->calls[i].may_end, 1);
	s->after = weft_group_close(&g, 0);
	return weft_thread_pool_close(s->pool, 0);
}

Test(offload, what_is_submitted_runs_side_by_side_and_its_error_is_the_groups)
{
	struct submitted fine = { 0 }, broken = { .calls[1].rc = WEFT_EIO };

	cr_expect(eq(int, run_on(1, submits, &fine), 0));
	cr_expect(eq(int, fine.rc, 0));
	cr_expect(eq(int, fine.after, 0));
	run_on(1, submits, &broken);
	cr_expect(eq(int, broken.after, WEFT_EIO));
	cr_expect(eq(int, weft_thread_pool_submit(NULL, NULL, stay, NULL), WEFT_EINVAL));
}

struct dumped {
	struct weft_thread_pool *pool;
	struct call calls[2];
	char *text;
	size_t size;
};

static int named(void *arg)
{
	struct dumped *d = arg;
	return weft_thread_pool_run(d->pool, stay, &d->calls[0], .name = "resolver");
}

static int nameless(void *arg)
{
	struct dumped *d = arg;
	return weft_thread_pool_run(d->pool, stay, &d->calls[1]);
}

static int dumps(void *arg)
{
	struct dumped *d = arg;
	FILE *out = open_memstream(&d->text, &d->size);
	struct weft_group g;

	weft_thread_pool_create(&d->pool, .threads = 1);
	weft_group_open(&g);
	weft_spawn(&g, named, d);
	while (!load_acquire(&d->calls[0].begun))
		weft_yield();
	weft_spawn(&g, nameless, d);
	while (weft_thread_pool_queued(d->pool) == 0)
		weft_yield();
	weft_thread_pool_dump(d->pool, out);
	fclose(out);
	store_release(&d->calls[0].may_end, 1);
	store_release(&d->calls[1].may_end, 1);
	weft_group_close(&g, 0);
	return weft_thread_pool_close(d->pool, 0);
}

Test(offload, TH_7_a_dump_names_what_runs)
{
	struct dumped d = { 0 };

	cr_expect(eq(int, run_on(1, dumps, &d), 0));
	cr_expect(eq(str, d.text, "1 blocking call runs, 1 waits for a thread\n  resolver\n"));
	free(d.text);
}

static int in_the_child(struct weft_thread_pool *pool)
{
	return weft_thread_pool_close(pool, 0) == WEFT_ESHUTDOWN ? 0 : 1;
}

static int forks(void *arg)
{
	struct weft_thread_pool *pool;
	int status = -1;

	(void)arg;
	weft_thread_pool_create(&pool, .threads = 1);
	pid_t child = fork();
	if (child == 0)
		_exit(in_the_child(pool));
	waitpid(child, &status, 0);
	weft_thread_pool_close(pool, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

Test(offload, CF04_in_a_child_of_fork_a_pool_is_not_closed_and_does_not_hang)
{
	cr_expect(eq(int, run_on(1, forks, NULL), 0));
}

struct queue {
	struct weft_thread_pool *pool;
	struct call first;
	struct call second;
	struct weft_scope scope;
	uint32_t queued;
	int rc;
};

static int first(void *arg)
{
	struct queue *q = arg;
	return weft_thread_pool_run(q->pool, stay, &q->first);
}

static int second(void *arg)
{
	struct queue *q = arg;

	weft_scope_enter(&q->scope);
	q->rc = weft_thread_pool_run(q->pool, give_back, &q->second);
	return weft_scope_leave(&q->scope, 0);
}

static int cancel_the_queued_one(void *arg)
{
	struct queue *q = arg;
	struct weft_group g;

	weft_thread_pool_create(&q->pool, .threads = 1);
	weft_group_open(&g);
	weft_spawn(&g, first, q);
	while (!load_acquire(&q->first.begun))
		weft_yield();
	weft_spawn(&g, second, q);
	while (weft_thread_pool_queued(q->pool) == 0)
		weft_yield();
	weft_scope_cancel(&q->scope);
	while (weft_group_size(&g) > 1)
		weft_yield();
	store_release(&q->first.may_end, 1);
	weft_group_close(&g, 0);
	return weft_thread_pool_close(q->pool, 0);
}

Test(offload, TH11_a_queued_call_that_is_cancelled_never_runs)
{
	struct queue q = { 0 };

	cr_assert(eq(int, run_on(1, cancel_the_queued_one, &q), 0));
	cr_expect(eq(int, q.rc, WEFT_ECANCELED));
	cr_expect(eq(u32, q.second.begun, 0));
}

enum { CALLS = 10 };

struct crowd {
	struct weft_thread_pool *pool;
	struct call calls[CALLS];
	int rcs[CALLS];
	unsigned threads;
	int how; /* of close */
	uint32_t ran;
	int closed, late;
	size_t running;
};

struct member {
	struct crowd *crowd;
	int i;
};

static int member(void *arg)
{
	struct member m = *(struct member *)arg;

	m.crowd->rcs[m.i] = weft_thread_pool_run(m.crowd->pool, stay, &m.crowd->calls[m.i]);
	return 0;
}

static unsigned begun(struct crowd *c)
{
	unsigned n = 0;

	for (int i = 0; i < CALLS; i++)
		n += load_acquire(&c->calls[i].begun);
	return n;
}

static int close_it(void *arg)
{
	struct crowd *c = arg;
	c->closed = weft_thread_pool_close(c->pool, c->how);
	return 0;
}

/* All calls are queued, as many as there are threads run; then the pool is closed, and
 * then they may end. */
static int crowd(void *arg)
{
	struct crowd *c = arg;
	struct member members[CALLS];
	struct weft_group g;

	weft_thread_pool_create(&c->pool, .threads = c->threads);
	weft_group_open(&g);
	for (int i = 0; i < CALLS; i++) {
		members[i] = (struct member){ c, i };
		weft_spawn(&g, member, &members[i]);
	}
	while (begun(c) < c->threads || weft_thread_pool_queued(c->pool) + c->threads < CALLS)
		weft_yield();
	c->running = weft_thread_pool_running(c->pool);
	weft_spawn(&g, close_it, c);
	while (!load_acquire(&c->pool->closed))
		weft_yield();
	c->late = weft_thread_pool_run(c->pool, give_back, &c->calls[0]);
	for (int i = 0; i < CALLS; i++)
		store_release(&c->calls[i].may_end, 1);
	return weft_group_close(&g, 0);
}

static unsigned count(const struct crowd *c, int rc)
{
	unsigned n = 0;

	for (int i = 0; i < CALLS; i++)
		n += c->rcs[i] == rc;
	return n;
}

Test(offload, TH13_a_pool_runs_as_many_at_once_as_it_has_threads)
{
	struct crowd c = { .threads = 3 };

	cr_assert(eq(int, run_on(1, crowd, &c), 0));
	cr_expect(eq(sz, c.running, 3));
}

Test(offload, TH14_close_drains_what_is_queued)
{
	struct crowd c = { .threads = 2 };

	cr_assert(eq(int, run_on(2, crowd, &c), 0));
	cr_expect(eq(int, c.closed, 0));
	cr_expect(eq(int, c.late, WEFT_ECLOSED));
	cr_expect(eq(uint, count(&c, 0), CALLS));
}

Test(offload, TH14_close_with_an_error_cancels_what_is_queued)
{
	struct crowd c = { .threads = 2, .how = WEFT_ECANCELED };

	cr_assert(eq(int, run_on(2, crowd, &c), 0));
	cr_expect(eq(int, c.closed, 0));
	cr_expect(eq(uint, count(&c, WEFT_ECANCELED), CALLS - 2));
	cr_expect(eq(uint, begun(&c), 2));
}

struct stuck {
	struct weft_thread_pool *pool;
	struct call call;
	int first, then;
	uint32_t ticks;
};

static int run_stuck(void *arg)
{
	struct stuck *s = arg;
	return weft_thread_pool_run(s->pool, stay, &s->call);
}

static int tick(void *arg)
{
	uint32_t *ticks = arg;

	for (int i = 0; i < 10; i++) {
		store_relaxed(ticks, *ticks + 1);
		weft_yield();
	}
	return 0;
}

static int close_in_time(void *arg)
{
	struct stuck *s = arg;
	struct weft_group g;
	struct weft_scope scope;

	weft_thread_pool_create(&s->pool, .threads = 1);
	weft_group_open(&g);
	weft_spawn(&g, run_stuck, s);
	while (!load_acquire(&s->call.begun))
		weft_yield();
	weft_spawn(&g, tick, &s->ticks);
	weft_scope_enter(&scope, .timeout = WEFT_MS(5));
	s->first = weft_scope_leave(&scope, weft_thread_pool_close(s->pool, 0));
	store_release(&s->call.may_end, 1);
	s->then = weft_thread_pool_close(s->pool, 0);
	return weft_group_close(&g, 0);
}

Test(offload, TH14_close_gives_up_at_its_deadline_and_may_be_called_again)
{
	struct stuck s = { 0 };

	cr_assert(eq(int, run_on(1, close_in_time, &s), 0));
	cr_expect(eq(int, s.first, WEFT_ETIMEDOUT));
	cr_expect(eq(int, s.then, 0));
	cr_expect(eq(u32, s.ticks, 10), "others went on meanwhile");
}

/* --- commit points -------------------------------------------------------- */

struct commit {
	struct weft_scope scope;
	uint32_t entered, begun, over;
	uint32_t effect;
	int committed, rc;
};

static int commits(void *arg)
{
	struct commit *c = *(struct commit **)arg;

	store_release(&c->begun, 1);
	c->committed = weft_thread_commit();
	if (c->committed == 0)
		c->effect++;
	return c->committed == 0 ? 7 : 0;
}

static void over(void *arg)
{
	store_release(&(*(struct commit **)arg)->over, 1);
}

static int committer(void *arg)
{
	struct commit *c = arg;

	weft_scope_enter(&c->scope);
	store_release(&c->entered, 1);
	c->rc = weft_to_thread(commits, &c, .abandon = true, .copy = sizeof c, .drop = over);
	weft_scope_leave(&c->scope, 0);
	return 0;
}

static bool is_consistent(struct commit *c)
{
	if (c->rc == 7)
		return c->effect == 1;
	if (c->rc != WEFT_ECANCELED)
		return false;
	/* Never begun, or abandoned: the thread is done with it when it was dropped. */
	until(&c->over, 1);
	return c->effect == 0;
}

static int race_commits(void *arg)
{
	unsigned *wrong = arg;

	for (int i = 0; i < 10000; i++) {
		struct commit c = { 0 };
		struct weft_group g;

		weft_group_open(&g);
		weft_spawn(&g, committer, &c);
		while (!load_acquire(&c.entered))
			weft_yield();
		for (int spin = 0; spin < i % 64; spin++)
			cpu_relax();
		if (i % 2)
			while (!load_acquire(&c.begun))
				weft_yield();
		weft_group_cancel(&g);
		weft_group_close(&g, 0);
		*wrong += !is_consistent(&c);
	}
	return 0;
}

Test(offload, TH15_committed_and_delivered_or_abandoned_without_an_effect)
{
	unsigned wrong = 0;

	cr_assert(eq(int, run_on(2, race_commits, &wrong), 0));
	cr_expect(eq(uint, wrong, 0));
}

/* --- interrupting ---------------------------------------------------------- */

static void on_signal(int signo)
{
	(void)signo;
}

struct reader {
	struct weft_scope scope;
	int ends[2];
	uint32_t begun;
	ssize_t got;
	int error;
};

static int read_nothing(void *arg)
{
	struct reader *r = arg;
	char c;

	store_release(&r->begun, 1);
	r->got = read(r->ends[0], &c, 1);
	r->error = errno;
	return r->got < 0 ? -r->error : 0;
}

static int reader(void *arg)
{
	struct reader *r = arg;

	weft_scope_enter(&r->scope);
	int rc = weft_to_thread(read_nothing, r, .interrupt = SIGUSR1);
	weft_scope_leave(&r->scope, 0);
	return rc == WEFT_EINTR ? 0 : WEFT_EIO;
}

static int interrupt_it(void *arg)
{
	struct reader *r = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, reader, r);
	while (!load_acquire(&r->begun))
		weft_yield();
	weft_scope_cancel(&r->scope);
	return weft_group_close(&g, 0);
}

Test(offload, TH04_a_signal_ends_a_blocking_system_call)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct reader r = { 0 };

	sigaction(SIGUSR1, &action, NULL);
	cr_assert(eq(int, pipe(r.ends), 0));
	cr_expect(eq(int, run_on(1, interrupt_it, &r), 0));
	cr_expect(eq(int, r.error, EINTR));
}

/* --- many ------------------------------------------------------------------ */

static int square(void *arg)
{
	*(long *)arg *= *(long *)arg;
	return 0;
}

static int fails_at_fifty(void *arg)
{
	return *(long *)arg == 50 ? WEFT_EIO : 0;
}

struct numbers {
	long v[200];
	weft_fn *fn;
	size_t failed;
	int rc;
};

static int map_numbers(void *arg)
{
	struct numbers *n = arg;
	struct weft_thread_pool *pool;

	weft_thread_pool_create(&pool, .threads = 4);
	n->rc = weft_thread_pool_map(pool, n->fn, n->v, 200, sizeof *n->v, &n->failed);
	return weft_thread_pool_close(pool, 0);
}

Test(offload, map_calls_every_item_once)
{
	struct numbers n = { .fn = square };
	unsigned wrong = 0;

	for (long i = 0; i < 200; i++)
		n.v[i] = i;
	cr_assert(eq(int, run_on(2, map_numbers, &n), 0));
	cr_expect(eq(int, n.rc, 0));
	for (long i = 0; i < 200; i++)
		wrong += n.v[i] != i * i;
	cr_expect(eq(uint, wrong, 0));
}

Test(offload, map_tells_which_item_failed)
{
	struct numbers n = { .fn = fails_at_fifty };

	for (long i = 0; i < 200; i++)
		n.v[i] = i;
	cr_assert(eq(int, run_on(2, map_numbers, &n), 0));
	cr_expect(eq(int, n.rc, WEFT_EIO));
	cr_expect(eq(sz, n.failed, 50));
}

/* --- nothing seems to be pending -------------------------------------------------- */

struct alone {
	struct weft_thread_pool *pool;
	struct caller caller;
	struct weft_runtime *rt;
	int closed;
};

static int abandons_in_pool(void *arg)
{
	struct alone *a = arg;
	struct call *c = &a->caller.call;

	weft_scope_enter(&a->caller.scope);
	a->caller.rc = weft_thread_pool_run(a->pool, stay_at, &c, .abandon = true, .copy = sizeof c,
					    .drop = drop);
	return weft_scope_leave(&a->caller.scope, 0);
}

static void *ends_it_when_all_sleep(void *arg)
{
	struct alone *a = arg;

	while (!weft__idle_all_asleep(a->rt))
		sched_yield();
	store_release(&a->caller.call.may_end, 1);
	return NULL;
}

static int close_alone(void *arg)
{
	struct alone *a = arg;
	struct weft_group g;
	pthread_t thread;

	weft_thread_pool_create(&a->pool, .threads = 1);
	weft_group_open(&g);
	weft_spawn(&g, abandons_in_pool, a);
	while (!load_acquire(&a->caller.call.begun))
		weft_yield();
	weft_scope_cancel(&a->caller.scope);
	weft_group_close(&g, 0);
	pthread_create(&thread, NULL, ends_it_when_all_sleep, a);
	a->closed = weft_thread_pool_close(a->pool, 0);
	pthread_join(thread, NULL);
	return 0;
}

/* Nobody waits for the call any more, but who closes its pool does. */
Test(offload, CF_4_closing_behind_an_abandoned_call_is_no_deadlock)
{
	struct alone a = { .pool = NULL };

	cr_assert(
		eq(int, weft_runtime_create(&a.rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL), 0));
	cr_expect(eq(int, weft_runtime_run(a.rt, close_alone, &a), 0));
	cr_expect(eq(int, a.caller.rc, WEFT_ECANCELED));
	cr_expect(eq(int, a.closed, 0));
	weft_runtime_destroy(a.rt);
}
