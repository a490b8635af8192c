/* SPDX-License-Identifier: MIT */
/*
 * input.h - all the inputs as one sequence of slices
 *
 * A slice is a run of whole records of one file.  How long it is depends on what
 * the input holds and on how much of it came before, never on timing: about
 * 1/256 of what has been read so far, at least one record, at most a megabyte.
 * So a few heavy records are handed out one by one, many light ones in bulk, the
 * last slice of a run is never a large piece of it, and a reduction over slices
 * always adds up in the same way.  A `live` input gives that up: it hands out
 * what a pipe has brought so far.
 *
 *   threads    one at a time: whoever holds the reader's lock.
 *   memory     slices borrow the names of files and hold a reference to a block.
 *   errors     next returns WEFT__INPUT_FAILED and leaves a message; the slices
 *              before it are whole.
 *   blocking   next waits for a pipe; a readable stop_fd ends that.
 */
#ifndef WEFT_CLI_INPUT_H
#define WEFT_CLI_INPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "block.h"
#include "record.h"

struct weft__input_config {
	char *const *names; /* "-" is standard input */
	size_t count;
	const struct weft__record_format *format;
	uint64_t skip, limit; /* records; limit UINT64_MAX for all */
	size_t max_record;    /* bytes */
	bool live;
	unsigned share; /* a slice has at most 1/share of what came before it */
	int stop_fd;
};

struct weft__slice {
	struct weft__block *block; /* NULL for an empty slice */
	char *begin, *end;
	const char *name;
	size_t source;	  /* which of the names */
	uint64_t offset;  /* of begin, in the file */
	uint64_t skipped; /* records of this file left out in front of the slice */
	bool too_long;	  /* an empty slice in place of a record over max_record */
};

enum weft__input_result {
	WEFT__INPUT_SLICE,
	WEFT__INPUT_END,
	WEFT__INPUT_FAILED,
};

struct weft__input {
	struct weft__input_config config;
	struct weft__block_pool pool;
	uint64_t size;		  /* of all inputs together; 0 when not known */
	atomic_uint_fast64_t got; /* bytes read so far */
	char message[512];	  /* after WEFT__INPUT_FAILED */

	/* Private: where the reader is. */
	size_t source;
	int fd; /* -1: between two files */
	bool regular, eof, dry, dropping, ended;
	uint64_t expected; /* size of a regular file when it was opened */
	uint64_t read;	   /* bytes read from this file */
	uint64_t offset;   /* of `at`, in the file */
	uint64_t position; /* of `at`, in all inputs */
	uint64_t skip, limit, skipped;
	struct weft__block *block;
	size_t at, filled; /* bytes at .. filled - 1 of the block are yet to be cut */
};

/* Looks at every input before any is read, says what is wrong with each, and
 * returns false if anything was. */
bool weft__input_check(struct weft__input *in);

void weft__input_init(struct weft__input *in, const struct weft__input_config *config,
		      unsigned workers);
void weft__input_fini(struct weft__input *in);

enum weft__input_result weft__input_next(struct weft__input *in, struct weft__slice *slice);

/* True when `status` is one of the inputs. */
bool weft__input_is(const struct weft__input *in, const struct stat *status);

#endif
