/* SPDX-License-Identifier: MIT */
/*
 * process_thread.c - the thread of a pool
 *
 * It sleeps in poll() over the server of the workers, and three descriptors of each: it
 * starts workers and lets them go, takes answers and hands the freed worker the next job,
 * drains what workers write to their standard errors, sends signals when they are due, and
 * buries.
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
 */
#include "async/process_thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/clock.h"
#include "async/process_life.h"
#include "deque/alloc.h"
#include "runtime/thread.h"

enum {
	OWN = 3, /* descriptors: the kick, the server's socket and pidfd */
	FDS = 3, /* of a worker: socket, standard error, pidfd */
};

static struct weft__process_worker *worker_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct weft__process_worker, link);
}

void weft__process_kick(struct weft_process_pool *pool)
{
	uint64_t one = 1;

	if (write(pool->wake, &one, sizeof one) < 0) {
		/* The counter is full: it is awake. */
	}
}

static void look_at_all(struct weft_process_pool *pool)
{
	if (pool->server.fd >= 0 && (pool->polled[1].revents || pool->polled[2].revents) &&
	    weft__server_step(&pool->server) != 0)
		weft__server_close(&pool->server);
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		const struct pollfd *news = &pool->polled[w->slot < 0 ? 0 : w->slot];
		bool known = w->slot >= 0;
		if (known && news[1].revents)
			weft__proc_hear(&w->proc);
		if (!known || news[0].revents || news[2].revents || weft__proc_is_over(&w->proc))
			weft__process_look_at(pool, w);
	}
}

static void tend(struct weft_process_pool *pool, int64_t now)
{
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w = worker_of(node);
		weft__process_send_due(w, now);
		bool is_idle = !weft__list_is_empty(&w->idle);
		if (is_idle && weft__later(w->idle_since, pool->idle_ns) <= now)
			weft__process_let_worker_go(pool, w);
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
	size_t room = OWN + FDS * (pool->count + 8);

	if (OWN + FDS * pool->count <= pool->polled_room)
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
	nfds_t n = OWN;

	make_room(pool);
	pool->polled[0] = (struct pollfd){ pool->wake, POLLIN, 0 };
	pool->polled[1] = (struct pollfd){ pool->server.fd, POLLIN, 0 };
	pool->polled[2] = (struct pollfd){ pool->server.pidfd, POLLIN, 0 };
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

	if (OWN + FDS * pool->count > pool->polled_room &&
	    until > weft__later(now, WEFT__PROCESS_RETRY))
		until = weft__later(now, WEFT__PROCESS_RETRY); /* some are not polled */
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

static void *thread_main(void *arg)
{
	struct weft_process_pool *pool = arg;

	pthread_setname_np(pthread_self(), pool->name);
	weft__process_lock(pool);
	for (;;) {
		int64_t now = weft__monotonic();

		tend(pool, now);
		weft__process_start_workers(pool, now);
		weft__process_dispatch(pool);
		if (pool->is_closed && pool->callers == 0) /* I6 */
			break;
		rest(pool);
		look_at_all(pool);
	}
	end_all(pool);
	weft__process_tell_closers(pool);
	return NULL;
}

int weft__process_start_thread(struct weft_process_pool *pool)
{
	if (pool->wake < 0)
		pool->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->wake < 0)
		return -errno;
	make_room(pool);
	if (!pool->polled)
		return WEFT_ENOMEM;
	pool->is_started = weft__thread_create(&pool->thread, thread_main, pool) == 0;
	return pool->is_started ? 0 : WEFT_EAGAIN;
}
