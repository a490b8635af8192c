/* SPDX-License-Identifier: MIT */
/*
 * output.h - where the output goes: standard output, or a file that appears whole
 *
 * A regular file is written aside, without a name where the file system can do
 * that, and takes its place only on commit: a run that fails leaves what was
 * there before, and nothing else.  Anything that is no regular file, such as
 * /dev/null or a FIFO, is written to directly.
 *
 *   threads    one at a time.
 *   errors     open says what is wrong and returns false; write and commit
 *              return a negative errno.
 */
#ifndef WEFT_CLI_OUTPUT_H
#define WEFT_CLI_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct weft__output {
	int fd;
	const char *name; /* for messages */
	char *target;	  /* what commit puts in place; NULL: nothing to do */
	char *aside;	  /* the name it has until then; NULL: none */
	atomic_uint_fast64_t written;
};

/* `path` NULL: standard output. */
bool weft__output_open(struct weft__output *out, const char *path);

int weft__output_write(struct weft__output *out, struct iovec *vector, int count);

/* Ends the output well, or as if it had never been begun (as far as that goes). */
int weft__output_commit(struct weft__output *out);
void weft__output_abandon(struct weft__output *out);

#endif
