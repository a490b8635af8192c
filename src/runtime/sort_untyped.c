/* SPDX-License-Identifier: MIT */
/*
 * sort_untyped.c - weft_sort, and elements too wide to be moved often
 *
 * weft_sort has loops for elements of 4, 8 and 16 bytes, which are moved in
 * registers, and one for all other sizes.  Each comparison is a call.
 *
 * Wide elements: an array of pointers to them is sorted, and then each element is
 * moved to its place, once, along the cycles of the permutation.
 */
#include "runtime/sort.h"

#include <weft/error.h>

#include <stdalign.h>

#include "deque/alloc.h"

/* --- loops for types known at run time ------------------------------------ */

enum {
	ALIGN = WEFT_SORT_WIDE, /* no narrow type can need more */
	FEW_BYTES = 2048,
};

_Static_assert(32 * 64 <= FEW_BYTES && WEFT_SORT_FEW(WEFT_SORT_WIDE) * WEFT_SORT_WIDE <= FEW_BYTES,
	       "any_few_ has room");

struct sixteen {
	alignas(16) uint64_t a;
	uint64_t b;
};

WEFT_SORT_LOOPS_(four, uint32_t, s->type.less, s->type.arg, false)
WEFT_SORT_LOOPS_(eight, uint64_t, s->type.less, s->type.arg, false)
WEFT_SORT_LOOPS_(stable_eight, uint64_t, s->type.less, s->type.arg, true)
WEFT_SORT_LOOPS_(sixteen, struct sixteen, s->type.less, s->type.arg, false)

static size_t any_split_(const struct weft_sorter *s, void *v, size_t n, const void *pivot,
			 bool equal, void *spare)
{
	alignas(ALIGN) char aside[WEFT_SORT_WIDE];
	struct weft_sort_pass p = { s->type, pivot, equal, aside };

	(void)spare;
	return weft_sort_split(v, n, false, p);
}

static void any_few_(const struct weft_sorter *s, void *v, size_t n)
{
	alignas(ALIGN) char a[FEW_BYTES], b[FEW_BYTES];

	weft_sort_few(v, n, a, b, s->type);
}

static const void *any_median_(const struct weft_sorter *s, const void *a, const void *b,
			       const void *c)
{
	return weft_sort_median(a, b, c, s->type);
}

static size_t any_run_(const struct weft_sorter *s, const void *v, size_t n, bool down)
{
	return weft_sort_run(v, n, down, s->type);
}

#define SORTER(t, stable, name) \
	((struct weft_sorter){ t, stable, name##_split_, name##_few_, name##_median_, name##_run_ })

static struct weft_sorter sorter_for(struct weft_sort_type t)
{
	switch (t.size) {
	case 4:
		return SORTER(t, false, four);
	case 8:
		return SORTER(t, false, eight);
	case 16:
		return SORTER(t, false, sixteen);
	default:
		return SORTER(t, false, any);
	}
}

/* --- wide elements -------------------------------------------------------- */

static bool less_pointed_at(const void *a, const void *b, void *arg)
{
	const struct weft_sorter *s = arg;

	return s->type.less(*(void *const *)a, *(void *const *)b, s->type.arg);
}

static struct weft_sorter pointer_sorter(const struct weft_sorter *s)
{
	struct weft_sort_type t = { sizeof(char *), less_pointed_at, (void *)(uintptr_t)s };

	return s->stable ? SORTER(t, true, stable_eight) : SORTER(t, false, eight);
}

/* Moves to each place i what from[i] points to, along the cycles. */
static void arrange(char *v, size_t n, size_t size, char **from, char *aside)
{
	for (size_t i = 0; i < n; i++) {
		char *start = v + i * size, *to = start;

		if (from[i] == start)
			continue;
		memcpy(aside, start, size);
		for (size_t k = i;;) {
			char *next = from[k];
			from[k] = to;
			if (next == start)
				break;
			memcpy(to, next, size);
			to = next;
			k = (size_t)(next - v) / size;
		}
		memcpy(to, aside, size);
	}
}

int weft__sort_wide(const struct weft_sorter *s, void *base, size_t n)
{
	struct weft_sorter by_pointer = pointer_sorter(s);
	size_t size = s->type.size, bytes = n * sizeof(char *) + size;
	char *v = base;
	char **from = weft__alloc(bytes);

	if (!from && s->stable)
		return WEFT_ENOMEM;
	if (!from) {
		weft__sort_heap(s, v, n);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		from[i] = v + i * size;
	int rc = weft__sort_narrow(&by_pointer, (char *)from, n);
	if (rc == 0)
		arrange(v, n, size, from, (char *)(from + n));
	weft__free(from, bytes);
	return rc;
}

int weft_sort(void *base, size_t n, size_t size, weft_less_fn *less, void *arg)
{
	struct weft_sorter s = sorter_for((struct weft_sort_type){ size, less, arg });

	if (!less || (n && (!base || size == 0)))
		return WEFT_EINVAL;
	return weft_sort_with(&s, base, n);
}
