/* SPDX-License-Identifier: MIT */
/*
 * proc_serve.c - the server: a small process that forks workers and buries them
 *
 * It sleeps until one of three descriptors has something to say:
 *
 *	control	      the application wants a worker started or signalled, or is gone
 *	application   a pidfd: it is gone, even if some child of it holds its sockets
 *	signals	      SIGCHLD
 *
 * Being the parent of the workers it can do two things without a race that the
 * application cannot: send signals to a worker's group while the number cannot
 * belong to anybody else, and learn what a worker has used.  A worker that has
 * died is looked at before it is reaped, and its group killed in between: whatever
 * its jobs started is gone when the application hears of it.
 *
 * It is a subreaper: what a job has put into a group of its own, and orphaned,
 * becomes a child of the server and dies with it.
 *
 * fork() is safe here, for no other thread exists that could hold a lock, unless
 * a constructor of the program or of a library it is linked with has started one.
 * It is cheap because the process never grows: it has the program's code and data
 * as they were before main().
 */
#include "async/proc_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/remote.h>

#include "async/proc_control.h"
#include "async/proc_worker.h"
#include "deque/alloc.h"

enum { CONTROL = WEFT__ENTRY_CONTROL, APPLICATION = WEFT__ENTRY_APPLICATION };

struct child {
	pid_t pid;
	uint32_t worker;
};

struct server {
	pid_t pid;
	int signals;
	struct child *children;
	size_t count, room;
};

static _Noreturn void serve(void);

const struct weft__entry weft__server_entry = { WEFT__ENTRY_MAGIC, serve };

static bool main_was_called;

bool weft__server_main_was_called(void)
{
	return main_was_called;
}

/* Somebody who can set variables for a privileged program must not get it to
 * believe descriptor 3. */
void weft_remote_main(void)
{
	main_was_called = true;
	if (getenv(WEFT__ENTRY_ENV) && !getauxval(AT_SECURE))
		serve();
}

/*
 * Telling the application
 */

static _Noreturn void finish(struct server *s);

/* Sleeps until the application has taken something, or is gone; its socket alone
 * would not tell, for a fork of it may hold the other end. */
static void wait_for_room(struct server *s)
{
	struct pollfd news[] = { { APPLICATION, POLLIN, 0 }, { CONTROL, POLLOUT, 0 } };

	if (poll(news, 2, -1) > 0 && news[0].revents)
		finish(s);
}

/* A server that cannot say what it has to say would leave the application waiting:
 * it ends, which cannot be missed. */
static void tell(struct server *s, struct weft__control *message)
{
	int rc;

	while ((rc = weft__control_send(CONTROL, message, NULL, 0)) == -EAGAIN)
		wait_for_room(s);
	if (rc != 0)
		finish(s);
}

static void tell_failed(struct server *s, uint32_t worker, int rc)
{
	struct weft__control message = { .kind = WEFT__CONTROL_FAILED,
					 .worker = worker,
					 .value = rc };

	tell(s, &message);
}

static void tell_exited(struct server *s, const struct child *child, int status,
			const struct rusage *usage)
{
	struct weft__control message = { .kind = WEFT__CONTROL_EXITED,
					 .worker = child->worker,
					 .pid = child->pid,
					 .value = status,
					 .usage = *usage };

	tell(s, &message);
}

/*
 * Children
 */

static bool make_room(struct server *s)
{
	size_t room = s->room ? 2 * s->room : 16;
	struct child *children;

	if (s->count < s->room)
		return true;
	children = weft__alloc(room * sizeof(*children));
	if (!children)
		return false;
	if (s->count > 0)
		memcpy(children, s->children, s->count * sizeof(*children));
	weft__free(s->children, s->room * sizeof(*children));
	s->children = children;
	s->room = room;
	return true;
}

/* The group is made on both sides: whoever comes first, it exists before a signal
 * can be sent to it. */
static void start(struct server *s, const struct weft__control *order, const int *fds)
{
	if (fds[0] < 0 || fds[1] < 0 || !make_room(s)) {
		tell_failed(s, order->worker, -ENOMEM);
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		weft__proc_worker_main(order, s->pid, fds[0], fds[1]);
	if (pid < 0) {
		tell_failed(s, order->worker, -errno);
		return;
	}
	setpgid(pid, pid);
	s->children[s->count++] = (struct child){ pid, order->worker };
}

/* A signal to a child that was not reaped, so that the number is its own, and to the
 * group that it was given.  A child that has left the group gets the signal as well; no
 * other gets it twice, but for SIGKILL, from which nobody is to escape by coming back. */
static void signal_child(pid_t pid, int signal)
{
	kill(-pid, signal);
	if (signal == SIGKILL || getpgid(pid) != pid)
		kill(pid, signal);
}

/* A number of a worker that has gone says nothing: the order crossed its EXITED. */
static void signal_worker(const struct server *s, uint32_t worker, int signal)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->children[i].worker == worker)
			signal_child(s->children[i].pid, signal);
	}
}

static void bury(struct server *s, pid_t pid)
{
	struct rusage usage;
	int status;

	kill(-pid, SIGKILL);
	if (wait4(pid, &status, 0, &usage) != pid)
		return;
	for (size_t i = 0; i < s->count; i++) {
		if (s->children[i].pid != pid)
			continue;
		struct child gone = s->children[i];
		s->children[i] = s->children[--s->count];
		tell_exited(s, &gone, status, &usage);
		return;
	}
}

/* Those who are no workers were orphaned by one.  Should they still lead a group,
 * it is theirs, and goes with them too. */
static void bury_all(struct server *s)
{
	struct signalfd_siginfo news;
	siginfo_t dead;

	while (read(s->signals, &news, sizeof(news)) > 0)
		continue;
	for (;;) {
		dead.si_pid = 0;
		if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0)
			return;
		bury(s, dead.si_pid);
	}
}

/*
 * The end
 */

/* Kills what the kernel says is our child; the children of those are ours next. */
static void kill_children(const struct server *s)
{
	char path[64];
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)s->pid);
	FILE *children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1)
		signal_child(pid, SIGKILL);
	if (children)
		fclose(children);
}

/* Until there is nobody left.  Without /proc/.../children the orphans of groups
 * that we do not know are not found, and not waited for. */
static _Noreturn void finish(struct server *s)
{
	for (size_t i = 0; i < s->count; i++)
		signal_child(s->children[i].pid, SIGKILL);
	close(CONTROL);
	for (;;) {
		kill_children(s);
		while (s->count > 0 && waitpid(s->children[s->count - 1].pid, NULL, 0) > 0)
			s->count--;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			_exit(0);
		usleep(1000);
	}
}

/*
 * The loop
 */

static void obey(struct server *s)
{
	struct weft__control order;
	int fds[WEFT__CONTROL_FDS];
	int rc = weft__control_receive(CONTROL, &order, fds);

	if (rc == -EAGAIN)
		return;
	if (rc <= 0)
		finish(s);
	if (order.kind == WEFT__CONTROL_START)
		start(s, &order, fds);
	else if (order.kind == WEFT__CONTROL_KILL)
		signal_worker(s, order.worker, order.value);
	for (unsigned i = 0; i < WEFT__CONTROL_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static void open_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(126);
	}
}

/* Constructors may have had ideas of their own about signals, a sanitizer has.
 * Workers inherit this. */
static void reset_signals(void)
{
	struct sigaction initial = { .sa_handler = SIG_DFL };

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &initial, NULL); /* refused for KILL and STOP */
}

static int watch_children(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void become(struct server *s)
{
	unsetenv(WEFT__ENTRY_ENV); /* of a -static program; the stub does more */
	open_standard_fds();
	close(WEFT__ENTRY_STUB);
	fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
	fcntl(CONTROL, F_SETFL, O_NONBLOCK);
	fcntl(APPLICATION, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, "weft-server");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	reset_signals();
	s->pid = getpid();
	s->signals = watch_children();
	if (s->signals < 0)
		_exit(126);
}

static _Noreturn void serve(void)
{
	static struct server server;
	struct server *s = &server;
	struct weft__control hello = { .kind = WEFT__CONTROL_HELLO, .pid = getpid() };

	become(s);
	tell(s, &hello);
	for (;;) {
		struct pollfd news[] = { { APPLICATION, POLLIN, 0 },
					 { s->signals, POLLIN, 0 },
					 { CONTROL, POLLIN, 0 } };
		if (poll(news, 3, -1) < 0 && errno != EINTR)
			finish(s);
		if (news[0].revents)
			finish(s);
		if (news[1].revents)
			bury_all(s);
		if (news[2].revents)
			obey(s);
	}
}
