/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the protocol of streams
 *
 *   The shape is that of Reactive Streams (1.0.4) turned round: items are pulled, so
 *   there is no demand to signal, and backpressure is that nobody asks.
 *
 * A stream is one allocation: the struct, the state of its stage, the list of its
 * sources.
 *
 *	going --end, error--> over      rc stays what it was
 *	  '--------'--close--> closed   rc is WEFT_ECLOSED
 */
#include "async/stream.h"

#include <string.h>

#include "deque/alloc.h"

enum { ALIGN = 16 };

static size_t aligned(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void destroy_all(struct weft_stream *const *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		weft_stream_destroy(sources[i]);
}

static bool has_null(struct weft_stream *const *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!sources[i])
			return true;
	return false;
}

struct weft_stream *weft__stream_new(const struct weft_stream_ops *ops, size_t item_size,
				     size_t state_size, void **state,
				     struct weft_stream *const *sources, size_t n)
{
	size_t head = aligned(sizeof(struct weft_stream));
	size_t middle = aligned(state_size);
	size_t bytes = head + middle + n * sizeof *sources;
	struct weft_stream *s = has_null(sources, n) ? NULL : weft__alloc(bytes);

	if (!s) {
		destroy_all(sources, n);
		return NULL;
	}
	memset(s, 0, bytes);
	s->ops = ops;
	s->state = (char *)s + head;
	s->sources = (struct weft_stream **)(void *)((char *)s + head + middle);
	s->n = n;
	s->item_size = item_size;
	s->bytes = bytes;
	s->rc = 1;
	for (size_t i = 0; i < n; i++) {
		s->sources[i] = sources[i];
		sources[i]->goes_on = 0;
	}
	if (state)
		*state = s->state;
	return s;
}

struct weft_stream *weft_stream_create(const struct weft_stream_ops *ops, size_t item_size,
				       size_t state_size, void **state,
				       struct weft_stream *const *sources, size_t n)
{
	if (!ops || !ops->next || (n && !sources)) {
		if (sources)
			destroy_all(sources, n);
		return weft_from_error(WEFT_EINVAL, item_size);
	}
	return weft__stream_new(ops, item_size, state_size, state, sources, n);
}

int weft_next(struct weft_stream *s, void *item)
{
	return s ? weft__next(s, item) : WEFT_ENOMEM;
}

/* The stage first: what it runs uses the sources. */
void weft_stream_close(struct weft_stream *s)
{
	if (!s || s->closed)
		return;
	s->closed = true;
	s->rc = WEFT_ECLOSED;
	if (s->ops->close)
		s->ops->close(s->state);
	for (size_t i = 0; i < s->n; i++)
		weft_stream_close(s->sources[i]);
}

void weft_stream_destroy(struct weft_stream *s)
{
	if (!s)
		return;
	weft_stream_close(s);
	if (s->ops->destroy)
		s->ops->destroy(s->state);
	destroy_all(s->sources, s->n);
	weft__free(s, s->bytes);
}

size_t weft_stream_item_size(const struct weft_stream *s)
{
	return s ? s->item_size : 0;
}

struct weft_stream *weft_stream_on_drop(struct weft_stream *s, void (*drop)(void *item, void *arg),
					void *arg)
{
	if (s) {
		s->drop = drop;
		s->drop_arg = arg;
	}
	return s;
}
