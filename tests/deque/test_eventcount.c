/* SPDX-License-Identifier: MIT */
/*
 * test_eventcount.c - what deque/eventcount.h promises, one promise a test
 *
 * A wait that should return and does not is ended by the time limit of the
 * suite.  Races are in stress/stress_eventcount.c.
 */
#include "deque/eventcount.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "deque/atomic.h"
#include "deque/futex.h"
#include "support/assert.h"

#define ASLEEP (UINT32_C(1) << 31)

static struct weft__ec ec;

static void setup(void)
{
	weft__ec_init(&ec);
}

TestSuite(eventcount, .init = setup, .timeout = 10);

Test(eventcount, a_notify_after_prepare_is_not_lost)
{
	uint32_t ticket = weft__ec_prepare(&ec);

	weft__ec_notify(&ec);
	weft__ec_wait(&ec, ticket);
	cr_expect(ne(u32, weft__ec_prepare(&ec), ticket));
}

Test(eventcount, a_notify_before_prepare_is_not_in_the_ticket)
{
	weft__ec_notify(&ec);
	uint32_t ticket = weft__ec_prepare(&ec);

	cr_expect(eq(u32, weft__ec_prepare(&ec), ticket));
}

Test(eventcount, many_notifies_wake_once)
{
	uint32_t ticket = weft__ec_prepare(&ec);

	for (int i = 0; i < 5; i++)
		weft__ec_notify(&ec);
	weft__ec_wait(&ec, ticket);
	cr_expect(eq(u32, weft__ec_prepare(&ec), ticket + 5));
}

static uint32_t saw; /* the ticket after the wait */

static void *sleeper(void *arg)
{
	uint32_t ticket = *(uint32_t *)arg;

	errno = 77;
	weft__ec_wait(&ec, ticket);
	cr_expect(eq(int, errno, 77), "errno is left alone");
	store_relaxed(&saw, weft__ec_prepare(&ec));
	return NULL;
}

static bool is_announced(void)
{
	return (load_relaxed(&ec.word) & ASLEEP) != 0;
}

/* Returns once the sleeper has said that it will sleep: from then on only a
 * futex call can wake it. */
static pthread_t start_sleeper(uint32_t *ticket)
{
	pthread_t id;

	*ticket = weft__ec_prepare(&ec);
	cr_assert(eq(int, pthread_create(&id, NULL, sleeper, ticket), 0));
	while (!is_announced())
		sched_yield();
	return id;
}

Test(eventcount, a_notify_wakes_the_sleeper)
{
	uint32_t ticket;
	pthread_t id = start_sleeper(&ticket);

	weft__ec_notify(&ec);
	pthread_join(id, NULL);
	cr_expect(eq(u32, saw, ticket + 1));
}

Test(eventcount, after_a_wake_up_nobody_counts_as_asleep)
{
	uint32_t ticket;
	pthread_t id = start_sleeper(&ticket);

	weft__ec_notify(&ec);
	pthread_join(id, NULL);
	cr_expect(eq(u32, ec.word & ASLEEP, 0), "a later notify would call the kernel for nobody");
}

/* The end of a slow notify whose count the sleeper has seen long ago: it clears
 * a bit that was set since, and wakes for nothing. */
Test(eventcount, a_wake_up_for_nothing_sends_the_sleeper_back_to_sleep)
{
	uint32_t ticket;
	pthread_t id = start_sleeper(&ticket);

	bool cleared = cas_seqcst(&ec.word, ticket | ASLEEP, ticket);

	cr_expect(cleared);
	futex_wake(&ec.word, 1);
	while (!is_announced())
		sched_yield();
	weft__ec_notify(&ec);
	pthread_join(id, NULL);
	cr_expect(eq(u32, saw, ticket + 1));
}

Test(eventcount, the_count_may_wrap)
{
	ec.word = ASLEEP - 1;
	uint32_t ticket = weft__ec_prepare(&ec);

	weft__ec_notify(&ec);
	weft__ec_wait(&ec, ticket);
	cr_expect(eq(u32, weft__ec_prepare(&ec), 0));
	weft__ec_notify(&ec);
	cr_expect(eq(u32, weft__ec_prepare(&ec), 1));
}
