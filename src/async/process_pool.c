/* SPDX-License-Identifier: MIT */
/*
 * process_pool.c - the jobs of a pool, and the pool as a whole
 *
 *	caller --submit--> queue --dispatch--> socket of an idle worker
 *	                     |                              |
 *	             wakes, if none is idle             the worker
 *	                     v                              |
 *	          the thread of the pool <--poll--- answers, errors, ends
 *	                     '--claims, resumes--> caller
 *
 * Who submits a job and finds a worker idle sends it right there (process_life.c).  All
 * else is done by one thread (process_thread.c).
 *
 * Invariants, all under the lock
 *
 *   I1  Only the thread closes descriptors of workers and frees workers, so those that
 *       it polls stay what they are while it sleeps without the lock.
 *   I2  A worker has at most one job.  It is in `idle` if and only if it is ready, has
 *       none, and is not ending.
 *   I3  A job is sent once more only if weft__proc says that it was not begun, and only
 *       once.  So a function runs at most once a call.
 *   I4  The pool's last touch of a job is the unlock behind DONE; its caller looks at
 *       the state under the lock before it goes.  A strand that was claimed parked stays
 *       until it is resumed, after that unlock.
 *   I5  When jobs are queued, none is idle, and: as many workers as there may be have
 *       jobs, or the thread is awake or will be at retry_at.
 *   I6  `callers` hold the pool, or have submitted a job and not left: they will take the
 *       lock once more, though their jobs may be done long since.  The pool does not end
 *       before they have left, for when it has ended it may be freed.
 *
 * Why a mutex.  System calls are made under it; a spin lock would have others burn for
 * as long.
 */
#include "async/process_pool.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/clock.h"
#include "async/process_life.h"
#include "async/process_thread.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "runtime/runtime.h"

#define IDLE  WEFT_SEC(60)
#define GRACE WEFT_SEC(1)

/* A task that waits for the end. */
struct closer {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
};

static struct weft__process_worker *worker_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct weft__process_worker, link);
}

static struct weft__process_job *job_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct weft__process_job, link);
}

void weft__process_lock(struct weft_process_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
}

void weft__process_unlock(struct weft_process_pool *pool)
{
	struct weft__list wakes, *first;

	weft__list_init(&wakes);
	weft__list_splice(&wakes, &pool->wakes);
	pthread_mutex_unlock(&pool->lock);
	while ((first = weft__list_pop_front(&wakes)))
		weft__resume(job_of(first)->strand); /* I4 */
}

/* --- jobs ---------------------------------------------------------------- */

void weft__process_enqueue(struct weft_process_pool *pool, struct weft__process_job *j, bool first)
{
	j->state = WEFT__PROCESS_QUEUED;
	j->worker = NULL;
	if (first)
		weft__list_push_front(&pool->queue, &j->link);
	else
		weft__list_push_back(&pool->queue, &j->link);
	pool->queued++;
}

void weft__process_dequeue(struct weft_process_pool *pool, struct weft__process_job *j)
{
	weft__list_remove(&j->link);
	pool->queued--;
}

/* The job is in no list. */
void weft__process_finish(struct weft_process_pool *pool, struct weft__process_job *j, int rc)
{
	j->state = WEFT__PROCESS_DONE;
	j->rc = rc;
	if (weft__claim(j->strand, j->ticket, WEFT__GRANTED) == WEFT__CLAIM_PARKED)
		weft__list_push_back(&pool->wakes, &j->link);
}

void weft__process_finish_queued(struct weft_process_pool *pool, int rc)
{
	struct weft__list *first;

	while ((first = weft__list_front(&pool->queue))) {
		weft__process_dequeue(pool, job_of(first));
		weft__process_finish(pool, job_of(first), rc);
	}
}

/* --- callers ---------------------------------------------------------------- */

int weft__process_hold(struct weft_process_pool *pool)
{
	weft__process_lock(pool);
	int rc = pool->is_closed ? WEFT_ECLOSED : 0;
	pool->callers += rc == 0;
	weft__process_unlock(pool);
	return rc;
}

void weft__process_release(struct weft_process_pool *pool)
{
	weft__process_lock(pool);
	if (!pool->is_started && pool->is_closed && pool->callers == 1) {
		pool->callers = 0;
		weft__process_tell_closers(pool); /* there is no thread that would */
		return;
	}
	weft__process_leave(pool);
	weft__process_unlock(pool);
}

int weft__process_submit(struct weft_process_pool *pool, struct weft__process_job *job)
{
	if (pool->is_broken)
		return WEFT_EBROKEN;
	if (pool->is_closed)
		return WEFT_ECLOSED;
	int rc = pool->is_started ? 0 : weft__process_start_thread(pool);
	if (rc != 0)
		return rc;
	pool->callers++;
	weft__process_enqueue(pool, job, false);
	weft__process_dispatch(pool);
	if (job->state == WEFT__PROCESS_QUEUED && pool->working < pool->most)
		weft__process_kick(pool); /* I5 */
	return 0;
}

void weft__process_leave(struct weft_process_pool *pool)
{
	if (--pool->callers == 0 && pool->is_closed)
		weft__process_kick(pool); /* I6 */
}

void weft__process_abort(struct weft_process_pool *pool, struct weft__process_job *job,
			 int64_t grace)
{
	job->cancelled = true;
	if (job->state == WEFT__PROCESS_QUEUED) {
		weft__process_dequeue(pool, job);
		weft__process_finish(pool, job, WEFT_ECANCELED);
	} else if (job->state == WEFT__PROCESS_SENT) {
		weft__process_end_worker(pool, job->worker, SIGTERM, grace);
		weft__process_kick(pool);
	}
}

static void kill_jobs(struct weft_process_pool *pool)
{
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		if (w->job)
			w->job->cancelled = true;
		weft__process_end_worker(pool, w, SIGKILL, 0);
	}
}

void weft__process_shut(struct weft_process_pool *pool, bool cancel, bool kill)
{
	pool->is_closed = true;
	if (cancel)
		weft__process_finish_queued(pool, WEFT_ECANCELED);
	if (kill && !pool->is_over)
		kill_jobs(pool);
	if (pool->is_started)
		weft__process_kick(pool);
	else
		pool->has_ended = pool->callers == 0;
}

int weft__process_await(struct weft_process_pool *pool)
{
	struct weft__thread_strand local;
	struct closer me = { .strand = weft__strand_here(&local) };
	int rc = weft__wait_begin(me.strand, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(me.strand);
	weft__list_init(&me.link);
	weft__process_lock(pool);
	bool over = pool->has_ended;
	if (!over)
		weft__list_push_back(&pool->closers, &me.link);
	weft__process_unlock(pool);
	if (over) {
		weft__wait_end(me.strand);
		return 0;
	}
	unsigned code = weft__wait_park(me.strand, "the end of a process pool", pool);
	weft__process_lock(pool);
	weft__list_remove(&me.link);
	over = pool->has_ended;
	weft__process_unlock(pool);
	return over ? 0 : weft__code_error(code);
}

void weft__process_tell_closers(struct weft_process_pool *pool)
{
	struct weft__list *first, wake;

	weft__list_init(&wake);
	pool->has_ended = true;
	while ((first = weft__list_pop_front(&pool->closers))) {
		struct closer *c = WEFT__CONTAINER(first, struct closer, link);
		if (weft__claim(c->strand, c->ticket, WEFT__GRANTED) == WEFT__CLAIM_PARKED)
			weft__list_push_back(&wake, &c->link);
	}
	weft__process_unlock(pool);
	while ((first = weft__list_pop_front(&wake)))
		weft__resume(WEFT__CONTAINER(first, struct closer, link)->strand);
}

/* --- making and freeing ------------------------------------------------------ */

static int copy_init(struct weft_process_pool *pool, const struct weft_process_pool_opts *o)
{
	pool->init = o->init;
	if (!o->init)
		return 0;
	int rc = weft__ref_make(&pool->init_ref, o->init);
	if (rc != 0 || o->init_size == 0)
		return rc;
	pool->init_data = weft__alloc(o->init_size);
	if (!pool->init_data)
		return WEFT_ENOMEM;
	memcpy(pool->init_data, o->init_data, o->init_size);
	pool->init_size = o->init_size;
	return 0;
}

static void apply(struct weft_process_pool *pool, const struct weft_process_pool_opts *o)
{
	pool->max_tasks = o->max_tasks;
	pool->jitter = o->max_tasks_jitter;
	pool->max_rss = o->max_rss;
	pool->idle_ns = o->idle ? o->idle : IDLE;
	pool->grace = o->kill_grace ? o->kill_grace : GRACE;
	pool->limits = (struct weft__proc_limits){ .memory = o->memory, .cpu = o->cpu };
	snprintf(pool->name, sizeof pool->name, "%.9s", o->name ? o->name : "weft/proc");
}

int weft__process_pool_new(struct weft_process_pool **out,
			   const struct weft_process_pool_opts *opts, unsigned most)
{
	static const struct weft_process_pool_opts none;
	struct weft_process_pool *pool = weft__alloc(sizeof *pool);

	if (!pool)
		return WEFT_ENOMEM;
	memset(pool, 0, offsetof(struct weft_process_pool, server));
	pthread_mutex_init(&pool->lock, NULL);
	weft__list_init(&pool->queue);
	weft__list_init(&pool->workers);
	weft__list_init(&pool->idle);
	weft__list_init(&pool->wakes);
	weft__list_init(&pool->closers);
	weft__server_init(&pool->server);
	weft__rng_init(&pool->rng, (uint64_t)weft__monotonic());
	pool->wake = -1;
	pool->retry_at = WEFT_NEVER;
	pool->most = most;
	apply(pool, opts ? opts : &none);
	int rc = copy_init(pool, opts ? opts : &none);
	if (rc != 0) {
		weft__process_pool_free(pool);
		return rc;
	}
	*out = pool;
	return 0;
}

void weft__process_pool_free(struct weft_process_pool *pool)
{
	if (pool->is_started)
		pthread_join(pool->thread, NULL);
	if (pool->wake >= 0)
		close(pool->wake);
	pthread_mutex_destroy(&pool->lock);
	weft__free(pool->polled, pool->polled_room * sizeof *pool->polled);
	weft__free(pool->init_data, pool->init_size);
	weft__free(pool, sizeof *pool);
}
