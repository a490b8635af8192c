/* SPDX-License-Identifier: MIT */
/*
 * test_list.c - what deque/list.h promises, one promise a test
 */
#include "deque/list.h"
#include "support/assert.h"

#include <criterion/criterion.h>

struct thing {
	int number;
	struct weft__list link;
};

static struct weft__list head, other;
static struct thing thing[8];

static void setup(void)
{
	weft__list_init(&head);
	weft__list_init(&other);
	for (int i = 0; i < 8; i++) {
		thing[i].number = i;
		weft__list_init(&thing[i].link);
	}
}

TestSuite(list, .init = setup, .timeout = 10);

static void fill(struct weft__list *list, int from, int to)
{
	for (int i = from; i < to; i++)
		weft__list_push_back(list, &thing[i].link);
}

/* The list holds from .. to - 1, read both ways. */
static void expect(struct weft__list *list, int from, int to)
{
	int n = from;

	weft__list_for_each (node, list)
		cr_expect(eq(int, WEFT__CONTAINER(node, struct thing, link)->number, n++));
	cr_expect(eq(int, n, to));
	for (struct weft__list *node = list->prev; node != list; node = node->prev)
		cr_expect(eq(ptr, node, &thing[--n].link));
	cr_expect(eq(int, n, from));
}

Test(list, a_new_list_is_empty)
{
	cr_expect(weft__list_is_empty(&head));
	cr_expect(eq(ptr, weft__list_front(&head), NULL));
	cr_expect(eq(ptr, weft__list_back(&head), NULL));
	cr_expect(eq(ptr, weft__list_pop_front(&head), NULL));
	cr_expect(eq(ptr, weft__list_pop_back(&head), NULL));
}

Test(list, push_back_keeps_the_order)
{
	fill(&head, 0, 5);
	expect(&head, 0, 5);
	cr_expect(not(weft__list_is_empty(&head)));
}

Test(list, push_front_reverses_it)
{
	for (int i = 4; i >= 0; i--)
		weft__list_push_front(&head, &thing[i].link);
	expect(&head, 0, 5);
}

Test(list, insert_goes_before_a_node)
{
	fill(&head, 0, 2);
	fill(&head, 3, 5);
	weft__list_insert(&thing[3].link, &thing[2].link);
	expect(&head, 0, 5);
}

Test(list, remove_takes_a_node_from_anywhere)
{
	fill(&head, 0, 1);
	fill(&head, 7, 8);
	fill(&head, 1, 3);
	weft__list_remove(&thing[7].link);
	expect(&head, 0, 3);
	cr_expect(weft__list_is_empty(&thing[7].link), "it is in no list now");
}

Test(list, removing_twice_does_nothing)
{
	fill(&head, 0, 3);
	weft__list_remove(&thing[0].link);
	weft__list_remove(&thing[0].link);
	expect(&head, 1, 3);
}

Test(list, pops_take_from_the_ends)
{
	fill(&head, 0, 4);
	cr_expect(eq(ptr, weft__list_pop_front(&head), &thing[0].link));
	cr_expect(eq(ptr, weft__list_pop_back(&head), &thing[3].link));
	expect(&head, 1, 3);
}

Test(list, splice_moves_all_to_the_end)
{
	fill(&head, 0, 2);
	fill(&other, 2, 5);
	weft__list_splice(&head, &other);
	expect(&head, 0, 5);
	cr_expect(weft__list_is_empty(&other));
	weft__list_splice(&head, &other);
	expect(&head, 0, 5);
	weft__list_splice(&other, &head);
	expect(&other, 0, 5);
	cr_expect(weft__list_is_empty(&head));
}

Test(list, a_walk_may_take_out_what_it_stands_on)
{
	fill(&head, 0, 5);
	weft__list_for_each (node, &head)
		weft__list_remove(node);
	cr_expect(weft__list_is_empty(&head));
}
