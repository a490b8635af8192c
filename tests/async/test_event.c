/* SPDX-License-Identifier: MIT */
/*
 * test_event.c - what weft/sync.h promises of events, conditions and once
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <weft/weft.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(event, .timeout = 60);
TestSuite(cond, .timeout = 60);
TestSuite(once, .timeout = 60);

static struct weft_event event;
static struct weft_cond cond;
static struct weft_lock lk;
static struct weft_once once;
static int runs, fail_first; /* so many runs fail */
static bool done;
static int saw[16];

static void fresh(void)
{
	memset(&event, 0, sizeof event);
	weft_cond_init(&cond);
	weft_lock_init(&lk);
	memset(&once, 0, sizeof once);
	runs = fail_first = 0;
	done = false;
	memset(saw, 0, sizeof saw);
	forget_all();
}

struct waiter {
	char letter;
	int rc;
	bool held; /* the lock, afterwards */
	struct weft_task task;
};

/* Starts n of them, and they wait. */
static void wait_all(struct weft_group *g, weft_fn *fn, struct waiter *w, int n)
{
	weft_group_open(g);
	for (int i = 0; i < n; i++) {
		w[i] = (struct waiter){ .letter = (char)('a' + i), .rc = 1 };
		weft_spawn(g, fn, &w[i], .task = &w[i].task);
		calm();
	}
}

/* --- event -------------------------------------------------------------------- */

static int wait_event(void *arg)
{
	struct waiter *w = arg;

	w->rc = weft_event_wait(&event);
	note(w->letter);
	return 0;
}

static int set_then_cancel(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, wait_event, w, 1);
	weft_event_set(&event);
	weft_task_cancel(w->task);
	return weft_group_close(&g, 0);
}

/* SY-8. */
WorkersTest(event, SY19_who_was_woken_by_set_returns_0_though_cancelled_right_after)
{
	struct waiter w;

	cr_assert(eq(int, run_virtual(set_then_cancel, &w), 0));
	cr_expect(eq(int, w.rc, 0));
}

static int set_and_clear(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;
	struct waiter late = { .letter = 'l', .rc = 1 };

	wait_all(&g, wait_event, w, 2);
	weft_event_set(&event);
	saw[0] = weft_event_is_set(&event);
	weft_event_clear(&event);
	saw[1] = weft_event_is_set(&event);
	weft_spawn(&g, wait_event, &late);
	calm();
	saw[2] = late.rc;
	weft_event_set(&event);
	return weft_group_close(&g, 0);
}

/* SY-8. */
WorkersTest(event, SY19_set_and_clear_at_once_lets_pass_who_waits_and_no_one_later)
{
	struct waiter w[2];

	cr_assert(eq(int, run_virtual(set_and_clear, w), 0));
	cr_expect(eq(int, saw[0], 1));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, w[0].rc, 0));
	cr_expect(eq(int, w[1].rc, 0));
	cr_expect(eq(int, saw[2], 1), "the late one waits");
	cr_expect(eq(int, happened[2], 'l'), "%s", happened);
}

static int cancel_the_middle(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, wait_event, w, 3);
	weft_task_cancel(w[1].task);
	weft_event_set(&event);
	return weft_group_close(&g, 0);
}

WorkersTest(event, SY23_with_the_middle_one_cancelled_the_others_wake_once)
{
	struct waiter w[3];

	cr_assert(eq(int, run_virtual(cancel_the_middle, w), 0));
	cr_expect(eq(int, w[0].rc, 0));
	cr_expect(eq(int, w[1].rc, WEFT_ECANCELED));
	cr_expect(eq(int, w[2].rc, 0));
	cr_expect(eq(int, (int)strlen(happened), 3));
}

static int wait_cancelled(void *arg)
{
	struct weft_scope s;

	(void)arg;
	weft_event_set(&event);
	saw[0] = weft_event_wait(&event);
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	saw[1] = weft_event_wait(&event);
	return weft_scope_leave(&s, 0);
}

WorkersTest(event, CO3_under_a_cancel_even_a_set_one_is_not_seen)
{
	cr_assert(eq(int, run_virtual(wait_cancelled, NULL), 0));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, saw[1], WEFT_ECANCELED));
}

static int wait_on(void *arg)
{
	return weft_event_wait(arg);
}

WorkersTest(event, a_plain_thread_sets_it_for_a_task)
{
	struct runner r;
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = test_workers), 0));
	runner_start(&r, rt, wait_on, &event);
	weft_event_set(&event);
	cr_expect(eq(int, runner_join(&r), 0));
	weft_runtime_destroy(rt);
}

static int set_event(void *arg)
{
	weft_event_set(arg);
	return 0;
}

WorkersTest(event, a_task_sets_it_for_a_plain_thread)
{
	struct runner r;
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = test_workers), 0));
	runner_start(&r, rt, set_event, &event);
	cr_expect(eq(int, weft_event_wait(&event), 0));
	runner_join(&r);
	weft_runtime_destroy(rt);
}

/* --- condition ---------------------------------------------------------------- */

static int wait_cond(void *arg)
{
	struct waiter *w = arg;

	weft_lock_acquire(&lk);
	w->rc = weft_cond_wait(&cond, &lk);
	w->held = weft_lock_is_mine(&lk);
	note(w->letter);
	if (w->held)
		weft_lock_release(&lk);
	return 0;
}

static int cancel_while_locked(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, wait_cond, w, 1);
	weft_lock_acquire(&lk);
	weft_task_cancel(w->task);
	calm();
	saw[0] = w->rc;
	note('r');
	weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(cond, SY18_cancelled_it_returns_with_the_lock_held_however_long_that_takes)
{
	struct waiter w;

	cr_assert(eq(int, run_virtual(cancel_while_locked, &w), 0));
	cr_expect(eq(int, saw[0], 1), "not back before the lock is free");
	cr_expect(eq(int, w.rc, WEFT_ECANCELED));
	cr_expect(w.held);
	cr_expect(eq(str, happened, "ra"));
}

static int notify_cancelled(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, wait_cond, w, 3);
	weft_task_cancel(w[0].task);
	weft_cond_notify(&cond, 1);
	calm();
	saw[0] = w[2].rc;
	weft_cond_notify_all(&cond);
	return weft_group_close(&g, 0);
}

WorkersTest(cond, SY7_a_notify_passes_over_who_is_being_cancelled)
{
	struct waiter w[3];

	cr_assert(eq(int, run_virtual(notify_cancelled, w), 0));
	cr_expect(eq(int, w[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, w[1].rc, 0));
	cr_expect(eq(int, saw[0], 1));
	cr_expect(eq(int, w[2].rc, 0));
}

static int notify_some(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, wait_cond, w, 4);
	weft_cond_notify(&cond, 2);
	calm();
	note('-');
	weft_lock_acquire(&lk);
	weft_cond_notify_all(&cond);
	calm();
	note('r'); /* nobody came past the lock */
	weft_lock_release(&lk);
	return weft_group_close(&g, 0);
}

WorkersTest(cond, SY1_as_many_as_were_notified_in_the_order_of_arrival_and_under_the_lock)
{
	struct waiter w[4];

	cr_assert(eq(int, run_virtual(notify_some, w), 0));
	if (test_workers == 1)
		cr_expect(eq(str, happened, "ab-rcd"));
	/* With more workers two that were notified come to the lock in any order. */
	cr_expect(memchr(happened, 'a', 2) && memchr(happened, 'b', 2), "%s", happened);
	cr_expect(happened[2] == '-' && happened[3] == 'r', "%s", happened);
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int, w[i].rc, 0));
		cr_expect(w[i].held);
	}
}

static int wait_without(void *arg)
{
	struct weft_scope s;

	(void)arg;
	saw[0] = weft_cond_wait(&cond, &lk);
	weft_lock_acquire(&lk);
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	saw[1] = weft_cond_wait(&cond, &lk);
	saw[2] = weft_lock_is_mine(&lk);
	saw[3] = (int)weft_lock_stats(&lk).acquires;
	weft_scope_leave(&s, 0);
	return weft_lock_release(&lk);
}

WorkersTest(cond, it_needs_the_lock_and_does_not_let_go_of_it_under_a_cancel)
{
	cr_assert(eq(int, run_virtual(wait_without, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_EPERM));
	cr_expect(eq(int, saw[1], WEFT_ECANCELED));
	cr_expect(eq(int, saw[2], 1));
	cr_expect(eq(int, saw[3], 1));
}

static int take_and_end(void *arg)
{
	int rc = weft_lock_acquire(&lk);

	(void)arg;
	weft_cond_notify_all(&cond); /* with the lock: who is woken cannot be there first */
	return rc;
}

static int owner_ends(void *arg)
{
	struct weft_group g;

	wait_all(&g, wait_cond, arg, 1);
	weft_spawn(&g, take_and_end, NULL);
	return weft_group_close(&g, 0);
}

WorkersTest(cond, SY14_when_the_lock_breaks_meanwhile_it_says_so)
{
	struct waiter w;

	cr_assert(eq(int, run_virtual(owner_ends, &w), 0));
	cr_expect(eq(int, w.rc, WEFT_EBROKEN));
	cr_expect(not(w.held));
}

static void *thread_waits(void *arg)
{
	int *rc = arg;

	weft_lock_acquire(&lk);
	while (!done && *rc == 0)
		*rc = weft_cond_wait(&cond, &lk);
	*rc = weft_lock_release(&lk);
	return NULL;
}

static int notify_thread(void *arg)
{
	(void)arg;
	weft_lock_acquire(&lk);
	done = true;
	weft_cond_notify(&cond, 1);
	return weft_lock_release(&lk);
}

WorkersTest(cond, a_plain_thread_waits_for_a_task)
{
	pthread_t thread;
	int rc = 0;

	pthread_create(&thread, NULL, thread_waits, &rc);
	cr_assert(eq(int, run_on(test_workers, notify_thread, NULL), 0));
	pthread_join(thread, NULL);
	cr_expect(eq(int, rc, 0));
}

/* --- once ---------------------------------------------------------------------- */

static int slow(void *arg)
{
	(void)arg;
	runs++;
	int rc = weft_sleep(WEFT_MS(1));
	if (rc == 0 && runs <= fail_first)
		rc = WEFT_EIO;
	return rc;
}

static int do_once(void *arg)
{
	struct waiter *w = arg;

	w->rc = weft_once(&once, slow, NULL);
	note(w->letter);
	return 0;
}

static int three(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	weft_group_open(&g);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct waiter){ .letter = (char)('a' + i), .rc = 1 };
		weft_spawn(&g, do_once, &w[i], .task = &w[i].task);
		calm(); /* time stands still */
	}
	int rc = weft_group_close(&g, 0);
	saw[0] = weft_once(&once, slow, NULL);
	return rc;
}

WorkersTest(once, one_runs_it_and_the_others_wait_for_that)
{
	struct waiter w[3];

	cr_assert(eq(int, run_virtual(three, w), 0));
	cr_expect(eq(int, runs, 1));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, w[i].rc, 0));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(weft_once_is_done(&once));
}

WorkersTest(once, when_it_fails_the_next_who_waits_tries)
{
	struct waiter w[3];

	fail_first = 1;
	cr_assert(eq(int, run_virtual(three, w), 0));
	cr_expect(eq(int, runs, 2));
	cr_expect(eq(int, w[0].rc, WEFT_EIO));
	cr_expect(eq(int, w[1].rc, 0));
	cr_expect(eq(int, w[2].rc, 0));
}

WorkersTest(once, when_all_fail_whoever_comes_later_tries_again)
{
	struct waiter w[3];

	fail_first = 3;
	cr_assert(eq(int, run_virtual(three, w), 0));
	cr_expect(eq(int, w[2].rc, WEFT_EIO));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, runs, 4));
}

static int cancel_runner(void *arg)
{
	struct waiter *w = arg;
	struct weft_group g;

	wait_all(&g, do_once, w, 0);
	for (int i = 0; i < 2; i++) {
		w[i] = (struct waiter){ .letter = (char)('a' + i), .rc = 1 };
		weft_spawn(&g, do_once, &w[i], .task = &w[i].task);
		calm(); /* time stands still */
	}
	weft_task_cancel(w[0].task);
	return weft_group_close(&g, 0);
}

WorkersTest(once, when_the_runner_is_cancelled_the_next_who_waits_tries)
{
	struct waiter w[2];

	cr_assert(eq(int, run_virtual(cancel_runner, w), 0));
	cr_expect(eq(int, w[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, w[1].rc, 0));
	cr_expect(eq(int, runs, 2));
}

static int inside_itself(void *arg)
{
	saw[0] = weft_once(arg, slow, NULL);
	return 5;
}

static int recurse(void *arg)
{
	saw[1] = weft_once(arg, inside_itself, arg);
	return 0;
}

WorkersTest(once, from_inside_of_itself_it_is_a_deadlock)
{
	cr_assert(eq(int, run_virtual(recurse, &once), 0));
	cr_expect(eq(int, saw[0], WEFT_EDEADLK));
	cr_expect(eq(int, saw[1], 5));
	cr_expect(weft_once_is_done(&once));
}
