/* SPDX-License-Identifier: MIT */
/*
 * proc_worker.h - the worker: a process that runs one job after the other
 *
 *   threads    one, as far as we are concerned; jobs may start others.
 *   blocking   it sleeps in recvmsg() until there is a job.
 */
#ifndef WEFT_ASYNC_PROC_WORKER_H
#define WEFT_ASYNC_PROC_WORKER_H

#include <sys/types.h>

#include "async/proc_control.h"

/* In the child that the server has just forked: makes a worker of it and serves
 * jobs that come through `socket` until it ends. */
_Noreturn void weft__proc_worker_main(const struct weft__control *start, pid_t server, int socket,
				      int err);

/* How many servers this process is below: 0 in an application. */
unsigned weft__proc_worker_depth(void);

#endif
