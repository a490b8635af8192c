/* SPDX-License-Identifier: MIT */
/*
 * rate_limited.c - fetch pages, several at a time, but so many per second
 *
 * The virtual clock makes it quick, and the times exact.
 */
#include <stdio.h>

#include <weft/weft.h>

struct page {
	const char *url;
	int64_t asked; /* ms */
	int bytes;
};

static int fetch(const void *in, void *out, void *arg)
{
	const char *url = *(const char *const *)in;
	struct page *page = out;

	(void)arg;
	page->url = url;
	page->asked = weft_now() / 1000000;
	page->bytes = 1000 * (url[1] - 'a' + 1);
	return weft_sleep(WEFT_MS(700)) == 0; /* the network */
}

static int crawl(void *arg)
{
	static const char *const urls[] = { "/a", "/b", "/c", "/d", "/e", "/f" };
	int64_t began = weft_now() / 1000000;

	(void)arg;
	/* Two at once, then five a second; up to four under way; results in order. */
	WEFT_AUTO_STREAM pages = weft_apply(
		weft_throttle(weft_from_array(urls, 6, sizeof *urls), .rate = 5, .burst = 2), fetch,
		NULL, sizeof(struct page), .limit = 4);
	struct page page;
	int rc;

	while ((rc = weft_next(pages, &page)) > 0)
		printf("%4lld ms  %s  %d bytes\n", (long long)(page.asked - began), page.url,
		       page.bytes);
	return rc;
}

int main(void)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc == 0) {
		rc = weft_runtime_run(rt, crawl, NULL);
		weft_runtime_destroy(rt);
	}
	return rc != 0;
}
