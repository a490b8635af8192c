/* SPDX-License-Identifier: MIT */
/*
 * hello.c - run a function on all cores, and two things inside it
 */
#include <stdio.h>

#include <weft/weft.h>

struct greeting {
	const char *name;
	char text[32];
};

static int greet(void *arg)
{
	struct greeting *g = arg;

	snprintf(g->text, sizeof g->text, "Hello, %s!", g->name);
	return 0;
}

static int greet_both(void *arg)
{
	struct greeting *g = arg;

	return weft_both(greet, &g[0], greet, &g[1]);
}

int main(void)
{
	struct greeting g[2] = { { .name = "warp" }, { .name = "weft" } };
	int rc = weft_run_sync(greet_both, g);

	if (rc != 0) {
		fprintf(stderr, "hello: %s\n", weft_strerror(rc));
		return 1;
	}
	printf("%s\n%s\n", g[0].text, g[1].text);
	return 0;
}
