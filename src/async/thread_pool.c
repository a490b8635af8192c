/* SPDX-License-Identifier: MIT */
/*
 * thread_pool.c - an elastic pool: as many threads as there is blocking work
 *
 *	          submit: one more is needed
 *	create -----------------------------> searching --takes a job--> running
 *	                                        ^  |  ^                     |
 *	     submit: popped from the stack      |  |  '---------------------'
 *	            idle -----------------------'  | nothing for SPIN_US
 *	             ^  '--slept for idle_ns--> end|
 *	             '-----------------------------'
 *
 * Invariants, all under the lock
 *
 *   I1  When jobs are queued, a thread searches, or the manager is awake, or there are
 *       as many threads as there may be and none is idle.  Whether to wake or to create
 *       is never decided by a count that is stale.
 *   I2  A thread counted in `searching` looks at the queue under the lock before it
 *       sleeps or ends.
 *   I3  `idle` is a stack: the thread that slept last is warm, the ones at the bottom
 *       get old and end.
 *   I4  Where there is no thread and none can be had nothing stays queued (TH-6).
 *   I5  A closed pool ends, and may be gone, when it has no threads, no manager and no
 *       holders.  Who submits a job once may touch the pool while that job is queued;
 *       who is to touch it later holds it.
 *
 * A job wakes or creates one thread at most, and none while one searches.  Whether a
 * queue that stays needs more is not known at once: a thousand calls of 100 ns are done
 * by one thread before a second one is awake, a thousand of 10 ms need a thousand.  So
 * the thread that takes a job and leaves others behind calls the manager, which looks
 * every 50 us and doubles the number of threads it adds while those there are get
 * nothing done.  When its 50 us take much longer the CPUs are taken, and threads that
 * get nothing done may be waiting for one, as it is: it then adds one at a time, and
 * none while anything is done.  It is a thread too, and sleeps when the queue is empty.
 *
 * A thread spins for about a wake-up before it sleeps, so that a task that offloads
 * one call after the other finds it awake: a hand-over is then two cache misses.  One
 * thread at a time spins: more would only burn.  And none that has slept for longer than
 * it would spin: the next job is likely as far away, and the CPU it would spin on is often
 * that of the worker that woke it, which waits for just this.
 *
 * Rejected: pool threads among the workers (a blocked one would be a worker less);
 * condition variables (glibc 2.36 loses wake-ups, bug 25847); a lock-free queue (the
 * decision to wake or create needs queue and counts together); a thread for each
 * queued job (a burst of small ones starts hundreds, which then fight for the lock).
 */
#include "async/thread_pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/clock.h"
#include "async/wait.h"
#include "deque/check.h"
#include "deque/futex.h"
#include "deque/sanitizer.h"
#include "runtime/thread.h"

enum {
	SPIN_US = 50,
	LOOK_US = 50,	/* of the manager */
	CALL_MOST = 64, /* threads that it adds at once */
};

/* A thread of the pool, on its own stack. */
struct thread {
	struct weft__list link; /* in pool->idle or busy */
	uint32_t woken;
	bool spins;   /* jobs come fast */
	char job[32]; /* what it runs: a copy, for a caller that goes takes its string along */
};

int weft__pool_init(struct weft_thread_pool *pool, unsigned most, int64_t idle, const char *name)
{
	*pool = (struct weft_thread_pool){
		.most = most,
		.idle_ns = idle ? idle : WEFT_SEC(10),
	};
	weft__list_init(&pool->queue);
	weft__list_init(&pool->idle);
	weft__list_init(&pool->busy);
	weft__list_init(&pool->closers);
	snprintf(pool->name, sizeof pool->name, "%s", name ? name : "weft/io");
	return 0;
}

/* --- a thread ------------------------------------------------------------ */

/* With the lock held. */
static struct weft__pool_job *take(struct weft_thread_pool *pool)
{
	struct weft__list *first = weft__list_pop_front(&pool->queue);

	if (!first)
		return NULL;
	store_relaxed(&pool->queued, pool->queued - 1);
	pool->taken++;
	return WEFT__CONTAINER(first, struct weft__pool_job, link);
}

/* Watches for a job for some time: true when there may be one. */
static bool spin(struct weft_thread_pool *pool)
{
	int64_t until = weft__monotonic() + SPIN_US * 1000;

	do {
		for (int i = 0; i < 32; i++) {
			if (load_relaxed(&pool->queued) != 0 || load_relaxed(&pool->closed))
				return true;
			cpu_relax();
		}
	} while (weft__monotonic() < until);
	return false;
}

WEFT__OF_THREAD static void sleep_on(uint32_t *word, int64_t ns)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

/* With the lock held, which is given up meanwhile.  False when the thread is to end. */
static bool sleep_idle(struct weft_thread_pool *pool, struct thread *me)
{
	int64_t began = weft__monotonic();
	int64_t until = weft__later(began, pool->idle_ns), left = pool->idle_ns;

	store_relaxed(&me->woken, 0);
	weft__list_push_front(&pool->idle, &me->link);
	pool->searching--;
	weft__spin_unlock(&pool->lock);
	while (load_acquire(&me->woken) == 0 && left > 0) {
		sleep_on(&me->woken, left);
		left = until - weft__monotonic();
	}
	me->spins = until - left - began < SPIN_US * 1000;
	weft__spin_lock(&pool->lock);
	if (load_relaxed(&me->woken))
		return true; /* whoever popped us has counted us */
	weft__list_remove(&me->link);
	return false;
}

static int create_thread(struct weft_thread_pool *pool, void *(*main)(void *arg))
{
	pthread_t thread;
	int rc = weft__thread_create(&thread, main, pool);

	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

/* With the lock held: a thread sleeps, or one more may be created.  There can be more than
 * `most`, when that was lowered. */
static bool may_have_more(const struct weft_thread_pool *pool)
{
	return pool->threads < pool->most || !weft__list_is_empty(&pool->idle);
}

static bool call_thread(struct weft_thread_pool *pool, struct thread **wake);

/* With the lock held: whoever was to see to what is queued does not come (I1). */
static void call_idle(struct weft_thread_pool *pool)
{
	struct thread *wake;

	if (!pool->queued || pool->searching != 0 || pool->managing ||
	    weft__list_is_empty(&pool->idle))
		return;
	call_thread(pool, &wake);
	futex_wake(&wake->woken, 1);
}

static void *manager_main(void *arg);

/* With the lock held: the thread that takes a job leaves others behind. */
static void call_manager(struct weft_thread_pool *pool)
{
	if (pool->managing || !may_have_more(pool))
		return;
	pool->managing = true;
	if (pool->managed) {
		store_release(&pool->pressed, 1);
		futex_wake(&pool->pressed, 1);
		return;
	}
	pool->managed = create_thread(pool, manager_main) == 0;
	/* Without one the next job that is queued calls a thread itself. */
	pool->managing = pool->managed;
	call_idle(pool);
}

/* With the lock held: the next job, or NULL when the thread is to end; searching is
 * left behind in both cases. */
static struct weft__pool_job *next(struct weft_thread_pool *pool, struct thread *me)
{
	for (;;) {
		struct weft__pool_job *job = pool->stop ? NULL : take(pool); /* TH-7 */

		if (job || pool->closed) {
			pool->searching--;
			if (job && pool->queued && pool->searching == 0)
				call_manager(pool);
			return job;
		}
		if (pool->searching == 1 && me->spins) {
			weft__spin_unlock(&pool->lock);
			me->spins = spin(pool);
			weft__spin_lock(&pool->lock);
			if (me->spins || pool->queued)
				continue;
		}
		if (!sleep_idle(pool, me))
			return NULL;
	}
}

/* Who waits for the end of a pool. */
struct closer {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

/* With the lock held, which is given up: the last thread of a closed pool has gone, and
 * after the unlock the pool may be. */
static void end_pool(struct weft_thread_pool *pool)
{
	struct weft__list *first;

	weft__assert(weft__list_is_empty(&pool->queue)); /* I4 */
	pool->ended = true;
	while ((first = weft__list_pop_front(&pool->closers))) {
		struct closer *c = WEFT__CONTAINER(first, struct closer, link);
		weft__wake(c->strand, c->ticket, WEFT__GRANTED);
	}
	weft__spin_unlock(&pool->lock);
}

/* With the lock held, which is given up. */
static void unlock_or_end(struct weft_thread_pool *pool)
{
	if (pool->closed && pool->threads == 0 && !pool->managed && pool->holders == 0 &&
	    !pool->ended)
		end_pool(pool);
	else
		weft__spin_unlock(&pool->lock);
}

/* With the lock held, which is given up meanwhile. */
static void run_job(struct weft_thread_pool *pool, struct thread *me, struct weft__pool_job *job)
{
	pool->running++;
	weft__list_push_front(&pool->busy, &me->link);
	me->job[0] = '\0';
	if (job->name)
		strncat(me->job, job->name, sizeof me->job - 1);
	weft__spin_unlock(&pool->lock);
	job->class->run(job);
	weft__spin_lock(&pool->lock);
	weft__list_remove(&me->link);
	pool->running--;
}

static void *thread_main(void *arg)
{
	struct weft_thread_pool *pool = arg;
	struct weft__pool_job *job;
	struct thread me = { .spins = true };

	pthread_setname_np(pthread_self(), pool->name);
	weft__spin_lock(&pool->lock);
	while ((job = next(pool, &me))) {
		run_job(pool, &me, job);
		pool->searching++;
	}
	pool->threads--;
	unlock_or_end(pool);
	return NULL;
}

/* --- the callers --------------------------------------------------------- */

/* With the lock held: one more thread.  True when it is to be created; *wake is one
 * that is to be woken, or NULL. */
static bool call_thread(struct weft_thread_pool *pool, struct thread **wake)
{
	*wake = NULL;
	if (!may_have_more(pool))
		return false;

	struct weft__list *first = weft__list_pop_front(&pool->idle);
	pool->searching++;
	if (first) {
		*wake = WEFT__CONTAINER(first, struct thread, link);
		store_release(&(*wake)->woken, 1); /* from the unlock on it may be gone */
		return false;
	}
	pool->threads++;
	return true;
}

/* Without the lock: what call_thread left to do. */
static int bring(struct weft_thread_pool *pool, bool create, struct thread *wake)
{
	if (wake)
		futex_wake(&wake->woken, 1);
	return create ? create_thread(pool, thread_main) : 0;
}

/* With the lock held, which is given up meanwhile: what is queued will not run, one after
 * the other, since each may be taken back until it is its turn.  True when `own`, of the
 * caller, was among them; that one is not told. */
static bool fail_queued(struct weft_thread_pool *pool, int rc, const struct weft__pool_job *own)
{
	struct weft__pool_job *job;
	bool mine = false;

	pool->holders++;
	while ((pool->stop || pool->threads == 0) && (job = take(pool))) {
		if (job == own) {
			mine = true;
			continue;
		}
		weft__spin_unlock(&pool->lock);
		job->class->fail(job, rc);
		weft__spin_lock(&pool->lock);
	}
	pool->holders--;
	return mine;
}

/* No thread can be had.  Until now it was counted as one that searches. */
static int no_thread(struct weft_thread_pool *pool, struct weft__pool_job *job)
{
	weft__spin_lock(&pool->lock);
	pool->threads--;
	pool->searching--;
	int rc = fail_queued(pool, WEFT_EAGAIN, job) ? WEFT_EAGAIN : 0; /* I4 */
	call_idle(pool);
	unlock_or_end(pool);
	return rc;
}

static int submit(struct weft_thread_pool *pool, struct weft__pool_job *job, bool refused)
{
	struct thread *wake = NULL;
	bool create = false;

	if (refused) {
		weft__spin_unlock(&pool->lock);
		return WEFT_ECLOSED;
	}
	weft__list_push_back(&pool->queue, &job->link);
	store_relaxed(&pool->queued, pool->queued + 1);
	if (pool->searching == 0 && !pool->managing)
		create = call_thread(pool, &wake);
	weft__spin_unlock(&pool->lock);
	return bring(pool, create, wake) == 0 ? 0 : no_thread(pool, job);
}

int weft__pool_submit(struct weft_thread_pool *pool, struct weft__pool_job *job)
{
	weft__spin_lock(&pool->lock);
	return submit(pool, job, pool->closed);
}

int weft__pool_submit_held(struct weft_thread_pool *pool, struct weft__pool_job *job)
{
	weft__spin_lock(&pool->lock);
	return submit(pool, job, pool->stop);
}

bool weft__pool_hold(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	bool open = !pool->closed;
	pool->holders += open;
	weft__spin_unlock(&pool->lock);
	return open;
}

void weft__pool_release(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	pool->holders--;
	unlock_or_end(pool);
}

/* --- the manager --------------------------------------------------------- */

/* True when it was over in time: a thread that is ready to run finds a CPU. */
static bool nap(void)
{
	struct timespec t = { 0, LOOK_US * 1000 };
	int64_t began = weft__monotonic();

	nanosleep(&t, NULL);
	return weft__monotonic() - began < 4 * LOOK_US * 1000;
}

/* How many threads to add after `burst`, when so many took so many jobs meanwhile. */
static unsigned next_burst(unsigned burst, bool in_time, uint64_t taken, unsigned threads)
{
	if (threads == 0)
		return 1;
	if (taken >= threads || (taken > 0 && !in_time))
		return 0;
	if (burst == 0 || !in_time)
		return 1;
	return burst * 2 < CALL_MOST ? burst * 2 : CALL_MOST;
}

/* Adds up to n threads. */
static void add_threads(struct weft_thread_pool *pool, unsigned n)
{
	for (bool more = true; more && n > 0; n--) {
		struct thread *wake;

		weft__spin_lock(&pool->lock);
		unsigned before = pool->searching;
		bool create = pool->queued > before && call_thread(pool, &wake);
		more = pool->searching > before;
		if (!more)
			wake = NULL;
		weft__spin_unlock(&pool->lock);
		if (bring(pool, create, wake) != 0) {
			no_thread(pool, NULL);
			return;
		}
	}
}

/* With the lock held: more threads are of use. */
static bool is_pressed(const struct weft_thread_pool *pool)
{
	return pool->queued > 0 && may_have_more(pool);
}

/* With the lock held, which is given up meanwhile: sleeps until it is called again.
 * False when it is to end: the pool is closed, and no job relies on it. */
static bool rest(struct weft_thread_pool *pool)
{
	pool->managing = false;
	store_relaxed(&pool->pressed, 0);
	while (!pool->managing && !pool->closed) {
		weft__spin_unlock(&pool->lock);
		futex_wait(&pool->pressed, 0);
		weft__spin_lock(&pool->lock);
	}
	return !pool->closed || is_pressed(pool);
}

static void *manager_main(void *arg)
{
	struct weft_thread_pool *pool = arg;
	unsigned burst = 0;

	pthread_setname_np(pthread_self(), pool->name);
	weft__spin_lock(&pool->lock);
	while (is_pressed(pool) || rest(pool)) {
		uint64_t taken = pool->taken;
		unsigned threads = pool->threads;
		if (!is_pressed(pool))
			continue;
		weft__spin_unlock(&pool->lock);
		bool in_time = nap();
		weft__spin_lock(&pool->lock);
		burst = next_burst(burst, in_time, pool->taken - taken, threads);
		weft__spin_unlock(&pool->lock);
		add_threads(pool, burst);
		weft__spin_lock(&pool->lock);
	}
	pool->managing = pool->managed = false;
	unlock_or_end(pool);
	return NULL;
}

bool weft__pool_remove(struct weft_thread_pool *pool, struct weft__pool_job *job)
{
	weft__spin_lock(&pool->lock);
	bool queued = !weft__list_is_empty(&job->link);
	if (queued) {
		weft__list_remove(&job->link);
		store_relaxed(&pool->queued, pool->queued - 1);
	}
	weft__spin_unlock(&pool->lock);
	return queued;
}

void weft__pool_shut(struct weft_thread_pool *pool, bool stop)
{
	struct weft__list *first;

	weft__spin_lock(&pool->lock);
	store_relaxed(&pool->closed, true);
	if (stop)
		store_release(&pool->stop, true);
	while ((first = weft__list_pop_front(&pool->idle))) {
		struct thread *t = WEFT__CONTAINER(first, struct thread, link);
		pool->searching++;
		store_release(&t->woken, 1);
		futex_wake(&t->woken, 1);
	}
	store_release(&pool->pressed, 1);
	futex_wake(&pool->pressed, 1);
	if (stop)
		fail_queued(pool, WEFT_ECANCELED, NULL);
	unlock_or_end(pool);
}

void weft__pool_set_most(struct weft_thread_pool *pool, unsigned most)
{
	weft__spin_lock(&pool->lock);
	store_relaxed(&pool->most, most);
	if (pool->queued && pool->searching == 0 && !pool->closed)
		call_manager(pool);
	weft__spin_unlock(&pool->lock);
}

bool weft__pool_has_ended(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	bool ended = pool->ended;
	weft__spin_unlock(&pool->lock);
	return ended;
}

static int await_once(struct weft_thread_pool *pool, struct weft__strand *s, unsigned flags)
{
	struct closer me = { .strand = s };
	int rc = weft__wait_begin(s, flags);

	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(s);
	weft__spin_lock(&pool->lock);
	weft__list_init(&me.link);
	bool over = pool->ended;
	if (!over)
		weft__list_push_back(&pool->closers, &me.link);
	weft__spin_unlock(&pool->lock);
	if (over) {
		weft__wait_end(s);
		return 0;
	}
	unsigned code = weft__wait_park(s, "the threads of a pool", pool);
	weft__spin_lock(&pool->lock);
	weft__list_remove(&me.link);
	over = pool->ended;
	weft__spin_unlock(&pool->lock);
	return over ? 0 : weft__code_error(code);
}

int weft__pool_await(struct weft_thread_pool *pool, unsigned flags)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	int rc;

	while ((rc = await_once(pool, s, flags)) == WEFT_ENOMEM)
		weft__wait_without_stack();
	return rc;
}

enum { NAMED = 16 }; /* in a dump */

void weft_thread_pool_dump(struct weft_thread_pool *pool, FILE *out)
{
	char names[NAMED][sizeof((struct thread *)NULL)->job];
	unsigned n = 0;

	weft__spin_lock(&pool->lock);
	unsigned running = pool->running;
	uint64_t queued = pool->queued;
	weft__list_for_each (link, &pool->busy)
		if (n < NAMED)
			memcpy(names[n++], WEFT__CONTAINER(link, struct thread, link)->job,
			       sizeof names[0]);
	weft__spin_unlock(&pool->lock);

	fprintf(out, "%u blocking call%s run%s, %llu wait%s for a thread\n", running,
		running == 1 ? "" : "s", running == 1 ? "s" : "", (unsigned long long)queued,
		queued == 1 ? "s" : "");
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "  %s\n", names[i][0] ? names[i] : "(no name)");
	if (running > n)
		fprintf(out, "  and %u more\n", running - n);
}

size_t weft_thread_pool_queued(struct weft_thread_pool *pool)
{
	return (size_t)load_relaxed(&pool->queued);
}

size_t weft_thread_pool_running(struct weft_thread_pool *pool)
{
	weft__spin_lock(&pool->lock);
	unsigned running = pool->running;
	weft__spin_unlock(&pool->lock);
	return running;
}
