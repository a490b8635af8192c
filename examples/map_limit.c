/* SPDX-License-Identifier: MIT */
/*
 * map_limit.c - a hundred requests, ten at a time, and one that fails
 */
#include <stdio.h>

#include <weft/weft.h>

enum { N = 100, LIMIT = 10 };

struct item {
	int in, out;
};

static int at_once, most; /* of all workers, hence the atomics */

static int request(void *arg, void *ctx)
{
	struct item *it = arg;
	const int *bad = ctx;

	int now = __atomic_add_fetch(&at_once, 1, __ATOMIC_RELAXED);
	if (now > __atomic_load_n(&most, __ATOMIC_RELAXED))
		__atomic_store_n(&most, now, __ATOMIC_RELAXED);
	int rc = weft_sleep(WEFT_MS(1));
	__atomic_sub_fetch(&at_once, 1, __ATOMIC_RELAXED);
	it->out = it->in * it->in;
	return rc ? rc : it->in == *bad ? WEFT_EINVAL : 0;
}

static int map_all(void *arg)
{
	struct item v[N];
	size_t failed;
	long sum = 0;

	for (int i = 0; i < N; i++)
		v[i] = (struct item){ .in = i };

	int rc = weft_map(request, v, N, arg, .limit = LIMIT, .failed_index = &failed);
	if (rc != 0) {
		printf("item %zu: %s\n", failed, weft_strerror(rc));
		return 0;
	}
	for (int i = 0; i < N; i++)
		sum += v[i].out;
	printf("sum of squares %ld, never more than %d at once: %s\n", sum, LIMIT,
	       most <= LIMIT ? "yes" : "no");
	return 0;
}

int main(void)
{
	int none = -1, one = 42;
	int rc = weft_run_sync(map_all, &none);

	return rc ? 1 : weft_run_sync(map_all, &one) != 0;
}
