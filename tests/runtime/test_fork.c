/* SPDX-License-Identifier: MIT */
/*
 * test_fork.c - weft_both: both sides run, whoever runs them
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#include "deque/alloc.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(fork, .timeout = 60);

static int give(void *arg)
{
	return *(int *)arg;
}

static int add_one(void *arg)
{
	add_seqcst((uint32_t *)arg, 1);
	return 0;
}

/* --- both sides -------------------------------------------------------- */

static int both_add(void *arg)
{
	uint32_t *count = arg;
	return weft_both(add_one, &count[0], add_one, &count[1]);
}

static int offered_add(void *arg)
{
	uint32_t *count = arg;
	return weft_both_offered(add_one, &count[0], add_one, &count[1]);
}

static int many_forks(void *arg)
{
	uint32_t *count = arg;
	int rc = 0;

	for (int i = 0; i < 1000 && rc == 0; i++)
		rc = i % 2 ? both_add(count) : offered_add(count);
	return rc;
}

Test(fork, each_side_runs_once)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		uint32_t count[2] = { 0, 0 };
		cr_assert(eq(int, run_on(worker_counts[i], many_forks, count), 0));
		cr_expect(eq(u32, count[0], 1000));
		cr_expect(eq(u32, count[1], 1000));
	}
}

Test(fork, outside_of_a_task_both_sides_run_in_turn)
{
	uint32_t count[2] = { 0, 0 };

	cr_expect(eq(int, many_forks(count), 0));
	cr_expect(eq(u32, count[0], 1000));
	cr_expect(eq(u32, count[1], 1000));
	cr_expect(eq(int, weft_stats(-1, &(struct weft_stats){ 0 }), WEFT_ESHUTDOWN),
		  "a fork starts no runtime");
}

static uint32_t reached[2];

static int meet(void *arg)
{
	unsigned self = *(unsigned *)arg;

	store_release(&reached[self], 1);
	until(&reached[1 - self], 1);
	return 0;
}

static int meet_both(void *arg)
{
	unsigned self[2] = { 0, 1 };

	(void)arg;
	grow_old();
	return weft_both_offered(meet, &self[0], meet, &self[1]);
}

Test(fork, the_sides_run_side_by_side_when_a_worker_is_free)
{
	cr_expect(eq(int, run_on(2, meet_both, NULL), 0));
}

/* --- errors ------------------------------------------------------------ */

struct pair {
	int left, right; /* what the sides return */
	int rc;
};

static int both_pair(void *arg)
{
	struct pair *p = arg;

	p->rc = weft_both(give, &p->left, give, &p->right);
	return 0;
}

static int apart_pair(void *arg)
{
	struct pair *p = arg;

	p->rc = apart(give, &p->left, give, &p->right);
	return 0;
}

/* What weft_both must make of the two. */
static int first_error(const struct pair *p)
{
	return p->left < 0 ? p->left : p->right < 0 ? p->right : 0;
}

static void expect_first_error(int (*run)(struct pair *p))
{
	static const int codes[] = { 0, 3, WEFT_ECANCELED, -5000 };

	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		for (size_t j = 0; j < COUNT_OF(codes); j++) {
			struct pair p = { codes[i], codes[j], 1 };
			cr_assert(eq(int, run(&p), 0));
			cr_expect(eq(int, p.rc, first_error(&p)), "%d and %d", p.left, p.right);
		}
	}
}

static int outside(struct pair *p)
{
	return both_pair(p);
}

static int inside(struct pair *p)
{
	return weft_run_sync(both_pair, p);
}

static int on_two_workers(struct pair *p)
{
	return run_on(2, apart_pair, p);
}

Test(fork, the_first_error_in_order_is_returned)
{
	expect_first_error(outside);
	expect_first_error(inside);
	expect_first_error(on_two_workers);
}

struct skip {
	int rc;
	uint32_t count; /* times that the right side ran */
};

static int fail_left(void *arg)
{
	struct skip *s = arg;
	int code = WEFT_EIO;

	s->rc = weft_both_offered(give, &code, add_one, &s->count);
	return 0;
}

/* Outside of tasks, and with one worker, nobody can have begun it. */
Test(fork, a_side_not_begun_is_skipped_when_the_other_failed)
{
	struct skip s = { 0 };

	fail_left(&s);
	cr_expect(eq(int, s.rc, WEFT_EIO));
	cr_assert(eq(int, run_on(1, fail_left, &s), 0));
	cr_expect(eq(int, s.rc, WEFT_EIO));
	cr_expect(eq(u32, s.count, 0));
}

/* The only other worker is held by `holder`, so that what is offered stays. */
struct held {
	struct skip skip;
	uint32_t holds, release;
};

static int hold(void *arg)
{
	struct held *h = arg;

	store_release(&h->holds, 1);
	until(&h->release, 1);
	return 0;
}

static int fail_while_held(void *arg)
{
	struct held *h = arg;

	until(&h->holds, 1);
	grow_old();
	fail_left(&h->skip);
	store_release(&h->release, 1);
	return 0;
}

static int run_held(void *arg)
{
	return apart(fail_while_held, arg, hold, arg);
}

Test(fork, an_offered_side_that_nobody_took_is_skipped_too)
{
	struct held h = { 0 };

	cr_assert(eq(int, run_on(2, run_held, &h), 0));
	cr_expect(eq(int, h.skip.rc, WEFT_EIO));
	cr_expect(eq(u32, h.skip.count, 0));
}

struct late {
	uint32_t release, ended;
};

static int fail_early(void *arg)
{
	store_release(&((struct late *)arg)->release, 1);
	return WEFT_EIO;
}

static int end_late(void *arg)
{
	struct late *l = arg;

	until(&l->release, 1);
	for (int i = 0; i < 100; i++)
		weft_yield();
	store_release(&l->ended, 1);
	return 0;
}

static int fail_beside(void *arg)
{
	struct late *l = arg;
	int rc = apart(fail_early, l, end_late, l);

	return load_acquire(&l->ended) == 1 ? rc : 1;
}

Test(fork, a_side_under_way_is_waited_for_when_the_other_failed)
{
	struct late l = { 0 };

	cr_expect(eq(int, run_on(2, fail_beside, &l), WEFT_EIO));
}

/* --- hunger ------------------------------------------------------------ */

struct appetite {
	unsigned looks, hungry;
};

static int look_hungry(void *arg)
{
	struct appetite *a = arg;

	for (int i = 0; i < 1000; i++) {
		a->looks++;
		a->hungry += weft_hungry();
		weft_yield();
	}
	return 0;
}

Test(fork, nobody_is_hungry_outside_of_tasks_and_with_one_worker)
{
	struct appetite a = { 0 };

	look_hungry(&a);
	cr_assert(eq(int, run_on(1, look_hungry, &a), 0));
	cr_expect(eq(uint, a.looks, 2000));
	cr_expect(eq(uint, a.hungry, 0));
}

static int wait_hungry(void *arg)
{
	(void)arg;
	while (!weft_hungry())
		sched_yield();
	return 0;
}

Test(fork, a_worker_without_work_makes_the_others_hungry)
{
	cr_expect(eq(int, run_on(2, wait_hungry, NULL), 0));
}

/* --- recursion --------------------------------------------------------- */

struct fib {
	long n, out;
};

static int fib_task(void *arg);

/* The expert form of weft/fork.h. */
static long fib_offered(long n)
{
	struct fib l = { n - 1, 0 }, r = { n - 2, 0 };

	weft_both_offered(fib_task, &l, fib_task, &r);
	return l.out + r.out;
}

static long fib(long n)
{
	if (n < 2)
		return n;
	if (weft_hungry())
		return fib_offered(n);
	return fib(n - 1) + fib(n - 2);
}

static int fib_task(void *arg)
{
	struct fib *f = arg;

	f->out = fib(f->n);
	return 0;
}

Test(fork, the_expert_form_computes_the_same_on_any_number_of_workers)
{
	struct fib outside = { 24, 0 };

	fib_task(&outside);
	cr_expect(eq(long, outside.out, 46368));
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct fib f = { 24, 0 };
		cr_assert(eq(int, run_on(worker_counts[i], fib_task, &f), 0));
		cr_expect(eq(long, f.out, 46368));
	}
}

/* A chain of forks with the rest of the chain on one side and a leaf on the other;
 * `leaves` counts the leaves. */
struct chain {
	unsigned depth;
	bool on_the_right;
	uint32_t *leaves;
};

static int go_down(void *arg)
{
	struct chain *c = arg;
	struct chain rest = { c->depth - 1, c->on_the_right, c->leaves };

	if (c->depth == 0)
		return 0;
	if (weft__worker_self())
		grow_old();
	if (c->on_the_right)
		return weft_both_offered(add_one, c->leaves, go_down, &rest);
	return weft_both_offered(go_down, &rest, add_one, c->leaves);
}

/* With stacks that have room for it: a frame and three calls at each level. */
static int run_deep(unsigned workers, weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = workers, .stack_size = 64 << 20);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

Test(fork, forks_nest_5000_deep)
{
	for (size_t i = 0; i < 2 * COUNT_OF(worker_counts); i++) {
		uint32_t leaves = 0;
		struct chain c = { 5000, i % 2, &leaves };
		cr_assert(eq(int, run_deep(worker_counts[i / 2], go_down, &c), 0));
		cr_expect(eq(u32, leaves, 5000));
	}
}

/* From inside the task, so that the runtime itself has got its memory. */
static int go_down_without_memory(void *arg)
{
	weft__alloc_fail_from(1);
	int rc = go_down(arg);
	bool failed = weft__alloc_failures() > 0;
	weft__alloc_fail_at(0);
	return rc ? rc : failed ? 0 : WEFT_EINVAL;
}

/* The deque holds 256 and cannot grow: what it has no room for is not offered.
 * The other worker is held, or it would take from it. */
static int go_down_alone(void *arg)
{
	struct held *h = ((void **)arg)[0];

	until(&h->holds, 1);
	int rc = go_down_without_memory(((void **)arg)[1]);
	store_release(&h->release, 1);
	return rc;
}

static int run_without_memory(void *arg)
{
	return apart(go_down_alone, arg, hold, ((void **)arg)[0]);
}

Test(fork, forking_needs_no_memory)
{
	uint32_t leaves = 0;
	struct chain c = { 5000, false, &leaves };
	struct held h = { 0 };
	void *both[2] = { &h, &c };

	cr_expect(eq(int, run_deep(2, run_without_memory, both), 0));
	cr_expect(eq(u32, leaves, 5000));
}

/* --- waiting ----------------------------------------------------------- */

/* A fork whose right side ends only after the worker of the left one has run
 * another task meanwhile. */
struct wait {
	struct weft_runtime *rt;
	uint32_t taken, other_ran;
	const struct weft__fiber *waits, *other;
	int worker_of_left, worker_of_other;
};

static int wait_left(void *arg)
{
	struct wait *w = arg;

	w->waits = weft__worker_self()->current;
	w->worker_of_left = weft_worker_index();
	return 0;
}

static int wait_right(void *arg)
{
	struct wait *w = arg;

	store_release(&w->taken, 1);
	until(&w->other_ran, 1);
	return 0;
}

static int wait_other(void *arg)
{
	struct wait *w = arg;

	w->other = weft__worker_self()->current;
	w->worker_of_other = weft_worker_index();
	store_release(&w->other_ran, 1);
	return 0;
}

static int wait_both(void *arg)
{
	return apart(wait_left, arg, wait_right, arg);
}

Test(fork, while_a_fork_waits_its_worker_runs_other_tasks_on_another_stack)
{
	struct wait w = { 0 };
	struct runner runner;

	cr_assert(eq(int, weft_runtime_create(&w.rt, .workers = 2), 0));
	runner_start(&runner, w.rt, wait_both, &w);
	until(&w.taken, 1);
	cr_expect(eq(int, weft_runtime_run(w.rt, wait_other, &w), 0));
	cr_expect(eq(int, runner_join(&runner), 0));
	cr_expect(eq(int, w.worker_of_other, w.worker_of_left));
	cr_expect(ne(ptr, (void *)w.other, (void *)w.waits));
	weft_runtime_destroy(w.rt);
}

/* --- a lock held over a fork --------------------------------------------- */

enum { LOCKERS = 64, ITEMS = 64 };

struct locked {
	pthread_mutex_t lock;
	uint64_t sum; /* under the lock */
};

static int add_items(struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		add_seqcst((uint64_t *)arg, i);
	return 0;
}

/* A loop inside the critical section, whose pieces others may take. */
static int lock_and_loop(struct weft_range *r, void *arg)
{
	struct locked *l = arg;
	int rc = 0;

	for (size_t i = r->begin; i < r->end && rc == 0; i++) {
		uint64_t sum = 0;
		pthread_mutex_lock(&l->lock);
		grow_old();
		rc = weft_for(0, ITEMS, add_items, &sum, .grain = 1);
		l->sum += sum;
		pthread_mutex_unlock(&l->lock);
	}
	return rc;
}

static int loop_of_locks(void *arg)
{
	return weft_for(0, LOCKERS, lock_and_loop, arg);
}

/* The program of rayon #592: there, a worker that waits inside the section takes
 * another item of the outer loop, which waits for the lock that lies below it. */
Test(fork, a_lock_may_be_held_over_a_fork_while_others_want_it)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct locked l = { .lock = PTHREAD_MUTEX_INITIALIZER };
		struct weft_runtime *rt;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (int round = 0; round < 20; round++)
			cr_assert(eq(int, weft_runtime_run(rt, loop_of_locks, &l), 0));
		cr_expect(eq(u64, l.sum, (uint64_t)20 * LOCKERS * ITEMS * (ITEMS - 1) / 2));
		weft_runtime_destroy(rt);
	}
}
