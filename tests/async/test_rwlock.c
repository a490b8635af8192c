/* SPDX-License-Identifier: MIT */
/*
 * test_rwlock.c - what weft/sync.h promises of readers, writers and mutexes
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <weft/weft.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(rwlock, .timeout = 60);
TestSuite(mutex, .timeout = 60);

static struct weft_rwlock rw;
static int saw[16];

struct user {
	char letter; /* a capital: writes */
	int rc;
	struct weft_task task;
};

/* Holds it for a millisecond of virtual time. */
static int use(void *arg)
{
	struct user *u = arg;
	bool writes = u->letter < 'a';

	u->rc = writes ? weft_rwlock_acquire_write(&rw) : weft_rwlock_acquire_read(&rw);
	if (u->rc != 0)
		return 0;
	note(u->letter);
	weft_sleep(WEFT_MS(1));
	note('.');
	return writes ? weft_rwlock_release_write(&rw) : weft_rwlock_release_read(&rw);
}

static void users_come(struct weft_group *g, struct user *u, const char *letters)
{
	for (int i = 0; letters[i]; i++) {
		u[i] = (struct user){ .letter = letters[i], .rc = 1 };
		weft_spawn(g, use, &u[i], .task = &u[i].task);
	}
	calm();
}

static int run_users(void *arg)
{
	struct weft_group g;
	struct user u[16];

	weft_group_open(&g);
	users_come(&g, u, arg);
	return weft_group_close(&g, 0);
}

static void expect_users(const char *come, const char *seen)
{
	char letters[16];

	strcpy(letters, come);
	cr_assert(eq(int, run_virtual(run_users, letters), 0));
	cr_expect(eq(str, happened, (char *)(uintptr_t)seen));
}

Test(rwlock, readers_share_it)
{
	expect_users("abc", "abc...");
}

Test(rwlock, a_writer_is_alone)
{
	expect_users("ABaC", "A.B.a.C.");
}

Test(rwlock, SY1_a_waiting_writer_is_not_passed_by_later_readers)
{
	expect_users("abWcdVe", "ab..W.cd..V.e.");
}

static int cancel_writer(void *arg)
{
	struct weft_group g;
	struct user u[4];

	(void)arg;
	weft_group_open(&g);
	users_come(&g, u, "aWbc");
	saw[0] = u[2].rc;
	weft_task_cancel(u[1].task);
	calm();
	saw[1] = u[1].rc;
	saw[2] = u[2].rc;
	saw[3] = u[3].rc;
	return weft_group_close(&g, 0);
}

Test(rwlock, SY2_when_a_waiting_writer_is_cancelled_readers_behind_it_go_on)
{
	cr_assert(eq(int, run_virtual(cancel_writer, NULL), 0));
	cr_expect(eq(int, saw[0], 1));
	cr_expect(eq(int, saw[1], WEFT_ECANCELED));
	cr_expect(eq(int, saw[2], 0));
	cr_expect(eq(int, saw[3], 0));
	cr_expect(eq(str, happened, "abc..."));
}

static int try_both(void *arg)
{
	int *rc = arg;

	rc[0] = weft_rwlock_try_acquire_read(&rw);
	rc[1] = weft_rwlock_try_acquire_write(&rw);
	rc[2] = weft_rwlock_release_write(&rw);
	if (rc[0] == 0)
		weft_rwlock_release_read(&rw);
	return 0;
}

static int misuse(void *arg)
{
	struct weft_group g;

	(void)arg;
	saw[0] = weft_rwlock_release_read(&rw);
	saw[1] = weft_rwlock_release_write(&rw);
	weft_rwlock_acquire_write(&rw);
	saw[2] = weft_rwlock_acquire_write(&rw);
	saw[3] = weft_rwlock_acquire_read(&rw);
	weft_group_open(&g);
	weft_spawn(&g, try_both, &saw[4]);
	calm();
	weft_rwlock_release_write(&rw);
	weft_rwlock_acquire_read(&rw);
	weft_spawn(&g, try_both, &saw[7]);
	calm();
	weft_rwlock_release_read(&rw);
	saw[10] = weft_rwlock_try_acquire_write(&rw);
	weft_rwlock_release_write(&rw);
	return weft_group_close(&g, 0);
}

Test(rwlock, SY13_what_is_not_the_callers_is_refused)
{
	static const int wanted[] = {
		WEFT_EPERM, WEFT_EPERM, WEFT_EDEADLK, WEFT_EDEADLK, WEFT_EAGAIN, WEFT_EAGAIN,
		WEFT_EPERM, 0,		WEFT_EAGAIN,  WEFT_EPERM,   0,
	};

	cr_assert(eq(int, run_virtual(misuse, NULL), 0));
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		cr_expect(eq(int, saw[i], wanted[i]), "step %zu", i);
}

static int write_and_end(void *arg)
{
	weft_rwlock_acquire_write(arg);
	weft_sleep(WEFT_MS(1));
	return 0;
}

static int writer_ends(void *arg)
{
	struct weft_group g;
	struct user u[2];

	weft_group_open(&g);
	weft_spawn(&g, write_and_end, arg);
	users_come(&g, u, "aB");
	int rc = weft_group_close(&g, 0);
	saw[0] = u[0].rc;
	saw[1] = u[1].rc;
	saw[2] = weft_rwlock_acquire_read(&rw);
	weft_rwlock_init(&rw);
	saw[3] = weft_rwlock_acquire_read(&rw);
	return rc;
}

Test(rwlock, SY14_it_is_broken_for_all_when_the_writer_ends)
{
	cr_assert(eq(int, run_virtual(writer_ends, &rw), 0));
	cr_expect(eq(int, saw[0], WEFT_EBROKEN));
	cr_expect(eq(int, saw[1], WEFT_EBROKEN));
	cr_expect(eq(int, saw[2], WEFT_EBROKEN));
	cr_expect(eq(int, saw[3], 0));
}

/* --- mutex ---------------------------------------------------------------------- */

static struct weft_mutex mutex;

static int use_mutex(void *arg)
{
	struct user *u = arg;

	u->rc = weft_mutex_acquire(&mutex);
	if (u->rc != 0)
		return 0;
	note(u->letter);
	weft_yield();
	return weft_mutex_release(&mutex);
}

static int barge(void *arg)
{
	struct user *u = arg;
	struct weft_group g;

	weft_group_open(&g);
	weft_mutex_acquire(&mutex);
	for (int i = 0; i < 3; i++) {
		u[i] = (struct user){ .letter = (char)('a' + i), .rc = 1 };
		weft_spawn(&g, use_mutex, &u[i], .task = &u[i].task);
	}
	calm();
	saw[0] = weft_mutex_try_acquire(&mutex);
	weft_mutex_release(&mutex);
	saw[1] = weft_mutex_try_acquire(&mutex);
	note('r');
	calm();
	weft_task_cancel(u[0].task); /* woken once, and waiting again */
	calm();
	saw[2] = weft_mutex_release(&mutex);
	return weft_group_close(&g, 0);
}

Test(mutex, it_may_be_taken_past_those_who_wait_and_none_of_them_is_forgotten)
{
	struct user u[3];

	cr_assert(eq(int, run_virtual(barge, u), 0));
	cr_expect(eq(int, saw[0], WEFT_EAGAIN));
	cr_expect(eq(int, saw[1], 0));
	cr_expect(eq(int, saw[2], 0));
	cr_expect(eq(int, u[0].rc, WEFT_ECANCELED));
	cr_expect(eq(str, happened, "rbc"));
	cr_expect(eq(int, weft_mutex_release(&mutex), WEFT_EPERM), "it is free");
	cr_expect(eq(int, weft_mutex_try_acquire(&mutex), 0));
}

static int acquire_cancelled(void *arg)
{
	struct weft_scope s;

	(void)arg;
	weft_scope_enter(&s);
	weft_scope_cancel(&s);
	saw[0] = weft_mutex_acquire(&mutex);
	return weft_scope_leave(&s, 0);
}

Test(mutex, SY08_under_a_cancel_a_free_one_is_not_taken)
{
	cr_assert(eq(int, run_virtual(acquire_cancelled, NULL), 0));
	cr_expect(eq(int, saw[0], WEFT_ECANCELED));
	cr_expect(eq(int, weft_mutex_try_acquire(&mutex), 0));
}

enum { EACH = 2000, TASKS = 8 };
static long counter;

static int count(void *arg)
{
	(void)arg;
	for (int i = 0; i < EACH; i++) {
		weft_mutex_acquire(&mutex);
		counter++;
		weft_mutex_release(&mutex);
	}
	return 0;
}

static void *count_in_thread(void *arg)
{
	count(arg);
	return NULL;
}

static int count_in_tasks(void *arg)
{
	struct weft_group g;

	weft_group_open(&g);
	for (int i = 0; i < TASKS; i++)
		weft_spawn(&g, count, arg);
	return weft_group_close(&g, 0);
}

Test(mutex, threads_and_tasks_take_turns)
{
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, count_in_thread, NULL);
	cr_assert(eq(int, run_on(2, count_in_tasks, NULL), 0));
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	cr_expect(eq(long, counter, (long)EACH *(TASKS + 2)));
}
