/* SPDX-License-Identifier: MIT */
/*
 * list.h - an intrusive list, linked both ways
 *
 * The head is a node of its own in a circle, so that no operation has a special
 * case.  A node that is in no list points to itself.
 *
 *	struct waiter { struct weft__list link; ... };
 *
 *	struct weft__list waiters;
 *	weft__list_init(&waiters);
 *	weft__list_push_back(&waiters, &w->link);
 *	weft__list_for_each(node, &waiters)
 *		look(WEFT__CONTAINER(node, struct waiter, link));
 *
 *   threads    one at a time.
 *   memory     allocates nothing; owns nothing.
 */
#ifndef WEFT_DEQUE_LIST_H
#define WEFT_DEQUE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct of type `type` whose `member` is at ptr. */
#define WEFT__CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct weft__list {
	struct weft__list *next, *prev;
};

static inline void weft__list_init(struct weft__list *node)
{
	node->next = node;
	node->prev = node;
}

/* Of a head: nothing in the list.  Of a node: in no list. */
static inline bool weft__list_is_empty(const struct weft__list *node)
{
	return node->next == node;
}

/* Links `node`, which is in no list, right before `next`. */
static inline void weft__list_insert(struct weft__list *next, struct weft__list *node)
{
	node->next = next;
	node->prev = next->prev;
	next->prev->next = node;
	next->prev = node;
}

static inline void weft__list_push_front(struct weft__list *head, struct weft__list *node)
{
	weft__list_insert(head->next, node);
}

static inline void weft__list_push_back(struct weft__list *head, struct weft__list *node)
{
	weft__list_insert(head, node);
}

/* Takes `node` out of its list; nothing when it is in none. */
static inline void weft__list_remove(struct weft__list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	weft__list_init(node);
}

/* The first or last node, or NULL. */
static inline struct weft__list *weft__list_front(const struct weft__list *head)
{
	return head->next == head ? NULL : head->next;
}

static inline struct weft__list *weft__list_back(const struct weft__list *head)
{
	return head->prev == head ? NULL : head->prev;
}

/* The same, taken out. */
static inline struct weft__list *weft__list_pop_front(struct weft__list *head)
{
	struct weft__list *node = weft__list_front(head);

	if (node)
		weft__list_remove(node);
	return node;
}

static inline struct weft__list *weft__list_pop_back(struct weft__list *head)
{
	struct weft__list *node = weft__list_back(head);

	if (node)
		weft__list_remove(node);
	return node;
}

/* Moves everything in `from` to the end of `head`. */
static inline void weft__list_splice(struct weft__list *head, struct weft__list *from)
{
	if (weft__list_is_empty(from))
		return;
	from->next->prev = head->prev;
	from->prev->next = head;
	head->prev->next = from->next;
	head->prev = from->prev;
	weft__list_init(from);
}

/* Walks the list; `node` may be taken out, and freed, in the body. */
#define weft__list_for_each(node, head)                                               \
	for (struct weft__list *node = (head)->next, *weft__next_##node = node->next; \
	     node != (head); node = weft__next_##node, weft__next_##node = node->next)

#endif
