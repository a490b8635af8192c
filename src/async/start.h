/* SPDX-License-Identifier: MIT */
/*
 * start.h - the hand-shake of weft_start
 */
#ifndef WEFT_ASYNC_START_H
#define WEFT_ASYNC_START_H

struct weft__task;

/* A child of weft_start ended with rc, ready or not; what its group is to take for
 * its result. */
int weft__start_ended(struct weft__task *t, int rc);

#endif
