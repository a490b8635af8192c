/* SPDX-License-Identifier: MIT */
/*
 * process_pool.c - worker processes and the jobs that wait for them
 *
 *	caller --submit--> queue --dispatch--> socket of an idle worker
 *	                     |                              |
 *	             wakes, if none is idle             the worker
 *	                     v                              |
 *	          the thread of the pool <--poll--- answers, errors, ends
 *	                     '--claims, resumes--> caller
 *
 * Who submits a job and finds a worker idle sends it right there.  All else is done by
 * one thread, which sleeps in poll() over the server of the workers, and three
 * descriptors of each: it starts workers and lets them go, takes answers and hands the
 * freed worker the next job, drains what workers write to their standard errors, sends
 * signals when they are due, and buries.
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
 *   I6  `callers` have submitted a job and not left: they will take the lock once more,
 *       though their jobs may be done long since.  The pool does not end before they
 *       have left, for when it has ended it may be freed.
 *
 * Why a thread and not tasks.  Each answer is one wake-up of somebody either way, for
 * tasks wait for descriptors by way of the event thread.  A thread belongs to no
 * runtime, so that pools can be shared and closed from anywhere; it may block for the
 * millisecond that a server takes to start; it needs no stack of a fiber, and is no
 * reason for virtual time to stand still when nothing is going on.
 *
 * Why poll() and not epoll.  There are as many workers as CPUs.  A set that is made anew
 * knows nothing stale: with epoll, a descriptor that was closed here and lives on in a
 * fork of the application would be reported for ever and could not be taken out.
 *
 * Why a mutex.  System calls are made under it; a spin lock would have others burn for
 * as long.
 */
#include "async/process_pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/clock.h"
#include "async/proc_payload.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "deque/check.h"

enum {
	INIT_TRIES = 3,
	INIT_ANSWER = 1 << 20,
	FDS = 3, /* of a worker: socket, standard error, pidfd */
};

#define RETRY_SOON  WEFT_MS(1)
#define RETRY_LATER WEFT_MS(100)
#define IDLE	    WEFT_SEC(60)
#define GRACE	    WEFT_SEC(1)

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

/* Wakes the thread: to be called when there is something for it to do. */
static void kick(struct weft_process_pool *pool)
{
	uint64_t one = 1;

	if (write(pool->wake, &one, sizeof one) < 0) {
		/* The counter is full: it is awake. */
	}
}

/* --- jobs ---------------------------------------------------------------- */

static void enqueue(struct weft_process_pool *pool, struct weft__process_job *j, bool first)
{
	j->state = WEFT__PROCESS_QUEUED;
	j->worker = NULL;
	if (first)
		weft__list_push_front(&pool->queue, &j->link);
	else
		weft__list_push_back(&pool->queue, &j->link);
	pool->queued++;
}

static void dequeue(struct weft_process_pool *pool, struct weft__process_job *j)
{
	weft__list_remove(&j->link);
	pool->queued--;
}

/* The job is in no list. */
static void finish(struct weft_process_pool *pool, struct weft__process_job *j, int rc)
{
	j->state = WEFT__PROCESS_DONE;
	j->rc = rc;
	if (weft__claim(j->strand, j->ticket, WEFT__GRANTED) == WEFT__CLAIM_PARKED)
		weft__list_push_back(&pool->wakes, &j->link);
}

static void finish_queued(struct weft_process_pool *pool, int rc)
{
	struct weft__list *first;

	while ((first = weft__list_front(&pool->queue))) {
		dequeue(pool, job_of(first));
		finish(pool, job_of(first), rc);
	}
}

/* --- workers -------------------------------------------------------------- */

/* I2: it gets no more jobs, and does not count as one that works. */
static void set_ending(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	if (w->is_ending)
		return;
	w->is_ending = true;
	weft__list_remove(&w->idle);
	pool->working--;
	pool->initialising -= !w->is_ready;
}

static void send_due_signal(struct weft__process_worker *w, int64_t now)
{
	if (w->signal_at > now)
		return;
	if (weft__proc_kill(&w->proc, w->signal) == -EAGAIN) {
		w->signal_at = weft__later(now, RETRY_SOON);
		return;
	}
	w->signal_at = w->signal == SIGKILL ? WEFT_NEVER : weft__later(now, w->grace);
	w->signal = SIGKILL;
}

static void end_by(struct weft_process_pool *pool, struct weft__process_worker *w, int signal,
		   int64_t grace)
{
	int64_t now = weft__monotonic();

	set_ending(pool, w);
	w->signal = signal;
	w->signal_at = now;
	w->grace = grace;
	send_due_signal(w, now);
	if (grace == 0 && w->signal_at == now)
		send_due_signal(w, now);
}

/* A worker whose socket has ended goes by itself. */
static void let_go(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	set_ending(pool, w);
	if (w->proc.fd >= 0)
		shutdown(w->proc.fd, SHUT_WR);
	w->signal = SIGKILL;
	w->signal_at = weft__later(weft__monotonic(), pool->grace);
}

static void make_idle(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	w->idle_since = weft__monotonic();
	weft__list_push_front(&pool->idle, &w->idle);
}

static void hand_over(struct weft_process_pool *pool, struct weft__process_worker *w,
		      struct weft__process_job *j)
{
	j->wire.id = ++pool->last_job;
	int rc = weft__proc_send(&w->proc, &j->wire);
	if (rc == -EPIPE) { /* it has died; the thread will see */
		set_ending(pool, w);
		return;
	}
	dequeue(pool, j);
	if (rc != 0) {
		finish(pool, j, rc);
		return;
	}
	weft__list_remove(&w->idle);
	w->job = j;
	j->worker = w;
	j->state = WEFT__PROCESS_SENT;
}

static void dispatch(struct weft_process_pool *pool)
{
	struct weft__list *job, *idle;

	while ((job = weft__list_front(&pool->queue)) && (idle = weft__list_front(&pool->idle)))
		hand_over(pool, WEFT__CONTAINER(idle, struct weft__process_worker, idle),
			  job_of(job));
}

/* --- starting ------------------------------------------------------------- */

static int send_init(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	struct weft__proc_job job = { .id = ++pool->last_job,
				      .fn = &pool->init_ref,
				      .data = pool->init_data,
				      .size = pool->init_size,
				      .memfd = -1,
				      .answer_max = INIT_ANSWER };

	if (job.size >= WEFT__FRAME_LARGE) {
		job.memfd = weft__payload_of(job.data, pool->init_size);
		if (job.memfd < 0)
			return job.memfd;
	}
	int rc = weft__proc_send(&w->proc, &job);
	if (job.memfd >= 0)
		close(job.memfd);
	return rc == -EPIPE ? 0 : rc; /* its end counts as a failure to initialise */
}

static void add_worker(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	weft__list_init(&w->idle);
	weft__list_push_back(&pool->workers, &w->link);
	w->job = NULL;
	w->is_ending = false;
	w->is_ready = w->is_judged = !pool->init;
	w->left = pool->max_tasks;
	if (pool->max_tasks && pool->jitter)
		w->left += (unsigned)weft__rng_below(&pool->rng, (uint64_t)pool->jitter + 1);
	w->signal_at = WEFT_NEVER;
	w->slot = -1;
	pool->count++;
	pool->working++;
	pool->initialising += !w->is_ready;
}

static int start_worker(struct weft_process_pool *pool)
{
	struct weft__process_worker *w = weft__alloc(sizeof *w);

	if (!w)
		return WEFT_ENOMEM;
	int rc = weft__server_open(&pool->server);
	if (rc == 0)
		rc = weft__proc_start(&w->proc, &pool->server, &pool->limits);
	if (rc == 0 && pool->init) {
		rc = send_init(pool, w);
		if (rc != 0)
			weft__proc_fini(&w->proc);
	}
	if (rc != 0) {
		weft__free(w, sizeof *w);
		return rc;
	}
	add_worker(pool, w);
	if (w->is_ready)
		make_idle(pool, w);
	return 0;
}

/* After a failure one worker at a time is tried: an initializer that fails is not
 * called more often than has been said. */
static bool needs_worker(const struct weft_process_pool *pool)
{
	unsigned at_once = pool->failures ? 1 : pool->most;

	return pool->queued > pool->initialising && weft__list_is_empty(&pool->idle) &&
	       pool->working < pool->most && pool->initialising < at_once;
}

/* A worker cannot be had.  If there is another, it will do. */
static void no_worker(struct weft_process_pool *pool, int rc, int64_t now)
{
	bool soon = rc == -EAGAIN || rc == -EPIPE; /* of a server that is busy, or dying */

	if (!soon && pool->count == 0)
		finish_queued(pool, rc);
	pool->retry_at = weft__later(now, soon ? RETRY_SOON : RETRY_LATER);
}

static void start_workers(struct weft_process_pool *pool, int64_t now)
{
	if (pool->retry_at > now && pool->retry_at != WEFT_NEVER)
		return;
	pool->retry_at = WEFT_NEVER;
	while (needs_worker(pool)) {
		int rc = start_worker(pool);
		if (rc != 0) {
			no_worker(pool, rc, now);
			return;
		}
		dispatch(pool);
	}
}

/* --- answers and ends ------------------------------------------------------ */

static void init_failed(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	w->is_judged = true;
	if (++pool->failures < INIT_TRIES)
		return;
	pool->is_broken = true;
	finish_queued(pool, WEFT_EBROKEN);
}

static void initialised(struct weft_process_pool *pool, struct weft__process_worker *w,
			struct weft__answer *answer)
{
	weft__answer_fini(answer);
	if (w->is_ending)
		return;
	if (answer->rc < 0) {
		end_by(pool, w, SIGKILL, 0);
		init_failed(pool, w);
		return;
	}
	pool->failures = 0;
	pool->initialising--;
	w->is_ready = w->is_judged = true;
	make_idle(pool, w);
}

static void fill_status(struct weft_proc_status *st, const struct weft__proc *p, bool ended)
{
	if (!st)
		return;
	st->pid = p->pid;
	if (!ended)
		return;
	st->signo = p->exit.signal;
	st->exit_code = p->exit.code;
	st->guessed = p->exit.is_guessed;
	st->broken = p->exit.broken;
	st->rusage = p->exit.usage;
	st->stderr_size = weft__tail_text(&p->tail, st->stderr_tail, sizeof st->stderr_tail);
}

/* An answer that was there before a cancel has killed is one (CO-4). */
static void answered(struct weft_process_pool *pool, struct weft__process_worker *w,
		     const struct weft__answer *answer)
{
	struct weft__process_job *j = w->job;

	/* The worker has said who it is before it answered. */
	if (w->proc.pid == 0)
		weft__server_step(&pool->server);
	w->job = NULL;
	j->answer = *answer;
	fill_status(j->status, &w->proc, false);
	finish(pool, j, answer->rc);
	if (w->is_ending)
		return;
	if (w->left > 0 && --w->left == 0)
		let_go(pool, w);
	else
		make_idle(pool, w);
}

static void lost_job(struct weft_process_pool *pool, const struct weft__process_worker *w)
{
	struct weft__process_job *j = w->job;
	const struct weft__exit *how = &w->proc.exit;
	bool unbegun = w->proc.unread || how->error != 0;

	if (!j->cancelled && unbegun && !j->resent && !j->no_resend) { /* I3 */
		j->resent = true;
		enqueue(pool, j, true);
		return;
	}
	fill_status(j->status, &w->proc, true);
	if (j->cancelled)
		finish(pool, j, WEFT_ECANCELED);
	else
		finish(pool, j, how->error ? how->error : WEFT_ECRASHED);
}

static void ended(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	set_ending(pool, w);
	if (w->job)
		lost_job(pool, w);
	if (!w->is_judged)
		init_failed(pool, w);
	weft__list_remove(&w->link);
	weft__proc_fini(&w->proc);
	weft__free(w, sizeof *w);
	pool->count--;
}

/* Its end will follow.  Before another worker is started it has to count. */
static void lost_socket(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	set_ending(pool, w);
	if (!w->is_judged)
		init_failed(pool, w);
}

static void look(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	struct weft__answer answer;
	enum weft__proc_event event;

	while ((event = weft__proc_next(&w->proc, &answer)) == WEFT__PROC_ANSWER) {
		if (w->job)
			answered(pool, w, &answer);
		else
			initialised(pool, w, &answer);
	}
	if (event == WEFT__PROC_ENDED)
		ended(pool, w);
	else if (w->proc.fd < 0)
		lost_socket(pool, w);
}

/* --- the thread ------------------------------------------------------------ */

static void look_at_all(struct weft_process_pool *pool)
{
	if (pool->server.fd >= 0 && pool->polled[1].revents &&
	    weft__server_step(&pool->server) != 0)
		weft__server_close(&pool->server);
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		const struct pollfd *news = &pool->polled[w->slot < 0 ? 0 : w->slot];
		bool known = w->slot >= 0;
		if (known && news[1].revents)
			weft__proc_hear(&w->proc);
		if ((known && (news[0].revents || news[2].revents)) || !known ||
		    w->proc.state == WEFT__PROC_DEAD || w->proc.is_lost)
			look(pool, w);
	}
}

static void tend(struct weft_process_pool *pool, int64_t now)
{
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		send_due_signal(w, now);
		bool is_idle = !weft__list_is_empty(&w->idle);
		if (is_idle && weft__later(w->idle_since, pool->idle_ns) <= now)
			let_go(pool, w);
	}
}

/* A death that came out while another worker was looked at is still to be looked at: no
 * descriptor tells of it any more. */
static int64_t next_time(const struct weft_process_pool *pool)
{
	int64_t next = pool->retry_at;

	weft__list_for_each (node, &pool->workers) {
		const struct weft__process_worker *w = worker_of(node);
		if (w->proc.state == WEFT__PROC_DEAD)
			return 0;
		int64_t idle_end = weft__list_is_empty(&w->idle)
					   ? WEFT_NEVER
					   : weft__later(w->idle_since, pool->idle_ns);
		next = w->signal_at < next ? w->signal_at : next;
		next = idle_end < next ? idle_end : next;
	}
	return next;
}

/* Room for the descriptors of all workers; the old room when there is no memory. */
static void make_room(struct weft_process_pool *pool)
{
	size_t room = 2 + FDS * (pool->count + 8);

	if (2 + FDS * pool->count <= pool->polled_room)
		return;
	struct pollfd *polled = weft__alloc(room * sizeof *polled);
	if (!polled)
		return;
	weft__free(pool->polled, pool->polled_room * sizeof *polled);
	pool->polled = polled;
	pool->polled_room = room;
}

static nfds_t fill_polled(struct weft_process_pool *pool)
{
	nfds_t n = 2;

	make_room(pool);
	pool->polled[0] = (struct pollfd){ pool->wake, POLLIN, 0 };
	pool->polled[1] = (struct pollfd){ pool->server.fd, POLLIN, 0 };
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		struct pollfd *at = &pool->polled[n];
		w->slot = -1;
		if (n + FDS > pool->polled_room)
			continue;
		w->slot = (int)n;
		at[0] = (struct pollfd){ w->proc.fd, POLLIN, 0 };
		at[1] = (struct pollfd){ w->proc.err_fd, POLLIN, 0 };
		at[2] = (struct pollfd){ w->proc.is_lost ? w->proc.pidfd : -1, POLLIN, 0 };
		n += FDS;
	}
	return n;
}

/* Sleeps until something is to be done; gives the lock away meanwhile. */
static void rest(struct weft_process_pool *pool)
{
	uint64_t count;
	nfds_t n = fill_polled(pool);
	int64_t until = next_time(pool), now = weft__monotonic();
	struct timespec t = { 0 };

	if (2 + FDS * pool->count > pool->polled_room && until > weft__later(now, RETRY_SOON))
		until = weft__later(now, RETRY_SOON); /* some are not polled */
	if (until > now) {
		t.tv_sec = (until - now) / WEFT_SEC(1);
		t.tv_nsec = (until - now) % WEFT_SEC(1);
	}
	weft__process_unlock(pool);
	int ready = ppoll(pool->polled, n, until == WEFT_NEVER ? NULL : &t, NULL);
	if (ready > 0 && pool->polled[0].revents && read(pool->wake, &count, sizeof count) < 0) {
		/* Somebody else's kick: none is lost. */
	}
	for (nfds_t i = 0; ready <= 0 && i < n; i++)
		pool->polled[i].revents = 0;
	weft__process_lock(pool);
}

/* With the lock held, which is given away meanwhile: nobody touches workers any more
 * that have no jobs. */
static void end_all(struct weft_process_pool *pool)
{
	struct weft__list *first;

	pool->is_over = true;
	weft__process_unlock(pool);
	weft__server_fini(&pool->server);
	while ((first = weft__list_pop_front(&pool->workers))) {
		weft__proc_fini(&worker_of(first)->proc);
		weft__free(worker_of(first), sizeof(struct weft__process_worker));
	}
	weft__process_lock(pool);
	pool->count = 0;
}

static void tell_closers(struct weft_process_pool *pool)
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

static void *thread_main(void *arg)
{
	struct weft_process_pool *pool = arg;

	pthread_setname_np(pthread_self(), pool->name);
	weft__process_lock(pool);
	for (;;) {
		int64_t now = weft__monotonic();

		tend(pool, now);
		start_workers(pool, now);
		dispatch(pool);
		if (pool->is_closed && pool->callers == 0) /* I6 */
			break;
		rest(pool);
		look_at_all(pool);
	}
	end_all(pool);
	tell_closers(pool);
	return NULL;
}

static int create_thread(struct weft_process_pool *pool)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&pool->thread, NULL, thread_main, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc == 0 ? 0 : WEFT_EAGAIN;
}

static int start_thread(struct weft_process_pool *pool)
{
	if (pool->wake < 0)
		pool->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->wake < 0)
		return -errno;
	make_room(pool);
	if (!pool->polled)
		return WEFT_ENOMEM;
	int rc = create_thread(pool);
	pool->is_started = rc == 0;
	return rc;
}

/* --- callers ---------------------------------------------------------------- */

int weft__process_submit(struct weft_process_pool *pool, struct weft__process_job *job)
{
	if (pool->is_broken)
		return WEFT_EBROKEN;
	if (pool->is_closed)
		return WEFT_ECLOSED;
	int rc = pool->is_started ? 0 : start_thread(pool);
	if (rc != 0)
		return rc;
	pool->callers++;
	enqueue(pool, job, false);
	dispatch(pool);
	if (job->state == WEFT__PROCESS_QUEUED && pool->working < pool->most)
		kick(pool); /* I5 */
	return 0;
}

void weft__process_leave(struct weft_process_pool *pool)
{
	if (--pool->callers == 0 && pool->is_closed)
		kick(pool); /* I6 */
}

void weft__process_abort(struct weft_process_pool *pool, struct weft__process_job *job,
			 int64_t grace)
{
	job->cancelled = true;
	if (job->state == WEFT__PROCESS_QUEUED) {
		dequeue(pool, job);
		finish(pool, job, WEFT_ECANCELED);
	} else if (job->state == WEFT__PROCESS_SENT) {
		end_by(pool, job->worker, SIGTERM, grace);
		kick(pool);
	}
}

static void kill_jobs(struct weft_process_pool *pool)
{
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		if (w->job)
			w->job->cancelled = true;
		end_by(pool, w, SIGKILL, 0);
	}
}

void weft__process_shut(struct weft_process_pool *pool, bool cancel, bool kill)
{
	pool->is_closed = true;
	if (cancel)
		finish_queued(pool, WEFT_ECANCELED);
	if (kill && !pool->is_over)
		kill_jobs(pool);
	if (pool->is_started)
		kick(pool);
	else
		pool->has_ended = true;
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
