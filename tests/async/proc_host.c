/* SPDX-License-Identifier: MIT */
/*
 * proc_host.c - a host of worker processes, built in many ways by proc_hosts.sh
 *
 * host_try(way) runs a function in a worker and says what came of it: 0, or the
 * code that said no.  way 0: a function with a name; 1: one without; 2: without,
 * after 'new' files were moved to where the host's own were loaded from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <weft/remote.h>

#include "support/proc.h"

#ifdef __cplusplus
#error "C only"
#endif

int host_try(int way);

static int twice(const void *in, size_t size, struct weft_reply *reply)
{
	int value;

	(void)size;
	memcpy(&value, in, sizeof(value));
	value *= 2;
	return weft_reply_put(reply, &value, sizeof(value));
}
WEFT_REMOTE(twice);

static int thrice(const void *in, size_t size, struct weft_reply *reply)
{
	int value;

	(void)size;
	memcpy(&value, in, sizeof(value));
	value *= HOST_FACTOR;
	return weft_reply_put(reply, &value, sizeof(value));
}

static int move_files(void)
{
	return rename(HOST_FILE ".new", HOST_FILE) == 0;
}

static int ask(struct weft__server *s, struct weft__proc *p, weft_remote_fn *fn, int factor)
{
	struct weft__answer answer;
	int value = 21, result;
	int rc = proc_send(p, fn, &value, sizeof(value));

	if (rc != 0)
		return rc;
	if (proc_wait(s, p, &answer) != WEFT__PROC_ANSWER)
		return 1000;
	if (answer.rc != 0 || answer.size != sizeof(result))
		return answer.rc ? answer.rc : 1001;
	memcpy(&result, answer.data, sizeof(result));
	weft__answer_fini(&answer);
	return result == factor * value ? 0 : 1002;
}

int host_try(int way)
{
	static struct weft__server server;
	static struct weft__proc proc;

	if (way == 2 && !move_files())
		return 1003;
	weft__server_init(&server);
	int rc = weft__server_open(&server);
	if (rc != 0)
		return rc;
	rc = weft__proc_start(&proc, &server, NULL);
	rc = rc ? rc : ask(&server, &proc, way ? thrice : twice, way ? HOST_FACTOR : 2);
	weft__server_fini(&server);
	weft__proc_fini(&proc);
	return rc;
}

#ifdef HOST_MAIN
int main(int argc, char **argv)
{
	if (HOST_MAIN == 2)
		weft_remote_main();
	if (argc != 2)
		return 2; /* main() runs in a server, which has no arguments */
	printf("%d\n", host_try(atoi(argv[1])));
	return 0;
}
#endif
