/* SPDX-License-Identifier: MIT */
/*
 * sort.c - a typed parallel sort of an array of structs
 */
#include <stdio.h>

#include <weft/weft.h>

enum { N = 1000000 };

struct city {
	unsigned people;
	unsigned number;
};

/* Larger ones first; of two as large, the one that was founded first. */
static bool comes_first(const struct city *a, const struct city *b)
{
	if (a->people != b->people)
		return a->people > b->people;
	return a->number < b->number;
}

WEFT_SORT(sort_cities, struct city, comes_first)

static int sort_all(void *arg)
{
	return sort_cities(arg, N);
}

int main(void)
{
	static struct city cities[N];
	unsigned seed = 1;

	for (unsigned i = 0; i < N; i++) {
		seed = seed * 1664525 + 1013904223;
		cities[i] = (struct city){ .people = seed >> 8, .number = i };
	}
	if (weft_run_sync(sort_all, cities) != 0)
		return 1;

	for (unsigned i = 1; i < N; i++)
		if (!comes_first(&cities[i - 1], &cities[i]))
			return 1;
	for (unsigned i = 0; i < 3; i++)
		printf("city %6u has %8u people\n", cities[i].number, cities[i].people);
	return 0;
}
