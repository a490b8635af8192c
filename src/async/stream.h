/* SPDX-License-Identifier: MIT */
/*
 * stream.h - a stream from inside
 */
#ifndef WEFT_ASYNC_STREAM_H
#define WEFT_ASYNC_STREAM_H

#include <weft/error.h>
#include <weft/scope.h>
#include <weft/stream.h>

struct weft_stream {
	const struct weft_stream_ops *ops;
	void *state; /* behind this struct, and behind that the sources */
	struct weft_stream **sources;
	size_t n;
	size_t item_size;
	size_t bytes;
	int rc;	     /* > 0 while it goes; then what weft_next returns for ever */
	int goes_on; /* an error after which it can be read on, but by no stage; or 0 */
	bool closed;
	void (*drop)(void *item, void *arg);
	void *drop_arg;
};

/* A state of its own for each stage, behind the struct. */
struct weft_stream *weft__stream_new(const struct weft_stream_ops *ops, size_t item_size,
				     size_t state_size, void **state,
				     struct weft_stream *const *sources, size_t n);

/* weft_next of a stage's source, which is not NULL: inline, for stages that do nothing
 * but call the next one. */
static inline int weft__next(struct weft_stream *s, void *item)
{
	if (WEFT_UNLIKELY(s->rc <= 0))
		return s->rc;
	int rc = s->ops->next(s->state, item);
	if (WEFT_UNLIKELY(rc <= 0) && rc != WEFT_ECANCELED && (rc == 0 || rc != s->goes_on))
		s->rc = rc;
	return rc;
}

/* A source that never waits is no cancellation point by nature; it asks every 64 items,
 * so that a long chain over it can be stopped. */
static inline int weft__stream_ask(unsigned *asked)
{
	return WEFT_UNLIKELY(++*asked % 64 == 0) ? weft_checkpoint() : 0;
}

/* weft_apply without tasks. */
struct weft_stream *weft__apply_here(struct weft_stream *source, weft_apply_fn *fn, void *arg,
				     size_t out_size);

/* An item that was taken and will not be read. */
static inline void weft__stream_drop(const struct weft_stream *s, void *item)
{
	if (s->drop)
		s->drop(item, s->drop_arg);
}

#endif
