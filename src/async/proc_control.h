/* SPDX-License-Identifier: MIT */
/*
 * proc_control.h - what a process and its server of workers say to each other
 *
 *	application                        server
 *	            <-------------------   HELLO     I am there
 *	  START     ------------------->             with the worker's socket and pipe
 *	            <-------------------   STARTED   with a pidfd, from the worker
 *	            <-------------------   FAILED    it could not be forked
 *	  KILL      ------------------->             a signal to the worker's group
 *	            <-------------------   EXITED    how, and what it used
 *
 * START may be sent before HELLO has come: it waits in the socket.  When the
 * socket ends, the server ends, and every worker with it.
 *
 * The server is the program itself and runs no job, so it is trusted; what it
 * sends is checked nevertheless, for a worker can attack it.
 *
 *   threads    any; nothing is shared.
 *   errors     a negated errno.
 */
#ifndef WEFT_ASYNC_PROC_CONTROL_H
#define WEFT_ASYNC_PROC_CONTROL_H

#include <stdint.h>
#include <sys/resource.h>

#define WEFT__CONTROL_MAGIC 0x5654464557u

enum { WEFT__CONTROL_FDS = 2 }; /* at most, in a message */

enum weft__control_kind {
	WEFT__CONTROL_HELLO = 1,
	WEFT__CONTROL_START,
	WEFT__CONTROL_STARTED,
	WEFT__CONTROL_FAILED,
	WEFT__CONTROL_KILL,
	WEFT__CONTROL_EXITED,
};

struct weft__control {
	uint64_t magic;
	uint32_t kind;
	uint32_t worker;
	int32_t pid;	 /* STARTED, EXITED; of the server: HELLO */
	int32_t value;	 /* FAILED: a negated errno; KILL: the signal; EXITED: as of wait() */
	uint32_t depth;	 /* START: of processes that serve each other */
	uint32_t cpu;	 /* START: seconds, 0: no limit */
	uint64_t memory; /* START: bytes, 0: no limit */
	struct rusage usage;
};

/* Sends with one call; fds: `count` descriptors that go along. */
int weft__control_send(int fd, struct weft__control *message, const int *fds, unsigned count);

/* Receives one message, and up to WEFT__CONTROL_FDS descriptors, close-on-exec; the
 * rest of fds is -1, and so are those for which this process had no room.  1, 0 at the
 * end, -EAGAIN, -EPROTO; then no descriptor is left open. */
int weft__control_receive(int fd, struct weft__control *message, int fds[WEFT__CONTROL_FDS]);

#endif
