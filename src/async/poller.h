/* SPDX-License-Identifier: MIT */
/*
 * poller.h - who waits for which descriptor
 *
 *   threads    any.
 *   memory     a waiter lies on its strand's stack.
 *   errors     weft_wait_fd says.
 */
#ifndef WEFT_ASYNC_POLLER_H
#define WEFT_ASYNC_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "deque/list.h"
#include "deque/spin.h"

struct weft__fd;

enum {
	WEFT__FD_CHUNK = 1024,	/* descriptors of one block */
	WEFT__FD_CHUNKS = 1024, /* blocks; a million descriptors */
};

struct weft__poller {
	struct weft__spin lock; /* of making blocks */
	struct weft__fd *blocks[WEFT__FD_CHUNKS];
};

void weft__poller_init(struct weft__poller *poller);
void weft__poller_fini(struct weft__poller *poller);

#endif
