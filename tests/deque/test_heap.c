/* SPDX-License-Identifier: MIT */
/*
 * test_heap.c - what deque/heap.h promises, one promise a test
 */
#include "deque/heap.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "deque/rng.h"

static struct weft__heap heap;
static struct weft__heap_node node[1000];

static void setup(void)
{
	weft__heap_init(&heap);
}

static void teardown(void)
{
	weft__heap_check(&heap);
}

TestSuite(heap, .init = setup, .fini = teardown, .timeout = 20);

Test(heap, a_new_heap_is_empty)
{
	cr_expect(weft__heap_is_empty(&heap));
	cr_expect(eq(ptr, weft__heap_peek(&heap), NULL));
	cr_expect(eq(ptr, weft__heap_pop(&heap), NULL));
}

Test(heap, the_least_key_comes_first)
{
	static const int64_t keys[] = { 5, INT64_MIN, 9, 0, INT64_MAX, -1 };

	for (int i = 0; i < 6; i++)
		weft__heap_push(&heap, &node[i], keys[i]);
	cr_expect(eq(ptr, weft__heap_peek(&heap), &node[1]));
	cr_expect(eq(sz, heap.size, 6));

	static const int order[] = { 1, 5, 3, 0, 2, 4 };
	for (int i = 0; i < 6; i++)
		cr_expect(eq(ptr, weft__heap_pop(&heap), &node[order[i]]));
	cr_expect(weft__heap_is_empty(&heap));
}

Test(heap, equal_keys_leave_in_the_order_in_which_they_came)
{
	for (int i = 0; i < 1000; i++)
		weft__heap_push(&heap, &node[i], i % 3);
	for (int key = 0; key < 3; key++)
		for (int i = key; i < 1000; i += 3)
			cr_assert(eq(ptr, weft__heap_pop(&heap), &node[i]));
}

Test(heap, a_node_can_be_taken_from_anywhere)
{
	for (int i = 0; i < 1000; i++)
		weft__heap_push(&heap, &node[i], (i * 7919) % 1000);
	weft__heap_check(&heap);
	for (int i = 0; i < 1000; i += 2) {
		weft__heap_remove(&heap, &node[i]);
		if (i % 100 == 0)
			weft__heap_check(&heap);
	}
	cr_expect(eq(sz, heap.size, 500));
	for (int64_t before = -1; !weft__heap_is_empty(&heap);) {
		struct weft__heap_node *n = weft__heap_pop(&heap);

		cr_assert(gt(i64, n->key, before));
		cr_assert(eq(int, (int)((n - node) % 2), 1));
		before = n->key;
	}
}

Test(heap, a_node_may_come_again)
{
	for (int i = 0; i < 100; i++) {
		weft__heap_push(&heap, &node[0], i);
		weft__heap_push(&heap, &node[1], -i);
		weft__heap_remove(&heap, &node[0]);
		cr_assert(eq(ptr, weft__heap_pop(&heap), &node[1]));
	}
}

Test(heap, check_aborts_on_a_key_below_a_larger_one, .signal = SIGABRT)
{
	weft__heap_push(&heap, &node[0], 1);
	weft__heap_push(&heap, &node[1], 2);
	node[1].key = 0;
	weft__heap_check(&heap);
}

Test(heap, check_aborts_on_a_wrong_size, .signal = SIGABRT)
{
	weft__heap_push(&heap, &node[0], 1);
	heap.size = 2;
	weft__heap_check(&heap);
}

/* Melding that recurses would need a million stack frames. */
Test(heap, a_million_siblings_need_no_stack)
{
	size_t n = 1000000;
	struct weft__heap_node *many = calloc(n, sizeof(*many));

	cr_assert(ne(ptr, many, NULL));
	for (size_t i = 0; i < n; i++)
		weft__heap_push(&heap, &many[i], (int64_t)i);
	for (size_t i = 0; i < 3; i++)
		cr_expect(eq(ptr, weft__heap_pop(&heap), &many[i]));
	weft__heap_check(&heap);
	weft__heap_init(&heap);
	free(many);
}

/* The model: which nodes are in, and a search for the least. */
static bool in[1000];

static struct weft__heap_node *least(void)
{
	struct weft__heap_node *best = NULL;

	for (int i = 0; i < 1000; i++) {
		if (!in[i])
			continue;
		if (!best || node[i].key < best->key ||
		    (node[i].key == best->key && node[i].order < best->order))
			best = &node[i];
	}
	return best;
}

static void step(struct weft__rng *rng)
{
	uint64_t i = weft__rng_below(rng, 1000);

	if (!in[i]) {
		weft__heap_push(&heap, &node[i], (int64_t)weft__rng_below(rng, 50));
		in[i] = true;
	} else if (weft__rng_below(rng, 2)) {
		weft__heap_remove(&heap, &node[i]);
		in[i] = false;
	} else {
		struct weft__heap_node *n = weft__heap_pop(&heap);

		in[n - node] = false;
	}
}

Test(heap, agrees_with_a_search)
{
	uint64_t seed = (uint64_t)time(NULL);
	struct weft__rng rng;

	weft__rng_init(&rng, seed);
	for (int i = 0; i < 20000; i++) {
		step(&rng);
		cr_assert(eq(ptr, weft__heap_peek(&heap), least()), "seed %llu",
			  (unsigned long long)seed);
		if (i % 500 == 0)
			weft__heap_check(&heap);
	}
}
