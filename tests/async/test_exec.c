/* SPDX-License-Identifier: MIT */
/*
 * test_exec.c - what weft/exec.h promises, one promise a test
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "support/child.h"
#include "support/proc.h"
#include "support/virtual.h"

TestSuite(exec, .timeout = 60);

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

/* A program that is to be gone when the call that starts it returns. */
static bool is_to_vanish;

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	int rc = ((__typeof__(&posix_spawnp))dlsym(RTLD_NEXT, "posix_spawnp"))(
		pid, file, actions, attributes, argv, env);

	while (rc == 0 && is_to_vanish && kill(*pid, 0) == 0)
		sched_yield();
	return rc;
}

#define SHELL(text) ((char *[]){ "sh", "-c", text, NULL })

static bool is_text(const struct weft_buf *buf, const char *text)
{
	return buf->size == strlen(text) && (buf->size == 0 || !memcmp(buf->data, text, buf->size));
}

RealTest(exec, output_and_code)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 }, err = { 0 };

	HOLDS(weft_exec(&r, .argv = SHELL("echo out; echo err >&2; exit 3"), .out = &out,
			.err = &err) == 0);
	HOLDS(r.exit_code == 3 && r.signo == 0 && r.pid > 0);
	HOLDS(is_text(&out, "out\n") && is_text(&err, "err\n"));
	HOLDS(r.out_total == 4 && r.err_total == 4);
	HOLDS(r.rusage.ru_maxrss > 0);
	weft_buf_free(&out);
	weft_buf_free(&err);
	return 0;
}

RealTest(exec, input_out_of_memory_whole)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };
	size_t size = 3 << 20;
	char *in = malloc(size);

	for (size_t i = 0; i < size; i++)
		in[i] = (char)(i * 31 + i / 251);
	HOLDS(weft_exec(&r, .argv = SHELL("cat"), .input = in, .input_size = size, .out = &out) ==
	      0);
	HOLDS(out.size == size && memcmp(out.data, in, size) == 0);
	weft_buf_free(&out);
	/* A program that does not read it. */
	HOLDS(weft_exec(&r, .argv = SHELL("true"), .input = in, .input_size = size) == 0);
	HOLDS(r.exit_code == 0);
	free(in);
	return 0;
}

RealTest(exec, input_from_a_descriptor_or_nowhere)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };
	int ends[2];

	HOLDS(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], "piped", 5) == 5);
	close(ends[1]);
	HOLDS(weft_exec(&r, .argv = SHELL("cat"), .input_fd = ends[0], .out = &out) == 0);
	HOLDS(is_text(&out, "piped"));
	weft_buf_free(&out);
	close(ends[0]);
	HOLDS(weft_exec(&r, .argv = SHELL("cat"), .out = &out) == 0);
	HOLDS(is_text(&out, ""));
	weft_buf_free(&out);
	return 0;
}

RealTest(exec, output_to_a_descriptor)
{
	struct weft_exec_result r;
	char text[16] = "";
	int ends[2];

	HOLDS(pipe2(ends, O_CLOEXEC) == 0);
	HOLDS(weft_exec(&r, .argv = SHELL("echo 1; echo 2 >&2"), .out_fd = ends[1],
			.err_fd = ends[1]) == 0);
	close(ends[1]);
	HOLDS(read(ends[0], text, sizeof text) == 4 && memcmp(text, "1\n2\n", 4) == 0);
	close(ends[0]);
	return 0;
}

RealTest(exec, environment_and_directory)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };
	char *env[] = { "GREETING=hello", "PATH=/usr/bin:/bin", NULL };

	HOLDS(weft_exec(&r, .argv = SHELL("echo $GREETING $HOME; pwd"), .env = env, .dir = "/",
			.out = &out) == 0);
	HOLDS(is_text(&out, "hello\n/\n"));
	weft_buf_free(&out);
	return 0;
}

RealTest(exec, no_shell_is_between)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };
	char *argv[] = { "echo", "$HOME; *", NULL };

	HOLDS(weft_exec(&r, .argv = argv, .out = &out) == 0);
	HOLDS(is_text(&out, "$HOME; *\n"));
	weft_buf_free(&out);
	return 0;
}

RealTest(exec, what_exceeds_the_bound_is_dropped_and_counted)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };

	HOLDS(weft_exec(&r, .argv = SHELL("head -c 5000000 /dev/zero"), .out = &out,
			.max_out = 10000) == 0);
	HOLDS(out.size == 10000 && r.out_total == 5000000 && r.exit_code == 0);
	weft_buf_free(&out);
	return 0;
}

RealTest(exec, a_signal_is_told)
{
	struct weft_exec_result r;

	HOLDS(weft_exec(&r, .argv = SHELL("kill -SEGV $$")) == 0);
	HOLDS(r.signo == SIGSEGV && r.exit_code == 0);
	return 0;
}

RealTest(exec, what_cannot_be_run_says_why)
{
	struct weft_exec_result r;
	char *nothing[] = { "/no/such/program", NULL };
	char *directory[] = { "/", NULL };

	HOLDS(weft_exec(&r, .argv = nothing) == -ENOENT);
	HOLDS(r.pid == 0);
	HOLDS(weft_exec(&r, .argv = directory) == -EACCES);
	HOLDS(weft_exec(&r, .argv = SHELL("true"), .dir = "/no/such/place") == -ENOENT);
	HOLDS(weft_exec(&r, .argv = NULL) == WEFT_EINVAL);
	HOLDS(weft_exec(&r, .argv = SHELL("true"), .input_size = 1) == WEFT_EINVAL);
	return 0;
}

Test(exec, a_plain_thread_is_no_task)
{
	cr_expect(eq(int, weft_exec(NULL, .argv = SHELL("true")), WEFT_ENOTASK));
}

static void try_every_entry(void)
{
	struct weft_exec_result r = { .pid = 77 };
	struct weft_text text;

	CHILD_CHECK(weft_exec(&r, .argv = SHELL("true")) == WEFT_ESHUTDOWN && r.pid == 77);
	struct weft_stream *lines = weft_exec_lines(0, NULL, .argv = SHELL("echo"));
	CHILD_CHECK(weft_next(lines, &text) == WEFT_ESHUTDOWN);
	weft_stream_destroy(lines);
	struct weft_stream *blocks = weft_exec_blocks(10, NULL, .argv = SHELL("echo"));
	CHILD_CHECK(weft_next(blocks, &text) == WEFT_ESHUTDOWN);
	weft_stream_destroy(blocks);
}

RealTest(exec, CF04_a_fork_of_the_application_runs_nothing)
{
	HOLDS(child_check(try_every_entry) == 0);
	return 0;
}

RealTest(exec, a_cancelled_caller_starts_nothing)
{
	struct weft_exec_result r = { .pid = 77 };
	struct weft_scope s;

	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_exec(&r, .argv = SHELL("true")) == WEFT_ECANCELED);
	HOLDS(r.pid == 77);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

RealTest(exec, a_timeout_that_is_over_starts_nothing)
{
	struct weft_exec_result r = { .pid = 77 };

	HOLDS(weft_exec(&r, .argv = SHELL("true"), .timeout = -1) == WEFT_ETIMEDOUT);
	HOLDS(r.pid == 0);
	return 0;
}

RealTest(exec, a_deadline_kills_and_reaps)
{
	struct weft_exec_result r;

	HOLDS(weft_exec(&r, .argv = SHELL("exec sleep 1000"), .timeout = WEFT_MS(50)) ==
	      WEFT_ETIMEDOUT);
	HOLDS(r.signo == SIGTERM && kill(r.pid, 0) != 0);
	return 0;
}

struct stubborn {
	int ends[2];
	struct weft_exec_result r;
	struct weft_buf out;
	char **argv, **env;
	int rc;
};

/* What it writes to its standard error says that it is about to hang. */
static int run_stubborn(void *arg)
{
	struct stubborn *s = arg;

	s->rc = weft_exec(&s->r, .argv = s->argv, .env = s->env, .err_fd = s->ends[1],
			  .out = &s->out, .grace = WEFT_MS(50));
	return 0;
}

static int cancel_when_told(void *arg)
{
	struct stubborn *s = arg;
	char byte;

	HOLDS(weft_read(s->ends[0], &byte, 1) == 1);
	return WEFT_EIO;
}

static void cut_off(struct stubborn *s, char **argv, char **env)
{
	struct weft_group g;

	*s = (struct stubborn){ .argv = argv, .env = env };
	HOLDS(pipe2(s->ends, O_CLOEXEC) == 0);
	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, run_stubborn, s);
	weft_spawn(&g, cancel_when_told, s);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	close(s->ends[0]);
	close(s->ends[1]);
	HOLDS(s->rc == WEFT_ECANCELED);
}

static void cut_off_script(struct stubborn *s, char *script)
{
	cut_off(s, SHELL(script), NULL);
}

RealTest(exec, who_ignores_the_asking_is_killed_and_what_it_wrote_is_kept)
{
	struct stubborn s;

	cut_off_script(&s, "trap '' TERM; echo kept; echo go >&2; while :; do sleep 1; done");
	HOLDS(s.r.signo == SIGKILL);
	HOLDS(is_text(&s.out, "kept\n"));
	weft_buf_free(&s.out);
	return 0;
}

RealTest(exec, the_whole_group_is_killed)
{
	struct stubborn s;

	cut_off_script(&s, "sleep 1000 & echo $!; echo go >&2; wait");
	HOLDS(s.out.size > 1);
	int pid = s.out.size ? atoi(s.out.data) : 0;
	HOLDS(pid > 0 && proc_dies(pid, 5000));
	weft_buf_free(&s.out);
	return 0;
}

/* This program again, which then joins the group of the application and hangs. */
__attribute__((constructor)) static void desert(void)
{
	const char *how = getenv("WEFT_TEST_DESERT");

	if (!how)
		return;
	if (strcmp(how, "deaf") == 0)
		signal(SIGTERM, SIG_IGN);
	if (setpgid(0, getpgid(getppid())) == 0 && write(STDERR_FILENO, "!", 1) == 1) {
		for (;;)
			pause();
	}
	_exit(1);
}

RealTest(exec, who_leaves_the_group_is_killed_too)
{
	char *argv[] = { "/proc/self/exe", NULL };
	struct stubborn s;

	cut_off(&s, argv, (char *[]){ "WEFT_TEST_DESERT=yes", NULL });
	HOLDS(s.r.signo == SIGTERM);
	weft_buf_free(&s.out);
	cut_off(&s, argv, (char *[]){ "WEFT_TEST_DESERT=deaf", NULL });
	HOLDS(s.r.signo == SIGKILL);
	weft_buf_free(&s.out);
	return 0;
}

RealTest(exec, what_is_left_of_the_group_does_not_hold_the_call)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };

	/* The first has the pipe, and is killed; the second has left the group. */
	HOLDS(weft_exec(&r, .argv = SHELL("sleep 1000 & setsid sleep 20 & echo $!"), .out = &out) ==
	      0);
	HOLDS(r.exit_code == 0 && out.size > 1);
	kill(out.size ? atoi(out.data) : 0, SIGKILL);
	weft_buf_free(&out);
	return 0;
}

RealTest(exec, children_of_the_application_are_untouched)
{
	struct weft_exec_result r;
	int status = 0;
	pid_t mine = fork();

	if (mine == 0)
		_exit(7);
	for (int i = 0; i < 10; i++)
		HOLDS(weft_exec(&r, .argv = SHELL("exit 5")) == 0 && r.exit_code == 5);
	HOLDS(waitpid(mine, &status, 0) == mine && WEXITSTATUS(status) == 7);
	HOLDS(waitpid(-1, NULL, WNOHANG) == -1);
	return 0;
}

/* Ended and not waited for by us: nobody knows how, and nobody is killed. */
RealTest(exec, a_program_that_nobody_can_wait_for_is_no_child)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };

	signal(SIGCHLD, SIG_IGN);
	is_to_vanish = true;
	HOLDS(weft_exec(&r, .argv = SHELL("echo written; exit 3"), .out = &out) == -ECHILD);
	HOLDS(r.pid > 0 && r.signo == 0 && r.exit_code == 0);
	HOLDS(is_text(&out, "written\n"));
	weft_buf_free(&out);
	is_to_vanish = false;
	HOLDS(weft_exec(&r, .argv = SHELL("exec sleep 1000"), .timeout = WEFT_MS(50)) ==
	      WEFT_ETIMEDOUT);
	HOLDS(r.pid > 0 && kill(r.pid, 0) != 0);
	signal(SIGCHLD, SIG_DFL);
	return 0;
}

RealTest(exec, only_what_was_given_is_open)
{
	struct weft_exec_result r;
	struct weft_buf out = { 0 };
	int leak = open("/dev/null", O_RDONLY);

	HOLDS(weft_exec(&r, .argv = SHELL("ls /proc/$$/fd | wc -l"), .out = &out) == 0);
	HOLDS(is_text(&out, "3\n") || is_text(&out, "4\n")); /* a shell may have its script's */
	weft_buf_free(&out);
	close(leak);
	return 0;
}

static int exec_virtually(void *arg)
{
	struct stubborn s;

	(void)arg;
	HOLDS(weft_sleep(WEFT_SEC(3600)) == 0);
	cut_off_script(&s, "trap '' TERM; echo go >&2; while :; do sleep 1; done");
	HOLDS(s.r.signo == SIGKILL || s.r.signo == SIGTERM);
	weft_buf_free(&s.out);
	return 0;
}

Test(exec, with_a_virtual_clock_there_is_no_grace)
{
	struct weft_config c = { .workers = 1, .clock = WEFT_CLOCK_VIRTUAL };

	cr_expect(eq(int, go_with(c, exec_virtually, NULL), 0));
}
