/* SPDX-License-Identifier: MIT */
/*
 * proc_payload.h - payloads that are too large for a frame: sealed memfds
 *
 * A file that two processes map is a weapon: when one of them shortens it, the
 * other dies of SIGBUS, and when one writes, the other's checks are worth nothing.
 * Seals take both away.
 *
 *	to the worker     made, filled, sealed against everything, sent
 *	from the worker   made at the size that was asked for, sealed against
 *	                  shrinking and growing, sent, filled by the worker, then
 *	                  sealed against writing by the parent.  That fails as long
 *	                  as somebody maps it for writing: a worker that keeps its
 *	                  mapping is found out
 *
 *   threads    any.
 *   memory     descriptors are the caller's to close, all of them close-on-exec.
 *   errors     0, a descriptor, or a negated errno.
 *   blocking   no more than memory does.
 */
#ifndef WEFT_ASYNC_PROC_PAYLOAD_H
#define WEFT_ASYNC_PROC_PAYLOAD_H

#include <stddef.h>

/* A memfd that holds a copy of `size` bytes and that nobody can change. */
int weft__payload_of(const void *data, size_t size);

/* A memfd of `size` bytes, of zeros, that keeps its size. */
int weft__payload_room(size_t size);

/* Seals what weft__payload_room made for good.  -EBUSY: somebody can write. */
int weft__payload_seal(int fd);

/* Maps the first `size` bytes of a payload for reading, or a room for writing.
 * The file must be sealed against shrinking, and as long as that: else -EPROTO. */
int weft__payload_map(int fd, size_t size, const void **data);
int weft__payload_map_room(int fd, size_t size, void **data);
void weft__payload_unmap(const void *data, size_t size);

/* Writes all of `data` into a room, from its beginning. */
int weft__payload_fill(int fd, const void *data, size_t size);

#endif
