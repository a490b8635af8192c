/* SPDX-License-Identifier: MIT */
/*
 * run.h - one run of `weft map`
 *
 * Lanes, one a worker, take part after part: read a slice under the reader's
 * lock, map its records without any lock, hand it to the order, which delivers
 * it when its turn comes.  Any lane could do all the work alone; that there are
 * several is up to the runtime, as with every fork.
 *
 *	input -> [lane] -> order -> deliver -> output
 *	         [lane]                     -> messages
 *	         [lane]                     -> total of the reduction
 *
 *   threads    `reader` guards the input.  What is marked so belongs to whoever
 *              delivers, one at a time, in order.
 *   errors     the first exit code that weft__run_fail() gets is that of the run.
 */
#ifndef WEFT_CLI_RUN_H
#define WEFT_CLI_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "build.h"
#include "cli.h"
#include "code.h"
#include "input.h"
#include "options.h"
#include "order.h"
#include "output.h"

struct weft__run {
	struct weft__options *options;
	const struct weft__code *code;
	struct weft__built built; /* where it came from, if it is to be loaded again */
	struct weft__input input;
	struct weft__output output;
	struct weft__order order;
	struct weft__isolation *isolation; /* NULL: map() runs in this process */
	bool apart;			   /* this is a worker process: parts stay whole */
	pthread_mutex_t reader;
	int stop_fd; /* an eventfd: readable once reading is to stop */

	/* Parts with a larger number stop at their next record; UINT64_MAX as
	 * long as all is well. */
	atomic_uint_fast64_t last;
	atomic_int code_of_exit; /* see weft__run_fail() */
	atomic_bool complete;	 /* the input has been read to its end */

	/* For progress. */
	atomic_uint_fast64_t bytes_done, records_done;

	/* Who delivers. */
	void *total;		  /* of the reduction */
	uint64_t records, failed; /* in all that was delivered */
	size_t source;		  /* the file of the last part delivered */
	uint64_t in_source;	  /* its records up to there */
};

/* Reads, maps, reduces and writes.  What went wrong is in run->code_of_exit. */
void weft__run_all(struct weft__run *run);

/* The run ends behind part `number`: nothing more is read, and later parts stop
 * at their next record.  Safe from any thread. */
void weft__run_cut(struct weft__run *run, uint64_t number);

/* The run ends with this code, unless another was there first. */
void weft__run_fail(struct weft__run *run, enum weft__exit code);

/* Writes, and ends the run if that fails. */
bool weft__run_write(struct weft__run *run, struct iovec *vector, int count);

/* deliver.c */
bool weft__run_deliver(struct weft__part *const *parts, unsigned count, void *run);

/* Says what there is to be said of the part, which is the head. */
void weft__run_say_notes(struct weft__run *run, struct weft__part *part);

/* A message about record `index` of the part, at `offset` of the file.  False
 * when there is no memory. */
bool weft__part_note(struct weft__part *part, uint64_t index, uint64_t offset, const char *text);

/* The messages `notes`, `size` bytes out of another part whose first record is
 * record `first` of this one.  They may be anything: false also when they make no
 * sense, and then none is taken. */
bool weft__part_take_notes(struct weft__part *part, uint64_t first, const char *notes, size_t size);

/* A message about the part's file. */
bool weft__part_note_file(struct weft__part *part, const char *text);

#endif
