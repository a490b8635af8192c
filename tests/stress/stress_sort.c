/* SPDX-License-Identifier: MIT */
/*
 * stress_sort.c - random arrays of random types, sorted by all workers at once
 *
 * Each round draws a size, a kind of element, a number of distinct keys and a
 * sort from the seed, in several tasks that run side by side.  An element carries
 * its number: in the end each must be there once, whole, after all that it is not
 * less than, and a stable sort must have kept the numbers of equals in order.
 * Some arrays have a `less` that lies, and some sorts are cut off by a deadline: then
 * only the elements are checked.
 */
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#include "support/stress.h"

enum {
	TASKS = 4,
	LARGEST = 60000, /* elements: 480 KB of the smallest, enough to be cut in stripes */
};

/* The first word of each element. */
struct head {
	uint32_t key, number;
};

static bool lies(const struct head *a)
{
	return a->key >> 31;
}

static bool less_head(const struct head *a, const struct head *b)
{
	if (lies(a))
		return (a->number * b->number) >> 3 & 1;
	return a->key < b->key;
}

static bool untyped_less(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_head(a, b);
}

#define KIND(name, bytes)                                                        \
	struct name {                                                            \
		struct head head;                                                \
		unsigned char rest[bytes];                                       \
	};                                                                       \
	static bool less_##name(const struct name *a, const struct name *b)      \
	{                                                                        \
		return less_head(&a->head, &b->head);                            \
	}                                                                        \
	WEFT_SORT(sort_##name, struct name, less_##name)                         \
	WEFT_SORT_STABLE(sort_stable_##name, struct name, less_##name)           \
	static int any_##name(void *v, size_t n)                                 \
	{                                                                        \
		return sort_##name(v, n);                                        \
	}                                                                        \
	static int stable_##name(void *v, size_t n)                              \
	{                                                                        \
		return sort_stable_##name(v, n);                                 \
	}                                                                        \
	static int untyped_##name(void *v, size_t n)                             \
	{                                                                        \
		return weft_sort(v, n, sizeof(struct name), untyped_less, NULL); \
	}

KIND(small, 0)
KIND(middle, 16)
KIND(large, 100)
KIND(wide, 300)

static const struct kind {
	size_t size;
	bool stable;
	int (*sort)(void *v, size_t n);
} kinds[] = {
	{ sizeof(struct small), false, any_small },
	{ sizeof(struct small), true, stable_small },
	{ sizeof(struct small), false, untyped_small },
	{ sizeof(struct middle), false, any_middle },
	{ sizeof(struct middle), true, stable_middle },
	{ sizeof(struct middle), false, untyped_middle },
	{ sizeof(struct large), false, any_large },
	{ sizeof(struct large), true, stable_large },
	{ sizeof(struct large), false, untyped_large },
	{ sizeof(struct wide), false, any_wide },
	{ sizeof(struct wide), true, stable_wide },
	{ sizeof(struct wide), false, untyped_wide },
};

static struct head head_of(const unsigned char *v, size_t i, size_t size)
{
	struct head h;

	memcpy(&h, v + i * size, sizeof(h));
	return h;
}

static unsigned char rest_of(uint32_t number)
{
	return (unsigned char)(number * 37);
}

static void fill(unsigned char *v, size_t n, size_t size, struct weft__rng *rng)
{
	uint64_t keys = 1 + weft__rng_below(rng, 1 + weft__rng_below(rng, n + 1));
	uint32_t liar = weft__rng_below(rng, 8) == 0 ? UINT32_C(1) << 31 : 0;
	bool sorted = weft__rng_below(rng, 4) == 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t key = sorted ? i * keys / n : weft__rng_below(rng, keys);
		struct head h = { (uint32_t)key | liar, (uint32_t)i };
		memset(v + i * size, rest_of(h.number), size);
		memcpy(v + i * size, &h, sizeof(h));
	}
}

static bool is_whole(const unsigned char *v, size_t i, size_t size)
{
	struct head h = head_of(v, i, size);

	for (size_t k = sizeof(h); k < size; k++)
		if (v[i * size + k] != rest_of(h.number))
			return false;
	return true;
}

static bool may_follow(struct head a, struct head b, bool stable)
{
	if (lies(&a) || a.key < b.key)
		return true;
	return a.key == b.key && (!stable || a.number < b.number);
}

static void check(const unsigned char *v, size_t n, const struct kind *kind, bool is_sorted)
{
	unsigned char *seen = calloc(n + 1, 1);

	STRESS_CHECK(seen);
	for (size_t i = 0; i < n; i++) {
		struct head h = head_of(v, i, kind->size);
		STRESS_CHECK(h.number < n && !seen[h.number]++);
		STRESS_CHECK(is_whole(v, i, kind->size));
		if (i > 0 && is_sorted)
			STRESS_CHECK(may_follow(head_of(v, i - 1, kind->size), h, kind->stable));
	}
	free(seen);
}

static uint64_t cut_off;

/* True when it came to its end. */
static bool sort_in_time(const struct kind *kind, unsigned char *v, size_t n, uint64_t us)
{
	struct weft_scope scope;

	STRESS_CHECK(weft_scope_enter(&scope, .timeout = WEFT_US((int64_t)us)) == 0);
	int rc = weft_scope_leave(&scope, kind->sort(v, n));
	STRESS_CHECK(rc == 0 || rc == WEFT_ETIMEDOUT);
	add_seqcst(&cut_off, rc != 0);
	return rc == 0;
}

static int round_task(struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++) {
		struct weft__rng rng;
		weft__rng_init(&rng, *(uint64_t *)arg + i);
		const struct kind *kind =
			&kinds[weft__rng_below(&rng, sizeof(kinds) / sizeof(*kinds))];
		size_t n = weft__rng_below(&rng, 1 + weft__rng_below(&rng, LARGEST));
		unsigned char *v = malloc(n * kind->size + 1);

		STRESS_CHECK(v);
		fill(v, n, kind->size, &rng);
		bool hurry = weft__rng_below(&rng, 3) == 0;
		bool is_sorted = !hurry || sort_in_time(kind, v, n, weft__rng_below(&rng, 5000));
		STRESS_CHECK(hurry || kind->sort(v, n) == 0);
		check(v, n, kind, is_sorted);
		free(v);
	}
	return 0;
}

static int run_round(void *arg)
{
	return weft_for(0, TASKS, round_task, arg, .grain = 1);
}

int main(int argc, char **argv)
{
	long rounds = 0;

	stress_begin(argc, argv);
	for (; rounds < 40 * stress_scale; rounds++) {
		uint64_t seed = stress_seed + (uint64_t)rounds * TASKS;
		STRESS_CHECK(weft_run_sync(run_round, &seed) == 0);
	}
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	printf("%ld rounds of %d arrays, %" PRIu64 " cut off\n", rounds, TASKS, cut_off);
	return 0;
}
