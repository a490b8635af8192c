/* SPDX-License-Identifier: MIT */
/*
 * stress_process_pool.c - workers of a pool are killed at random moments: every job is
 * answered once, by what it computes or by WEFT_ECRASHED, and nothing is left behind
 *
 * Some callers give up in the middle, so that kills of ours meet those of the pool.
 * With argument 250 there are 50,000 kills and a million jobs.
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "async/process_pool.h"
#include "support/proc.h"
#include "support/stress.h"

enum { CALLERS = 12, WORKERS = 8, ROUND_KILLS = 200, CALLS_A_KILL = 20 };

static struct weft_process_pool *pool;
static uint64_t kills, target;
static uint64_t calls, answered, crashed, timed_out;

/* Answers with its number times three, and so many more bytes. */
static int job(const void *in, size_t size, struct weft_reply *reply)
{
	uint64_t n;

	memcpy(&n, in, sizeof n);
	char *room = weft_reply_room(reply, size);
	if (!room)
		return WEFT_ENOMEM;
	memset(room, (int)(n % 251), size);
	n *= 3;
	memcpy(room, &n, sizeof n);
	return 0;
}
WEFT_REMOTE(job);

static int hang(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	while (pause() != 0)
		continue;
	return 0;
}
WEFT_REMOTE(hang);

static void expect_answer(const struct weft_buf *out, size_t size, uint64_t n)
{
	uint64_t got;

	STRESS_CHECK(out->size == size);
	memcpy(&got, out->data, sizeof got);
	STRESS_CHECK(got == 3 * n);
	STRESS_CHECK(size == sizeof n ||
		     ((const unsigned char *)out->data)[size - 1] == (unsigned char)(n % 251));
}

static void call(struct weft__rng *rng, uint64_t n)
{
	size_t size = weft__rng_below(rng, 50) ? sizeof n + weft__rng_below(rng, 64) : 100000;
	char *in = calloc(1, size);
	struct weft_buf out = { 0 };

	memcpy(in, &n, sizeof n);
	int rc = weft_to_process(job, in, size, &out, .pool = pool);
	free(in);
	add_seqcst(&calls, 1);
	add_seqcst(rc == 0 ? &answered : &crashed, 1);
	STRESS_CHECK(rc == 0 || rc == WEFT_ECRASHED);
	if (rc == 0)
		expect_answer(&out, size, n);
	weft_buf_free(&out);
}

static void give_up(struct weft__rng *rng)
{
	int64_t timeout = WEFT_US(1 + (int64_t)weft__rng_below(rng, 3000));
	int rc = weft_to_process(hang, NULL, 0, NULL, .pool = pool, .timeout = timeout);

	add_seqcst(&calls, 1);
	add_seqcst(rc == WEFT_ETIMEDOUT ? &timed_out : &crashed, 1);
	STRESS_CHECK(rc == WEFT_ETIMEDOUT || rc == WEFT_ECRASHED);
}

static int caller(void *arg)
{
	struct weft__rng rng;
	uint64_t number = (uint64_t)(uintptr_t)arg;

	weft__rng_init(&rng, stress_seed + number);
	for (uint64_t n = number; load_acquire(&kills) < target; n += CALLERS) {
		if (weft__rng_below(&rng, 1000) == 0)
			give_up(&rng);
		else
			call(&rng, n);
	}
	return 0;
}

static int run(void *arg)
{
	struct weft_group g;

	(void)arg;
	STRESS_CHECK(weft_group_open(&g) == 0);
	for (uintptr_t i = 0; i < CALLERS; i++)
		STRESS_CHECK(weft_spawn(&g, caller, (void *)(i + 1)) == 0);
	STRESS_CHECK(weft_group_close(&g, 0) == 0);
	return weft_process_pool_close(pool, 0);
}

/* Under the lock: a worker that the pool knows is not reaped, or not known to be. */
static void kill_one(struct weft__rng *rng)
{
	weft__process_lock(pool);
	size_t which = pool->count ? weft__rng_below(rng, pool->count) : 0;
	weft__list_for_each (node, &pool->workers) {
		struct weft__process_worker *w =
			WEFT__CONTAINER(node, struct weft__process_worker, link);
		if (which-- > 0)
			continue;
		if (w->proc.state == WEFT__PROC_ALIVE &&
		    weft__pidfd_signal(w->proc.pidfd, SIGKILL) == 0)
			add_seqcst(&kills, 1);
		break;
	}
	weft__process_unlock(pool);
}

static void *killer(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed ^ 0x5eed);
	while (load_acquire(&kills) < target) {
		if (load_relaxed(&calls) >= CALLS_A_KILL * load_relaxed(&kills))
			kill_one(&rng);
		usleep((useconds_t)weft__rng_below(&rng, 500));
	}
	return arg;
}

/* Orphans would be ours, who are a subreaper. */
static void expect_no_children(void)
{
	int64_t end = proc_now_ms() + 5000;

	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (errno == ECHILD)
			return;
		STRESS_CHECK(proc_now_ms() < end);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;
	pthread_t thread;
	int fds = proc_fd_count();

	stress_begin(argc, argv);
	STRESS_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	target = (uint64_t)stress_scale * ROUND_KILLS;
	unsigned workers = stress_threads < WORKERS ? stress_threads : WORKERS;
	STRESS_CHECK(weft_process_pool_create(&pool, .workers = workers, .max_tasks = 500) == 0);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = 2) == 0);
	STRESS_CHECK(pthread_create(&thread, NULL, killer, NULL) == 0);
	STRESS_CHECK(weft_runtime_run(rt, run, NULL) == 0);
	pthread_join(thread, NULL);
	weft_runtime_destroy(rt);
	STRESS_CHECK(calls == answered + crashed + timed_out);
	STRESS_CHECK(proc_fd_count() == fds);
	expect_no_children();
	printf("%" PRIu64 " calls: %" PRIu64 " answered, %" PRIu64 " crashed, %" PRIu64
	       " timed out; %" PRIu64 " kills\n",
	       calls, answered, crashed, timed_out, kills);
	return 0;
}
