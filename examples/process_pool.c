/* SPDX-License-Identifier: MIT */
/*
 * process_pool.c - a function that crashes on some inputs costs those inputs alone
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

/* Runs in another process. */
static int parse(const void *in, size_t size, struct weft_reply *reply)
{
	if (memchr(in, '!', size))
		raise(SIGSEGV); /* a bug of somebody else's library */
	return weft_reply_put(reply, &size, sizeof size);
}
WEFT_REMOTE(parse);

static void try_one(const char *text)
{
	struct weft_proc_status st;
	struct weft_buf out = { 0 };
	int rc = weft_to_process(parse, text, strlen(text), &out, .timeout = WEFT_SEC(30),
				 .status = &st);

	if (rc == 0)
		printf("%s: %zu\n", text, *(const size_t *)out.data);
	else if (rc == WEFT_ECRASHED)
		printf("%s: crashed, %s\n", text, strsignal(st.signo));
	else
		printf("%s: %s\n", text, weft_strerror(rc));
	weft_buf_free(&out);
}

static int all(void *arg)
{
	(void)arg;
	try_one("fine");
	try_one("oh no!");
	try_one("fine too");
	return 0;
}

int main(void)
{
	return weft_run_sync(all, NULL) != 0;
}
