/* SPDX-License-Identifier: MIT */
/*
 * process.h - the process pool of a runtime
 */
#ifndef WEFT_ASYNC_PROCESS_H
#define WEFT_ASYNC_PROCESS_H

#include <weft/process.h>

#include "deque/spin.h"

/* Made by the first call that needs it. */
struct weft__processes {
	struct weft__spin lock;
	struct weft_process_pool *pool;
};

/* Kills what there is, and waits for its end. */
void weft__processes_end(struct weft__processes *processes);

#endif
