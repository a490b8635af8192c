/* SPDX-License-Identifier: MIT */
/*
 * wheel.c - a hierarchical timing wheel
 *
 *   G. Varghese, T. Lauck.  Hashed and hierarchical timing wheels: data structures
 *   for the efficient implementation of a timer facility.  SOSP 1987.
 *   R. Ahuja, K. Mehlhorn, J. Orlin, R. Tarjan.  Faster algorithms for the shortest
 *   path problem.  J. ACM 1990: the same seen as a queue, the radix heap.
 *
 * Write `now` and a key in digits of 6 bits.  The level of a key is the highest digit
 * in which it differs from now, its slot is the value of that digit:
 *
 *	now   0 . 0 .  5 . 61 . 9        the key is in level 2, slot 7.  All of level 0 comes
 *	key   0 . 0 .  7 .  3 . 40       before all of level 1, and so on; slots of a level
 *	level 4   3    2    1   0        come in order.
 *
 * When all before it has gone and its time has come, a slot is opened: now moves to
 * the first key that the slot can hold, and its nodes find their places, all in lower
 * levels.  A slot of level 0 holds one key only, so what leaves it is in order, to the
 * nanosecond.
 *
 * Invariants (weft__wheel_check)
 *
 *   I1  A node in slot s of level l has a key, late ones aside, whose digits above l
 *       are those of now, and whose digit l is s; s is greater than that of now, in
 *       level 0 not less.
 *   I2  A bit in used is set exactly when the slot has a node, one in levels when the
 *       level has a slot with one.
 *   I3  size is the number of nodes, those in `moving` included.
 *   I4  While `moving` has nodes nothing leaves, since they may come before.
 *
 * now may jump ahead without any move as long as it does not enter a slot: the digits in
 * which it changes are then below those that place the nodes.
 *
 * Equal keys keep their order: until its slot is opened a node lies in the same slot as
 * all that have its key, and an opened slot is emptied from the front.  Only a push
 * between two calls of pop that ran out of budget may overtake.
 *
 * Why this one.  A pairing heap, which was here before, arms and cancels in constant
 * time too, but the first pop after a million pushes melds a million nodes in one go:
 * 3 ms with a lock held.  Here that work comes in pieces, and most of it never, since
 * most timers go before their slot is opened.  A heap in an array must grow, and arming
 * a timer may not fail.  Coarser slots (tokio, Linux) save moves and lose the order.
 */
#include "deque/wheel.h"

#include "deque/check.h"

enum { BITS = WEFT__WHEEL_BITS, SLOTS = WEFT__WHEEL_SLOTS, LEVELS = WEFT__WHEEL_LEVELS };

void weft__wheel_init(struct weft__wheel *wheel, int64_t now)
{
	wheel->now = (uint64_t)now;
	wheel->size = 0;
	wheel->levels = 0;
	weft__list_init(&wheel->moving);
	for (int l = 0; l < LEVELS; l++) {
		wheel->used[l] = 0;
		for (int s = 0; s < SLOTS; s++)
			weft__list_init(&wheel->slots[l][s]);
	}
}

static struct weft__wheel_node *node_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct weft__wheel_node, link);
}

/* Where a late node belongs, too. */
static uint64_t place_of(const struct weft__wheel *wheel, int64_t key)
{
	return key < (int64_t)wheel->now ? wheel->now : (uint64_t)key;
}

static unsigned level_of(const struct weft__wheel *wheel, uint64_t place)
{
	uint64_t differ = (place ^ wheel->now) | 1;

	return (63 - (unsigned)__builtin_clzll(differ)) / BITS;
}

static void insert(struct weft__wheel *wheel, struct weft__wheel_node *node)
{
	uint64_t place = place_of(wheel, node->key);
	unsigned l = level_of(wheel, place);
	unsigned s = place >> (l * BITS) & (SLOTS - 1);

	weft__list_push_back(&wheel->slots[l][s], &node->link);
	wheel->used[l] |= UINT64_C(1) << s;
	wheel->levels |= UINT64_C(1) << l;
}

static void clear(struct weft__wheel *wheel, unsigned l, unsigned s)
{
	wheel->used[l] &= ~(UINT64_C(1) << s);
	if (wheel->used[l] == 0)
		wheel->levels &= ~(UINT64_C(1) << l);
}

void weft__wheel_push(struct weft__wheel *wheel, struct weft__wheel_node *node, int64_t key)
{
	node->key = key;
	insert(wheel, node);
	wheel->size++;
}

void weft__wheel_remove(struct weft__wheel *wheel, struct weft__wheel_node *node)
{
	struct weft__list *next = node->link.next, *prev = node->link.prev;

	next->prev = prev;
	prev->next = next;
	wheel->size--;
	if (next != prev || next == &wheel->moving)
		return;
	/* Alone between its neighbours: they are the head of a slot. */
	size_t i = (size_t)(next - &wheel->slots[0][0]);
	clear(wheel, (unsigned)(i / SLOTS), i % SLOTS);
}

/* The least key that a slot can hold. */
static uint64_t begin_of(const struct weft__wheel *wheel, unsigned l, unsigned s)
{
	uint64_t above = l + 1 < LEVELS ? wheel->now >> (l + 1) * BITS << (l + 1) * BITS : 0;

	return above | (uint64_t)s << l * BITS;
}

/* The first slot that has a node; there is one. */
static void first_slot(const struct weft__wheel *wheel, unsigned *l, unsigned *s)
{
	*l = (unsigned)__builtin_ctzll(wheel->levels);
	*s = (unsigned)__builtin_ctzll(wheel->used[*l]);
}

/* False when the budget ran out. */
static bool move_on(struct weft__wheel *wheel, unsigned *budget)
{
	struct weft__list *link;

	while (*budget > 0 && (link = weft__list_pop_front(&wheel->moving))) {
		insert(wheel, node_of(link));
		--*budget;
	}
	return weft__list_is_empty(&wheel->moving);
}

static void open_slot(struct weft__wheel *wheel, unsigned l, unsigned s)
{
	wheel->now = begin_of(wheel, l, s);
	weft__list_splice(&wheel->moving, &wheel->slots[l][s]);
	clear(wheel, l, s);
}

struct weft__wheel_node *weft__wheel_pop(struct weft__wheel *wheel, int64_t until, unsigned *budget)
{
	while (move_on(wheel, budget)) { /* I4 */
		unsigned l = 0, s = 0;

		if (wheel->levels)
			first_slot(wheel, &l, &s);
		if (!wheel->levels || begin_of(wheel, l, s) > (uint64_t)until) {
			wheel->now = place_of(wheel, until);
			return NULL;
		}
		if (l > 0) {
			open_slot(wheel, l, s);
			continue;
		}
		struct weft__wheel_node *node = node_of(weft__list_front(&wheel->slots[0][s]));
		weft__wheel_remove(wheel, node);
		return node;
	}
	return NULL;
}

int64_t weft__wheel_next(const struct weft__wheel *wheel, size_t patience)
{
	unsigned l, s;
	int64_t least = INT64_MAX;

	if (!weft__list_is_empty(&wheel->moving))
		return (int64_t)wheel->now;
	if (!wheel->levels)
		return least;
	first_slot(wheel, &l, &s);
	if (l == 0)
		return (int64_t)begin_of(wheel, l, s);
	weft__list_for_each (link, &wheel->slots[l][s]) {
		if (patience-- == 0)
			return (int64_t)begin_of(wheel, l, s);
		if (node_of(link)->key < least)
			least = node_of(link)->key;
	}
	return least;
}

/* I1 of one slot; how many nodes it has. */
static size_t check_slot(const struct weft__wheel *wheel, unsigned l, unsigned s)
{
	uint64_t begin = begin_of(wheel, l, s);
	uint64_t last = begin + ((UINT64_C(1) << l * BITS) - 1);
	size_t n = 0;

	weft__list_for_each (link, &wheel->slots[l][s]) {
		int64_t key = node_of(link)->key;
		bool late = l == 0 && key < (int64_t)begin;
		if (!late && (key < (int64_t)begin || (uint64_t)key > last))
			weft__bug("key %lld is in slot %u of level %u", (long long)key, s, l);
		n++;
	}
	if (n && (l ? begin <= wheel->now : s < (wheel->now & (SLOTS - 1))))
		weft__bug("slot %u of level %u lies behind", s, l);
	if ((n != 0) != (wheel->used[l] >> s & 1))
		weft__bug("the mark of slot %u of level %u is wrong", s, l);
	return n;
}

void weft__wheel_check(const struct weft__wheel *wheel)
{
	size_t n = 0;

	for (unsigned l = 0; l < LEVELS; l++) {
		for (unsigned s = 0; s < SLOTS; s++)
			n += check_slot(wheel, l, s);
		if ((wheel->used[l] != 0) != (wheel->levels >> l & 1))
			weft__bug("the mark of level %u is wrong", l);
	}
	weft__list_for_each (link, &wheel->moving)
		n++;
	if (n != wheel->size)
		weft__bug("%zu nodes in a wheel of %zu", n, wheel->size);
}
