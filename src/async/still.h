/* SPDX-License-Identifier: MIT */
/*
 * still.h - keeping a task that waits where it is, for as long as it is looked at
 *
 * While a strand is parked, what it waits for, the scopes it is in and the frames on its
 * stack stay as they are; but it may be woken at any moment.  So who looks takes the part
 * of one that is on its way to park (wait.h): the word goes from PARKED back to WAITING.
 * Whoever claims the wait then leaves the resuming to the one that looks, who does it
 * when it has seen enough.
 *
 *	PARKED --begin--> WAITING --end--> PARKED
 *	                     '---claim---> RUNNING --end: resumes it
 *
 *   threads    any.
 *   memory     from begin to end the strand stays, and its stack, and what it waits for.
 *   blocking   none; but who is woken in between is late.
 */
#ifndef WEFT_ASYNC_STILL_H
#define WEFT_ASYNC_STILL_H

#include "runtime/strand.h"

/* `word` is what the strand's was, and said PARKED; what was read of the wait since then
 * is its own if this is true.  False: it has gone on. */
bool weft__still_begin(struct weft__strand *s, uint64_t word);
void weft__still_end(struct weft__strand *s);

/* Where it waits, innermost first: how many, `max` at most. */
int weft__still_frames(struct weft__strand *s, void **frames, int max);

#endif
