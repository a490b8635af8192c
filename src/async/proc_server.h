/* SPDX-License-Identifier: MIT */
/*
 * proc_server.h - the application's end of the server of its workers
 *
 * Driven from outside: when `fd` is readable, weft__server_step takes what there
 * is, and what it is about is then seen in the workers (proc.h).
 *
 *	weft__server_init, weft__server_open
 *	fd readable -> weft__server_step
 *	    -> 0: look at the workers with weft__proc_next
 *	    -> -EPIPE: the server has died.  So have its workers, and
 *	       weft__proc_next tells of each as soon as it is certain, which
 *	       their pidfds say when they become readable
 *	weft__server_close
 *
 *   threads    one at a time, for a server and all its workers.
 *   memory     the struct is the caller's, and stays until all workers that were
 *              started by it are fini'd.
 *   errors     0 or a negated errno; those of proc_spawn.h.
 *   blocking   open: for a millisecond, when it starts one.  fini.  The others: no.
 */
#ifndef WEFT_ASYNC_PROC_SERVER_H
#define WEFT_ASYNC_PROC_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "async/proc_frame.h"
#include "deque/list.h"

enum {
	WEFT__SERVER_DEPTH = 8, /* servers below servers, at most */
	WEFT__SERVER_LAST_WAIT = 10000,
};

struct weft__server {
	int fd;		/* the control socket, or -1: there is no server */
	int pidfd;	/* readable when the server has died */
	pid_t pid;	/* of the server */
	pid_t owner;	/* of the process that started it: not of its forks */
	bool is_up;	/* it has said that it serves */
	uint32_t count; /* of workers that were ever started */
	struct weft__list procs;
	char message[WEFT__FRAME_MAX]; /* where workers' frames are looked at */
};

void weft__server_init(struct weft__server *s);

/* Starts a server, unless there is one.  It need not be waited for: workers may be
 * started, and given jobs, at once.  -ESHUTDOWN in a child of fork(), -ELOOP when
 * too many servers are above us. */
int weft__server_open(struct weft__server *s);

/* Takes all news.  -EPIPE: it has died, or said something that it cannot have
 * meant and was given up; close it when nothing waits for its fd any more. */
int weft__server_step(struct weft__server *s);

/* Lets go of the server: it ends by itself and takes its workers with it.  Those
 * are told of by weft__proc_next as after a death.  May be opened again. */
void weft__server_close(struct weft__server *s);

/* The same, and waits until it has ended, and so all that it ever started: some
 * milliseconds, and no longer than WEFT__SERVER_LAST_WAIT of them. */
void weft__server_fini(struct weft__server *s);

/* Sends a signal through a pidfd to the process and the group that it leads; to the
 * process alone where Linux (before 6.9) cannot do the other.  One that has left its
 * group is sure to get SIGKILL only.  0 or a negated errno. */
int weft__pidfd_signal(int pidfd, int signal);

/* The process behind a pidfd has ended. */
bool weft__pidfd_is_dead(int pidfd, int timeout_ms);

#endif
