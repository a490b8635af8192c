/* SPDX-License-Identifier: MIT */
/*
 * process_life.h - a worker of a pool: started, initialised, given jobs, ended
 *
 *   threads    with the pool's lock held.  start_workers and look_at: its thread.
 *   memory     workers are the pool's.
 *   blocking   start_workers for as long as a server takes to start.
 */
#ifndef WEFT_ASYNC_PROCESS_LIFE_H
#define WEFT_ASYNC_PROCESS_LIFE_H

#include "async/process_pool.h"

#define WEFT__PROCESS_RETRY WEFT_MS(1) /* of what would have blocked */

/* Hands queued jobs to idle workers. */
void weft__process_dispatch(struct weft_process_pool *pool);

/* Starts as many workers as the queue calls for, and may; else retry_at says when. */
void weft__process_start_workers(struct weft_process_pool *pool, int64_t now);

/* It gets no more jobs, and ends by this signal; when the grace is over, by SIGKILL. */
void weft__process_end_worker(struct weft_process_pool *pool, struct weft__process_worker *w,
			      int signal, int64_t grace);

/* It has no job, gets no more, and goes by itself. */
void weft__process_let_worker_go(struct weft_process_pool *pool, struct weft__process_worker *w);

/* Sends it the signal that is due, if one is. */
void weft__process_send_due(struct weft__process_worker *w, int64_t now);

/* Takes what it has sent and what is known of its end, which frees it. */
void weft__process_look_at(struct weft_process_pool *pool, struct weft__process_worker *w);

#endif
