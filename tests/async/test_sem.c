/* SPDX-License-Identifier: MIT */
/*
 * test_sem.c - what weft/sync.h promises of semaphores and capacity limiters
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <weft/weft.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(sem, .timeout = 60);
TestSuite(limiter, .timeout = 60);

static struct weft_sem sem;
static struct weft_limiter lim;
static int saw[16];

static void fresh(void)
{
	memset(&sem, 0, sizeof sem);
	weft_limiter_fini(&lim);
	memset(&lim, 0, sizeof lim);
	memset(saw, 0, sizeof saw);
	forget_all();
}

/* Wants so many, and keeps them. */
struct taker {
	size_t n;
	char letter;
	int rc;
	struct weft_task task;
};

static int take(void *arg)
{
	struct taker *t = arg;

	t->rc = weft_sem_acquire_n(&sem, t->n);
	if (t->rc == 0)
		note(t->letter);
	return 0;
}

/* They wait, in this order. */
static void takers_wait(struct weft_group *g, struct taker *t, int n)
{
	weft_group_open(g);
	for (int i = 0; i < n; i++) {
		t[i].n = t[i].n ? t[i].n : 1;
		t[i].letter = (char)('a' + i);
		t[i].rc = 1;
		weft_spawn(g, take, &t[i], .task = &t[i].task);
		calm();
	}
}

static int end(struct weft_group *g)
{
	weft_group_cancel(g);
	return weft_group_close(g, 0);
}

Test(sem, SY5_no_more_than_max_to_begin_with)
{
	cr_expect(eq(int, weft_sem_init(&sem, 3, 2), WEFT_EINVAL));
	cr_expect(eq(int, weft_sem_init(&sem, 2, 2), 0));
	cr_expect(eq(sz, weft_sem_value(&sem), 2));
	cr_expect(eq(int, weft_sem_init(&sem, 7, 0), 0));
	cr_expect(eq(sz, weft_sem_value(&sem), 7));
}

Test(sem, zeros_are_one_without_permits)
{
	static struct weft_sem fresh;

	cr_expect(eq(int, weft_sem_try_acquire(&fresh), WEFT_EAGAIN));
	cr_expect(eq(int, weft_sem_release_n(&fresh, 2), 0));
	cr_expect(eq(int, weft_sem_acquire(&fresh), 0));
	cr_expect(eq(int, weft_sem_try_acquire_n(&fresh, 2), WEFT_EAGAIN));
	cr_expect(eq(int, weft_sem_try_acquire(&fresh), 0));
	cr_expect(eq(sz, weft_sem_value(&fresh), 0));
}

static int cancel_two_of_four(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	takers_wait(&g, t, 4);
	weft_task_cancel(t[0].task);
	weft_task_cancel(t[1].task);
	weft_sem_release(&sem);
	calm();
	saw[0] = t[2].rc;
	saw[1] = t[3].rc;
	return end(&g);
}

WorkersTest(sem, SY06_one_release_reaches_the_first_who_is_not_cancelled)
{
	struct taker t[4] = { 0 };

	cr_assert(eq(int, run_virtual(cancel_two_of_four, t), 0));
	cr_expect(eq(int, t[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, t[1].rc, WEFT_ECANCELED));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, saw[1], 1), "the last one still waits");
	cr_expect(eq(sz, weft_sem_value(&sem), 0));
}

static int release_and_want_again(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	takers_wait(&g, t, 3);
	weft_sem_release(&sem);
	saw[0] = weft_sem_try_acquire(&sem);
	weft_spawn(&g, take, &t[3]);
	calm();
	weft_sem_release_n(&sem, 3);
	return weft_group_close(&g, 0);
}

/* With more workers those that got one together run in any order. */
Test(sem, SY07_SY03_permits_go_out_in_the_order_of_arrival)
{
	struct taker t[4] = { [3] = { .n = 1, .letter = 'd' } };

	cr_assert(eq(int, run_virtual(release_and_want_again, t), 0));
	cr_expect(eq(int, saw[0], WEFT_EAGAIN));
	cr_expect(eq(str, happened, "abcd"));
}

static int acquire_cancelled(void *arg)
{
	struct weft_scope s;

	(void)arg;
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	saw[0] = weft_sem_acquire(&sem);
	saw[1] = weft_sem_release(&sem);
	return weft_scope_leave(&s, 0);
}

WorkersTest(sem, SY08_under_a_cancel_a_free_permit_is_not_taken)
{
	weft_sem_init(&sem, 1, 2);
	cr_assert(eq(int, run_virtual(acquire_cancelled, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_ECANCELED));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(sz, weft_sem_value(&sem), 2));
}

static int many_behind_few(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	takers_wait(&g, t, 4);
	for (int i = 0; i < 6; i++) {
		note('0');
		weft_sem_release(&sem);
		calm();
	}
	return weft_group_close(&g, 0);
}

WorkersTest(sem, SY09_who_wants_many_is_not_starved_by_those_who_want_few)
{
	struct taker t[] = { { .n = 1 }, { .n = 3 }, { .n = 1 }, { .n = 1 } };

	cr_assert(eq(int, run_virtual(many_behind_few, t), 0));
	cr_expect(eq(str, happened, "0a000b0c0d"));
}

static int too_many(void *arg)
{
	struct weft_group g;
	struct taker t[2] = { { .n = 2 }, { .n = 3 } };

	(void)arg;
	takers_wait(&g, t, 2);
	saw[0] = t[1].rc;
	saw[1] = weft_sem_try_acquire_n(&sem, 3);
	saw[2] = weft_sem_acquire_n(&sem, 0);
	weft_sem_release(&sem);
	weft_sem_release(&sem);
	calm();
	saw[3] = t[0].rc;
	return end(&g);
}

WorkersTest(sem, SY09_more_than_max_is_refused_at_once_and_in_nobodys_way)
{
	weft_sem_init(&sem, 0, 2);
	cr_assert(eq(int, run_virtual(too_many, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_EINVAL));
	cr_expect(eq(int, saw[1], WEFT_EINVAL));
	cr_expect(eq(int, saw[2], WEFT_EINVAL));
	cr_expect(eq(int, saw[3], 0));
}

Test(sem, SY10_a_release_over_max_changes_nothing)
{
	weft_sem_init(&sem, 2, 2);
	cr_expect(eq(int, weft_sem_release(&sem), WEFT_EINVAL));
	cr_expect(eq(sz, weft_sem_value(&sem), 2));
	cr_expect(eq(int, weft_sem_acquire(&sem), 0));
	cr_expect(eq(int, weft_sem_release_n(&sem, 2), WEFT_EINVAL));
	cr_expect(eq(int, weft_sem_release_n(&sem, SIZE_MAX), WEFT_EINVAL));
	cr_expect(eq(sz, weft_sem_value(&sem), 1));
}

static int cancel_one(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	takers_wait(&g, t, 1);
	weft_task_cancel(t->task);
	calm();
	saw[0] = (int)weft_sem_value(&sem);
	saw[1] = (int)weft_sem_waiters(&sem);
	weft_sem_release(&sem);
	saw[2] = (int)weft_sem_value(&sem);
	return weft_group_close(&g, 0);
}

WorkersTest(sem, SY11_SY17_a_cancelled_acquire_leaves_the_count_alone)
{
	struct taker t = { 0 };

	cr_assert(eq(int, run_virtual(cancel_one, &t), 0));
	cr_expect(eq(int, t.rc, WEFT_ECANCELED));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], 1));
}

static int cancel_second(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	takers_wait(&g, t, 2);
	weft_task_cancel(t[1].task);
	calm();
	saw[0] = t[0].rc;
	saw[1] = t[1].rc;
	saw[2] = (int)weft_sem_waiters(&sem);
	return end(&g);
}

WorkersTest(sem, SY12_the_cancel_of_the_second_does_not_wake_the_first)
{
	struct taker t[2] = { 0 };

	cr_assert(eq(int, run_virtual(cancel_second, t), 0));
	cr_expect(eq(int, saw[0], 1), "still waits");
	cr_expect(eq(int, saw[1], WEFT_ECANCELED));
	cr_expect(eq(int, saw[2], 1));
}

static int cancel_head(void *arg)
{
	struct taker *t = arg;
	struct weft_group g;

	weft_sem_release_n(&sem, 2);
	takers_wait(&g, t, 3);
	saw[0] = t[1].rc;
	weft_task_cancel(t[0].task);
	calm();
	saw[1] = t[1].rc;
	saw[2] = t[2].rc;
	return end(&g);
}

WorkersTest(sem, SY2_when_a_large_request_goes_away_small_ones_behind_it_go_on)
{
	struct taker t[] = { { .n = 3 }, { .n = 1 }, { .n = 1 } };

	cr_assert(eq(int, run_virtual(cancel_head, t), 0));
	cr_expect(eq(int, saw[0], 1));
	cr_expect(eq(int, t[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], 0));
}

static void *thread_takes(void *arg)
{
	struct taker *t = arg;

	t->rc = weft_sem_acquire(&sem);
	return NULL;
}

static int release_for_a_thread(void *arg)
{
	(void)arg;
	while (weft_sem_waiters(&sem) == 0)
		sched_yield();
	return weft_sem_release(&sem);
}

WorkersTest(sem, a_plain_thread_waits_for_a_task)
{
	struct taker t = { .rc = 1 };
	pthread_t thread;

	pthread_create(&thread, NULL, thread_takes, &t);
	cr_assert(eq(int, run_on(test_workers, release_for_a_thread, NULL), 0));
	pthread_join(thread, NULL);
	cr_expect(eq(int, t.rc, 0));
	cr_expect(eq(sz, weft_sem_value(&sem), 0));
}

/* --- capacity limiter -------------------------------------------------------- */

static int borrow(void *arg)
{
	int *rc = arg;

	*rc = weft_limiter_acquire(&lim);
	return 0;
}

static int borrow_and_return(void *arg)
{
	int *rc = arg;

	*rc = weft_limiter_acquire(&lim);
	if (*rc == 0)
		weft_limiter_release(&lim);
	return 0;
}

static int misuse(void *arg)
{
	static const char key[2];
	struct weft_group g;

	(void)arg;
	weft_limiter_init(&lim, 2);
	weft_group_open(&g);
	saw[0] = weft_limiter_release(&lim);
	saw[1] = weft_limiter_acquire(&lim);
	saw[2] = weft_limiter_acquire(&lim);
	saw[3] = weft_limiter_try_acquire(&lim);
	saw[4] = weft_limiter_acquire_for(&lim, &key[0]);
	saw[5] = weft_limiter_acquire_for(&lim, &key[0]);
	saw[6] = weft_limiter_release_for(&lim, &key[1]);
	saw[7] = weft_limiter_try_acquire_for(&lim, &key[1]);
	saw[8] = weft_limiter_release_for(&lim, &key[0]);
	saw[9] = weft_limiter_try_acquire_for(&lim, &key[1]);
	saw[10] = weft_limiter_release(&lim);
	saw[11] = weft_limiter_acquire_for(&lim, NULL);
	weft_spawn(&g, borrow_and_return, &saw[12]);
	return weft_group_close(&g, 0);
}

WorkersTest(limiter, SY15_one_token_for_each_borrower_be_it_a_task_or_a_key)
{
	static const int wanted[] = { WEFT_EPERM,
				      0,
				      WEFT_EDEADLK,
				      WEFT_EDEADLK,
				      0,
				      WEFT_EDEADLK,
				      WEFT_EPERM,
				      WEFT_EAGAIN,
				      0,
				      0,
				      0,
				      WEFT_EINVAL,
				      0 };

	cr_assert(eq(int, run_virtual(misuse, NULL), 0));
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		cr_expect(eq(int, saw[i], wanted[i]), "step %zu", i);
	cr_expect(eq(sz, weft_limiter_stats(&lim).borrowed, 1));
}

static int raise_from_zero(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	for (int i = 0; i < 3; i++) {
		saw[i] = 1;
		weft_spawn(&g, borrow, &saw[i]);
		calm();
	}
	saw[3] = (int)weft_limiter_stats(&lim).waiters;
	weft_limiter_set_total(&lim, 2);
	saw[4] = (int)weft_limiter_stats(&lim).borrowed;
	calm();
	saw[5] = saw[2];
	weft_limiter_set_total(&lim, 3);
	return weft_group_close(&g, 0);
}

WorkersTest(limiter, SY16_with_no_tokens_all_wait_until_there_are_some)
{
	cr_assert(eq(int, run_virtual(raise_from_zero, NULL), 0));
	cr_expect(eq(int, saw[3], 3));
	cr_expect(eq(int, saw[4], 2));
	cr_expect(eq(int, saw[5], 1), "the third still waits");
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, saw[i], 0));
}

static int lower(void *arg)
{
	static const char key[3];
	struct weft_group g;

	(void)arg;
	weft_limiter_init(&lim, 3);
	for (int i = 0; i < 3; i++)
		weft_limiter_acquire_for(&lim, &key[i]);
	weft_limiter_set_total(&lim, 1);
	weft_group_open(&g);
	saw[0] = 1;
	weft_spawn(&g, borrow_and_return, &saw[0]);
	calm();
	weft_limiter_release_for(&lim, &key[0]);
	weft_limiter_release_for(&lim, &key[1]);
	calm();
	saw[1] = saw[0];
	weft_limiter_release_for(&lim, &key[2]);
	return weft_group_close(&g, 0);
}

WorkersTest(limiter, SY6_a_total_below_what_is_lent_holds_until_enough_came_back)
{
	cr_assert(eq(int, run_virtual(lower, NULL), 0));
	cr_expect(eq(int, saw[1], 1), "one token is out, and one is all there may be");
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(sz, weft_limiter_stats(&lim).borrowed, 0));
}

static int borrow_for(void *arg)
{
	return weft_limiter_acquire_for(&lim, arg);
}

static int cancel_borrower(void *arg)
{
	static const char key[1];
	struct weft_group g;
	struct weft_task task;

	(void)arg;
	weft_group_open(&g, .supervisor = true);
	weft_spawn(&g, borrow_for, (void *)(uintptr_t)key, .task = &task);
	calm();
	saw[0] = weft_limiter_try_acquire_for(&lim, key);
	saw[1] = weft_limiter_release_for(&lim, key);
	weft_task_cancel(task);
	calm();
	weft_task_result(task, &saw[2]);
	weft_limiter_set_total(&lim, 1);
	saw[3] = weft_limiter_try_acquire_for(&lim, key);
	return weft_group_close(&g, 0);
}

WorkersTest(limiter, SY17_a_cancelled_borrower_is_forgotten)
{
	cr_assert(eq(int, run_virtual(cancel_borrower, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_EDEADLK), "it waits for one already");
	cr_expect(eq(int, saw[1], WEFT_EPERM), "but has none");
	cr_expect(eq(int, saw[2], WEFT_ECANCELED));
	cr_expect(eq(int, saw[3], 0));
}

enum { KEYS = 300, STEPS = 20000 };

/* Any number of borrowers, against an array of flags. */
Test(limiter, it_knows_each_of_many_borrowers)
{
	static const char key[KEYS * 16];
	static bool lent[KEYS];
	size_t borrowed = 0;
	uint32_t random = 1;

	weft_limiter_init(&lim, KEYS / 2);
	for (int i = 0; i < STEPS; i++) {
		random = random * 1664525 + 1013904223;
		unsigned k = random >> 8 & 511;
		if (k >= KEYS)
			continue;
		int rc, wanted;
		if (random >> 31) {
			wanted = lent[k] ? WEFT_EDEADLK : borrowed == KEYS / 2 ? WEFT_EAGAIN : 0;
			rc = weft_limiter_try_acquire_for(&lim, &key[k * 16]);
			borrowed += rc == 0;
			lent[k] = lent[k] || rc == 0;
		} else {
			wanted = lent[k] ? 0 : WEFT_EPERM;
			rc = weft_limiter_release_for(&lim, &key[k * 16]);
			borrowed -= rc == 0;
			lent[k] = false;
		}
		cr_assert(eq(int, rc, wanted), "step %d, key %u", i, k);
		cr_assert(eq(sz, weft_limiter_stats(&lim).borrowed, borrowed));
	}
	weft_limiter_fini(&lim);
}

static int borrow_and_end(void *arg)
{
	*(const void **)arg = weft__strand_self();
	return weft_limiter_acquire(&lim);
}

static int borrow_in_its_place(void *arg)
{
	saw[2] = weft__strand_self() == *(const void **)arg;
	saw[3] = weft_limiter_release(&lim);
	saw[4] = weft_limiter_acquire(&lim);
	saw[5] = weft_limiter_acquire(&lim);
	return weft_limiter_release(&lim);
}

static int borrow_one_after_the_other(void *arg)
{
	const void *first = NULL;
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	weft_spawn(&g, borrow_and_end, &first);
	saw[0] = weft_group_close(&g, 0);
	weft_group_open(&g);
	weft_spawn(&g, borrow_in_its_place, &first);
	saw[1] = weft_group_close(&g, 0);
	return 0;
}

Test(limiter, SY6_a_task_is_not_taken_for_one_that_had_its_record)
{
	weft_limiter_init(&lim, 2);
	cr_assert(eq(int, run_virtual(borrow_one_after_the_other, NULL), 0));
	cr_expect(eq(int, saw[0], 0));
	cr_assert(eq(int, saw[2], 1), "another record");
	cr_expect(eq(int, saw[3], WEFT_EPERM));
	cr_expect(eq(int, saw[4], 0));
	cr_expect(eq(int, saw[5], WEFT_EDEADLK));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(sz, weft_limiter_stats(&lim).borrowed, 1));
	weft_limiter_fini(&lim);
}

Test(limiter, a_plain_thread_is_a_borrower_too)
{
	weft_limiter_init(&lim, 1);
	cr_expect(eq(int, weft_limiter_acquire(&lim), 0));
	cr_expect(eq(int, weft_limiter_acquire(&lim), WEFT_EDEADLK));
	cr_expect(eq(int, weft_limiter_release(&lim), 0));
	cr_expect(eq(int, weft_limiter_release(&lim), WEFT_EPERM));
}
