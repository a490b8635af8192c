/* SPDX-License-Identifier: MIT */
/*
 * sync.c - what a lock costs when nobody else wants it, and when somebody does
 *
 * Uncontended: a task takes and gives back, beside a thread that does the same with what
 * pthread has.  A second thread is alive meanwhile, since glibc takes the short way in a
 * process of one thread.
 *
 * Contended: each round hands the lock over.  Two tasks on one worker hold it over a
 * yield, so that the other always waits; two threads on one CPU do so over a sched_yield.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"

static long count;

/* --- one side alone --------------------------------------------------------- */

static struct weft_lock lock;
static struct weft_rlock rlock;
static struct weft_rwlock rwlock;
static struct weft_mutex mutex;
static struct weft_sem sem;
static struct weft_event event;
static struct weft_limiter limiter;
static pthread_mutex_t pmutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t prwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t psem;

#define TASK(name, body)                         \
	static int name(void *arg)               \
	{                                        \
		(void)arg;                       \
		for (long i = 0; i < count; i++) \
			body;                    \
		return 0;                        \
	}

#define PLAIN(name, body)                        \
	static void name(void *arg)              \
	{                                        \
		(void)arg;                       \
		for (long i = 0; i < count; i++) \
			body;                    \
	}

TASK(weft_lock_side, (weft_lock_acquire(&lock), weft_lock_release(&lock)))
TASK(weft_rlock_side, (weft_rlock_acquire(&rlock), weft_rlock_release(&rlock)))
TASK(weft_mutex_side, (weft_mutex_acquire(&mutex), weft_mutex_release(&mutex)))
TASK(weft_sem_side, (weft_sem_acquire(&sem), weft_sem_release(&sem)))
TASK(weft_read_side, (weft_rwlock_acquire_read(&rwlock), weft_rwlock_release_read(&rwlock)))
TASK(weft_event_side, weft_event_wait(&event))
TASK(weft_limiter_side, (weft_limiter_acquire(&limiter), weft_limiter_release(&limiter)))
PLAIN(pthread_mutex_side, (pthread_mutex_lock(&pmutex), pthread_mutex_unlock(&pmutex)))
PLAIN(pthread_sem_side, (sem_wait(&psem), sem_post(&psem)))
PLAIN(pthread_read_side, (pthread_rwlock_rdlock(&prwlock), pthread_rwlock_unlock(&prwlock)))

static void alone(const char *what, bench_task_fn *task, bench_fn *plain, const char *peer,
		  const char *bar)
{
	struct bench_row row = { .what = what, .items = (double)count };

	bench_weft(&row, "weft", 1, task, NULL);
	bench_plain(&row, peer, plain, NULL);
	if (bar) {
		bench_bar(&row, bar, "weft", NULL, BENCH_AT_MOST, 8);
		bench_bar(&row, bar, "weft", peer, BENCH_AT_MOST, 0.7);
	}
	bench_run(&row);
}

/* --- handing over ------------------------------------------------------------ */

static int hold_over_yield(void *arg)
{
	(void)arg;
	for (long i = 0; i < count; i++) {
		weft_lock_acquire(&lock);
		weft_yield();
		weft_lock_release(&lock);
	}
	return 0;
}

static int two_tasks(void *arg)
{
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, hold_over_yield, arg);
	weft_spawn(&g, hold_over_yield, arg);
	return weft_group_close(&g, 0);
}

static void *hold_over_sched_yield(void *arg)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	pthread_setaffinity_np(pthread_self(), sizeof first, &first);
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&pmutex);
		sched_yield();
		pthread_mutex_unlock(&pmutex);
	}
	return arg;
}

static void two_threads(void *arg)
{
	pthread_t a, b;

	pthread_create(&a, NULL, hold_over_sched_yield, arg);
	pthread_create(&b, NULL, hold_over_sched_yield, arg);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

/* Short sections, all workers; the mutex is made for this. */
static long shared;

static int short_sections(void *arg)
{
	(void)arg;
	for (long i = 0; i < count; i++) {
		weft_mutex_acquire(&mutex);
		shared++;
		weft_mutex_release(&mutex);
	}
	return 0;
}

static int short_locked(void *arg)
{
	(void)arg;
	for (long i = 0; i < count; i++) {
		weft_lock_acquire(&lock);
		shared++;
		weft_lock_release(&lock);
	}
	return 0;
}

static int two_of(void *arg)
{
	weft_fn **fn = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, *fn, NULL);
	weft_spawn(&g, *fn, NULL);
	return weft_group_close(&g, 0);
}

static void *short_threads(void *arg)
{
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&pmutex);
		shared++;
		pthread_mutex_unlock(&pmutex);
	}
	return arg;
}

static void two_short_threads(void *arg)
{
	pthread_t a, b;

	pthread_create(&a, NULL, short_threads, arg);
	pthread_create(&b, NULL, short_threads, arg);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void contended(void)
{
	static weft_fn *by_mutex = short_sections, *by_lock = short_locked;
	struct bench_row over = { .what = "handed over at each release",
				  .items = 2.0 * (double)count };

	bench_weft(&over, "weft lock, 1 worker", 1, two_tasks, NULL);
	bench_plain(&over, "pthread mutex, 1 CPU", two_threads, NULL);
	bench_run(&over);

	struct bench_row brief = { .what = "two at once, short sections",
				   .items = 2.0 * (double)count };

	bench_weft(&brief, "weft mutex", 0, two_of, &by_mutex);
	bench_weft(&brief, "weft lock", 0, two_of, &by_lock);
	bench_plain(&brief, "pthread mutex", two_short_threads, NULL);
	bench_run(&brief);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	count = bench_quick() ? 10000 : 3000000;
	weft_sem_init(&sem, 1, 1);
	sem_init(&psem, 0, 1);
	weft_event_set(&event);
	weft_limiter_init(&limiter, 1);

	alone("lock", weft_lock_side, pthread_mutex_side, "pthread mutex", "P20");
	alone("semaphore", weft_sem_side, pthread_sem_side, "sem_wait, sem_post", "P20");
	alone("event that is set", weft_event_side, pthread_mutex_side, "pthread mutex", "P20");
	alone("recursive lock", weft_rlock_side, pthread_mutex_side, "pthread mutex", NULL);
	alone("mutex", weft_mutex_side, pthread_mutex_side, "pthread mutex", NULL);
	alone("reading", weft_read_side, pthread_read_side, "pthread rwlock", NULL);
	alone("limiter", weft_limiter_side, pthread_mutex_side, "pthread mutex", NULL);

	count /= bench_quick() ? 10 : 30;
	contended();
	bench_check(weft_lock_stats(&lock).waiters == 0, "nobody waits in the end");
	return bench_end();
}
