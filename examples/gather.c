/* SPDX-License-Identifier: MIT */
/*
 * gather.c - several calls at once: the first error ends the rest, or all are settled
 */
#include <stdio.h>

#include <weft/weft.h>

enum { N = 3 };

struct page {
	const char *url;
	int64_t takes;
	int fails; /* with this, or 0 */
};

static int fetch(void *arg)
{
	struct page *p = arg;
	int rc = weft_sleep(p->takes);

	return rc ? rc : p->fails;
}

static int fetch_all(void *arg)
{
	struct page *p = arg;
	struct weft_call calls[N];
	size_t failed;
	int rcs[N];

	for (size_t i = 0; i < N; i++)
		calls[i] = (struct weft_call)WEFT_CALL(fetch, &p[i]);

	int rc = weft_gather(calls, N, NULL, .failed_index = &failed);
	if (rc != 0)
		printf("all or nothing: %s: %s\n", p[failed].url, weft_strerror(rc));

	rc = weft_gather(calls, N, rcs, .timeout = WEFT_MS(300));
	for (size_t i = 0; i < N; i++)
		printf("%s: %s\n", p[i].url, weft_strerror(rcs[i]));
	return rc;
}

int main(void)
{
	struct page pages[N] = {
		{ .url = "/slow", .takes = WEFT_SEC(3600) },
		{ .url = "/down", .takes = WEFT_MS(1), .fails = WEFT_EIO },
		{ .url = "/good", .takes = WEFT_MS(2) },
	};

	printf("in total: %s\n", weft_strerror(weft_run_sync(fetch_all, pages)));
	return 0;
}
