/* SPDX-License-Identifier: MIT */
/*
 * poller.h - who waits for which descriptor
 *
 *	struct weft__fd *entry;
 *	uint32_t closes;
 *	int rc = weft__poller_find(rt, fd, &entry, &closes);
 *	... try without waiting: WEFT_EAGAIN ...
 *	rc = weft__poller_wait(s, fd, entry, closes, WEFT_READABLE);
 *
 * A weft_close(fd) between the two ends the wait: what the number stands for by
 * then is none of the caller's business.
 *
 *   threads    find, wait: tasks.  close: any.  ready: the event thread.
 *   memory     a waiter lies on its strand's stack; entries stay until the runtime
 *              ends, 32 KiB for each 1024 numbers in use.
 *   errors     below, at each.
 *   blocking   wait suspends; the rest does not.
 */
#ifndef WEFT_ASYNC_POLLER_H
#define WEFT_ASYNC_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "deque/list.h"
#include "deque/spin.h"

struct weft__fd;
struct weft__strand;
struct weft_runtime;

enum {
	WEFT__FD_CHUNK = 1024,	/* descriptors of one block */
	WEFT__FD_CHUNKS = 4096, /* blocks; four million descriptors */
};

struct weft__poller {
	struct weft__list link; /* of all runtimes' */
	struct weft__spin lock; /* of making blocks */
	struct weft__fd *blocks[WEFT__FD_CHUNKS];
};

void weft__poller_init(struct weft__poller *poller);
void weft__poller_fini(struct weft__poller *poller);

/* What is known of a number, and how often it was closed so far.  -EBADF, WEFT_ENOMEM
 * (also for a number of four million or more). */
int weft__poller_find(struct weft_runtime *rt, int fd, struct weft__fd **entry, uint32_t *closes);

/* Waits for one of `wanted` (WEFT_READABLE ...): those that are ready.  A failure of
 * the descriptor makes all ready.  WEFT_ECANCELED; WEFT_ECLOSED after a weft_close of
 * the number since find; -EPERM when the kernel cannot wait for such a thing (a
 * regular file), which is always ready; WEFT_EAGAIN when there is no event thread to
 * be had; or another code of epoll_ctl. */
int weft__poller_wait(struct weft__strand *s, int fd, struct weft__fd *entry, uint32_t closes,
		      uint32_t wanted);

/* Ends all waits for the number, of all runtimes. */
void weft__poller_close(int fd);

/* And right after: ends the waits that began in between. */
void weft__poller_closed(int fd);

#endif
