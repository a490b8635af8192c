/* SPDX-License-Identifier: MIT */
/*
 * test_default.c - the default runtime: starting, configuring, shutting down, exit
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "deque/alloc.h"
#include "runtime/topology.h"
#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

TestSuite(default, .timeout = 60);

static int give(void *arg)
{
	return *(int *)arg;
}

static int count_workers(void *arg)
{
	*(unsigned *)arg = weft_worker_count();
	return 0;
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- running ----------------------------------------------------------- */

Test(default, run_sync_returns_what_the_task_returned)
{
	int codes[] = { 0, WEFT_ECANCELED, -5000, 7 };

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		cr_expect(eq(int, weft_run_sync(give, &codes[i]), codes[i]));
}

Test(default, run_sync_refuses_no_function)
{
	cr_expect(eq(int, weft_run_sync(NULL, NULL), WEFT_EINVAL));
}

struct nest {
	const struct weft__fiber *fiber;
	unsigned depth, reached;
	bool moved;
};

static int go_in(void *arg)
{
	struct nest *n = arg;

	if (n->depth == 0)
		n->fiber = weft__worker_self()->current;
	n->moved = n->moved || weft__worker_self()->current != n->fiber;
	if (n->depth++ == 10)
		return WEFT_EAGAIN;
	return weft_run_sync(go_in, n);
}

Test(default, run_sync_inside_a_task_calls_at_once_on_that_task)
{
	struct nest n = { 0 };

	cr_expect(eq(int, weft_run_sync(go_in, &n), WEFT_EAGAIN));
	cr_expect(eq(uint, n.depth, 11));
	cr_expect(not(n.moved));
}

/* A task of a runtime of one's own: run_sync stays there. */
static int run_sync_elsewhere(void *arg)
{
	return weft_run_sync(count_workers, arg);
}

Test(default, run_sync_inside_a_task_of_another_runtime_stays_there)
{
	unsigned seen = 0;

	cr_assert(eq(int, weft_configure(.workers = 1), 0));
	cr_assert(eq(int, run_on(3, run_sync_elsewhere, &seen), 0));
	cr_expect(eq(uint, seen, 3));
}

enum { CROWD = 200 };

static uint32_t crowd;

/* Threads that all call at once, when the last of them is there. */
static void *join_crowd(void *arg)
{
	struct runner *r = arg;

	add_seqcst(&crowd, 1);
	until(&crowd, CROWD);
	return runner_main(r);
}

Test(default, run_sync_may_be_called_by_200_threads_at_once)
{
	static struct runner runner[CROWD];
	static int code[CROWD];

	for (int i = 0; i < CROWD; i++) {
		code[i] = -i;
		runner[i] = (struct runner){ .fn = give, .arg = &code[i] };
		cr_assert(eq(int, pthread_create(&runner[i].thread, NULL, join_crowd, &runner[i]),
			     0));
	}
	for (int i = 0; i < CROWD; i++)
		cr_expect(eq(int, runner_join(&runner[i]), -i));
}

static int nothing_ran(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

Test(default, run_sync_without_memory_is_enomem_and_does_not_run_it)
{
	bool ran = false;
	int code = WEFT_EAGAIN;

	weft__alloc_fail_from(1);
	cr_expect(eq(int, weft_run_sync(nothing_ran, &ran), WEFT_ENOMEM));
	weft__alloc_fail_at(0);
	cr_expect(not(ran));
	cr_expect(eq(int, weft_run_sync(give, &code), WEFT_EAGAIN), "memory is there again");
}

/* --- outside of a task ------------------------------------------------- */

Test(default, worker_count_is_what_the_default_runtime_would_start_with)
{
	unsigned seen = 0;

	cr_expect(eq(uint, weft_worker_count(), weft__topology_workers(NULL)));
	cr_assert(eq(int, weft_configure(.workers = 3), 0));
	cr_expect(eq(uint, weft_worker_count(), 3));
	cr_expect(eq(int, weft_stats(-1, &(struct weft_stats){ 0 }), WEFT_ESHUTDOWN),
		  "asking has started it");
	cr_assert(eq(int, weft_run_sync(count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 3));
}

Test(default, worker_index_and_yield_do_nothing_outside_of_a_task)
{
	int code = 0;

	weft_yield();
	cr_expect(eq(int, weft_worker_index(), -1));
	cr_assert(eq(int, weft_run_sync(give, &code), 0));
	weft_yield();
	cr_expect(eq(int, weft_worker_index(), -1));
}

/* --- configuring ------------------------------------------------------- */

Test(default, configure_refuses_and_then_changes_nothing)
{
	struct weft_config old = { .size = sizeof old - 1, .workers = 5 };

	cr_assert(eq(int, weft_configure(.workers = 3), 0));
	cr_expect(eq(int, weft_configure(.workers = 4097), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure(.workers = 5, .stack_size = 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure_opt(&old), WEFT_EINVAL));
	cr_expect(eq(int, weft_configure_opt(NULL), WEFT_EINVAL));
	cr_expect(eq(uint, weft_worker_count(), 3));
}

Test(default, configure_applies_when_the_runtime_next_starts)
{
	unsigned seen = 0;

	cr_assert(eq(int, weft_configure(.workers = 3), 0));
	cr_assert(eq(int, weft_run_sync(count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 3));

	cr_assert(eq(int, weft_configure(.workers = 2), 0));
	cr_assert(eq(int, weft_run_sync(count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 3), "it runs already");

	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_assert(eq(int, weft_run_sync(count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 2));
}

/* --- shutting down ----------------------------------------------------- */

Test(default, shutdown_of_nothing_is_fine)
{
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_shutdown(0), 0));
	cr_expect(eq(int, weft_shutdown(-1), 0));
}

Test(default, shutdown_frees_everything_and_the_next_run_starts_anew)
{
	int64_t before = weft__alloc_live();
	int code = -7;

	for (int i = 0; i < 10; i++) {
		cr_expect(eq(int, weft_run_sync(give, &code), code));
		cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
		cr_expect(eq(i64, weft__alloc_live(), before));
		cr_expect(eq(int, weft_stats(-1, &(struct weft_stats){ 0 }), WEFT_ESHUTDOWN));
	}
}

static int shut_down(void *arg)
{
	(void)arg;
	return weft_shutdown(WEFT_NEVER);
}

Test(default, shutdown_inside_a_task_is_a_deadlock)
{
	int code = WEFT_EAGAIN;

	cr_expect(eq(int, weft_run_sync(shut_down, NULL), WEFT_EDEADLK));
	cr_expect(eq(int, run_on(2, shut_down, NULL), WEFT_EDEADLK));
	cr_expect(eq(int, weft_run_sync(give, &code), code), "nothing was shut down");
}

struct slow {
	uint32_t begun, release, ended;
	int nested; /* what run_sync inside the task returned */
};

static int slow_task(void *arg)
{
	struct slow *s = arg;
	int code = WEFT_EAGAIN;

	store_release(&s->begun, 1);
	until(&s->release, 1);
	s->nested = weft_run_sync(give, &code);
	store_release(&s->ended, 1);
	return 0;
}

Test(default, shutdown_keeps_its_deadline_and_may_be_called_again)
{
	struct slow s = { 0 };
	struct runner runner;
	bool ran = false;
	int code = 0;

	runner_start(&runner, NULL, slow_task, &s);
	until(&s.begun, 1);
	int64_t deadline = now() + 5000000;
	cr_expect(eq(int, weft_shutdown(deadline), WEFT_ETIMEDOUT));
	cr_expect(ge(i64, now(), deadline));
	cr_expect(eq(int, weft_shutdown(0), WEFT_ETIMEDOUT));
	cr_expect(eq(int, weft_run_sync(nothing_ran, &ran), WEFT_ESHUTDOWN));
	cr_expect(not(ran));

	store_release(&s.release, 1);
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(u32, load_acquire(&s.ended), 1), "shutdown waits for the task");
	cr_expect(eq(int, s.nested, WEFT_EAGAIN), "a task under way may still run others");
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, weft_run_sync(give, &code), 0));
}

/* The task ends between the two: what is left is to take the workers down. */
Test(default, after_a_deadline_the_end_of_the_tasks_does_not_reopen_it)
{
	struct slow s = { 0 };
	struct runner runner;
	int code = 0;

	runner_start(&runner, NULL, slow_task, &s);
	until(&s.begun, 1);
	cr_expect(eq(int, weft_shutdown(0), WEFT_ETIMEDOUT));
	store_release(&s.release, 1);
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, weft_run_sync(give, &code), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_shutdown(0), 0), "a deadline that has passed matters to tasks only");
	cr_expect(eq(int, weft_run_sync(give, &code), 0));
}

Test(default, a_runtime_of_ones_own_outlives_a_shutdown)
{
	struct weft_runtime *rt;
	int code = WEFT_EAGAIN;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 2), 0));
	cr_assert(eq(int, weft_run_sync(give, &code), code));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_runtime_run(rt, give, &code), code));
	weft_runtime_destroy(rt);
}

static uint32_t shutting;

static void *shut_down_too(void *arg)
{
	add_seqcst(&shutting, 1);
	*(int *)arg = weft_shutdown(WEFT_NEVER);
	return NULL;
}

Test(default, any_number_of_threads_may_wait_for_a_shutdown)
{
	enum { N = 16 };
	struct slow s = { 0 };
	struct runner runner;
	pthread_t thread[N];
	int rc[N], code = 0;

	runner_start(&runner, NULL, slow_task, &s);
	until(&s.begun, 1);
	for (int i = 0; i < N; i++)
		pthread_create(&thread[i], NULL, shut_down_too, &rc[i]);
	until(&shutting, N);
	store_release(&s.release, 1);
	for (int i = 0; i < N; i++) {
		pthread_join(thread[i], NULL);
		cr_expect(eq(int, rc[i], 0));
	}
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, weft_run_sync(give, &code), 0));
}

/* --- the end of the process -------------------------------------------- */

static int exit_5(void *arg)
{
	(void)arg;
	exit(5);
}

static int exit_in_a_fork(void *arg)
{
	int code = 0;

	(void)arg;
	return apart(give, &code, exit_5, NULL);
}

static void exit_from_a_task(void)
{
	weft_run_sync(exit_5, NULL);
}

static void exit_from_a_stolen_task(void)
{
	weft_configure(.workers = 2);
	weft_run_sync(exit_in_a_fork, NULL);
}

Test(default, a_task_may_exit)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(exit_from_a_task, said), 5));
	cr_expect(eq(str, said, ""));
	cr_expect(eq(int, child_says(exit_from_a_stolen_task, said), 5));
	cr_expect(eq(str, said, ""));
}

static void run_at_exit(void)
{
	unsigned seen = 0;

	CHILD_CHECK(weft_run_sync(count_workers, &seen) == 0 && seen == 2);
	_exit(6);
}

static void exit_and_run(void)
{
	atexit(run_at_exit);
	weft_configure(.workers = 2);
}

static void run_exit_and_run(void)
{
	unsigned seen = 0;

	exit_and_run();
	weft_run_sync(count_workers, &seen);
}

static void exit_from_a_task_and_run(void)
{
	exit_and_run();
	weft_run_sync(exit_5, NULL);
}

Test(default, an_exit_handler_may_run_tasks)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(exit_and_run, said), 6), "%s", said);
	cr_expect(eq(int, child_says(run_exit_and_run, said), 6), "%s", said);
	cr_expect(eq(int, child_says(exit_from_a_task_and_run, said), 6), "%s", said);
}

static void shut_down_at_exit(void)
{
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	_exit(7);
}

static void run_and_shut_down_at_exit(void)
{
	int code = 0;

	atexit(shut_down_at_exit);
	weft_run_sync(give, &code);
}

Test(default, an_exit_handler_may_shut_down)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(run_and_shut_down_at_exit, said), 7), "%s", said);
}

/* main returns while a task of another thread still runs. */
static void leave_a_task_behind(void)
{
	static struct slow s;
	static struct runner runner;

	runner_start(&runner, NULL, slow_task, &s);
	until(&s.begun, 1);
}

Test(default, the_process_may_end_while_tasks_run)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(leave_a_task_behind, said), 0));
	cr_expect(eq(str, said, ""));
}
