/* SPDX-License-Identifier: MIT */
/*
 * heap.c - a pairing heap
 *
 *   M. Fredman, R. Sedgewick, D. Sleator, R. Tarjan.  The pairing heap: a new
 *   form of self-adjusting heap.  Algorithmica, 1986.
 *
 *	root            a tree in which no node comes before its parent; the
 *	 |              children of a node are a list, the newest first
 *	child - next - next
 *
 * push makes the new node and the root one tree: one comparison, whoever wins
 * has the other as its first child.  pop leaves the children of the root, which
 * are melded in pairs from the left and then into one from the right.  remove
 * cuts the node out, melds its children, and the result with the root.
 *
 * Invariants (weft__heap_check)
 *
 *   I1  No node comes before its parent: by key, and among equal keys by order.
 *   I2  prev of a first child is the parent, of any other the sibling before it,
 *       of the root NULL; the root has no next.
 *   I3  size is the number of nodes.
 *
 * Why this one.  Arming a timer must not fail and so must not allocate, which
 * rules out heaps in an array that grows.  A binary tree that is linked along
 * the bits of its size (libuv) touches some 20 cold nodes for each operation at
 * a million timers.  Here arming touches the new node and the root, and
 * cancelling before the next expiry a node and its two neighbours.  The price:
 * the first pop after n pushes melds n nodes in one go, some ms for a million.
 * Each node pays that once in its life, and those cancelled before never.
 *
 * The melding is two loops and not the recursion of the text-book: a list of
 * children can be as long as the heap.
 */
#include "deque/heap.h"

#include "deque/check.h"

static bool comes_before(const struct weft__heap_node *a, const struct weft__heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

static void adopt(struct weft__heap_node *parent, struct weft__heap_node *node)
{
	node->next = parent->child;
	if (node->next)
		node->next->prev = node;
	node->prev = parent;
	parent->child = node;
}

/* One tree of two; next and prev of the root that remains are stale. */
static struct weft__heap_node *meld(struct weft__heap_node *a, struct weft__heap_node *b)
{
	if (comes_before(b, a)) {
		adopt(b, a);
		return b;
	}
	adopt(a, b);
	return a;
}

/* First pass: pairs from the left, collected in a list from the right. */
static struct weft__heap_node *meld_pairs(struct weft__heap_node *first)
{
	struct weft__heap_node *pairs = NULL;

	while (first) {
		struct weft__heap_node *pair = first, *second = first->next;

		first = second ? second->next : NULL;
		if (second)
			pair = meld(pair, second);
		pair->next = pairs;
		pairs = pair;
	}
	return pairs;
}

/* The children of a node as one tree; NULL when there are none. */
static struct weft__heap_node *meld_children(struct weft__heap_node *first)
{
	struct weft__heap_node *pairs = meld_pairs(first);

	if (!pairs)
		return NULL;

	struct weft__heap_node *tree = pairs;
	for (pairs = pairs->next; pairs;) {
		struct weft__heap_node *next = pairs->next;

		tree = meld(tree, pairs);
		pairs = next;
	}
	tree->next = NULL;
	tree->prev = NULL;
	return tree;
}

/* Melds a tree into the heap. */
static void take_in(struct weft__heap *heap, struct weft__heap_node *tree)
{
	heap->root = heap->root ? meld(heap->root, tree) : tree;
	heap->root->next = NULL;
	heap->root->prev = NULL;
}

/* Takes a node that is not the root out of its list. */
static void cut(struct weft__heap_node *node)
{
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
}

void weft__heap_push(struct weft__heap *heap, struct weft__heap_node *node, int64_t key)
{
	node->key = key;
	node->order = heap->pushes++;
	node->child = NULL;
	take_in(heap, node);
	heap->size++;
}

struct weft__heap_node *weft__heap_pop(struct weft__heap *heap)
{
	struct weft__heap_node *node = heap->root;

	if (node)
		weft__heap_remove(heap, node);
	return node;
}

void weft__heap_remove(struct weft__heap *heap, struct weft__heap_node *node)
{
	struct weft__heap_node *orphans = meld_children(node->child);

	if (node == heap->root) {
		heap->root = orphans;
	} else {
		cut(node);
		if (orphans)
			take_in(heap, orphans);
	}
	heap->size--;
}

/* The node after `node` in a walk over the whole tree, or NULL at its end: down,
 * else right, else up until there is a right. */
static const struct weft__heap_node *walk(const struct weft__heap_node *node)
{
	if (node->child)
		return node->child;
	while (!node->next) {
		while (node->prev && node->prev->child != node)
			node = node->prev;
		node = node->prev;
		if (!node)
			return NULL;
	}
	return node->next;
}

/* I2 of one node, and I1 between it and its children. */
static void check_node(const struct weft__heap_node *node)
{
	const struct weft__heap_node *before = node;

	for (const struct weft__heap_node *c = node->child; c; before = c, c = c->next) {
		if (c->prev != before)
			weft__bug("a node of key %lld is linked wrongly", (long long)c->key);
		if (comes_before(c, node))
			weft__bug("key %lld is below key %lld", (long long)c->key,
				  (long long)node->key);
	}
}

void weft__heap_check(const struct weft__heap *heap)
{
	size_t n = 0;

	if (heap->root && (heap->root->prev || heap->root->next))
		weft__bug("the root has a sibling or a parent");
	for (const struct weft__heap_node *node = heap->root; node; node = walk(node), n++)
		check_node(node);
	if (n != heap->size)
		weft__bug("%zu nodes in a heap of %zu", n, heap->size);
}
