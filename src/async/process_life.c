/* SPDX-License-Identifier: MIT */
/*
 * process_life.c - a worker of a pool: started, initialised, given jobs, ended
 *
 *	start_worker --> initialising --> idle <--> has a job --> ending --> freed
 *	                      '-------------'-----------'-----------^
 *
 * A worker is ending when it is to be killed, is to go by itself, or has lost its socket;
 * it is freed when its end has been told.  The invariants are process_pool.c's.
 */
#include "async/process_life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/clock.h"
#include "async/proc_payload.h"
#include "deque/alloc.h"

enum {
	INIT_TRIES = 3,
	INIT_ANSWER = 1 << 20,
};

#define RETRY_LATER WEFT_MS(100)

static struct weft__process_job *job_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct weft__process_job, link);
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

void weft__process_send_due(struct weft__process_worker *w, int64_t now)
{
	if (w->signal_at > now)
		return;
	if (weft__proc_kill(&w->proc, w->signal) == -EAGAIN) {
		w->signal_at = weft__later(now, WEFT__PROCESS_RETRY);
		return;
	}
	w->signal_at = w->signal == SIGKILL ? WEFT_NEVER : weft__later(now, w->grace);
	w->signal = SIGKILL;
}

void weft__process_end_worker(struct weft_process_pool *pool, struct weft__process_worker *w,
			      int signal, int64_t grace)
{
	int64_t now = weft__monotonic();

	set_ending(pool, w);
	w->signal = signal;
	w->signal_at = now;
	w->grace = grace;
	weft__process_send_due(w, now);
	if (grace == 0 && w->signal_at == now)
		weft__process_send_due(w, now);
}

/* A worker whose socket has ended goes by itself. */
void weft__process_let_worker_go(struct weft_process_pool *pool, struct weft__process_worker *w)
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
	weft__process_dequeue(pool, j);
	if (rc != 0) {
		weft__process_finish(pool, j, rc);
		return;
	}
	weft__list_remove(&w->idle);
	w->job = j;
	j->worker = w;
	j->state = WEFT__PROCESS_SENT;
}

void weft__process_dispatch(struct weft_process_pool *pool)
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
static void no_worker(struct weft_process_pool *pool, int rc)
{
	if (pool->count == 0)
		weft__process_finish_queued(pool, rc);
	pool->retry_at = weft__later(weft__monotonic(), RETRY_LATER);
}

/* A server that is there, and busy or dying, is asked again soon. */
static void cannot_start(struct weft_process_pool *pool, int rc, int64_t now)
{
	if (pool->server.fd >= 0 && (rc == -EAGAIN || rc == -EPIPE))
		pool->retry_at = weft__later(now, WEFT__PROCESS_RETRY);
	else
		no_worker(pool, rc);
}

void weft__process_start_workers(struct weft_process_pool *pool, int64_t now)
{
	if (pool->retry_at > now && pool->retry_at != WEFT_NEVER)
		return;
	pool->retry_at = WEFT_NEVER;
	while (needs_worker(pool)) {
		int rc = start_worker(pool);
		if (rc != 0) {
			cannot_start(pool, rc, now);
			return;
		}
		weft__process_dispatch(pool);
	}
}

/* --- answers and ends ------------------------------------------------------ */

static void init_failed(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	w->is_judged = true;
	if (++pool->failures < INIT_TRIES)
		return;
	pool->is_broken = true;
	weft__process_finish_queued(pool, WEFT_EBROKEN);
}

static void initialised(struct weft_process_pool *pool, struct weft__process_worker *w,
			struct weft__answer *answer)
{
	weft__answer_fini(answer);
	if (w->is_ending)
		return;
	if (answer->rc < 0) {
		weft__process_end_worker(pool, w, SIGKILL, 0);
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
	st->pid = p->pid ? p->pid : p->exit.pid; /* killed before it said who it is */
	if (!ended)
		return;
	st->signo = p->exit.signal;
	st->exit_code = p->exit.code;
	st->guessed = p->exit.is_guessed;
	st->broken = p->exit.broken;
	st->rusage = p->exit.usage;
	st->stderr_size = weft__tail_text(&p->tail, st->stderr_tail, sizeof st->stderr_tail);
}

/* Shared pages do not count: payloads, and code. */
static uint64_t own_memory(pid_t pid)
{
	unsigned long resident = 0, shared = 0;
	char path[32], text[96] = "";

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0 || sscanf(text, "%*u %lu %lu", &resident, &shared) != 2)
		return 0;
	return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* After a job: has it done all that it is to do? */
static bool has_served(const struct weft_process_pool *pool, struct weft__process_worker *w)
{
	if (w->left > 0 && --w->left == 0)
		return true;
	return pool->max_rss && own_memory(w->proc.pid) > pool->max_rss;
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
	weft__process_finish(pool, j, answer->rc);
	if (w->is_ending)
		return;
	if (has_served(pool, w))
		weft__process_let_worker_go(pool, w);
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
		weft__process_enqueue(pool, j, true);
		return;
	}
	fill_status(j->status, &w->proc, true);
	if (j->cancelled)
		weft__process_finish(pool, j, WEFT_ECANCELED);
	else
		weft__process_finish(pool, j, how->error ? how->error : WEFT_ECRASHED);
}

static void ended(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	int error = w->proc.exit.error;
	bool is_judged = w->is_judged;

	set_ending(pool, w);
	if (w->job)
		lost_job(pool, w);
	if (!is_judged && !error)
		init_failed(pool, w);
	weft__list_remove(&w->link);
	weft__proc_fini(&w->proc);
	weft__free(w, sizeof *w);
	pool->count--;
	if (!is_judged && error) /* the initializer was not called */
		no_worker(pool, error);
}

/* Its end will follow.  Before another worker is started it has to count. */
static void lost_socket(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	set_ending(pool, w);
	if (!w->is_judged)
		init_failed(pool, w);
}

void weft__process_look_at(struct weft_process_pool *pool, struct weft__process_worker *w)
{
	struct weft__answer answer;
	enum weft__proc_event event;

	while ((event = weft__proc_next(&w->proc, &answer)) == WEFT__PROC_ANSWER) {
		if (w->job)
			answered(pool, w, &answer);
		else
			initialised(pool, w, &answer);
		if (!weft__proc_is_over(&w->proc))
			return; /* nothing is to follow, and poll() tells if it does */
	}
	if (event == WEFT__PROC_NOTHING && w->proc.fd < 0) {
		/* The server says why it has no worker before it closes the socket. */
		weft__server_step(&pool->server);
		event = weft__proc_next(&w->proc, &answer);
	}
	if (event == WEFT__PROC_ENDED)
		ended(pool, w);
	else if (w->proc.fd < 0)
		lost_socket(pool, w);
}
