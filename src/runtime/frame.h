/* SPDX-License-Identifier: MIT */
/*
 * frame.h - a fork: half of the work, on the stack of who forked it
 *
 *	state    0        offered or running, nobody waits
 *	         fiber    the forker waits on this fiber
 *	         DONE     finished; the memory is the forker's alone again
 *
 * Moves: 0 -> DONE, 0 -> fiber -> DONE.  One exchange finishes a frame, one
 * compare-and-swap begins to wait for it.
 */
#ifndef WEFT_RUNTIME_FRAME_H
#define WEFT_RUNTIME_FRAME_H

#include <stdbool.h>

#include <weft/base.h>

#include "deque/job.h"
#include "runtime/strand.h"

struct weft__worker;

struct weft__frame {
	struct weft__job job;
	weft_fn *fn;
	void *arg;
	struct weft__ambient in; /* what the forker ran in */
	uintptr_t state;
	int rc; /* of fn, once DONE */
};

/* Runs fa(a), and fb(b) beside it if somebody takes it meanwhile.  The first
 * error, that of fa before that of fb; fb is skipped when fa fails and nobody
 * has taken fb.  The caller may be on another worker afterwards. */
int weft__frame_fork(struct weft__worker *w, weft_fn *fa, void *a, weft_fn *fb, void *b);

/* The same without asking anybody. */
static inline int weft__frame_in_turn(weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	int rc = fa(a);
	if (rc < 0)
		return rc;
	rc = fb(b);
	return rc < 0 ? rc : 0;
}

#endif
