/* SPDX-License-Identifier: MIT */
/*
 * test_thread_pool.c - threads that cannot be had, threads that are not needed
 *
 * pthread_create below is the program's own and fails when told to: the library is
 * linked in, and calls it.
 */
#include <dlfcn.h>
#include <pthread.h>

#include <criterion/criterion.h>

#include "async/async.h"
#include "async/thread_pool.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(thread_pool, .timeout = 60);

static uint32_t no_threads, refused;
static uint32_t *refuse_when;			 /* it is 1; NULL: at once */
static struct weft_thread_pool *refuse_when_two; /* are queued */

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
	static create_fn *real;

	if (load_acquire(&no_threads)) {
		while (refuse_when_two && weft_thread_pool_queued(refuse_when_two) < 2)
			sched_yield();
		if (refuse_when)
			until(refuse_when, 1);
		add_seqcst(&refused, 1);
		return EAGAIN;
	}
	if (!real)
		real = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, main, arg);
}

struct job {
	struct weft_thread_pool *pool;
	uint32_t begun, may_end;
	int rc;
};

static int stay(void *arg)
{
	struct job *j = arg;

	store_release(&j->begun, 1);
	until(&j->may_end, 1);
	return 7;
}

static int run(void *arg)
{
	struct job *j = arg;

	j->rc = weft_thread_pool_run(j->pool, stay, j);
	return 0;
}

static int without_any_thread(void *arg)
{
	struct job *j = arg;

	weft_thread_pool_create(&j->pool, .threads = 2);
	store_release(&no_threads, 1);
	run(j);
	store_release(&no_threads, 0);
	return weft_thread_pool_close(j->pool, 0);
}

Test(thread_pool, TH_6_without_any_thread_the_call_fails_and_does_not_hang)
{
	struct job j = { 0 };

	cr_assert(eq(int, run_on(1, without_any_thread, &j), 0));
	cr_expect(eq(int, j.rc, WEFT_EAGAIN));
	cr_expect(eq(u32, j.begun, 0));
}

static int with_one_thread(void *arg)
{
	struct job *jobs = arg;
	struct weft_group g;

	weft_thread_pool_create(&jobs[0].pool, .threads = 2);
	jobs[1].pool = jobs[0].pool;
	weft_group_open(&g);
	weft_spawn(&g, run, &jobs[0]);
	while (!load_acquire(&jobs[0].begun))
		weft_yield();
	store_release(&no_threads, 1);
	weft_spawn(&g, run, &jobs[1]);
	while (load_acquire(&refused) == 0)
		weft_yield();
	store_release(&jobs[0].may_end, 1);
	store_release(&jobs[1].may_end, 1);
	weft_group_close(&g, 0);
	store_release(&no_threads, 0);
	return weft_thread_pool_close(jobs[0].pool, 0);
}

Test(thread_pool, TH_6_a_job_is_not_lost_when_no_second_thread_can_be_had)
{
	struct job jobs[2] = { 0 };

	cr_assert(eq(int, run_on(1, with_one_thread, jobs), 0));
	cr_expect(eq(int, jobs[0].rc, 7));
	cr_expect(eq(int, jobs[1].rc, 7));
}

static int run_when_told(void *arg)
{
	until(&no_threads, 1);
	return run(arg);
}

/* The second one relies on the thread that the first is about to create. */
Test(thread_pool, TH_6_without_any_thread_nobody_is_left_in_the_queue)
{
	struct job jobs[2] = { 0 };
	struct weft_runtime *rts[2];
	struct runner runners[2];

	cr_assert(eq(int, weft_thread_pool_create(&refuse_when_two, .threads = 2), 0));
	for (int i = 0; i < 2; i++) {
		jobs[i].pool = refuse_when_two;
		cr_assert(eq(int, weft_runtime_create(&rts[i], .workers = 1), 0));
		runner_start(&runners[i], rts[i], run_when_told, &jobs[i]);
	}
	store_release(&no_threads, 1);
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, runner_join(&runners[i]), 0));
	store_release(&no_threads, 0);
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, jobs[i].rc, WEFT_EAGAIN));
		weft_runtime_destroy(rts[i]);
	}
	refuse_when_two = NULL;
	cr_expect(eq(int, weft_thread_pool_close(jobs[0].pool, 0), 0));
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

struct ageing {
	struct weft_thread_pool *pool;
	unsigned after;
};

static unsigned threads_of(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	unsigned n = pool->threads;
	weft__spin_unlock(&pool->lock);
	return n;
}

struct shrunk {
	struct job jobs[4];
	unsigned threads;
};

static int shrink(void *arg)
{
	struct shrunk *s = arg;
	struct weft_thread_pool *pool;
	struct weft_group g;

	weft_thread_pool_create(&pool, .threads = 3);
	weft_group_open(&g);
	for (int i = 0; i < 4; i++) {
		s->jobs[i].pool = pool;
		if (i == 3)
			weft__pool_set_most(pool, 1);
		weft_spawn(&g, run, &s->jobs[i]);
		while (i < 3 && !load_acquire(&s->jobs[i].begun))
			weft_yield();
	}
	while (weft_thread_pool_queued(pool) == 0)
		weft_yield();
	weft_yield();
	s->threads = threads_of(pool);
	for (int i = 0; i < 4; i++)
		store_release(&s->jobs[i].may_end, 1);
	weft_group_close(&g, 0);
	return weft_thread_pool_close(pool, 0);
}

Test(thread_pool, CF_1_a_lower_limit_means_no_more_threads)
{
	struct shrunk s = { 0 };

	cr_assert(eq(int, run_on(1, shrink, &s), 0));
	cr_expect(eq(uint, s.threads, 3));
}

static int one_job(void *arg)
{
	return weft_thread_pool_run(arg, nothing, NULL);
}

Test(thread_pool, CF_1_a_pool_of_a_plain_thread_has_the_default_of_the_runtime_that_uses_it)
{
	struct weft_thread_pool *pool;
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_thread_pool_create(&pool), 0));
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1, .default_thread_workers = 3), 0));
	cr_expect(eq(int, weft_runtime_run(rt, one_job, pool), 0));
	cr_expect(eq(uint, pool->most, 3));
	cr_expect(eq(int, weft_thread_pool_close(pool, 0), 0));
	weft_runtime_destroy(rt);
}

/* The first of three jobs runs when the pool is closed with an error.  It ends, and its thread
 * may look for another, while the second is being told that it will not run. */
static uint32_t ran, failed, may_end;
static struct weft_thread_pool three_in;

static void run_first(struct weft__pool_job *job)
{
	(void)job;
	add_seqcst(&ran, 1);
	until(&may_end, 1);
}

static void fail_and_let_end(struct weft__pool_job *job, int rc)
{
	(void)job;
	add_seqcst(&failed, rc == WEFT_ECANCELED);
	store_release(&may_end, 1);
	while (load_acquire(&ran) == 1 && weft_thread_pool_running(&three_in) != 0)
		sched_yield();
}

Test(thread_pool, TH_7_a_thread_takes_nothing_more_when_what_is_queued_is_cancelled)
{
	static const struct weft__pool_class class = { run_first, fail_and_let_end };
	struct weft__pool_job jobs[3];

	cr_assert(eq(int, weft__pool_init(&three_in, 1, 0, NULL), 0));
	for (int i = 0; i < 3; i++) {
		jobs[i] = (struct weft__pool_job){ .class = &class };
		weft__list_init(&jobs[i].link);
		cr_assert(eq(int, weft__pool_submit(&three_in, &jobs[i]), 0));
	}
	until(&ran, 1);
	weft__pool_shut(&three_in, true);
	cr_expect(eq(u32, ran, 1));
	cr_expect(eq(u32, failed, 2));
	cr_expect(eq(int, weft__pool_await(&three_in, 0), 0));
}

/* Two calls of which each waits for the other, in a pool of one thread at first. */
static uint32_t met;

static int meet(void *arg)
{
	(void)arg;
	add_seqcst(&met, 1);
	until(&met, 2);
	return 0;
}

static int meet_there(void *arg)
{
	return weft_to_thread(meet, arg);
}

static int raise_the_limit(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 2 && rc == 0; i++)
		rc = weft_spawn(&g, meet_there, arg);
	struct weft_thread_pool *pool = &weft__worker_self()->runtime->async->pool;
	while (load_acquire(&met) == 0 || weft_thread_pool_queued(pool) == 0)
		weft_yield();
	weft_configure(.default_thread_workers = 2);
	return weft_group_close(&g, rc);
}

Test(thread_pool, CF_1_a_higher_limit_is_for_what_is_queued_too)
{
	cr_assert(eq(int, weft_configure(.default_thread_workers = 1), 0));
	cr_expect(eq(int, weft_run_sync(raise_the_limit, NULL), 0));
	cr_expect(eq(u32, met, 2));
	weft_shutdown(WEFT_NEVER);
}

static int age(void *arg)
{
	struct ageing *a = arg;

	weft_thread_pool_create(&a->pool, .threads = 4, .idle = WEFT_MS(1));
	int rc = weft_thread_pool_run(a->pool, nothing, NULL);
	while (threads_of(a->pool) > 0)
		weft_yield();
	/* And the next call gets a fresh one. */
	if (rc == 0)
		rc = weft_thread_pool_run(a->pool, nothing, NULL);
	a->after = threads_of(a->pool);
	weft_thread_pool_close(a->pool, 0);
	return rc;
}

Test(thread_pool, TH_7_a_thread_without_work_ends)
{
	struct ageing a = { 0 };

	cr_assert(eq(int, run_on(1, age, &a), 0));
	cr_expect(le(uint, a.after, 1));
}

/* --- shutdown ----------------------------------------------------------------- */

struct leaver {
	uint32_t begun, shut;
	int during, after;
};

static int task(void *arg)
{
	(void)arg;
	return 0;
}

/* A blocking call that is still there when the runtime refuses new tasks. */
static int calls_back_late(void *arg)
{
	struct leaver *l = arg;

	store_release(&l->begun, 1);
	until(&l->shut, 1);
	l->during = weft_from_thread(NULL, task, NULL);
	return 0;
}

static int hosts(void *arg)
{
	return weft_to_thread(calls_back_late, arg);
}

static void *root(void *arg)
{
	weft_run_sync(hosts, arg);
	return NULL;
}

Test(thread_pool, TH10_calling_back_during_a_shutdown_does_not_hang)
{
	struct leaver l = { 0 };
	pthread_t thread;

	pthread_create(&thread, NULL, root, &l);
	until(&l.begun, 1);
	cr_expect(eq(int, weft_shutdown(0), WEFT_ETIMEDOUT), "the call is under way");
	store_release(&l.shut, 1);
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	pthread_join(thread, NULL);
	cr_expect(eq(int, l.during, WEFT_ESHUTDOWN), "IN-2");
	cr_expect(eq(int, weft_from_thread(NULL, task, NULL), WEFT_ENOTASK));
}

/* --- relying on a thread that does not come ------------------------------------- */

static bool has_idle(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	bool some = !weft__list_is_empty(&pool->idle);
	weft__spin_unlock(&pool->lock);
	return some;
}

static void let_others_run(bool (*done)(struct weft_thread_pool *pool),
			   struct weft_thread_pool *pool)
{
	while (!done(pool))
		weft_yield();
}

static bool has_one_queued(struct weft_thread_pool *pool)
{
	return weft_thread_pool_queued(pool) == 1;
}

static bool is_refusing(struct weft_thread_pool *pool)
{
	(void)pool;
	return load_acquire(&refused) != 0;
}

/* One thread is busy, a second one is being created and will not be; meanwhile the first one
 * does all that is queued and sleeps, and then there is one call more. */
static int rely_on_nobody(void *arg)
{
	struct weft_thread_pool *pool;
	struct weft_group g;
	uint32_t go = 0;
	int rc = weft_thread_pool_create(&pool, .threads = 2);
	struct job first = { pool, 0, 0, 0 }, second = { pool, 0, 1, 0 }, third = second;

	(void)arg;
	if (rc == 0)
		rc = weft_group_open(&g);
	if (rc != 0)
		return rc;
	weft_spawn(&g, run, &first);
	while (load_acquire(&first.begun) == 0)
		weft_yield();
	refuse_when = &go;
	store_release(&no_threads, 1);
	weft_spawn(&g, run, &second);
	let_others_run(has_one_queued, pool);
	store_release(&first.may_end, 1);
	let_others_run(has_idle, pool);
	weft_spawn(&g, run, &third);
	let_others_run(has_one_queued, pool);
	store_release(&go, 1);
	let_others_run(is_refusing, pool);
	rc = weft_group_close(&g, 0);
	store_release(&no_threads, 0);
	weft_thread_pool_close(pool, 0);
	return rc == 0 && first.rc + second.rc + third.rc == 21 ? 0 : -1;
}

Test(thread_pool, TH_6_what_was_queued_for_a_thread_that_never_was_is_done)
{
	cr_assert(eq(int, run_on(4, rely_on_nobody, NULL), 0));
}

/* --- submitted, and closed before it has begun ------------------------------------ */

static uint32_t counted;

static int counts(void *arg)
{
	(void)arg;
	add_seqcst(&counted, 1);
	return 0;
}

static int submit_and_close(void *arg)
{
	struct weft_thread_pool *pool;
	struct weft_group g;
	int rc = weft_thread_pool_create(&pool, .threads = 2);

	if (rc == 0)
		rc = weft_group_open(&g);
	for (int i = 0; i < 4 && rc == 0; i++)
		rc = weft_thread_pool_submit(pool, &g, counts, NULL);
	if (rc == 0)
		rc = weft_thread_pool_close(pool, *(int *)arg);
	return weft_group_close(&g, rc);
}

Test(thread_pool, TH_7_close_waits_for_what_was_submitted_and_has_not_begun)
{
	int drain = 0, cancel = WEFT_ECANCELED;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		counted = 0;
		cr_assert(eq(int, run_on(worker_counts[i], submit_and_close, &drain), 0));
		cr_assert(eq(u32, counted, 4));
	}
	run_on(1, submit_and_close, &cancel);
	cr_assert(eq(u32, counted, 4));
}
