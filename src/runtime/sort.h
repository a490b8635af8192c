/* SPDX-License-Identifier: MIT */
/*
 * sort.h - what the files of the sort share
 *
 *   sort.c          quicksort: cuts, forks, bad luck
 *   sort_stripes.c  one cut by several workers
 *   sort_untyped.c  weft_sort, and elements too wide to be moved often
 */
#ifndef WEFT_RUNTIME_SORT_H
#define WEFT_RUNTIME_SORT_H

#include <weft/sort.h>

/* A part of an array that is to be sorted. */
struct weft__sort_piece {
	const struct weft_sorter *s;
	char *v;
	size_t n;
	char *spare;   /* room for n elements when stable */
	size_t whole;  /* elements of the array */
	unsigned luck; /* bad cuts that are forgiven */
};

/* The elements begin .. end - 1 of p. */
static inline struct weft__sort_piece weft__sort_part(const struct weft__sort_piece *p,
						      size_t begin, size_t end)
{
	struct weft__sort_piece part = *p;

	part.v += begin * p->s->type.size;
	part.n = end - begin;
	if (p->spare)
		part.spare += begin * p->s->type.size;
	return part;
}

/* As s->split, for a piece of at least WEFT__SORT_STRIPES elements, all workers
 * together; *low is how many came to the front. */
int weft__sort_split_striped(const struct weft__sort_piece *p, const void *pivot, bool equal,
			     size_t *low);

enum {
	WEFT__SORT_STRIPES = 64,
};

/* Sorts elements that have loops, and those that have not: over WEFT_SORT_WIDE
 * bytes each. */
int weft__sort_narrow(const struct weft_sorter *s, void *v, size_t n);
int weft__sort_wide(const struct weft_sorter *s, void *v, size_t n);

/* Swaps two runs of bytes that do not overlap. */
void weft__sort_swap(char *a, char *b, size_t bytes);

/* In place, O(n log n), whatever the elements; slow. */
void weft__sort_heap(const struct weft_sorter *s, char *v, size_t n);

#endif
