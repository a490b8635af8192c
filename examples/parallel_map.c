/* SPDX-License-Identifier: MIT */
/*
 * parallel_map.c - the same function on every element of an array, in place
 */
#include <stdio.h>

#include <weft/weft.h>

enum { N = 100000 };

struct walk {
	unsigned start;
	unsigned steps; /* until it comes to 1 */
};

/* The Collatz walk from w->start: some are short and some are long, and weft
 * balances them. */
static int count_steps(void *item, void *arg)
{
	struct walk *w = item;

	(void)arg;
	for (unsigned long x = w->start; x != 1; x = x % 2 ? 3 * x + 1 : x / 2)
		w->steps++;
	return 0;
}

static int count_all(void *arg)
{
	return weft_for_each(arg, N, sizeof(struct walk), count_steps, NULL);
}

int main(void)
{
	static struct walk walks[N];
	struct walk *longest = walks;

	for (unsigned i = 0; i < N; i++)
		walks[i].start = i + 1;
	if (weft_run_sync(count_all, walks) != 0)
		return 1;

	for (unsigned i = 0; i < N; i++)
		if (walks[i].steps > longest->steps)
			longest = &walks[i];
	printf("below %d the longest walk is that from %u: %u steps\n", N, longest->start,
	       longest->steps);
	return 0;
}
