/* SPDX-License-Identifier: MIT */
/*
 * proc_server.c - the application's end of the server of its workers
 *
 * The server is not our child (proc_spawn.c), so its end is seen by the socket and
 * confirmed by a pidfd.  Where the kernel makes it our child after all, because
 * this process is the init of a container or a subreaper, it is reaped: by its
 * pidfd, so that nobody else's child can be meant.
 */
#include "async/proc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "async/proc.h"
#include "async/proc_control.h"
#include "async/proc_spawn.h"
#include "async/proc_worker.h"
#include "deque/check.h"

enum { SIGNAL_GROUP = 1 << 2 }; /* PIDFD_SIGNAL_PROCESS_GROUP */

/* The group is that which the process has made; it may be in another one.  SIGKILL does
 * no harm twice. */
int weft__pidfd_signal(int pidfd, int signal)
{
	bool group = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, SIGNAL_GROUP) == 0;

	if (group && signal != SIGKILL)
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 || group)
		return 0;
	return -errno;
}

bool weft__pidfd_is_dead(int pidfd, int timeout_ms)
{
	struct pollfd news = { pidfd, POLLIN, 0 };
	int ready;

	do
		ready = poll(&news, 1, timeout_ms);
	while (ready < 0 && errno == EINTR && timeout_ms > 0);
	return ready > 0;
}

void weft__server_init(struct weft__server *s)
{
	s->fd = s->pidfd = -1;
	s->pid = s->owner = 0;
	s->is_up = false;
	s->count = 0;
	weft__list_init(&s->procs);
}

static int spawn(struct weft__server *s, int fds[2])
{
	struct weft__spawned server;
	int rc = weft__spawn_server(fds[1], &server);

	if (rc == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
		rc = -errno; /* it ends when its socket does */
		close(server.pidfd);
	}
	if (rc != 0)
		return rc;
	s->fd = fds[0];
	s->pidfd = server.pidfd;
	s->pid = server.pid;
	s->owner = getpid();
	s->is_up = false;
	return 0;
}

int weft__server_open(struct weft__server *s)
{
	int fds[2];

	if (s->owner && s->owner != getpid())
		return -ESHUTDOWN;
	if (s->fd >= 0)
		return 0;
	if (weft__proc_worker_depth() >= WEFT__SERVER_DEPTH)
		return -ELOOP;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	int rc = spawn(s, fds);
	if (rc != 0)
		close(fds[0]);
	close(fds[1]);
	return rc;
}

static struct weft__proc *find(struct weft__server *s, uint32_t id)
{
	weft__list_for_each (node, &s->procs) {
		struct weft__proc *p = WEFT__CONTAINER(node, struct weft__proc, link);
		if (p->id == id)
			return p;
	}
	return NULL;
}

static void exited(struct weft__proc *p, const struct weft__control *message)
{
	int status = message->value;
	struct weft__exit how = { .pid = message->pid, .usage = message->usage };

	if (WIFSIGNALED(status))
		how.signal = WTERMSIG(status);
	else
		how.code = WEXITSTATUS(status);
	weft__proc_exited(p, &how);
}

/* Workers that nobody knows any more were fini'd in the meantime. */
static int hear(struct weft__server *s, const struct weft__control *message, int *pidfd)
{
	struct weft__proc *p = find(s, message->worker);
	struct weft__exit never = { .error = message->value };

	switch (message->kind) {
	case WEFT__CONTROL_HELLO:
		s->is_up = true;
		return 0;
	case WEFT__CONTROL_STARTED:
		if (p && p->state == WEFT__PROC_STARTING) {
			weft__proc_started(p, message->pid, *pidfd);
			*pidfd = -1;
		}
		return 0;
	case WEFT__CONTROL_FAILED:
		if (p)
			weft__proc_exited(p, &never);
		return 0;
	case WEFT__CONTROL_EXITED:
		if (p)
			exited(p, message);
		return 0;
	default:
		return -EPROTO;
	}
}

static void lose_procs(struct weft__server *s)
{
	weft__list_for_each (node, &s->procs)
		weft__proc_lost(WEFT__CONTAINER(node, struct weft__proc, link));
}

/* A server that is still there does not make sense: it goes, too. */
static int give_up(struct weft__server *s)
{
	weft__pidfd_signal(s->pidfd, SIGKILL);
	lose_procs(s);
	return -EPIPE;
}

/* A fork of the application that lives on may have a copy of the server's end, and then
 * its death is no end of the connection. */
int weft__server_step(struct weft__server *s)
{
	struct weft__control message;
	int fds[WEFT__CONTROL_FDS];

	if (s->fd < 0)
		return -EPIPE;
	bool is_dead = weft__pidfd_is_dead(s->pidfd, 0); /* what it sent before is there then */
	for (;;) {
		int rc = weft__control_receive(s->fd, &message, fds);
		if (rc == -EAGAIN)
			return is_dead ? give_up(s) : 0;
		if (rc == 1)
			rc = hear(s, &message, &fds[0]) == 0;
		for (unsigned i = 0; i < WEFT__CONTROL_FDS; i++) {
			if (fds[i] >= 0)
				close(fds[i]);
		}
		if (rc != 1)
			return give_up(s);
	}
}

static void reap(int pidfd, int timeout_ms)
{
	siginfo_t dead;

	if (weft__pidfd_is_dead(pidfd, timeout_ms))
		waitid(P_PIDFD, (id_t)pidfd, &dead, WEXITED | WNOHANG);
}

static void end(struct weft__server *s, int timeout_ms)
{
	if (s->fd < 0)
		return;
	if (s->owner == getpid())
		shutdown(s->fd, SHUT_RDWR); /* a fork may have a copy */
	close(s->fd);
	s->fd = -1;
	if (s->owner == getpid()) {
		lose_procs(s);
		reap(s->pidfd, timeout_ms);
	}
	close(s->pidfd);
	s->pidfd = -1;
}

void weft__server_close(struct weft__server *s)
{
	end(s, 0);
}

void weft__server_fini(struct weft__server *s)
{
	end(s, WEFT__SERVER_LAST_WAIT);
}
