/* SPDX-License-Identifier: MIT */
/*
 * test_worker.c - what a task may rely on while it moves between workers, and that
 * tasks which yield let all others run
 */
#include "runtime/worker.h"

#include <weft/weft.h>

#include <criterion/criterion.h>

#include "runtime/registers.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(worker, .timeout = 60);

/* --- moving ------------------------------------------------------------ */

/* A task that forks; the right side, on another worker, ends only after the
 * task's own worker has run something else, so that the task waits by then, and
 * goes on where the right side ended. */
struct move {
	struct weft_runtime *rt;
	uint32_t taken, other_ran;
	int worker_before, worker_of_right, worker_after;
	int round_right, round_other, round_after;
	double third_after;
	const struct weft__fiber *before, *after;
};

static double third(void)
{
	volatile double one = 1, three = 3;

	return one / three;
}

static int move_right(void *arg)
{
	struct move *m = arg;

	m->worker_of_right = weft_worker_index();
	m->round_right = rounding_get();
	rounding_set(ROUND_DOWN);
	store_release(&m->taken, 1);
	until(&m->other_ran, 1);
	return 0;
}

static int move_left(void *arg)
{
	(void)arg;
	return 0;
}

static int move_task(void *arg)
{
	struct move *m = arg;

	m->worker_before = weft_worker_index();
	m->before = weft__worker_self()->current;
	rounding_set(ROUND_UP);
	int rc = apart(move_left, m, move_right, m);
	m->round_after = rounding_get();
	m->third_after = third();
	rounding_set(ROUND_NEAREST);
	m->worker_after = weft_worker_index();
	m->after = weft__worker_self()->current;
	return rc;
}

static int move_other(void *arg)
{
	struct move *m = arg;

	m->round_other = rounding_get();
	store_release(&m->other_ran, 1);
	return 0;
}

static void run_move(struct move *m)
{
	struct runner runner;

	*m = (struct move){ 0 };
	cr_assert(eq(int, weft_runtime_create(&m->rt, .workers = 2), 0));
	runner_start(&runner, m->rt, move_task, m);
	until(&m->taken, 1);
	cr_assert(eq(int, weft_runtime_run(m->rt, move_other, m), 0));
	cr_assert(eq(int, runner_join(&runner), 0));
	weft_runtime_destroy(m->rt);
}

Test(worker, a_task_goes_on_where_the_piece_ended_that_it_waited_for)
{
	struct move m;

	run_move(&m);
	cr_expect(ne(int, m.worker_of_right, m.worker_before));
	cr_expect(eq(int, m.worker_after, m.worker_of_right));
	cr_expect(eq(ptr, (void *)m.before, (void *)m.after), "the stack is the same");
}

Test(worker, a_task_that_moves_keeps_its_rounding_mode)
{
	struct move m;

	run_move(&m);
	cr_expect(eq(int, m.round_after, ROUND_UP));
	cr_expect(gt(dbl, m.third_after, third()), "the mode of the vector unit too");
}

Test(worker, a_rounding_mode_does_not_reach_other_tasks)
{
	struct move m;

	run_move(&m);
	cr_expect(eq(int, m.round_right, ROUND_NEAREST));
	cr_expect(eq(int, m.round_other, ROUND_NEAREST));
	cr_expect(eq(int, rounding_get(), ROUND_NEAREST));
}

/* --- yielding ---------------------------------------------------------- */

enum { CROWD = 64 };

static uint32_t begun;

/* Ends when all have begun: with one worker, only if each lets the others run. */
static int yield_until_all_began(void *arg)
{
	(void)arg;
	add_seqcst(&begun, 1);
	while (load_acquire(&begun) < CROWD)
		weft_yield();
	return 0;
}

static void run_crowd(unsigned workers)
{
	struct runner runner[CROWD];
	struct weft_runtime *rt;

	begun = 0;
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = workers), 0));
	for (int i = 0; i < CROWD; i++)
		runner_start(&runner[i], rt, yield_until_all_began, NULL);
	for (int i = 0; i < CROWD; i++)
		cr_expect(eq(int, runner_join(&runner[i]), 0));
	weft_runtime_destroy(rt);
}

Test(worker, yield_lets_all_other_tasks_run)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		run_crowd(worker_counts[i]);
}

/* Two tasks that hand the worker to each other until a third one, which came
 * later, has run. */
static uint32_t players, guest;

static int play(void *arg)
{
	(void)arg;
	add_seqcst(&players, 1);
	while (!load_acquire(&guest))
		weft_yield();
	return 0;
}

static int visit(void *arg)
{
	(void)arg;
	store_release(&guest, 1);
	return 0;
}

Test(worker, two_tasks_that_yield_to_each_other_do_not_starve_a_third)
{
	struct runner player[2];
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&player[0], rt, play, NULL);
	runner_start(&player[1], rt, play, NULL);
	until(&players, 2);
	cr_expect(eq(int, weft_runtime_run(rt, visit, NULL), 0));
	cr_expect(eq(int, runner_join(&player[0]), 0));
	cr_expect(eq(int, runner_join(&player[1]), 0));
	weft_runtime_destroy(rt);
}

/* A task that yields on a worker whose deque is never empty for long. */
struct mill {
	uint32_t ready, turned;
};

static int turn(void *arg)
{
	(void)arg;
	weft_yield();
	return 0;
}

static int grind(void *arg)
{
	struct mill *m = arg;

	store_release(&m->ready, 1);
	while (!load_acquire(&m->turned)) {
		grow_old();
		int rc = weft_both_offered(turn, m, turn, m);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int stop_mill(void *arg)
{
	store_release(&((struct mill *)arg)->turned, 1);
	return 0;
}

Test(worker, tasks_that_fork_without_end_do_not_starve_another)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct mill m = { 0 };
		struct runner runner[9];
		struct weft_runtime *rt;
		unsigned mills = worker_counts[i] + 1;

		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (unsigned j = 0; j < mills; j++)
			runner_start(&runner[j], rt, grind, &m);
		until(&m.ready, 1);
		cr_expect(eq(int, weft_runtime_run(rt, stop_mill, &m), 0));
		for (unsigned j = 0; j < mills; j++)
			cr_expect(eq(int, runner_join(&runner[j]), 0));
		weft_runtime_destroy(rt);
	}
}
