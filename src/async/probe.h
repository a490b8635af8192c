/* SPDX-License-Identifier: MIT */
/*
 * probe.h - asking a worker's thread what it does right now
 *
 * Only the thread itself can tell: what it runs may end at any moment, and its stack
 * is nobody else's to read.  So it is interrupted by a signal, SIGURG, and the handler
 * writes down what it was at.
 *
 *   threads    any but a worker's own; one at a time asks, the others wait.
 *   memory     names are copied.
 *   blocking   until the thread has answered, 200 ms at most: false.
 */
#ifndef WEFT_ASYNC_PROBE_H
#define WEFT_ASYNC_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct weft__node;
struct weft__worker;

enum { WEFT__PROBE_NAME = 48, WEFT__PROBE_FRAMES = 32 };

struct weft__probe {
	const void *strand; /* NULL: it is between two jobs, or asleep */
	bool inside;	    /* at or below the node that was asked for */
	bool cancelled;	    /* sees a cancel */
	int reason;	    /* of that, enum weft_reason_kind */
	char task[WEFT__PROBE_NAME], group[WEFT__PROBE_NAME]; /* "": none */
	void *frames[WEFT__PROBE_FRAMES];
	int frame_count;
};

/* `node` may be NULL.  False when there was no answer. */
bool weft__probe(struct weft__worker *w, const struct weft__node *node, struct weft__probe *p);

/* One frame a line. */
void weft__probe_print_frames(FILE *out, void *const *frames, int count);

#endif
