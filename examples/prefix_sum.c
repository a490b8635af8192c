/* SPDX-License-Identifier: MIT */
/*
 * prefix_sum.c - from the lengths of records to where each begins, in place
 */
#include <stdio.h>

#include <weft/weft.h>

enum { N = 1000000 };

static void add_init(void *acc, void *arg)
{
	(void)arg;
	*(size_t *)acc = 0;
}

static int add_fold(void *acc, struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		*(size_t *)acc += ((size_t *)arg)[i];
	return 0;
}

static void add_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(size_t *)acc += *(const size_t *)right;
}

/* Comes with acc = the sum of everything before r. */
static int place(void *acc, struct weft_range *r, void *arg)
{
	size_t *at = arg, *next = acc;

	for (size_t i = r->begin; i < r->end; i++) {
		size_t length = at[i];
		at[i] = *next;
		*next += length;
	}
	return 0;
}

static int place_all(void *arg)
{
	static const struct weft_reducer add = { sizeof(size_t), add_init, add_fold, add_join };

	return weft_scan(0, N, &add, place, NULL, arg);
}

int main(void)
{
	static size_t at[N];

	for (size_t i = 0; i < N; i++)
		at[i] = i % 100; /* lengths */
	int rc = weft_run_sync(place_all, at);
	printf("record 5 begins at %zu, the last one at %zu\n", at[5], at[N - 1]);
	return rc != 0;
}
