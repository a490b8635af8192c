/* SPDX-License-Identifier: MIT */
/*
 * isolate.h - map() in worker processes, so that a record can cost no more than itself
 *
 *	lane -> desk: a batch of records -> worker process      isolated.c
 *	     <- output, messages <-
 *	     <- or its end: which record was it at?
 *
 * A part goes over as one batch, in shared memory: what a payload costs, a memfd and a
 * dozen system calls, is as much as a light job needs for a small part.  A worker may
 * write to the top of each desk only: no job gets at the records of another.
 *
 * When the worker dies of a batch, the desk tells the record that it was at.  The records before
 *that one are sent again, then those from it on; a record that kills the worker when it is the
 *first of a batch is to blame, and fails.  So each record but that one is mapped, and what is put
 *out is what came of a batch that went through.
 *
 *   threads    as lanes; one task a desk, no more than there are threads: a lane that
 *              waits for the order holds its thread (order.h).  There are two for each
 *              worker process, so that it has its next batch when it is done with one.
 *   errors     run returns 0 or a negative code; what happens to records, and workers
 *              that cannot be had, is told as lane.c does.
 */
#ifndef WEFT_CLI_ISOLATE_H
#define WEFT_CLI_ISOLATE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "code.h"
#include "lane.h"
#include "record.h"

/* False, and said, when the job is of a kind that cannot be isolated. */
bool weft__isolate_allows(const struct weft__code *code, const char *job);

/* A task: all of the run's records, in other processes. */
int weft__isolate_run(struct weft__run *run);

/* Maps the records of the part that the lane has begun. */
void weft__isolate_map(struct weft__lane *lane);

/*
 * What passes between the processes, which run the same program.
 */

/* The top of a desk, of which there is one for each batch that can be out.  All tops
 * come first in the shared memory, then, from the next page on, so much room for
 * records for each.  Most of it is never touched. */
struct weft__desk {
	alignas(64) atomic_bool overdue; /* the worker ended itself: --record-timeout */
	struct weft__lane lane;		 /* the worker's; lane.job.offset is of its record */
};

/* To each worker first.  Strings follow: the path of the job and its name, each with
 * its NUL; record.separator, if there is one, of record.length bytes; keys and values,
 * each with its NUL. */
struct weft__isolated_start {
	pid_t pid; /* the desks are its descriptor `fd` */
	int fd;
	unsigned desks;
	size_t room; /* of each, whole pages */
	bool skip_failed;
	struct weft__record_format record;
	size_t max_record;
	int64_t timeout;
	size_t settings;
};

/* The name of the input, with its NUL, follows. */
struct weft__isolated_batch {
	unsigned desk;
	uint64_t offset; /* of the first record in the file */
	size_t size;	 /* bytes of records on the desk */
};

/* Where the rooms begin. */
size_t weft__desk_tops(unsigned desks);

/* A byte for each setting, whether it was used, then the output and the messages
 * follow. */
struct weft__isolated_answer {
	uint64_t records, failed;
	int code;
	bool cut;
	size_t out, notes;
};

/* isolated.c: functions for weft/remote.h. */
struct weft_reply;
int weft__isolated_begin(const void *in, size_t size, struct weft_reply *reply);
int weft__isolated_map(const void *in, size_t size, struct weft_reply *reply);

#endif
