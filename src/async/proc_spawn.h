/* SPDX-License-Identifier: MIT */
/*
 * proc_spawn.h - starting a server of worker processes
 *
 *   threads    any; what other threads hold does not matter.
 *   memory     the pidfd is the caller's.
 *   errors     -EPERM: a program with privileges of its own file.  -ENOTSUP: the
 *              program was linked with -static and has not called
 *              weft_remote_main(), or does not start through the C library.
 *              -EACCES, -ENOENT: /proc is not there or may not be used.  Any other
 *              negated errno.
 *   blocking   for an exec of the program, about a millisecond, whatever memory
 *              the process has.
 */
#ifndef WEFT_ASYNC_PROC_SPAWN_H
#define WEFT_ASYNC_PROC_SPAWN_H

#include <sys/types.h>

struct weft__spawned {
	pid_t pid;
	int pidfd;
};

/* `control` is the server's end of the control socket; the caller closes it. */
int weft__spawn_server(int control, struct weft__spawned *server);

#endif
