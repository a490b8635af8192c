/* SPDX-License-Identifier: MIT */
/*
 * retry.c - a service that is down for a while, asked again with growing delays
 */
#include <stdio.h>

#include <weft/weft.h>

struct service {
	int down_for; /* so many calls */
	int asked;
};

static int ask(void *arg)
{
	struct service *s = arg;

	return ++s->asked <= s->down_for ? WEFT_EAGAIN : 0;
}

static void tell(const struct weft_retry_stats *st, void *arg)
{
	(void)arg;
	printf("attempt %u: %s; again in %lld ms\n", st->attempts, weft_strerror(st->last_rc),
	       (long long)(st->next / WEFT_MS(1)));
}

static int ask_patiently(void *arg)
{
	return weft_retry(ask, arg, .attempts = 5, .delay = WEFT_MS(10), .backoff = 2,
			  .max_delay = WEFT_MS(30), .per_attempt = WEFT_SEC(5),
			  .before_sleep = tell);
}

/* The next delay would pass the deadline: there is no use in waiting for it. */
static int ask_in_time(void *arg)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .timeout = WEFT_SEC(1));

	if (rc == 0)
		rc = weft_retry(ask, arg, .attempts = 5, .delay = WEFT_SEC(3600));
	return weft_scope_leave(&s, rc);
}

int main(void)
{
	struct service restarts = { .down_for = 3 }, gone = { .down_for = 99 };
	int rc = weft_run_sync(ask_patiently, &restarts);

	printf("%s after %d attempts\n", weft_strerror(rc), restarts.asked);
	rc = weft_run_sync(ask_in_time, &gone);
	printf("%s after %d attempt\n", weft_strerror(rc), gone.asked);
	return 0;
}
