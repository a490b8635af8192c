/* SPDX-License-Identifier: MIT */
/*
 * test_stream_exec.c - what weft_exec_lines and weft_exec_blocks promise
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

#include "deque/alloc.h"
#include "support/proc.h"
#include "support/virtual.h"

TestSuite(stream_exec, .timeout = 60);

/* A test that is one body, with the real clock, and leaves no descriptor behind. */
#define RealTest(suite, name)                                                        \
	static int suite##_##name##_task(void *arg);                                 \
	Test(suite, name)                                                            \
	{                                                                            \
		struct weft_config config = { .workers = 2 };                        \
		int before = proc_fd_count();                                        \
		cr_assert(eq(int, go_with(config, suite##_##name##_task, NULL), 0)); \
		cr_expect(eq(int, proc_fd_count(), before));                         \
	}                                                                            \
	static int suite##_##name##_task(__attribute__((unused)) void *arg)

#define SHELL(text) ((char *[]){ "sh", "-c", text, NULL })

/* The next line is this one. */
static bool gives(struct weft_stream *s, const char *want)
{
	struct weft_text line;

	return weft_next(s, &line) == 1 && line.length == strlen(want) &&
	       memcmp(line.data, want, line.length) == 0;
}

/* It is over, for good. */
static bool ends(struct weft_stream *s, int rc)
{
	struct weft_text line;

	return weft_next(s, &line) == rc && weft_next(s, &line) == rc;
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) == -1 && errno == ESRCH;
}

RealTest(stream_exec, lines_and_the_end)
{
	struct weft_exec_result r = { 0 };
	struct weft_stream *s = weft_exec_lines(0, &r, .argv = SHELL("echo a; echo; printf b"));

	HOLDS(gives(s, "a") && gives(s, "") && gives(s, "b") && ends(s, 0));
	HOLDS(r.pid > 0 && r.exit_code == 0 && is_gone(r.pid));
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, its_exit_code_is_the_error_at_the_end)
{
	struct weft_exec_result r = { 0 };
	struct weft_stream *s = weft_exec_lines(0, &r, .argv = SHELL("echo a; exit 3"));

	HOLDS(gives(s, "a") && ends(s, WEFT_ECRASHED) && r.exit_code == 3);
	weft_stream_destroy(s);
	s = weft_exec_lines(0, &r, .argv = SHELL("echo a; kill -9 $$"));
	HOLDS(gives(s, "a") && ends(s, WEFT_ECRASHED) && r.signo == SIGKILL);
	weft_stream_destroy(s);
	s = weft_exec_lines(0, NULL, .argv = SHELL("exit 3"));
	HOLDS(ends(s, WEFT_ECRASHED));
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, one_that_closes_its_output_has_not_ended)
{
	struct weft_exec_result r = { 0 };
	struct weft_stream *s = weft_exec_lines(0, &r, .argv = SHELL("exec >&-; exit 7"));

	HOLDS(ends(s, WEFT_ECRASHED) && r.exit_code == 7);
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, blocks_are_all_bytes_and_input_goes_in)
{
	static char in[300000];
	struct weft_stream *s = weft_exec_blocks(5000, NULL, .argv = SHELL("cat"), .input = in,
						 .input_size = sizeof in);
	struct weft_text block;
	size_t at = 0;
	int rc;

	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (char)(i * 31 + i / 251);
	while ((rc = weft_next(s, &block)) > 0) {
		HOLDS(block.length <= 5000 && at + block.length <= sizeof in);
		HOLDS(memcmp(in + at, block.data, block.length) == 0);
		at += block.length;
	}
	HOLDS(rc == 0 && at == sizeof in);
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, what_cannot_be_started_is_an_error)
{
	char *argv[] = { "/no/such/program", NULL };
	struct weft_buf out = { 0 };
	struct weft_stream *s = weft_exec_lines(0, NULL, .argv = argv);

	HOLDS(ends(s, -ENOENT));
	weft_stream_destroy(s);
	s = weft_exec_lines(0, NULL, .argv = argv, .out = &out);
	HOLDS(ends(s, WEFT_EINVAL));
	weft_stream_destroy(s);
	s = weft_exec_blocks(0, NULL, .argv = argv);
	HOLDS(ends(s, WEFT_EINVAL));
	weft_stream_destroy(s);
	s = weft_exec_lines(0, NULL, .env = argv);
	HOLDS(ends(s, WEFT_EINVAL));
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, closed_early_it_kills_and_reaps_the_program)
{
	struct weft_exec_result r = { 0 };
	struct weft_stream *s = weft_exec_lines(0, &r, .argv = SHELL("echo a; exec sleep 1000"));

	HOLDS(gives(s, "a"));
	weft_stream_close(s);
	HOLDS(r.pid > 0 && r.signo == SIGTERM && is_gone(r.pid));
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, closed_early_it_ends_a_full_pipe_and_deaf_programs)
{
	struct weft_exec_result r = { 0 };
	struct weft_stream *s = weft_exec_lines(0, &r, .argv = SHELL("trap '' TERM; exec yes"));

	for (int i = 0; i < 100000; i++)
		HOLDS(gives(s, "y"));
	weft_stream_close(s);
	HOLDS(r.pid > 0 && r.signo == SIGPIPE && is_gone(r.pid));
	weft_stream_destroy(s);
	s = weft_exec_lines(0, &r, .argv = SHELL("trap '' TERM; echo a; while :; do sleep 1; done"),
			    .grace = WEFT_MS(10));
	HOLDS(gives(s, "a"));
	weft_stream_destroy(s);
	HOLDS(r.signo == SIGKILL && is_gone(r.pid));
	return 0;
}

RealTest(stream_exec, nothing_runs_before_the_first_read)
{
	struct weft_exec_result r = { 0 };

	weft_stream_destroy(weft_exec_lines(0, &r, .argv = SHELL("echo a")));
	HOLDS(r.pid == 0);
	return 0;
}

RealTest(stream_exec, its_time_may_be_limited)
{
	struct weft_stream *s =
		weft_exec_lines(0, NULL, .argv = SHELL("exec sleep 1000"), .timeout = WEFT_MS(20));

	HOLDS(ends(s, WEFT_ETIMEDOUT));
	weft_stream_destroy(s);
	return 0;
}

RealTest(stream_exec, ST_2_a_reader_that_is_cut_off_has_lost_nothing)
{
	struct weft_scope scope;
	struct weft_text line;
	int input[2];

	HOLDS(pipe2(input, O_CLOEXEC) == 0);
	struct weft_stream *s = weft_exec_lines(0, NULL, .argv = SHELL("printf a; read x; echo b"),
						.input_fd = input[0]);
	weft_scope_enter(&scope, .timeout = WEFT_MS(50));
	int rc = weft_next(s, &line);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&scope, rc) == WEFT_ETIMEDOUT);
	HOLDS(write(input[1], "\n", 1) == 1);
	HOLDS(gives(s, "ab") && ends(s, 0));
	weft_stream_destroy(s);
	close(input[0]);
	close(input[1]);
	return 0;
}

RealTest(stream_exec, ST_3_each_allocation_may_fail)
{
	int64_t live = weft__alloc_live();
	bool failed = true;

	for (uint64_t n = 1; failed; n++) {
		weft__alloc_fail_at(n);
		struct weft_stream *s = weft_exec_lines(0, NULL, .argv = SHELL("echo a"));
		weft__alloc_fail_at(0);
		failed = !s;
		weft_stream_destroy(s);
	}
	HOLDS(weft__alloc_live() == live);
	return 0;
}

Test(stream_exec, outside_of_a_task_there_is_none)
{
	struct weft_stream *s = weft_exec_lines(0, NULL, .argv = SHELL("echo a"));
	struct weft_text line;

	cr_assert(eq(int, weft_next(s, &line), WEFT_ENOTASK));
	weft_stream_destroy(s);
}
