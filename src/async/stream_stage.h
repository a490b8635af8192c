/* SPDX-License-Identifier: MIT */
/*
 * stream_stage.h - what stages that run something beside their reader share
 */
#ifndef WEFT_ASYNC_STREAM_STAGE_H
#define WEFT_ASYNC_STREAM_STAGE_H

#include <string.h>

#include "async/crew.h"
#include "async/stream.h"

/* The source is closed, and the error comes at the first item. */
static inline struct weft_stream *weft__refuse(struct weft_stream *source, int rc, size_t item_size)
{
	if (!source)
		return NULL;
	weft_stream_destroy(source);
	return weft_from_error(rc, item_size);
}

/* A stage over one source whose items pass through, so what is to become of unread ones is
 * known. */
static inline struct weft_stream *weft__passage(const struct weft_stream_ops *ops,
						size_t state_size, void **state,
						struct weft_stream *source)
{
	struct weft_stream *s =
		weft__stream_new(ops, weft_stream_item_size(source), state_size, state, &source, 1);

	return s ? weft_stream_on_drop(s, source->drop, source->drop_arg) : NULL;
}

/* A stream that was made and has no crew after all: it is destroyed, and with it its
 * sources. */
static inline struct weft_stream *weft__stillborn(struct weft_stream *s, int rc)
{
	size_t size = s->item_size;

	weft_stream_destroy(s);
	return weft_from_error(rc, size);
}

/* Most items are a word. */
static inline void weft__copy_item(void *to, const void *from, size_t size)
{
	if (WEFT_LIKELY(size == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, size);
}

static inline size_t weft__aligned(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

/* Where items begin behind an array in a state, and what that may cost. */
enum { WEFT__SLACK = 16 };

static inline char *weft__behind(void *end)
{
	return (char *)end + (-(uintptr_t)end & (WEFT__SLACK - 1));
}

#endif
