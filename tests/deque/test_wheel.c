/* SPDX-License-Identifier: MIT */
/*
 * test_wheel.c - what deque/wheel.h promises, one promise a test
 */
#include "deque/wheel.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "deque/rng.h"
#include "support/assert.h"

static struct weft__wheel wheel;
static struct weft__wheel_node node[1000];

static void setup(void)
{
	weft__wheel_init(&wheel, 1000);
}

static void teardown(void)
{
	weft__wheel_check(&wheel);
}

TestSuite(wheel, .init = setup, .fini = teardown, .timeout = 20);

static struct weft__wheel_node *pop(int64_t until)
{
	unsigned budget = 1000000;
	return weft__wheel_pop(&wheel, until, &budget);
}

static int64_t next(void)
{
	return weft__wheel_next(&wheel, SIZE_MAX);
}

Test(wheel, a_new_wheel_is_empty)
{
	cr_expect(eq(i64, next(), INT64_MAX));
	cr_expect(eq(ptr, pop(INT64_MAX), NULL));
	cr_expect(eq(sz, wheel.size, 0));
}

Test(wheel, the_least_key_comes_first)
{
	static const int64_t keys[] = { 1005, 999999999999, INT64_MAX - 1, 1000, 70000, 1064 };
	static const int order[] = { 3, 0, 5, 4, 1, 2 };

	for (int i = 0; i < 6; i++)
		weft__wheel_push(&wheel, &node[i], keys[i]);
	cr_expect(eq(sz, wheel.size, 6));
	for (int i = 0; i < 6; i++) {
		cr_expect(eq(i64, next(), keys[order[i]]));
		cr_expect(eq(ptr, pop(INT64_MAX - 1), &node[order[i]]));
		weft__wheel_check(&wheel);
	}
	cr_expect(eq(i64, next(), INT64_MAX));
}

Test(wheel, nothing_leaves_before_its_time)
{
	weft__wheel_push(&wheel, &node[0], 5000000);
	cr_expect(eq(ptr, pop(4999999), NULL));
	cr_expect(eq(i64, next(), 5000000));
	cr_expect(eq(ptr, pop(5000000), &node[0]));
}

Test(wheel, equal_keys_leave_in_the_order_in_which_they_came)
{
	for (int i = 0; i < 1000; i++)
		weft__wheel_push(&wheel, &node[i], 123456789 + i % 3);
	for (int key = 0; key < 3; key++)
		for (int i = key; i < 1000; i += 3)
			cr_assert(eq(ptr, pop(123456789 + key), &node[i]));
}

Test(wheel, who_comes_late_leaves_at_once)
{
	cr_expect(eq(ptr, pop(50000), NULL));
	weft__wheel_push(&wheel, &node[0], 50001);
	weft__wheel_push(&wheel, &node[1], 7);
	weft__wheel_push(&wheel, &node[2], -7);
	weft__wheel_check(&wheel);
	cr_expect(le(i64, next(), 50000));
	cr_expect(eq(ptr, pop(50000), &node[1]));
	cr_expect(eq(ptr, pop(50000), &node[2]));
	cr_expect(eq(ptr, pop(50000), NULL));
	cr_expect(eq(ptr, pop(50001), &node[0]));
}

Test(wheel, a_node_can_be_taken_from_anywhere)
{
	for (int i = 0; i < 1000; i++)
		weft__wheel_push(&wheel, &node[i], 1000 + ((int64_t)i * i * i * i) % 999983);
	for (int i = 0; i < 1000; i += 2)
		weft__wheel_remove(&wheel, &node[i]);
	weft__wheel_check(&wheel);
	cr_expect(eq(sz, wheel.size, 500));

	struct weft__wheel_node *n;
	int64_t before = 0;
	for (; (n = pop(1000000000)); before = n->key) {
		cr_assert(ge(i64, n->key, before));
		cr_assert(eq(int, (int)((n - node) % 2), 1));
	}
	cr_expect(eq(sz, wheel.size, 0));
}

/* What a budget is for: no call moves more than it may, and those that wait to be
 * moved can still be taken away. */
Test(wheel, a_crowded_slot_is_emptied_in_pieces)
{
	unsigned calls = 0, budget;
	struct weft__wheel_node *n = NULL;

	for (int i = 0; i < 1000; i++)
		weft__wheel_push(&wheel, &node[i], 1 << 30 | i);
	do {
		budget = 10;
		n = weft__wheel_pop(&wheel, 1 << 30, &budget);
		weft__wheel_check(&wheel);
		if (calls++ == 5) {
			weft__wheel_remove(&wheel, &node[999]);
			weft__wheel_remove(&wheel, &node[0]);
		}
	} while (!n && budget == 0 && calls < 1000);
	cr_expect(ge(u32, calls, 100));
	cr_expect(eq(ptr, n, NULL), "0 is out, and 1 not due");
	for (int i = 1; i < 999; i++)
		cr_assert(eq(ptr, pop(1 << 30 | 999), &node[i]));
	cr_expect(eq(ptr, pop(INT64_MAX), NULL));
}

Test(wheel, next_is_a_lower_bound_when_it_may_not_look_at_all)
{
	for (int i = 0; i < 100; i++)
		weft__wheel_push(&wheel, &node[i], (1 << 30) + 1000 - i);
	cr_expect(eq(i64, weft__wheel_next(&wheel, 100), (1 << 30) + 901));
	cr_expect(eq(i64, weft__wheel_next(&wheel, 99), 1 << 30));
	cr_expect(eq(ptr, pop(1 << 30), NULL));
	cr_expect(gt(i64, weft__wheel_next(&wheel, 99), 1 << 30), "no progress");
}

Test(wheel, check_aborts_on_a_key_in_the_wrong_slot, .signal = SIGABRT)
{
	weft__wheel_push(&wheel, &node[0], 1001);
	node[0].key = 5000;
	weft__wheel_check(&wheel);
}

Test(wheel, check_aborts_on_a_wrong_size, .signal = SIGABRT)
{
	weft__wheel_push(&wheel, &node[0], 1001);
	wheel.size = 2;
	weft__wheel_check(&wheel);
}

/* The model: which nodes are in, when they came, and a search for the least. */
static bool in[1000];
static uint64_t came[1000], clock_of_model;
static int64_t now = 1000;

static int64_t due(int i)
{
	return node[i].key;
}

static struct weft__wheel_node *least(void)
{
	int best = -1;

	for (int i = 0; i < 1000; i++)
		if (in[i] && (best < 0 || due(i) < due(best) ||
			      (due(i) == due(best) && came[i] < came[best])))
			best = i;
	return best < 0 ? NULL : &node[best];
}

/* Keys from near to far, and often equal ones. */
static int64_t random_key(struct weft__rng *rng)
{
	return now + 1 + (int64_t)(weft__rng_below(rng, 20) << weft__rng_below(rng, 40));
}

static void pop_and_compare(int64_t until)
{
	struct weft__wheel_node *expected = least();

	if (expected && expected->key > until)
		expected = NULL;
	cr_assert(eq(ptr, pop(until), expected));
	if (expected)
		in[expected - node] = false;
	now = until;
}

static void step(struct weft__rng *rng)
{
	uint64_t i = weft__rng_below(rng, 1000);

	if (!in[i]) {
		weft__wheel_push(&wheel, &node[i], random_key(rng));
		came[i] = clock_of_model++;
		in[i] = true;
	} else if (weft__rng_below(rng, 2)) {
		weft__wheel_remove(&wheel, &node[i]);
		in[i] = false;
	} else {
		pop_and_compare(now +
				(int64_t)(weft__rng_below(rng, 64) << weft__rng_below(rng, 36)));
	}
}

Test(wheel, agrees_with_a_search)
{
	uint64_t seed = (uint64_t)time(NULL);
	struct weft__rng rng;

	weft__rng_init(&rng, seed);
	for (int i = 0; i < 20000; i++) {
		step(&rng);
		struct weft__wheel_node *first = least();
		cr_assert(eq(i64, next(), first ? first->key : INT64_MAX), "seed %llu",
			  (unsigned long long)seed);
		if (i % 100 == 0)
			weft__wheel_check(&wheel);
	}
}
