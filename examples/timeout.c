/* SPDX-License-Identifier: MIT */
/*
 * timeout.c - a scope with a deadline, what its three outcomes mean, and a clean-up that
 * a cancel does not cut off
 */
#include <stdio.h>

#include <weft/weft.h>

static int save(void *arg)
{
	int rc = weft_sleep(WEFT_MS(1));

	if (rc == 0)
		printf("%s: saved\n", (const char *)arg);
	return rc;
}

/* Something long that was not made for deadlines. */
static int work(void *arg)
{
	int rc = weft_sleep(WEFT_SEC(3600));

	if (rc == WEFT_ECANCELED)
		weft_shield(save, arg, WEFT_SEC(5));
	return rc;
}

static int work_for(const char *who, int64_t timeout)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .timeout = timeout);

	if (rc == 0)
		rc = work((void *)(uintptr_t)who);
	return weft_scope_leave(&s, rc);
}

static int nested(void *arg)
{
	struct weft_scope outer;
	int rc = work_for("own deadline", WEFT_MS(5));

	(void)arg;
	printf("inner: %s\n", weft_strerror(rc));

	weft_scope_enter(&outer, .timeout = WEFT_MS(5));
	rc = work_for("outer deadline", WEFT_SEC(60));
	printf("inner: %s\n", weft_strerror(rc));
	rc = weft_scope_leave(&outer, rc);
	printf("outer: %s\n", weft_strerror(rc));
	return 0;
}

int main(void)
{
	return weft_run_sync(nested, NULL) != 0;
}
