/* SPDX-License-Identifier: MIT */
/*
 * job.h - what a worker can be handed: a function to call, nothing more
 *
 * A fork frame, the root of a run, a fiber that became ready: each begins with
 * a job and is found again from it by its type.  The queues move pointers to
 * jobs and never look inside, but for `next`, which belongs to the queue that
 * holds the job.
 */
#ifndef WEFT_DEQUE_JOB_H
#define WEFT_DEQUE_JOB_H

struct weft__job {
	void (*run)(struct weft__job *job);
	struct weft__job *next;
};

#endif
