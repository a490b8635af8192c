/* SPDX-License-Identifier: MIT */
/*
 * test_barrier.c - what weft/sync.h promises of barriers
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <weft/weft.h>

#include "support/assert.h"
#include "support/calm.h"
#include "support/tasks.h"

TestSuite(barrier, .timeout = 60);

static struct weft_barrier bar;
static int saw[8];

static void fresh(void)
{
	memset(saw, 0, sizeof saw);
	forget_all();
}

struct party {
	char letter;
	int rc;
	unsigned index;
	struct weft_task task;
};

static int arrive(void *arg)
{
	struct party *p = arg;

	p->rc = weft_barrier_wait(&bar, &p->index);
	note(p->letter);
	return 0;
}

static void arrive_later(struct weft_group *g, struct party *p, char letter)
{
	*p = (struct party){ .letter = letter, .rc = 1, .index = 99 };
	weft_spawn(g, arrive, p, .task = &p->task);
}

/* They come in this order, and those who can go on have. */
static void all_arrive(struct weft_group *g, struct party *p, int n)
{
	weft_group_open(g);
	for (int i = 0; i < n; i++) {
		arrive_later(g, &p[i], (char)('a' + i));
		calm();
	}
}

static int three_parties(void *arg)
{
	struct weft_group g;

	weft_barrier_init(&bar, 3);
	all_arrive(&g, arg, 3);
	return weft_group_close(&g, 0);
}

WorkersTest(barrier, SY20_every_index_is_given_once_and_one_of_them_is_the_leaders)
{
	struct party p[3];
	unsigned seen = 0;

	cr_assert(eq(int, run_virtual(three_parties, p), 0));
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, p[i].rc, 0));
		cr_assert(lt(uint, p[i].index, 3));
		seen |= 1u << p[i].index;
	}
	cr_expect(eq(uint, seen, 7));
}

enum { PARTIES = 100, ROUNDS = 10 };
static unsigned leaders[ROUNDS], sum[ROUNDS], arrived[ROUNDS], early;

static int go_round(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned index = 0;

		add_seqcst(&arrived[i], 1);
		if (weft_barrier_wait(&bar, &index) != 0)
			return WEFT_EIO;
		if (load_relaxed(&arrived[i]) != PARTIES)
			add_seqcst(&early, 1);
		add_seqcst(&leaders[i], index == 0);
		add_seqcst(&sum[i], index);
	}
	return 0;
}

static int many_parties(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_barrier_init(&bar, PARTIES);
	weft_group_open(&g);
	for (int i = 0; i < PARTIES; i++)
		weft_spawn(&g, go_round, NULL);
	return weft_group_close(&g, 0);
}

Test(barrier, SY20_a_hundred_parties_meet_ten_times)
{
	for (size_t w = 0; w < COUNT_OF(worker_counts); w++) {
		memset(leaders, 0, sizeof leaders);
		memset(sum, 0, sizeof sum);
		memset(arrived, 0, sizeof arrived);
		cr_assert(eq(int, run_on(worker_counts[w], many_parties, NULL), 0));
		cr_expect(eq(uint, early, 0));
		for (int i = 0; i < ROUNDS; i++) {
			cr_expect(eq(uint, leaders[i], 1));
			cr_expect(eq(uint, sum[i], PARTIES * (PARTIES - 1) / 2));
		}
	}
}

static int next_round(void *arg)
{
	struct party *p = arg;
	struct weft_group g;

	weft_barrier_init(&bar, 2);
	all_arrive(&g, p, 1);
	arrive_later(&g, &p[1], 'b'); /* these two are to run before a does again, ... */
	arrive_later(&g, &p[2], 'c');
	saw[0] = weft_barrier_wait(&bar, NULL); /* ... which can from here on */
	return weft_group_close(&g, 0);
}

/* With more workers the two may come while a has not gone on, and with it. */
Test(barrier, SY21_the_next_round_is_not_complete_while_this_one_drains)
{
	struct party p[3];

	cr_assert(eq(int, run_virtual(next_round, p), 0));
	cr_expect(eq(int, saw[0], 0));
	cr_expect(eq(int, happened[0], 'a'));
	cr_expect(eq(int, p[1].rc, 0));
	cr_expect(eq(int, p[2].rc, 0));
	cr_expect(eq(uint, p[1].index + p[2].index, 1));
}

static int abort_half(void *arg)
{
	struct party *p = arg;
	struct weft_group g;

	weft_barrier_init(&bar, 4);
	all_arrive(&g, p, 2);
	weft_barrier_abort(&bar);
	saw[0] = weft_barrier_wait(&bar, NULL);
	saw[1] = weft_barrier_is_broken(&bar);
	calm();
	weft_barrier_reset(&bar);
	saw[2] = weft_barrier_is_broken(&bar);
	for (int i = 2; i < 6; i++)
		arrive_later(&g, &p[i], 'x');
	return weft_group_close(&g, 0);
}

WorkersTest(barrier, SY22_abort_breaks_it_for_all_and_reset_mends_it)
{
	struct party p[6];

	cr_assert(eq(int, run_virtual(abort_half, p), 0));
	cr_expect(eq(int, p[0].rc, WEFT_EBROKEN));
	cr_expect(eq(int, p[1].rc, WEFT_EBROKEN));
	cr_expect(eq(int, saw[0], WEFT_EBROKEN));
	cr_expect(eq(int, saw[1], 1));
	cr_expect(eq(int, saw[2], 0));
	for (int i = 2; i < 6; i++)
		cr_expect(eq(int, p[i].rc, 0));
}

static int reset_waiting(void *arg)
{
	struct party *p = arg;
	struct weft_group g;

	weft_barrier_init(&bar, 2);
	all_arrive(&g, p, 1);
	weft_barrier_reset(&bar);
	calm();
	arrive_later(&g, &p[1], 'b');
	arrive_later(&g, &p[2], 'c');
	return weft_group_close(&g, 0);
}

WorkersTest(barrier, SY22_reset_breaks_it_for_those_who_wait_and_for_nobody_later)
{
	struct party p[3];

	cr_assert(eq(int, run_virtual(reset_waiting, p), 0));
	cr_expect(eq(int, p[0].rc, WEFT_EBROKEN));
	cr_expect(eq(int, p[1].rc, 0));
	cr_expect(eq(int, p[2].rc, 0));
}

struct cancel {
	bool breaks;
	struct party p[4];
};

static int cancel_one(void *arg)
{
	struct cancel *c = arg;
	struct weft_group g;

	weft_barrier_init(&bar, 3, .break_on_cancel = c->breaks);
	all_arrive(&g, c->p, 2);
	weft_task_cancel(c->p[0].task);
	calm();
	saw[0] = c->p[1].rc;
	saw[1] = (int)weft_barrier_waiters(&bar);
	arrive_later(&g, &c->p[2], 'c');
	calm();
	saw[2] = c->p[2].rc;
	arrive_later(&g, &c->p[3], 'd');
	return weft_group_close(&g, 0);
}

WorkersTest(barrier, SY9_who_is_cancelled_is_withdrawn)
{
	struct cancel c = { .breaks = false };

	cr_assert(eq(int, run_virtual(cancel_one, &c), 0));
	cr_expect(eq(int, c.p[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, saw[0], 1), "the other goes on waiting");
	cr_expect(eq(int, saw[1], 1));
	cr_expect(eq(int, saw[2], 1), "and does not count who left");
	cr_expect(eq(uint, c.p[1].index, 0));
	cr_expect(eq(uint, c.p[2].index, 1));
	cr_expect(eq(uint, c.p[3].index, 2));
}

WorkersTest(barrier, SY9_who_is_cancelled_breaks_it_if_that_was_asked_for)
{
	struct cancel c = { .breaks = true };

	cr_assert(eq(int, run_virtual(cancel_one, &c), 0));
	cr_expect(eq(int, c.p[0].rc, WEFT_ECANCELED));
	for (int i = 1; i < 4; i++)
		cr_expect(eq(int, c.p[i].rc, WEFT_EBROKEN));
}

static int cancel_as_the_last_comes(void *arg)
{
	struct party *p = arg;
	struct weft_group g;

	weft_barrier_init(&bar, 3);
	all_arrive(&g, p, 2);
	if (p[2].rc == 1)
		weft_task_cancel(p[1].task); /* it has not run again */
	p[2].rc = weft_barrier_wait(&bar, &p[2].index);
	if (p[2].rc == 0 && p[3].rc == 1)
		weft_task_cancel(p[0].task);
	return weft_group_close(&g, 0);
}

WorkersTest(barrier, CO4_who_is_cancelled_after_the_last_came_is_through)
{
	struct party p[4] = { [3] = { .rc = 1 } };

	cr_assert(eq(int, run_virtual(cancel_as_the_last_comes, p), 0));
	cr_expect(eq(int, p[0].rc, 0));
	cr_expect(eq(int, p[1].rc, 0));
	cr_expect(eq(int, p[2].rc, 0));
}

/* With more workers it has left the line perhaps. */
Test(barrier, CO4_who_is_still_in_the_line_when_the_last_comes_is_through)
{
	struct party p[4] = { [2] = { .rc = 1 }, [3] = { .rc = 0 } };

	cr_assert(eq(int, run_virtual(cancel_as_the_last_comes, p), 0));
	cr_expect(eq(int, p[0].rc, 0));
	cr_expect(eq(int, p[1].rc, 0), "it had come, and never left");
	cr_expect(eq(int, p[2].rc, 0));
}

Test(barrier, none_for_no_parties)
{
	static struct weft_barrier zeros;

	cr_expect(eq(int, weft_barrier_init(&bar, 0), WEFT_EINVAL));
	cr_expect(eq(int, weft_barrier_wait(&zeros, NULL), WEFT_EINVAL));
}

Test(barrier, one_party_waits_for_nobody)
{
	unsigned index = 9;

	weft_barrier_init(&bar, 1);
	cr_expect(eq(int, weft_barrier_wait(&bar, &index), 0));
	cr_expect(eq(uint, index, 0));
}

static int come(void *arg)
{
	return weft_barrier_wait(arg, NULL);
}

WorkersTest(barrier, threads_and_tasks_meet)
{
	struct runner r;
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = test_workers), 0));
	weft_barrier_init(&bar, 2);
	for (int i = 0; i < 50; i++) {
		runner_start(&r, rt, come, &bar);
		cr_expect(eq(int, weft_barrier_wait(&bar, NULL), 0));
		cr_expect(eq(int, runner_join(&r), 0));
	}
	weft_runtime_destroy(rt);
}
