/* SPDX-License-Identifier: MIT */
/*
 * race.c - ask two servers, take the first answer; the slow one is told to stop
 */
#include <stdio.h>

#include <weft/weft.h>

struct server {
	const char *name;
	int64_t takes;
	char answer[32];
};

static int ask(void *arg)
{
	struct server *s = arg;
	int rc = weft_sleep(s->takes);

	if (rc == 0)
		snprintf(s->answer, sizeof s->answer, "hello from %s", s->name);
	return rc;
}

static int ask_both(void *arg)
{
	struct server *s = arg;
	size_t winner;
	int rc = weft_race(WEFT_CALLS(WEFT_CALL(ask, &s[0]), WEFT_CALL(ask, &s[1])), 2, &winner,
			   .timeout = WEFT_SEC(30));

	if (rc == 0)
		printf("%s\n", s[winner].answer);
	return rc;
}

int main(void)
{
	struct server servers[2] = {
		{ .name = "far away", .takes = WEFT_SEC(3600) },
		{ .name = "next door", .takes = WEFT_MS(1) },
	};
	int rc = weft_run_sync(ask_both, servers);

	/* Nothing of the loser is left: its hour was cut short. */
	printf("the other said: \"%s\"\n", servers[0].answer);
	return rc != 0;
}
