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

#include "async/thread_pool.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(thread_pool, .timeout = 60);

static uint32_t no_threads, refused;

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
	static create_fn *real;

	if (load_acquire(&no_threads)) {
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
	/* Its caller is cancelled, so what it runs for it is too, or has nothing to wait for. */
	cr_expect(l.during == 0 || l.during == WEFT_ECANCELED || l.during == WEFT_ESHUTDOWN);
	cr_expect(eq(int, weft_from_thread(NULL, task, NULL), WEFT_ENOTASK));
}
