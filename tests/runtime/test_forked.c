/* SPDX-License-Identifier: MIT */
/*
 * test_forked.c - the child of a fork() has no workers, and every call says so
 *
 * Each test forks with the parent's workers alive.  A child that hangs is ended by
 * an alarm.
 */
#include <weft/weft.h>

#include <criterion/criterion.h>

#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

TestSuite(forked, .timeout = 90);

static struct weft_runtime *rt;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int note_ran(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* --- every entry ------------------------------------------------------- */

static void try_every_entry(void)
{
	struct weft_runtime *other = NULL;
	struct weft_stats stats;
	bool ran = false;

	CHILD_CHECK(weft_run_sync(note_ran, &ran) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_configure(.workers = 2) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_runtime_create(&other, .workers = 2) == WEFT_ESHUTDOWN && !other);
	CHILD_CHECK(weft_runtime_run(rt, note_ran, &ran) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_stats(-1, &stats) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_stats_print(stderr) == WEFT_ESHUTDOWN);
	CHILD_CHECK(!ran);

	CHILD_CHECK(weft_worker_count() == 1);
	CHILD_CHECK(weft_worker_index() == -1);
	CHILD_CHECK(!weft_hungry());
	weft_yield();
	weft_runtime_destroy(rt);
}

Test(forked, every_entry_refuses_in_the_child)
{
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 2), 0));
	cr_assert(eq(int, weft_run_sync(nothing, NULL), 0));
	cr_expect(eq(int, child_check(try_every_entry), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0), "the parent goes on");
	cr_expect(eq(int, weft_runtime_run(rt, nothing, NULL), 0));
	weft_runtime_destroy(rt);
}

static void try_in_grandchild(void)
{
	CHILD_CHECK(child_check(try_every_entry) == 0);
}

Test(forked, every_entry_refuses_in_the_childs_child)
{
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 2), 0));
	cr_expect(eq(int, child_check(try_in_grandchild), 0));
	weft_runtime_destroy(rt);
}

static void run_in_child(void)
{
	bool ran = false;

	CHILD_CHECK(weft_run_sync(note_ran, &ran) == 0 && ran);
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == 0);
}

Test(forked, a_child_forked_before_the_first_start_has_a_runtime_of_its_own)
{
	cr_expect(eq(int, child_check(run_in_child), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

/* --- a fork() beside running workers ------------------------------------ */

struct busy {
	uint32_t stop;
	uint64_t rounds;
};

/* Keeps the parent's locks and queues in use. */
static void *keep_busy(void *arg)
{
	struct busy *b = arg;

	while (!load_acquire(&b->stop)) {
		weft_run_sync(nothing, NULL);
		weft_worker_count();
		weft_shutdown(WEFT_NEVER);
		b->rounds++;
	}
	return NULL;
}

static void try_default_entries(void)
{
	CHILD_CHECK(weft_run_sync(nothing, NULL) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_worker_count() == 1);
	CHILD_CHECK(weft_stats(-1, &(struct weft_stats){ 0 }) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_configure(.workers = 2) == WEFT_ESHUTDOWN);
}

Test(forked, a_fork_in_the_middle_of_anything_leaves_no_lock_behind)
{
	struct busy busy = { 0 };
	pthread_t thread;

	cr_assert(eq(int, weft_run_sync(nothing, NULL), 0));
	pthread_create(&thread, NULL, keep_busy, &busy);
	for (int i = 0; i < 200; i++)
		cr_assert(eq(int, child_check(try_default_entries), 0), "fork %d", i);
	store_release(&busy.stop, 1);
	pthread_join(thread, NULL);
}

/* --- a fork() inside a task -------------------------------------------- */

enum { ITEMS = 1000 };

static int mark(struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		((int *)arg)[i]++;
	return 0;
}

static int mark_one(void *arg)
{
	++*(int *)arg;
	return 0;
}

static void count_init(void *acc, void *arg)
{
	(void)arg;
	*(size_t *)acc = 0;
}

static int count_fold(void *acc, struct weft_range *r, void *arg)
{
	(void)arg;
	*(size_t *)acc += r->end - r->begin;
	return 0;
}

static void count_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(size_t *)acc += *(const size_t *)right;
}

static int count_emit(void *acc, struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		((size_t *)arg)[i] = (*(size_t *)acc)++;
	return 0;
}

static const struct weft_reducer counter = { sizeof(size_t), count_init, count_fold, count_join };

static void fork_work_serially(void)
{
	static int seen[ITEMS], one[3];
	static size_t rank[ITEMS];
	struct weft_call calls[3] = { { mark_one, &one[0] },
				      { mark_one, &one[1] },
				      { mark_one, &one[2] } };
	size_t sum = 0;

	CHILD_CHECK(weft_for(0, ITEMS, mark, seen) == 0);
	CHILD_CHECK(weft_both(mark_one, &seen[0], mark_one, &seen[ITEMS - 1]) == 0);
	CHILD_CHECK(weft_both_offered(mark_one, &seen[0], mark_one, &seen[ITEMS - 1]) == 0);
	CHILD_CHECK(seen[0] == 3 && seen[ITEMS - 1] == 3);
	for (int i = 1; i < ITEMS - 1; i++)
		CHILD_CHECK(seen[i] == 1);
	CHILD_CHECK(weft_all(calls, 3) == 0 && one[0] == 1 && one[1] == 1 && one[2] == 1);
	CHILD_CHECK(weft_reduce(0, ITEMS, &counter, &sum, NULL) == 0 && sum == ITEMS);
	CHILD_CHECK(weft_scan(0, ITEMS, &counter, count_emit, &sum, rank) == 0 && sum == ITEMS);
	for (size_t i = 0; i < ITEMS; i++)
		CHILD_CHECK(rank[i] == i);
}

static void try_inside_a_task(void)
{
	try_every_entry();
	fork_work_serially();
}

static int fork_inside(void *arg)
{
	*(int *)arg = child_check(try_inside_a_task);
	return 0;
}

Test(forked, a_child_forked_inside_a_task_forks_work_serially)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		int code = -1;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		cr_expect(eq(int, weft_runtime_run(rt, fork_inside, &code), 0));
		cr_expect(eq(int, code, 0));
		weft_runtime_destroy(rt);
	}
}

/* The left side forks, and its child comes back to a fork whose right side is
 * with another worker, which the child does not have. */
struct split {
	int code; /* of the child */
	pid_t parent;
	uint32_t release;
};

static int split_left(void *arg)
{
	struct split *s = arg;
	pid_t pid = fork();

	if (pid != 0) {
		s->code = child_code(pid);
		store_release(&s->release, 1);
	} else {
		alarm(CHILD_SECONDS);
	}
	return 0;
}

static int split_right(void *arg)
{
	until(&((struct split *)arg)->release, 1);
	return 0;
}

static int split_and_fork(void *arg)
{
	struct split *s = arg;
	int rc = apart(split_left, s, split_right, s);

	if (getpid() != s->parent)
		_exit(rc == WEFT_ESHUTDOWN ? 0 : 1);
	return rc;
}

Test(forked, a_piece_left_behind_in_the_parent_is_eshutdown)
{
	struct split s = { .code = -1, .parent = getpid() };

	cr_expect(eq(int, run_on(2, split_and_fork, &s), 0));
	cr_expect(eq(int, s.code, 0));
}
