/* SPDX-License-Identifier: MIT */
/*
 * offload.c - a task waits for a call on another thread
 *
 *	QUEUED --a thread takes it--> RUNNING ------> DONE
 *	   |                           |   '--commit--> COMMITTED --> DONE
 *	   |'------abandon-------------'-> ABANDONED
 *	   '--cancel: taken back, never runs
 *
 * Invariants
 *
 *   I1  state, ticket and pins are under the job's lock.  The thread's last touch of a
 *       job that somebody waits for is the unlock behind DONE; the waiter looks at the
 *       state under the lock before it lets the job go.
 *   I2  A job that can be abandoned is allocated, with its copy of the argument; from
 *       ABANDONED on it is the thread's, before that the waiter's.
 *   I3  A caller is not let go while its call runs something on its behalf
 *       (weft_from_thread): `pins`.  What runs is in the caller's scope and sees the
 *       cancel, so that is soon.
 *   I4  A job that is QUEUED keeps its pool from ending; whoever takes it back looks at
 *       the state first, and keeps the job's lock until the pool's is free.
 */
#include "async/offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <string.h>

#include <weft/error.h>
#include <weft/sync.h>
#include <weft/task.h>

#include "async/async.h"
#include "async/config.h"
#include "async/locals.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "runtime/runtime.h"

enum state { QUEUED, RUNNING, COMMITTED, ABANDONED, DONE };

/* How often a call that is to be interrupted gets its signal. */
#define INTERRUPT_EVERY WEFT_MS(10)

/* What caller and thread hand to and fro is the first cache line, and all of it. */
struct job {
	alignas(WEFT_CACHELINE) struct weft__pool_job pooled; /* first */
	struct weft__spin lock;
	uint8_t state; /* enum state */
	bool begun;
	bool abandon; /* the caller may let go of it */
	uint32_t cancelled;
	int rc;
	struct weft__strand *strand;
	uint64_t ticket;

	weft_fn *fn;
	void *arg;
	unsigned pins;
	int interrupt;
	pthread_t thread; /* while it runs */
	struct weft_runtime *runtime;
	struct weft__ambient in; /* what the caller runs in */
	struct weft_thread_pool *pool;
	void (*drop)(void *arg);
	struct weft_limiter *limiter; /* of which the job has a token, or NULL */
	size_t size;		      /* of the allocation, 0: on the caller's stack */
};

/* The call that this thread runs. */
static __thread struct job *current;

/* --- the thread ---------------------------------------------------------- */

static void free_job(struct job *j)
{
	if (j->limiter)
		weft_limiter_release_for(j->limiter, j);
	weft__locals_unref(j->in.locals);
	if (j->size)
		weft__free(j, j->size);
}

static void drop_abandoned(struct job *j)
{
	struct job *outer = current; /* a call that closes another pool ends others in it */

	current = j; /* what drop calls is told so, as fn is */
	if (j->drop)
		j->drop(j->arg);
	current = outer;
	free_job(j);
}

static void finish(struct job *j, int rc)
{
	struct weft__strand *s = j->strand;
	enum weft__claim claim = WEFT__CLAIM_LOST;

	weft__spin_lock(&j->lock);
	bool abandoned = j->state == ABANDONED;
	if (!abandoned) {
		j->state = DONE;
		j->rc = rc;
		claim = weft__claim(s, j->ticket, WEFT__GRANTED);
	}
	weft__spin_unlock(&j->lock); /* I1 */
	if (abandoned)
		drop_abandoned(j);
	if (claim == WEFT__CLAIM_PARKED)
		weft__resume(s);
}

static void fail(struct weft__pool_job *pooled, int rc)
{
	finish((struct job *)pooled, rc);
}

static void run(struct weft__pool_job *pooled);

static const struct weft__pool_class class = { .run = run, .fail = fail };

static void allow(int signo, int how)
{
	sigset_t set;

	if (signo == 0)
		return;
	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(how, &set, NULL);
}

static void run(struct weft__pool_job *pooled)
{
	struct job *j = (struct job *)pooled;
	int signo = j->interrupt;
	int rc = WEFT_ECANCELED;

	weft__spin_lock(&j->lock);
	bool go = j->state == QUEUED;
	if (go) {
		j->begun = true;
		j->state = RUNNING;
		j->thread = pthread_self();
	}
	weft__spin_unlock(&j->lock);
	if (go) {
		current = j;
		allow(signo, SIG_UNBLOCK);
		rc = j->fn(j->arg);
		allow(signo, SIG_BLOCK);
		current = NULL;
	}
	finish(j, rc);
}

bool weft_thread_cancelled(void)
{
	return current && (load_acquire(&current->cancelled) || load_acquire(&current->pool->stop));
}

int weft_thread_check(void)
{
	if (!current)
		return WEFT_ENOTASK;
	return weft_thread_cancelled() ? WEFT_ECANCELED : 0;
}

int weft_thread_commit(void)
{
	struct job *j = current;

	if (!j)
		return WEFT_ENOTASK;
	weft__spin_lock(&j->lock);
	bool late = j->state == ABANDONED;
	if (!late)
		j->state = COMMITTED;
	weft__spin_unlock(&j->lock);
	return late ? WEFT_ECANCELED : 0;
}

/* With the lock held: the caller, if it is cancelled, need not wait. */
static bool may_go(const struct job *j)
{
	return j->abandon && j->pins == 0 && (j->state == QUEUED || j->state == RUNNING);
}

bool weft__host_exists(void)
{
	return current != NULL;
}

bool weft__host_hold(struct weft_runtime **rt, struct weft__ambient *in)
{
	struct job *j = current;

	if (!j)
		return false;
	weft__spin_lock(&j->lock);
	bool there = j->state != ABANDONED;
	if (there) {
		j->pins++;
		*rt = j->runtime;
		*in = j->in;
	}
	weft__spin_unlock(&j->lock);
	return there;
}

void weft__host_release(void)
{
	struct job *j = current;

	weft__spin_lock(&j->lock);
	j->pins--;
	if (load_relaxed(&j->cancelled) && may_go(j))
		weft__wake(j->strand, j->ticket, WEFT__CANCELLED);
	weft__spin_unlock(&j->lock);
}

const struct weft_local **weft__host_locals(void)
{
	return current ? &current->in.locals : NULL;
}

/* --- the caller ---------------------------------------------------------- */

/* A cancelled caller that waits on interrupts the call now and then. */
struct alarm {
	struct weft__timer timer;
	struct job *job;
};

static bool claim_alarm(struct weft__timer *t)
{
	struct job *j = WEFT__CONTAINER(t, struct alarm, timer)->job;

	return weft__claim(j->strand, load_relaxed(&j->ticket), WEFT__TIMED_OUT) ==
	       WEFT__CLAIM_PARKED;
}

static void done_alarm(struct weft__timer *t)
{
	weft__resume_quietly(WEFT__CONTAINER(t, struct alarm, timer)->job->strand);
}

static void interrupt(struct job *j)
{
	weft__spin_lock(&j->lock);
	if (j->state == RUNNING || j->state == COMMITTED)
		pthread_kill(j->thread, j->interrupt);
	weft__spin_unlock(&j->lock);
}

static bool park(struct job *j)
{
	unsigned code = weft__wait_park(j->strand, "a blocking call", j);

	if (code == WEFT__NO_STACK)
		weft__wait_without_stack();
	return code == WEFT__CANCELLED;
}

static bool park_and_interrupt(struct job *j)
{
	struct alarm alarm = { .timer = { .claim = claim_alarm, .done = done_alarm }, .job = j };

	interrupt(j);
	weft__timer_arm(j->runtime, &alarm.timer,
			weft__later(weft__clock_now(j->runtime), INTERRUPT_EVERY));
	bool aborted = park(j);
	weft__timer_disarm(&alarm.timer);
	return aborted;
}

/* Another wait: true when the caller may want to go. */
static bool wait_again(struct job *j, bool cancelled)
{
	struct weft__strand *s = j->strand;

	if (weft__wait_begin(s, cancelled ? 0 : WEFT__ABORTABLE) != 0)
		return true;
	weft__spin_lock(&j->lock);
	store_relaxed(&j->ticket, weft__wait_ticket(s));
	bool over = j->state == DONE;
	bool released = cancelled && may_go(j); /* since the last wait */
	weft__spin_unlock(&j->lock);
	if (over || released) {
		weft__wait_end(s);
		return released;
	}
	return cancelled && j->interrupt ? park_and_interrupt(j) : park(j);
}

static bool is_done(struct job *j)
{
	weft__spin_lock(&j->lock);
	bool done = j->state == DONE;
	weft__spin_unlock(&j->lock);
	return done;
}

static bool take_back(struct job *j)
{
	weft__spin_lock(&j->lock);
	bool mine = j->state == QUEUED && weft__pool_remove(j->pool, &j->pooled); /* I4 */
	weft__spin_unlock(&j->lock);
	return mine;
}

/* The caller wants to go.  True when the call is the thread's from here on (I2). */
static bool let_go(struct job *j)
{
	weft__spin_lock(&j->lock);
	bool gone = may_go(j);
	if (gone && j->interrupt && j->state == RUNNING)
		pthread_kill(j->thread, j->interrupt);
	if (gone)
		j->state = ABANDONED;
	weft__spin_unlock(&j->lock);
	return gone;
}

/* The job is with the pool, and the first wait has begun.  True when it is the caller's
 * again: done, or never begun (ECANCELED). */
static bool await(struct job *j)
{
	bool aborted = park(j);

	while (!is_done(j)) {
		if (aborted && take_back(j)) {
			j->rc = WEFT_ECANCELED;
			return true;
		}
		if (aborted)
			store_release(&j->cancelled, 1);
		if (aborted && let_go(j))
			return false;
		aborted = wait_again(j, load_relaxed(&j->cancelled));
	}
	return true;
}

static void init(struct job *j, struct weft__strand *s, weft_fn *fn, void *arg,
		 const struct weft_to_thread_opts *o)
{
	*j = (struct job){
		.pooled = { .class = &class, .name = o ? o->name : NULL },
		.fn = fn,
		.arg = arg,
		.strand = s,
		.runtime = s->runtime,
		.in = s->in,
		.pool = o && o->pool ? o->pool : &s->runtime->async->pool,
		.drop = o ? o->drop : NULL,
		.interrupt = o ? o->interrupt : 0,
		.abandon = o && o->abandon,
	};
	weft__list_init(&j->pooled.link);
	weft__locals_ref(j->in.locals);
}

typedef int submit_fn(struct weft_thread_pool *pool, struct weft__pool_job *job);

/* A plain thread that makes a pool has no runtime to ask: that of the first job says. */
static unsigned most_of(struct weft_thread_pool *pool, const struct weft_runtime *rt)
{
	if (WEFT_UNLIKELY(load_relaxed(&pool->most) == 0))
		weft__pool_set_most(pool, weft__config_thread_workers(rt));
	return load_relaxed(&pool->most);
}

/* The token is the job's, which may outlive its caller (TH-3).  The pool, which may be
 * closed while the caller waits for one, is held from here to the submit. */
static int take_token(struct job *j, struct weft_limiter *limiter)
{
	if (!limiter)
		return 0;
	if (!weft__pool_hold(j->pool))
		return WEFT_ECLOSED;
	int rc = weft_limiter_acquire_for(limiter, j);
	if (rc == 0)
		j->limiter = limiter;
	else
		weft__pool_release(j->pool);
	return rc;
}

/* The wait begins before the pool has the job: the caller touches it no more until it is
 * woken. */
static int enter(struct job *j, submit_fn *submit)
{
	int rc = weft__wait_begin(j->strand, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	j->ticket = weft__wait_ticket(j->strand);
	rc = submit(j->pool, &j->pooled);
	if (rc != 0)
		weft__wait_end(j->strand);
	return rc;
}

static int run_job(struct job *j, struct weft_limiter *limiter, submit_fn *submit)
{
	struct weft_runtime *rt = j->runtime;
	int rc = take_token(j, limiter);

	weft__quiet_hold(rt);
	most_of(j->pool, rt);
	if (rc == 0)
		rc = enter(j, submit);
	if (j->limiter)
		weft__pool_release(j->pool);
	bool mine = rc != 0 || await(j);
	weft__quiet_release(rt);
	if (!mine)
		return WEFT_ECANCELED;
	if (rc == 0)
		rc = j->rc;
	if (j->abandon && !j->begun && j->drop)
		j->drop(j->arg);
	free_job(j);
	return rc;
}

/* On the caller's stack: it waits in every case. */
static int run_here(struct weft__strand *s, weft_fn *fn, void *arg,
		    const struct weft_to_thread_opts *o)
{
	struct job j;

	init(&j, s, fn, arg, o);
	return run_job(&j, o ? o->limiter : NULL, weft__pool_submit);
}

/* Room for the argument behind the job. */
static int run_owned(struct weft__strand *s, weft_fn *fn, void *arg,
		     const struct weft_to_thread_opts *o)
{
	size_t head = (sizeof(struct job) + 15) & ~(size_t)15;
	struct job *j = weft__alloc_aligned(WEFT_CACHELINE, head + o->copy);

	if (!j) {
		if (o->abandon && o->drop)
			o->drop(arg);
		return WEFT_ENOMEM;
	}
	init(j, s, fn, arg, o);
	j->size = head + o->copy;
	if (o->copy)
		j->arg = memcpy((char *)j + head, arg, o->copy);
	return run_job(j, o->limiter, weft__pool_submit);
}

/* --- pools --------------------------------------------------------------- */

int weft_thread_pool_create_opt(struct weft_thread_pool **pool,
				const struct weft_thread_pool_opts *o)
{
	struct weft__strand *s = weft__strand_self();
	struct weft_thread_pool *p;
	unsigned threads = o ? o->threads : 0;

	if (!pool || (o && (o->size < sizeof *o || o->idle < 0)))
		return WEFT_EINVAL;
	p = weft__alloc_aligned(WEFT_CACHELINE, sizeof *p);
	if (!p)
		return WEFT_ENOMEM;
	if (threads == 0 && s)
		threads = weft__config_thread_workers(s->runtime);
	weft__pool_init(p, threads, o ? o->idle : 0, o ? o->name : NULL);
	*pool = p;
	return 0;
}

/* What runs may be a call that was abandoned: nobody else says that it is pending. */
static int await_end(struct weft_thread_pool *pool)
{
	struct weft__strand *s = weft__strand_self();

	if (!s)
		return weft__pool_await(pool, 0);
	weft__quiet_hold(s->runtime);
	int rc = weft__pool_await(pool, WEFT__ABORTABLE);
	weft__quiet_release(s->runtime);
	return rc;
}

int weft_thread_pool_close(struct weft_thread_pool *pool, int rc)
{
	if (!pool)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN; /* the threads are not in the child */
	weft__pool_shut(pool, rc < 0);
	int error = await_end(pool);
	if (error == 0)
		weft__free(pool, sizeof *pool);
	return error;
}

/* --- without waiting ------------------------------------------------------- */

/* It holds its pool until it has run. */
struct submitted {
	struct weft_thread_pool *pool; /* NULL: it was closed already */
	weft_fn *fn;
	void *arg;
};

static void drop_submitted(void *arg)
{
	struct submitted *s = arg;

	if (s->pool)
		weft__pool_release(s->pool);
	weft__free(s, sizeof *s);
}

/* In a pool that the caller holds. */
static int run_held(struct weft_thread_pool *pool, weft_fn *fn, void *arg)
{
	struct weft__strand *s = weft__strand_self();
	struct job j;
	int rc = weft__point(s);

	if (rc != 0)
		return rc;
	init(&j, s, fn, arg, &(const struct weft_to_thread_opts){ .pool = pool });
	return run_job(&j, NULL, weft__pool_submit_held);
}

static int run_submitted(void *arg)
{
	struct submitted *s = arg;
	int rc = s->pool ? run_held(s->pool, s->fn, s->arg) : WEFT_ECLOSED;

	drop_submitted(s);
	return rc;
}

int weft_thread_pool_submit(struct weft_thread_pool *pool, struct weft_group *g, weft_fn *fn,
			    void *arg)
{
	if (!pool || !g || !fn)
		return WEFT_EINVAL;
	struct submitted *s = weft__alloc(sizeof *s);
	if (!s)
		return WEFT_ENOMEM;
	*s = (struct submitted){ weft__pool_hold(pool) ? pool : NULL, fn, arg };
	return weft_spawn(g, run_submitted, s, .drop = drop_submitted);
}

/* --- one call an item ---------------------------------------------------- */

enum { MAP_SLICE_US = 100, MORE = 1 };

struct map {
	struct weft_thread_pool *pool;
	weft_fn *fn;
	char *items;
	size_t n, size;
	uint64_t next;
	struct weft__spin lock; /* all below */
	uint64_t failed;	/* lowest index that failed, or n */
	int rc;			/* of that item */
};

static void note_failed(struct map *m, uint64_t i, int rc)
{
	weft__spin_lock(&m->lock);
	if (i < m->failed) {
		m->failed = i;
		m->rc = rc;
	}
	weft__spin_unlock(&m->lock);
}

/* On a thread of the pool: item after item, since a way there and back costs more than
 * many a call.  MORE when other jobs have waited for a thread meanwhile. */
static int map_there(void *arg)
{
	struct map *m = arg;
	int64_t began = weft__monotonic();

	for (;;) {
		if (weft_thread_cancelled())
			return WEFT_ECANCELED;
		uint64_t i = add_seqcst(&m->next, 1);
		if (i >= m->n)
			return 0;
		int rc = m->fn(m->items + i * m->size);
		if (rc < 0 && !weft_thread_cancelled())
			note_failed(m, i, rc);
		if (rc < 0)
			return rc;
		if (load_relaxed(&m->pool->queued) &&
		    weft__monotonic() - began > MAP_SLICE_US * 1000)
			return MORE;
	}
}

static int map_some(void *arg)
{
	struct map *m = arg;
	int rc;

	do
		rc = run_held(m->pool, map_there, m);
	while (rc == MORE);
	return rc;
}

static int map(struct map *m)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc != 0)
		return rc;
	unsigned most = most_of(m->pool, weft__strand_self()->runtime);
	size_t runners = m->n < most ? m->n : most;
	for (size_t i = 0; i < runners && rc == 0; i++)
		rc = weft_spawn(&g, map_some, m);
	rc = weft_group_close(&g, rc);
	return rc < 0 && m->failed < m->n ? m->rc : rc;
}

int weft_thread_pool_map(struct weft_thread_pool *pool, weft_fn *fn, void *items, size_t n,
			 size_t size, size_t *failed)
{
	struct map m = {
		.pool = pool, .fn = fn, .items = items, .n = n, .size = size, .failed = n
	};

	if (!pool || !fn || (n && (!items || !size)))
		return WEFT_EINVAL;
	if (!weft__pool_hold(pool))
		return WEFT_ECLOSED;
	int rc = map(&m);
	weft__pool_release(pool);
	if (rc < 0 && m.failed < n && failed)
		*failed = (size_t)m.failed;
	return rc;
}

/* A plain thread may block. */
static int run_plainly(weft_fn *fn, void *arg, struct weft_limiter *limiter)
{
	int rc = limiter ? weft_limiter_acquire_for(limiter, &rc) : 0;

	if (rc != 0)
		return rc;
	int result = fn(arg);
	if (limiter)
		weft_limiter_release_for(limiter, &rc);
	return result;
}

int weft_to_thread_opt(weft_fn *fn, void *arg, const struct weft_to_thread_opts *o)
{
	struct weft__strand *s = weft__strand_self();

	if (!fn || (o && (o->size < sizeof *o || o->interrupt < 0)))
		return WEFT_EINVAL;
	if (o && o->abandon && !o->copy && !o->drop)
		return WEFT_EINVAL; /* TH-2 */
	if (!s)
		return run_plainly(fn, arg, o ? o->limiter : NULL);
	int rc = weft__point(s);
	if (rc != 0) {
		if (o && o->abandon && o->drop)
			o->drop(arg);
		return rc;
	}
	return o && (o->abandon || o->copy) ? run_owned(s, fn, arg, o) : run_here(s, fn, arg, o);
}
