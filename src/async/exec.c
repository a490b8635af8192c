/* SPDX-License-Identifier: MIT */
/*
 * exec.c - running another program
 *
 *	the caller    starts it; waits for its pidfd; sees to its end; reaps it
 *	two tasks     read what it writes, in a group of the call
 *
 * Input from memory is a sealed memfd: no task has to feed it, and a program that does
 * not read is nobody's business.
 *
 * The end.  The program has ended when its pidfd says so, and is a zombie until it is
 * reaped.  In between its number, and that of its group, belong to it: what is left of
 * the group is killed then, and cannot be somebody else's.  The program itself may have
 * left the group; the pidfd is it all the same.  Then the readers are stopped,
 * for who left the group may hold the pipes, and what is in the pipes is taken.
 *
 * pidfd_open after posix_spawn: nobody but us waits for the child, so the number is
 * still its own.  Is it not, for SIGCHLD is ignored or somebody waits for any child, there
 * is no such process, or waitid(P_PIDFD) says ECHILD, and nothing is killed.
 *
 * errno belongs to the thread: functions that read it do not suspend, and are named *_now.
 */
#include <weft/exec.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>
#include <weft/task.h>

#include "async/async.h"
#include "async/proc_payload.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "deque/sanitizer.h"
#include "runtime/runtime.h"

#define NOW   __attribute__((noinline)) WEFT__OF_THREAD
#define GRACE WEFT_SEC(1)

enum {
	HIGH_FD = 16,
	PIECE = 4096,
	ROOM = 16 << 20,
	STOP = -4096, /* no error: what ends the readers when all is well */
};

extern char **environ;

/* What the program writes, one end of a pipe. */
struct sink {
	struct weft_buf *out; /* NULL: not captured */
	int fd;
	char *data;
	size_t size, room, max;
	uint64_t total;
};

struct exec {
	const struct weft_exec_opts *opts;
	struct weft_exec_result *result;
	pid_t pid;
	int pidfd;
	int theirs[3]; /* for its standard descriptors, -1: none; not below HIGH_FD */
	struct sink out, err;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- output --------------------------------------------------------------- */

static int grow(struct sink *s)
{
	size_t room = s->room ? 2 * s->room : PIECE;

	if (room > s->max)
		room = s->max;
	if (s->size < s->room || room <= s->room)
		return 0;
	char *data = weft__alloc(room);
	if (!data)
		return WEFT_ENOMEM;
	if (s->size)
		memcpy(data, s->data, s->size);
	weft__free(s->data, s->room);
	s->data = data;
	s->room = room;
	return 0;
}

/* Reads once: more than 0, 0 at the end, or an error. */
static ssize_t take(struct sink *s, ssize_t (*read_some)(int fd, void *to, size_t n))
{
	char dropped[PIECE];
	int rc = grow(s);
	bool full = s->size == s->room;

	if (rc != 0)
		return rc;
	ssize_t n = read_some(s->fd, full ? dropped : s->data + s->size,
			      full ? sizeof dropped : s->room - s->size);
	if (n <= 0)
		return n;
	s->total += (uint64_t)n;
	s->size += full ? 0 : (size_t)n;
	return n;
}

static int drain(void *arg)
{
	ssize_t n;

	do
		n = take(arg, weft_read);
	while (n > 0);
	return (int)n;
}

NOW static ssize_t read_now(int fd, void *to, size_t n)
{
	ssize_t got;

	do
		got = read(fd, to, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* What is in the pipe; no more than one can hold, for somebody may go on writing. */
static int drain_rest(struct sink *s)
{
	uint64_t most = s->total + (1 << 20);
	ssize_t n = 0;

	if (s->fd < 0)
		return 0;
	do
		n = take(s, read_now);
	while (n > 0 && s->total < most);
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

static void give(struct sink *s)
{
	if (s->out)
		*s->out = (struct weft_buf){ s->data, s->size, s->room };
}

/* --- starting ------------------------------------------------------------- */

/* A copy out of the way of 0, 1 and 2, which may stand for each other. */
NOW static int high_now(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	return high < 0 ? -errno : high;
}

NOW static int pipe_now(struct exec *e, int which, struct sink *s)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	s->fd = ends[0];
	e->theirs[which] = high_now(ends[1]);
	close(ends[1]);
	if (e->theirs[which] < 0)
		return e->theirs[which];
	return fcntl(s->fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

NOW static int input_now(struct exec *e)
{
	const struct weft_exec_opts *o = e->opts;
	int fd;

	if (o->input_size > 0)
		fd = weft__payload_of(o->input, o->input_size);
	else
		fd = o->input_fd ? o->input_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return o->input_size > 0 ? fd : -errno;
	if (o->input_size > 0 && lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return -EIO;
	}
	e->theirs[0] = high_now(fd);
	if (fd != o->input_fd || o->input_size > 0)
		close(fd);
	return e->theirs[0] < 0 ? e->theirs[0] : 0;
}

static int output(struct exec *e, int which, struct sink *s, int fd)
{
	if (s->out)
		return pipe_now(e, which, s);
	if (fd == 0)
		return 0;
	e->theirs[which] = high_now(fd);
	return e->theirs[which] < 0 ? e->theirs[which] : 0;
}

static int add_actions(const struct exec *e, posix_spawn_file_actions_t *a)
{
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++) {
		if (e->theirs[i] >= 0)
			rc = posix_spawn_file_actions_adddup2(a, e->theirs[i], i);
	}
	if (rc == 0 && e->opts->dir)
		rc = posix_spawn_file_actions_addchdir_np(a, e->opts->dir);
	return rc ? rc : posix_spawn_file_actions_addclosefrom_np(a, 3);
}

static int set_attributes(posix_spawnattr_t *a)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(a, &none);
	posix_spawnattr_setsigdefault(a, &all);
	posix_spawnattr_setpgroup(a, 0);
	return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						   POSIX_SPAWN_SETPGROUP);
}

NOW static int spawn_now(struct exec *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return WEFT_ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return WEFT_ENOMEM;
	}
	int rc = add_actions(e, &actions);
	rc = rc ? rc : set_attributes(&attributes);
	rc = rc ? rc
		: posix_spawnp(&e->pid, e->opts->argv[0], &actions, &attributes, e->opts->argv,
			       e->opts->env ? e->opts->env : environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

/* Without a pidfd it can be waited for only by its number, and so right now.  Has it gone,
 * somebody else has waited for it, and the number may be anybody's. */
NOW static int open_pidfd_now(struct exec *e)
{
	siginfo_t info;

	e->result->pid = e->pid;
	e->pidfd = (int)syscall(SYS_pidfd_open, e->pid, 0);
	if (e->pidfd >= 0)
		return 0;
	int rc = errno == ESRCH ? -ECHILD : -errno;
	if (waitid(P_PID, (id_t)e->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return rc;
	kill(-e->pid, SIGKILL);
	kill(e->pid, SIGKILL);
	while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return rc;
}

static int start(struct exec *e)
{
	int rc = input_now(e);

	rc = rc ? rc : output(e, 1, &e->out, e->opts->out_fd);
	rc = rc ? rc : output(e, 2, &e->err, e->opts->err_fd);
	rc = rc ? rc : spawn_now(e);
	for (int i = 0; i < 3; i++)
		close_fd(&e->theirs[i]);
	return rc ? rc : open_pidfd_now(e);
}

/* --- ending --------------------------------------------------------------- */

NOW static int waitid_now(const struct exec *e, siginfo_t *info, int flags, struct rusage *usage)
{
	int rc;

	do
		rc = (int)syscall(SYS_waitid, P_PIDFD, e->pidfd, info, WEXITED | flags, usage);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? 0 : -errno;
}

/* A signal to the group that it was given, while it is there or a zombie; and to it, if
 * it has left that group.  SIGKILL in any case: it might be on its way back. */
static void signal_group(const struct exec *e, int signo)
{
	siginfo_t info;

	if (waitid_now(e, &info, WNOHANG | WNOWAIT, NULL) != 0)
		return;
	kill(-e->pid, signo);
	if (signo == SIGKILL || getpgid(e->pid) != e->pid)
		syscall(SYS_pidfd_send_signal, e->pidfd, signo, NULL, 0);
}

static int wait_dead(void *arg)
{
	const struct exec *e = arg;
	int rc = weft_wait_fd(e->pidfd, WEFT_READABLE);

	return rc < 0 ? rc : 0;
}

/* The caller is cancelled, or cannot wait: the program ends. */
static void kill_it(struct exec *e)
{
	bool is_virtual = weft__strand_self()->runtime->async->clock.is_virtual;
	int rc = WEFT_ETIMEDOUT;

	signal_group(e, SIGTERM);
	if (!is_virtual) /* in which no time passes while we wait for a descriptor */
		rc = weft_shield(wait_dead, e, e->opts->grace ? e->opts->grace : GRACE);
	if (rc == 0)
		return;
	signal_group(e, SIGKILL);
	weft_shield(wait_dead, e, WEFT_NEVER); /* if it fails, waitid waits */
}

static int reap(struct exec *e)
{
	struct weft_exec_result *r = e->result;
	siginfo_t info = { 0 };

	signal_group(e, SIGKILL);
	int rc = waitid_now(e, &info, 0, &r->rusage);
	if (rc != 0)
		return rc;
	if (info.si_code == CLD_EXITED)
		r->exit_code = info.si_status;
	else
		r->signo = info.si_status;
	return 0;
}

/* STOP, or why it was cut off. */
static int wait_and_reap(struct exec *e, int rc)
{
	if (rc == 0)
		rc = wait_dead(e);
	if (rc != 0)
		kill_it(e);
	int error = reap(e);
	rc = rc ? rc : error;
	return rc ? rc : STOP;
}

static int spawn_readers(struct exec *e, struct weft_group *g)
{
	int rc = e->out.out ? weft_spawn(g, drain, &e->out, .name = "stdout") : 0;

	return rc == 0 && e->err.out ? weft_spawn(g, drain, &e->err, .name = "stderr") : rc;
}

static int run(struct exec *e)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc != 0)
		return rc;
	rc = start(e);
	if (rc == 0)
		rc = wait_and_reap(e, spawn_readers(e, &g));
	rc = weft_group_close(&g, rc);
	return rc == STOP ? 0 : rc;
}

static int run_and_give(struct exec *e)
{
	int rc = run(e);
	int rest_out = drain_rest(&e->out), rest_err = drain_rest(&e->err);

	close_fd(&e->pidfd);
	close_fd(&e->out.fd);
	close_fd(&e->err.fd);
	give(&e->out);
	give(&e->err);
	e->result->out_total = e->out.total;
	e->result->err_total = e->err.total;
	return rc ? rc : rest_out ? rest_out : rest_err;
}

static int run_timed(struct exec *e)
{
	struct weft_scope scope;

	if (e->opts->timeout == 0)
		return run_and_give(e);
	int rc = weft_scope_enter(&scope, .timeout = e->opts->timeout);
	if (rc != 0)
		return rc;
	return weft_scope_leave(&scope, run_and_give(e));
}

static bool makes_sense(const struct weft_exec_opts *o)
{
	return o && o->size >= sizeof *o && o->argv && o->argv[0] && o->grace >= 0 &&
	       (o->input || !o->input_size) && !(o->input_size && o->input_fd) &&
	       o->input_fd >= 0 && o->out_fd >= 0 && o->err_fd >= 0 &&
	       (!o->out || o->out != o->err);
}

int weft_exec_opt(struct weft_exec_result *result, const struct weft_exec_opts *o)
{
	struct weft__strand *s = weft__strand_self();
	struct weft_exec_result unwanted;
	struct exec e = { .opts = o,
			  .result = result ? result : &unwanted,
			  .pidfd = -1,
			  .theirs = { -1, -1, -1 } };

	if (!makes_sense(o))
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (!s)
		return WEFT_ENOTASK;
	int rc = weft__point(s);
	if (rc != 0)
		return rc;
	*e.result = (struct weft_exec_result){ 0 };
	e.out = (struct sink){ .out = o->out, .fd = -1, .max = o->max_out ? o->max_out : ROOM };
	e.err = (struct sink){ .out = o->err, .fd = -1, .max = o->max_err ? o->max_err : ROOM };
	return run_timed(&e);
}
