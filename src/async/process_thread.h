/* SPDX-License-Identifier: MIT */
/*
 * process_thread.h - the thread of a pool
 *
 *   threads    with the pool's lock held.
 */
#ifndef WEFT_ASYNC_PROCESS_THREAD_H
#define WEFT_ASYNC_PROCESS_THREAD_H

#include "async/process_pool.h"

/* Starts it; it ends when the pool is closed and has no callers.  WEFT_EAGAIN,
 * WEFT_ENOMEM, or why there is no descriptor. */
int weft__process_start_thread(struct weft_process_pool *pool);

/* Wakes it: to be called when there is something for it to do. */
void weft__process_kick(struct weft_process_pool *pool);

#endif
