/* SPDX-License-Identifier: MIT */
/*
 * feeds.c - two feeds become one, and are stored in batches
 *
 * A batch is full with four items, or half a second after its first one.
 */
#include <stdio.h>

#include <weft/weft.h>

struct feed {
	const char *name;
	int64_t period;
	int n;
};

static int next_item(void *item, void *arg)
{
	struct feed *f = arg;

	if (f->n == 0)
		return 0;
	if (weft_sleep(f->period) != 0)
		return WEFT_ECANCELED; /* the item is for the next call */
	f->n--;
	*(const char **)item = f->name;
	return 1;
}

static int store(void *arg)
{
	struct feed news = { "news", WEFT_MS(200), 6 }, mail = { "mail", WEFT_MS(700), 2 };
	struct weft_stream *feeds[] = {
		weft_from_function(next_item, &news, sizeof(char *)),
		weft_from_function(next_item, &mail, sizeof(char *)),
	};
	WEFT_AUTO_STREAM s = weft_batch(weft_merge(feeds, 2), 4, WEFT_MS(500));
	struct weft_chunk chunk;
	int rc;

	(void)arg;
	while ((rc = weft_next(s, &chunk)) > 0) {
		printf("batch of %zu:", chunk.n);
		for (size_t i = 0; i < chunk.n; i++)
			printf(" %s", ((const char **)chunk.items)[i]);
		puts("");
	}
	return rc;
}

int main(void)
{
	struct weft_runtime *rt;

	if (weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL) != 0)
		return 1;
	int rc = weft_runtime_run(rt, store, NULL);
	weft_runtime_destroy(rt);
	return rc != 0;
}
