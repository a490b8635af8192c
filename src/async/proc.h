/* SPDX-License-Identifier: MIT */
/*
 * proc.h - one worker process, as the application sees it
 *
 *	weft__proc_start
 *	    weft__proc_send            one job at a time
 *	    fd, pidfd readable, or the server was stepped -> weft__proc_next,
 *	        until it says NOTHING: an ANSWER, or ENDED
 *	    err_fd readable            -> weft__proc_hear
 *	weft__proc_fini
 *
 * Every job is answered once: by ANSWER, or else by ENDED, which comes last, when
 * all that the worker has sent before its end has been looked at.
 *
 * A worker is not trusted.  Whatever it sends is either exactly what the state of
 * the conversation allows, or it is killed at once and nothing more is read from
 * it; `exit.broken` tells.  It can send no descriptors.
 *
 *   threads    one at a time, with its server.
 *   memory     the struct is the caller's.  Answers are the caller's to free.
 *   errors     0 or a negated errno.
 *   blocking   no.
 */
#ifndef WEFT_ASYNC_PROC_H
#define WEFT_ASYNC_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "async/proc_ref.h"
#include "async/proc_server.h"
#include "async/proc_tail.h"

struct weft__proc_limits {
	uint64_t memory; /* bytes that are private and writable; 0: no limit */
	uint32_t cpu;	 /* seconds of CPU time, then SIGXCPU; 0: no limit */
};

/* How a worker ended. */
struct weft__exit {
	pid_t pid;	     /* 0: it never was */
	int error;	     /* why it never was */
	int signal;	     /* that ended it, or 0 */
	int code;	     /* that it exited with, or 0 */
	bool broken;	     /* it was killed for what it sent */
	bool is_guessed;     /* the server died too: signal is SIGKILL, nothing is known */
	struct rusage usage; /* of it and of those children that it waited for */
};

enum weft__proc_state {
	WEFT__PROC_STARTING, /* the server was asked */
	WEFT__PROC_ALIVE,    /* pid is known */
	WEFT__PROC_DEAD,     /* exit is known */
};

struct weft__proc {
	struct weft__server *server;
	struct weft__list link; /* in the server's, until it is dead or lost */
	enum weft__proc_state state;
	uint32_t id;
	pid_t pid;
	int fd;	    /* its socket, -1 when nothing more is expected from there */
	int pidfd;  /* -1 before it is ALIVE */
	int err_fd; /* its standard error, -1 when that has ended */
	int grant;  /* the room for the answer, -1: none was asked for */
	uint64_t granted;
	unsigned asks; /* for room, since the job was sent */
	uint64_t job;  /* the one it has, or 0 */
	uint64_t answer_max;
	bool unread;  /* it died, and the job that it had was certainly not begun */
	bool is_lost; /* the server has died */
	struct weft__exit exit;
	struct weft__tail tail;
};

/* A job, all of it borrowed until it is sent. */
struct weft__proc_job {
	uint64_t id; /* not 0 */
	const struct weft__ref *fn;
	const void *data;
	uint64_t size;
	int memfd;	     /* of weft__payload_of, when size >= WEFT__FRAME_LARGE */
	uint64_t answer_max; /* bytes */
};

struct weft__answer {
	uint64_t job;
	int rc;
	bool mapped;
	uint64_t size;
	const void *data; /* NULL when size is 0 */
};

enum weft__proc_event {
	WEFT__PROC_NOTHING, /* for now */
	WEFT__PROC_ANSWER,
	WEFT__PROC_ENDED, /* again at each call */
};

/* Asks the server, which is open, for a worker.  Jobs may be sent at once.
 * -EAGAIN: the server has too much to do, later; -EMFILE and the like. */
int weft__proc_start(struct weft__proc *p, struct weft__server *s,
		     const struct weft__proc_limits *limits);

/* The worker has no job.  -EPIPE: it is dead, and has not got the job. */
int weft__proc_send(struct weft__proc *p, const struct weft__proc_job *job);

/* What has happened.  *answer is written on ANSWER. */
enum weft__proc_event weft__proc_next(struct weft__proc *p, struct weft__answer *answer);

/* It has died, or nobody is left who would tell. */
static inline bool weft__proc_is_over(const struct weft__proc *p)
{
	return p->state == WEFT__PROC_DEAD || p->is_lost;
}

/* Reads from its standard error. */
void weft__proc_hear(struct weft__proc *p);

/* Sends a signal to the worker and all that is in its group.  Waits for nothing:
 * ENDED comes when it is gone.  -EAGAIN: the server has too much to do. */
int weft__proc_kill(struct weft__proc *p, int signal);

/* Closes what there is, at any time.  A worker that has not ended is killed. */
void weft__proc_fini(struct weft__proc *p);

void weft__answer_fini(struct weft__answer *answer);

/* For the server, and for tests that play the worker: a worker behind the socket
 * `fd`, which no server knows. */
void weft__proc_init(struct weft__proc *p, struct weft__server *s, int fd, int err_fd);
void weft__proc_started(struct weft__proc *p, pid_t pid, int pidfd);
void weft__proc_exited(struct weft__proc *p, const struct weft__exit *how);
void weft__proc_lost(struct weft__proc *p);

#endif
