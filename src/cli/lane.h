/* SPDX-License-Identifier: MIT */
/*
 * lane.h - a job in action: what its functions get, and what stands behind it
 *
 * A lane belongs to one worker at a time.  begin() gives it to a function of the
 * job, which may then call back; what it emits is in lane->part after end().
 *
 *   threads    one at a time.
 *   memory     the lane is the caller's; the part belongs to the lane from begin()
 *              to end().
 */
#ifndef WEFT_CLI_LANE_H
#define WEFT_CLI_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/job.h>

#include "run.h"

struct weft__lane {
	struct weft_job job; /* first, so that the job leads here */
	struct weft__run *run;
	struct weft__part *part;
	char *mark;	 /* where in part->out the output of this record begins */
	bool may_emit;	 /* map, start and finish may */
	bool writing;	 /* holds the output, see weft__order_acquire_output() */
	bool gone;	 /* the output cannot be written any more */
	char *scratch;	 /* for records of a fixed length */
	unsigned desk;	 /* in other processes: which is ours */
	uint64_t failed; /* where weft_fail() was called: job.offset + 1 */
	char why[1024];	 /* and with what */
};

/* A task: the lane of one worker, from the first part that it gets to the last.
 * Its argument is the run. */
int weft__lane_run(void *run);

/* A task as well, with `desk`, for maps in other processes: nobody joins in. */
int weft__lane_run_alone(struct weft__run *run, unsigned desk);

/* Maps the records of the part that the lane has begun. */
void weft__lane_map(struct weft__lane *lane);

/* The record at job.offset failed.  False when that ends the part. */
bool weft__lane_record_failed(struct weft__lane *lane, const char *why);

/* Ends the run at this part, with this code. */
void weft__lane_cut(struct weft__lane *lane, enum weft__exit code);

/* So many failed records that their messages cannot wait for their turn? */
void weft__lane_flush_notes(struct weft__lane *lane);

/* A zeroed state, to be freed; NULL when there is no memory. */
void *weft__state_new(const struct weft__code *code);

/*
 * calls.c
 */
void weft__lane_init(struct weft__lane *lane, struct weft__run *run);
void weft__lane_begin(struct weft__lane *lane, struct weft__part *part, bool may_emit);
void weft__lane_end(struct weft__lane *lane);

/* The record there is next.  With --isolate another thread looks. */
static inline void weft__lane_at(struct weft__lane *lane, uint64_t offset)
{
	__atomic_store_n(&lane->job.offset, offset, __ATOMIC_RELAXED);
}

/* Takes back what has been emitted since the mark and is not written yet. */
void weft__lane_drop(struct weft__lane *lane);

/* Gives the output to others, if the lane holds it. */
void weft__lane_release(struct weft__lane *lane);

/* Why the function that returned `rc` failed. */
const char *weft__lane_why(struct weft__lane *lane, int rc);

#endif
