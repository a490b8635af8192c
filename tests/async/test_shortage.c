/* SPDX-License-Identifier: MIT */
/*
 * test_shortage.c - when there is no stack for another fiber
 *
 * A worker alone, that has to do with the fibers it has.  Who waits and cannot be
 * refused goes on as soon as one of them does; and nothing that was ready is lost.
 */
#include <criterion/criterion.h>

#include "support/virtual.h"

TestSuite(shortage, .timeout = 60);

/* Stacks that were taken so that nobody else has them. */
struct shortage {
	struct weft__stack_pool *pool;
	struct weft__stack_cache *cache;
	struct weft__stack *taken;
	size_t stride, fresh_count;
};

static struct shortage none;

/* There is room for no more, and those that there are are ours. */
static void begin_shortage(struct shortage *s)
{
	struct weft__worker *w = weft__worker_self();
	struct weft__stack *stack;

	s->cache = &w->stacks;
	s->pool = &w->runtime->stacks;
	s->taken = NULL;
	pthread_mutex_lock(&s->pool->lock);
	s->stride = s->pool->stride;
	s->fresh_count = s->pool->fresh_count;
	s->pool->stride = (size_t)1 << 50;
	s->pool->fresh_count = 0;
	pthread_mutex_unlock(&s->pool->lock);
	while ((stack = weft__stack_get(s->cache))) {
		stack->next = s->taken;
		s->taken = stack;
	}
}

static void end_shortage(struct shortage *s)
{
	struct weft__stack *stack;

	pthread_mutex_lock(&s->pool->lock);
	s->pool->stride = s->stride;
	s->pool->fresh_count = s->fresh_count;
	pthread_mutex_unlock(&s->pool->lock);
	while ((stack = s->taken)) {
		s->taken = stack->next;
		weft__stack_put(s->cache, stack);
	}
}

/* With the real clock: the event thread wakes what sleeps, from outside. */
static void run_alone(weft_fn *fn)
{
	cr_assert(eq(int, go_with((struct weft_config){ .workers = 1 }, fn, NULL), 0));
}

static uint32_t sleepers;

static int sleeps_in_shortage(void *arg)
{
	(void)arg;
	begin_shortage(&none);
	store_release(&sleepers, 1);
	HOLDS(weft_sleep(WEFT_MS(20)) == 0);
	return 0;
}

static int closes(void *arg)
{
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, sleeps_in_shortage, NULL) == 0);
	while (load_acquire(&sleepers) == 0)
		weft_yield();
	int rc = weft_group_close(&g, 0);
	end_shortage(&none);
	return rc;
}

Test(shortage, GR_1_close_joins_a_child_that_is_woken_from_outside)
{
	run_alone(closes);
}

static struct weft_lock lock;
static struct weft_cond cond;

static int sleeps_with_the_lock(void *arg)
{
	HOLDS(weft_lock_acquire(&lock) == 0);
	weft_cond_notify(&cond, 1);
	int rc = sleeps_in_shortage(arg);
	HOLDS(weft_lock_release(&lock) == 0);
	return rc;
}

static int waits_for_the_lock_again(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_lock_init(&lock);
	weft_cond_init(&cond);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_lock_acquire(&lock) == 0);
	HOLDS(weft_spawn(&g, sleeps_with_the_lock, NULL) == 0);
	HOLDS(weft_cond_wait(&cond, &lock) == 0);
	HOLDS(weft_lock_is_mine(&lock));
	end_shortage(&none);
	HOLDS(weft_lock_release(&lock) == 0);
	return weft_group_close(&g, 0);
}

/* SY-7. */
Test(shortage, a_condition_has_its_lock_again_when_the_owner_is_woken_from_outside)
{
	run_alone(waits_for_the_lock_again);
}

static struct weft_event event;
static uint32_t started;

static int yields(void *arg)
{
	(void)arg;
	HOLDS(weft_event_wait(&event) == 0);
	for (int i = 0; i < 40; i++)
		weft_yield();
	return 0;
}

static int starts(void *arg)
{
	(void)arg;
	store_release(&started, 1);
	return 0;
}

static int yields_to_what_has_not_started(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_event_init(&event);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, yields, NULL) == 0);
	HOLDS(weft_wait_all_blocked() == 0);
	begin_shortage(&none);
	HOLDS(weft_spawn(&g, starts, NULL) == 0);
	weft_event_set(&event);
	for (int i = 0; i < 40; i++)
		weft_yield();
	end_shortage(&none);
	int rc = weft_group_close(&g, 0);
	HOLDS(load_acquire(&started) == 1);
	return rc;
}

Test(shortage, a_task_that_has_not_started_is_not_lost_by_a_yield)
{
	run_alone(yields_to_what_has_not_started);
}
