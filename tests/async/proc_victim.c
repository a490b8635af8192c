/* SPDX-License-Identifier: MIT */
/*
 * proc_victim.c - all that can be done with worker processes, once
 *
 * proc_faults.sh makes system calls of it fail.  It ends with 0 when all went well
 * and with 3 when something was told to have failed; with anything else, or not at
 * all, when it was hurt.
 */
#include <errno.h>
#include <signal.h>

#include <weft/remote.h>

#include "support/proc.h"

static struct weft__server server;
static struct weft__proc proc;
static char bytes[300000];
static bool failed;

static int job(const void *in, size_t size, struct weft_reply *reply)
{
	fprintf(stderr, "a job of %zu bytes\n", size);
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(job);

static int job_in_place(const void *in, size_t size, struct weft_reply *reply)
{
	void *room = weft_reply_room(reply, 20 << 20);

	(void)in, (void)size;
	return room ? 0 : -ENOMEM;
}

static void run(weft_remote_fn *fn, size_t size)
{
	struct weft__answer answer;

	if (failed || proc_send(&proc, fn, bytes, size) != 0) {
		failed = true;
		return;
	}
	enum weft__proc_event event = proc_wait(&server, &proc, &answer);
	if (event == WEFT__PROC_NOTHING)
		exit(4); /* neither an answer nor an end */
	if (event != WEFT__PROC_ANSWER || answer.rc != 0) {
		failed = true;
		return;
	}
	if (fn == job && (answer.size != size || memcmp(answer.data, bytes, size) != 0))
		exit(5);
	weft__answer_fini(&answer);
}

static void live(void)
{
	struct weft__answer answer;

	if (weft__server_open(&server) != 0 || weft__proc_start(&proc, &server, NULL) != 0) {
		failed = true;
		return;
	}
	run(job, 5);
	run(job, sizeof(bytes));
	run(job_in_place, 0);
	if (weft__proc_kill(&proc, SIGKILL) != 0)
		failed = true;
	else if (proc_wait(&server, &proc, &answer) != WEFT__PROC_ENDED)
		exit(6);
	weft__proc_fini(&proc);
}

int main(void)
{
	weft__server_init(&server);
	for (int i = 0; i < 2; i++)
		live();
	weft__server_fini(&server);
	return failed ? 3 : 0;
}
