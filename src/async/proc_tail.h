/* SPDX-License-Identifier: MIT */
/*
 * proc_tail.h - the last words of a worker
 *
 * A ring that keeps the newest WEFT__TAIL_SIZE bytes of what came through a pipe.
 *
 *   threads    one at a time.
 *   errors     none: a pipe that cannot be read has ended.
 *   blocking   no: the pipe is non-blocking, and one call reads a bounded amount.
 */
#ifndef WEFT_ASYNC_PROC_TAIL_H
#define WEFT_ASYNC_PROC_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEFT__TAIL_SIZE = 4096 };

struct weft__tail {
	uint64_t count; /* of all bytes that ever came */
	char bytes[WEFT__TAIL_SIZE];
};

static inline void weft__tail_init(struct weft__tail *tail)
{
	tail->count = 0;
}

/* Reads what is there, but not for ever: a writer that is faster than we are is
 * gone on with by the next call.  False when the pipe has ended. */
bool weft__tail_drain(struct weft__tail *tail, int fd);

void weft__tail_add(struct weft__tail *tail, const char *data, size_t size);

/* Copies the newest bytes, at most size - 1 of them, and a NUL to `text`.  How
 * many there are without the NUL. */
size_t weft__tail_text(const struct weft__tail *tail, char *text, size_t size);

#endif
