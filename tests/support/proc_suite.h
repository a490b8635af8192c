/* SPDX-License-Identifier: MIT */
/*
 * proc_suite.h - what the suites about worker processes share: a server, some
 * workers of it, and jobs that most of them need
 */
#ifndef WEFT_TESTS_PROC_SUITE_H
#define WEFT_TESTS_PROC_SUITE_H

#include "support/assert.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>

#include <weft/remote.h>

#include "support/proc.h"

static struct weft__server server;
static struct weft__proc proc[4];
static struct weft__answer answer;
static int started;

static inline void setup(void)
{
	weft__server_init(&server);
	cr_assert(eq(int, weft__server_open(&server), 0));
	started = 0;
}

static inline void teardown(void)
{
	weft__server_fini(&server);
	for (int i = 0; i < started; i++)
		weft__proc_fini(&proc[i]);
}

static inline struct weft__proc *begin_with(const struct weft__proc_limits *limits)
{
	struct weft__proc *p = &proc[started++];

	cr_assert(eq(int, weft__proc_start(p, &server, limits), 0));
	return p;
}

static inline struct weft__proc *begin(void)
{
	return begin_with(NULL);
}

/* Runs a job; its code, or 1000 when the worker ended instead. */
static inline int run(struct weft__proc *p, weft_remote_fn *fn, const void *data, size_t size)
{
	cr_assert(eq(int, proc_send(p, fn, data, size), 0));
	enum weft__proc_event event = proc_wait(&server, p, &answer);
	cr_assert(ne(int, event, WEFT__PROC_NOTHING), "no answer in ten seconds");
	return event == WEFT__PROC_ANSWER ? answer.rc : 1000;
}

/* Runs a job that answers with an int. */
static inline int run_int(struct weft__proc *p, weft_remote_fn *fn, int value)
{
	int result = -1;

	cr_assert(eq(int, run(p, fn, &value, sizeof(value)), 0));
	cr_assert(eq(sz, answer.size, sizeof(result)));
	memcpy(&result, answer.data, sizeof(result));
	weft__answer_fini(&answer);
	cr_assert(proc_wait_alive(&server, p)); /* the answer may be there first */
	return result;
}

static inline const struct weft__exit *end_of(struct weft__proc *p)
{
	cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ENDED));
	return &p->exit;
}

static inline const struct weft__exit *kill_with(struct weft__proc *p, int signal)
{
	cr_assert(eq(int, weft__proc_kill(p, signal), 0));
	return end_of(p);
}

static inline int give_int(struct weft_reply *reply, int value)
{
	return weft_reply_put(reply, &value, sizeof(value));
}

static inline int take_int(const void *in)
{
	int value;

	memcpy(&value, in, sizeof(value));
	return value;
}

/*
 * Jobs
 */

static inline int job_pid(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, getpid());
}
WEFT_REMOTE(job_pid);

static inline int job_echo(const void *in, size_t size, struct weft_reply *reply)
{
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(job_echo);

static inline int job_exit(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	_exit(take_int(in));
	return 0;
}

static inline int job_sleep(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	while (sleep(1000) == 0)
		continue;
	return 0;
}

/* Leaves a child behind; answers with its pid.  In a session of its own when the
 * argument says so. */
static inline int job_child(const void *in, size_t size, struct weft_reply *reply)
{
	pid_t pid = fork();

	(void)size;
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		if (take_int(in))
			setsid();
		for (;;)
			pause();
	}
	return give_int(reply, pid);
}

static inline void expect_echo(struct weft__proc *p, size_t size)
{
	char *bytes = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	cr_assert(eq(int, run(p, job_echo, bytes, size), 0));
	cr_assert(eq(sz, answer.size, size));
	cr_expect(size == 0 || memcmp(answer.data, bytes, size) == 0, "%zu", size);
	weft__answer_fini(&answer);
	free(bytes);
}

#endif
