/* SPDX-License-Identifier: MIT */
/*
 * file.h - system calls on descriptors, with the error as the return value
 *
 * A task may resume on another thread, so errno is read here, next to the call
 * that set it, and nowhere else in the code that lanes run.
 *
 *   errors     0 or a count; a negative errno.  Interrupted calls are repeated.
 */
#ifndef WEFT_CLI_FILE_H
#define WEFT_CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* As open(2), close-on-exec. */
int weft__file_open(const char *path, int flags, mode_t mode);

/* At most n bytes; 0 at the end.  -EAGAIN when a non-blocking file has none. */
ssize_t weft__file_read(int fd, void *buffer, size_t n);

/* All of it. */
int weft__file_write(int fd, const void *data, size_t n);

/* All of it; `vector` is used up. */
int weft__file_writev(int fd, struct iovec *vector, int count);

/* The whole file and a NUL after it, to be freed.  -EFBIG over `limit` bytes. */
int weft__file_load(const char *path, size_t limit, char **data, size_t *length);

/* Waits until fd can be read or stop_fd can; 1 and 0 in this order.  With
 * timeout 0 it does not wait, and says whether fd can be read. */
int weft__file_wait(int fd, int stop_fd, int timeout);

#endif
