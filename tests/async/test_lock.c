/* SPDX-License-Identifier: MIT */
/*
 * test_lock.c - what weft/sync.h promises of locks
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <weft/weft.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(lock, .timeout = 60);

enum { CHAIN = 5 };

static struct weft_lock lk, chain[CHAIN];
static struct weft_rlock rl;
static int inside, highest, saw[8];

static void fresh(void)
{
	weft_lock_init(&lk);
	memset(chain, 0, sizeof chain);
	weft_rlock_init(&rl);
	inside = highest = 0;
	memset(saw, 0, sizeof saw);
	forget_all();
}

/* A task that wants the lock, and what it got. */
struct user {
	char letter;
	int rounds;
	int rc;
	struct weft_task task;
};

/* Holds the lock over a yield, `rounds` times. */
static int use(void *arg)
{
	struct user *u = arg;

	for (int i = 0; i < u->rounds; i++) {
		u->rc = weft_lock_acquire(&lk);
		if (u->rc != 0)
			return 0;
		note(u->letter);
		weft_yield();
		weft_lock_release(&lk);
	}
	return 0;
}

static int take_turns(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	weft_group_open(&g);
	for (int i = 0; i < 3; i++)
		weft_spawn(&g, use, &u[i]);
	return weft_group_close(&g, 0);
}

/* With more workers who was slow to come back is passed by those who were not. */
Test(lock, SY01_turns_are_strict_from_the_first_round_on)
{
	struct user u[] = { { .letter = 'a', .rounds = 5 },
			    { .letter = 'b', .rounds = 5 },
			    { .letter = 'c', .rounds = 5 } };

	cr_assert(eq(int, run_virtual(take_turns, u), 0));
	cr_expect(eq(str, happened, "abcabcabcabcabc"));
}

static int stay_inside(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		weft_lock_acquire(&lk);
		inside++;
		weft_yield();
		highest = inside > highest ? inside : highest;
		inside--;
		weft_lock_release(&lk);
		weft_yield();
	}
	return 0;
}

static int five_inside(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	for (int i = 0; i < 5; i++)
		weft_spawn(&g, stay_inside, NULL);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY02_one_at_a_time_is_inside_even_over_yields)
{
	cr_assert(eq(int, run_virtual(five_inside, NULL), 0));
	cr_expect(eq(int, highest, 1));
	cr_expect(eq(u64, weft_lock_stats(&lk).acquires, 50));
}

/* The lock is held by the caller, and users wait, in this order. */
static void users_wait(struct weft_group *g, struct user *u, int n)
{
	weft_group_open(g);
	weft_lock_acquire(&lk);
	for (int i = 0; i < n; i++) {
		u[i].letter = (char)('a' + i);
		u[i].rounds = 1;
		u[i].rc = 1;
		weft_spawn(g, use, &u[i], .task = &u[i].task);
		calm();
	}
}

static int try_behind_a_grant(void *arg)
{
	struct weft_group g;
	struct user u;

	(void)arg;
	users_wait(&g, &u, 1);
	weft_lock_release(&lk);
	saw[0] = weft_lock_try_acquire(&lk);
	saw[1] = weft_lock_is_held(&lk);
	saw[2] = weft_lock_is_mine(&lk);
	return weft_group_close(&g, 0);
}

/* With more workers it has run perhaps. */
Test(lock, SY03_what_was_handed_to_a_waiter_that_has_not_run_yet_is_taken)
{
	cr_assert(eq(int, run_virtual(try_behind_a_grant, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_EAGAIN));
	cr_expect(eq(int, saw[1], 1));
	cr_expect(eq(int, saw[2], 0));
	cr_expect(eq(str, happened, "a"));
}

struct cancel {
	bool calm_between;
	struct user u[2];
	size_t waiters;
	bool held;
};

static int cancel_then_release(void *arg)
{
	struct cancel *c = arg;
	struct weft_group g;

	users_wait(&g, c->u, 1);
	weft_task_cancel(c->u[0].task);
	if (c->calm_between) {
		calm();
		c->waiters = weft_lock_stats(&lk).waiters;
	}
	weft_lock_release(&lk);
	calm();
	c->held = weft_lock_is_held(&lk);
	saw[0] = weft_lock_try_acquire(&lk);
	weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY04_a_cancelled_waiter_did_not_get_it)
{
	struct cancel c = { .calm_between = false };

	cr_assert(eq(int, run_virtual(cancel_then_release, &c), 0));
	cr_expect(eq(int, c.u[0].rc, WEFT_ECANCELED));
	cr_expect(not(c.held));
	cr_expect(eq(int, saw[0], 0));
}

WorkersTest(lock, SY04_SY17_a_waiter_that_was_cancelled_before_the_release_has_left_no_trace)
{
	struct cancel c = { .calm_between = true, .waiters = 9 };

	cr_assert(eq(int, run_virtual(cancel_then_release, &c), 0));
	cr_expect(eq(int, c.u[0].rc, WEFT_ECANCELED));
	cr_expect(eq(sz, c.waiters, 0));
	cr_expect(not(c.held));
}

static int release_then_cancel(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	users_wait(&g, u, 1);
	weft_lock_release(&lk);
	weft_task_cancel(u->task);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, CO4_a_hand_over_beats_the_cancel_that_comes_behind_it)
{
	struct user u;

	cr_assert(eq(int, run_virtual(release_then_cancel, &u), 0));
	cr_expect(eq(int, u.rc, 0));
	cr_expect(eq(str, happened, "a"));
	cr_expect(not(weft_lock_is_held(&lk)));
}

static int cancel_first_of_two(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	users_wait(&g, u, 2);
	weft_task_cancel(u[0].task);
	weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY05_a_cancelled_waiter_does_not_swallow_the_hand_over)
{
	struct user u[2];

	cr_assert(eq(int, run_virtual(cancel_first_of_two, u), 0));
	cr_expect(eq(int, u[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, u[1].rc, 0));
	cr_expect(eq(str, happened, "b"));
}

static int release_and_want_again(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	users_wait(&g, u, 3);
	weft_lock_release(&lk);
	weft_lock_acquire(&lk);
	note('r');
	weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY07_who_releases_and_wants_it_again_goes_to_the_back)
{
	struct user u[3];

	cr_assert(eq(int, run_virtual(release_and_want_again, u), 0));
	cr_expect(eq(str, happened, "abcr"));
}

static int acquire_cancelled(void *arg)
{
	struct weft_scope s;

	(void)arg;
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	saw[0] = weft_lock_acquire(&lk);
	saw[1] = weft_lock_is_held(&lk);
	saw[2] = weft_lock_try_acquire(&lk); /* no point: it cannot wait */
	saw[3] = weft_lock_release(&lk);
	return weft_scope_leave(&s, 0);
}

WorkersTest(lock, SY08_under_a_cancel_a_free_lock_is_not_taken)
{
	cr_assert(eq(int, run_virtual(acquire_cancelled, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_ECANCELED));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], 0));
	cr_expect(eq(int, saw[3], 0));
}

static int hold_and_be_cancelled(void *arg)
{
	struct weft_scope s;

	(void)arg;
	weft_scope_enter(&s, .timeout = WEFT_MS(5));
	weft_lock_acquire(&lk);
	saw[0] = weft_sleep_forever();
	saw[1] = weft_lock_is_mine(&lk);
	saw[2] = weft_lock_release(&lk);
	return weft_scope_leave(&s, saw[0]);
}

WorkersTest(lock, SY3_a_cancel_does_not_release_what_a_task_holds)
{
	cr_assert(eq(int, run_virtual(hold_and_be_cancelled, NULL), WEFT_ETIMEDOUT));
	cr_expect(eq(int, saw[0], WEFT_ECANCELED));
	cr_expect(eq(int, saw[1], 1));
	cr_expect(eq(int, saw[2], 0));
}

static int release_anothers(void *arg)
{
	(void)arg;
	saw[2] = weft_lock_release(&lk);
	return 0;
}

static int misuse(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	weft_lock_acquire(&lk);
	saw[0] = weft_lock_acquire(&lk);
	saw[1] = weft_lock_try_acquire(&lk);
	weft_spawn(&g, release_anothers, NULL);
	calm();
	saw[3] = weft_lock_is_mine(&lk);
	weft_lock_release(&lk);
	saw[4] = weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY13_twice_is_a_deadlock_and_anothers_is_not_to_be_released)
{
	cr_assert(eq(int, run_virtual(misuse, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_EDEADLK));
	cr_expect(eq(int, saw[1], WEFT_EDEADLK));
	cr_expect(eq(int, saw[2], WEFT_EPERM));
	cr_expect(eq(int, saw[3], 1));
	cr_expect(eq(int, saw[4], WEFT_EPERM));
}

static int take_and_end(void *arg)
{
	(void)arg;
	weft_lock_acquire(&lk);
	weft_sleep(WEFT_MS(1));
	return 0;
}

static int owner_ends(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_spawn(&g, take_and_end, NULL, .name = "culprit");
	calm();
	weft_spawn(&g, use, &u[0]);
	weft_spawn(&g, use, &u[1]);
	int rc = weft_group_close(&g, 0);
	saw[0] = weft_lock_acquire(&lk);
	saw[1] = weft_lock_try_acquire(&lk);
	saw[2] = weft_lock_release(&lk);
	weft_lock_init(&lk);
	saw[3] = weft_lock_acquire(&lk);
	weft_lock_release(&lk);
	return rc;
}

WorkersTest(lock, SY14_it_is_broken_for_all_when_its_owner_ends)
{
	struct user u[] = { { .letter = 'a', .rounds = 1, .rc = 1 },
			    { .letter = 'b', .rounds = 1, .rc = 1 } };

	cr_assert(eq(int, run_virtual(owner_ends, u), 0));
	cr_expect(eq(int, u[0].rc, WEFT_EBROKEN));
	cr_expect(eq(int, u[1].rc, WEFT_EBROKEN));
	cr_expect(eq(int, saw[0], WEFT_EBROKEN));
	cr_expect(eq(int, saw[1], WEFT_EBROKEN));
	cr_expect(eq(int, saw[2], WEFT_EPERM));
	cr_expect(eq(int, saw[3], 0));
}

static int root_ends(void *arg)
{
	return weft_lock_acquire(arg);
}

WorkersTest(lock, SY14_the_task_of_a_run_is_an_owner_that_can_end_too)
{
	cr_assert(eq(int, run_virtual(root_ends, &lk), 0));
	cr_expect(eq(int, weft_lock_acquire(&lk), WEFT_EBROKEN));
}

static int release_in_another_order(void *arg)
{
	static const int order[CHAIN] = { 2, 4, 0, 3, 1 };

	(void)arg;
	for (int i = 0; i < CHAIN; i++)
		weft_lock_acquire(&chain[i]);
	for (int i = 0; i < CHAIN - 1; i++)
		weft_lock_release(&chain[order[i]]);
	return 0;
}

WorkersTest(lock, SY14_only_what_was_not_released_is_broken)
{
	cr_assert(eq(int, run_virtual(release_in_another_order, NULL), 0));
	for (int i = 0; i < CHAIN; i++)
		cr_expect(eq(int, weft_lock_acquire(&chain[i]), i == 1 ? WEFT_EBROKEN : 0),
			  "lock %d", i);
}

static int time_out(void *arg)
{
	struct user *u = arg;
	struct weft_group g;
	struct weft_scope s;

	users_wait(&g, u, 1);
	weft_lock_release(&lk);
	weft_scope_enter(&s, .timeout = WEFT_SEC(1));
	saw[0] = weft_scope_leave(&s, weft_lock_acquire(&lk));
	return weft_group_close(&g, 0);
}

static int use_long(void *arg)
{
	(void)arg;
	weft_lock_acquire(&lk);
	weft_sleep(WEFT_SEC(2));
	weft_lock_release(&lk);
	return 0;
}

static int time_out_behind(void *arg)
{
	struct weft_group g;
	struct weft_scope s;

	(void)arg;
	weft_group_open(&g);
	weft_spawn(&g, use_long, NULL);
	calm();
	weft_scope_enter(&s, .timeout = WEFT_SEC(1));
	saw[0] = weft_scope_leave(&s, weft_lock_acquire(&lk));
	saw[1] = weft_lock_is_mine(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, a_deadline_around_it_ends_the_wait)
{
	cr_assert(eq(int, run_virtual(time_out_behind, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_ETIMEDOUT));
	cr_expect(eq(int, saw[1], 0));
}

WorkersTest(lock, within_the_deadline_it_is_had)
{
	struct user u;

	cr_assert(eq(int, run_virtual(time_out, &u), 0));
	cr_expect(eq(int, saw[0], 0));
}

static int leave_by_return(void)
{
	int rc;

	WEFT_WITH_LOCK(&lk, rc)
	return 7;
	return rc;
}

static int leave_by_goto(void)
{
	int rc;

	WEFT_WITH_LOCK(&lk, rc)
	{
		if (weft_lock_is_mine(&lk))
			goto out;
	}
	return rc;
out:
	return 8;
}

static int with_lock(void *arg)
{
	int rc;

	(void)arg;
	WEFT_WITH_LOCK(&lk, rc)
	saw[0] = weft_lock_is_mine(&lk);
	saw[1] = weft_lock_is_held(&lk);
	saw[2] = leave_by_return();
	saw[3] = leave_by_goto();
	WEFT_WITH_LOCK(&lk, rc)
	break;
	saw[4] = weft_lock_is_held(&lk);
	WEFT_WITH_LOCK(&lk, rc)
	WEFT_WITH_LOCK(&lk, saw[5])
	saw[6] = 1;
	saw[7] = (int)weft_lock_stats(&lk).acquires;
	return rc;
}

WorkersTest(lock, a_section_releases_it_however_it_is_left)
{
	cr_assert(eq(int, run_virtual(with_lock, NULL), 0));
	cr_expect(eq(int, saw[0], 1));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], 7));
	cr_expect(eq(int, saw[3], 8));
	cr_expect(eq(int, saw[4], 0));
	cr_expect(eq(int, saw[5], WEFT_EDEADLK), "the inner one did not get it");
	cr_expect(eq(int, saw[6], 0), "and did not run");
	cr_expect(eq(int, saw[7], 5));
	cr_expect(not(weft_lock_is_held(&lk)));
}

static int count_stats(void *arg)
{
	struct weft_lock_stats *stats = arg;
	struct weft_group g;
	struct user u[2];

	users_wait(&g, u, 2);
	stats[0] = weft_lock_stats(&lk);
	weft_task_cancel(u[0].task);
	weft_lock_release(&lk);
	int rc = weft_group_close(&g, 0);
	stats[1] = weft_lock_stats(&lk);
	return rc;
}

WorkersTest(lock, SY4_it_counts_who_got_it_and_who_waits)
{
	struct weft_lock_stats stats[2];

	cr_assert(eq(int, run_virtual(count_stats, stats), 0));
	cr_expect(eq(u64, stats[0].acquires, 1));
	cr_expect(eq(u64, stats[0].contended, 2));
	cr_expect(eq(sz, stats[0].waiters, 2));
	cr_expect(eq(u64, stats[1].acquires, 2));
	cr_expect(eq(sz, stats[1].waiters, 0));
}

/* --- plain threads ---------------------------------------------------------- */

WorkersTest(lock, a_plain_thread_may_own_it)
{
	cr_expect(eq(int, weft_lock_acquire(&lk), 0));
	cr_expect(eq(int, weft_lock_acquire(&lk), WEFT_EDEADLK));
	cr_expect(weft_lock_is_mine(&lk));
	cr_assert(eq(int, run_virtual(release_anothers, NULL), 0));
	cr_expect(eq(int, saw[2], WEFT_EPERM));
	cr_expect(eq(int, weft_lock_release(&lk), 0));
	cr_expect(eq(int, weft_lock_release(&lk), WEFT_EPERM));
}

static void *thread_waits(void *arg)
{
	int *rc = arg;

	rc[0] = weft_lock_acquire(&lk);
	rc[1] = weft_lock_is_mine(&lk);
	rc[2] = weft_lock_release(&lk);
	return NULL;
}

static int hold_until_a_thread_waits(void *arg)
{
	pthread_t thread;

	weft_lock_acquire(&lk);
	pthread_create(&thread, NULL, thread_waits, arg);
	while (weft_lock_stats(&lk).waiters == 0)
		sched_yield();
	weft_lock_release(&lk);
	pthread_join(thread, NULL);
	return 0;
}

WorkersTest(lock, a_plain_thread_waits_in_line_with_tasks)
{
	int rc[3] = { 1, 1, 1 };

	cr_assert(eq(int, run_on(test_workers, hold_until_a_thread_waits, rc), 0));
	cr_expect(eq(int, rc[0], 0));
	cr_expect(eq(int, rc[1], 1));
	cr_expect(eq(int, rc[2], 0));
}

static int wait_for_a_thread(void *arg)
{
	return weft_lock_acquire(arg) ? 1 : weft_lock_release(arg);
}

WorkersTest(lock, a_task_waits_for_a_plain_thread)
{
	struct runner r;
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = test_workers), 0));
	weft_lock_acquire(&lk);
	runner_start(&r, rt, wait_for_a_thread, &lk);
	while (weft_lock_stats(&lk).waiters == 0)
		sched_yield();
	cr_expect(eq(int, weft_lock_release(&lk), 0));
	cr_expect(eq(int, runner_join(&r), 0));
	weft_runtime_destroy(rt);
}

/* --- the recursive one ------------------------------------------------------ */

static int try_rlock(void *arg)
{
	int *rc = arg;

	*rc = weft_rlock_try_acquire(&rl);
	return 0;
}

static int release_rlock(void *arg)
{
	int *rc = arg;

	*rc = weft_rlock_release(&rl);
	return 0;
}

static int recurse(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	saw[0] = weft_rlock_acquire(&rl);
	saw[1] = weft_rlock_acquire(&rl);
	saw[2] = weft_rlock_try_acquire(&rl);
	weft_rlock_release(&rl);
	weft_rlock_release(&rl);
	weft_spawn(&g, try_rlock, &saw[3]);
	weft_spawn(&g, release_rlock, &saw[4]);
	calm();
	saw[5] = weft_rlock_release(&rl);
	saw[6] = weft_rlock_release(&rl);
	saw[7] = weft_rlock_try_acquire(&rl);
	weft_rlock_release(&rl);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY4_a_recursive_one_is_free_after_as_many_releases)
{
	cr_assert(eq(int, run_virtual(recurse, NULL), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, saw[i], 0), "acquire %d", i);
	cr_expect(eq(int, saw[3], WEFT_EAGAIN));
	cr_expect(eq(int, saw[4], WEFT_EPERM));
	cr_expect(eq(int, saw[5], 0));
	cr_expect(eq(int, saw[6], WEFT_EPERM));
	cr_expect(eq(int, saw[7], 0));
}

static int rlock_waits(void *arg)
{
	int *rc = arg;

	*rc = weft_rlock_acquire(&rl);
	if (*rc == 0)
		weft_rlock_release(&rl);
	return 0;
}

static int rlock_owner_ends(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_rlock_init(&rl);
	weft_group_open(&g);
	weft_spawn(&g, rlock_waits, &saw[0]);
	calm();
	weft_spawn(&g, try_rlock, &saw[1]); /* and ends */
	calm();
	weft_spawn(&g, rlock_waits, &saw[2]);
	return weft_group_close(&g, 0);
}

WorkersTest(lock, SY14_a_recursive_one_breaks_too)
{
	cr_assert(eq(int, run_virtual(rlock_owner_ends, NULL), 0));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], WEFT_EBROKEN));
}
