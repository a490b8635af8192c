/* SPDX-License-Identifier: MIT */
/*
 * stream_time.h - reading a source until a deadline
 */
#ifndef WEFT_ASYNC_STREAM_TIME_H
#define WEFT_ASYNC_STREAM_TIME_H

#include "async/stream_stage.h"

/* weft_next of the source; WEFT_ETIMEDOUT with *late set when nothing has come up to the
 * deadline, itself included.  Nothing is lost then. */
int weft__next_until(struct weft_stream *source, void *item, int64_t deadline, bool *late);

#endif
