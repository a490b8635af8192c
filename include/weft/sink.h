/* SPDX-License-Identifier: MIT */
/*
 * weft/sink.h - the ends of streams: what reads one until it is over
 *
 *	uint64_t n;
 *	int rc = weft_stream_count(s, &n);
 *	weft_stream_destroy(s);
 *
 * A sink borrows the stream: it neither closes nor destroys it, but for
 * weft_stream_first, which closes.  After an error the stream can be read on, if the
 * error was not its own.
 *
 *   threads    the stream's reader
 *   memory     the caller's, but for weft_list
 *   errors     0 at the end of the stream; its error, or the sink's.  NULL as a stream
 *              is WEFT_ENOMEM.
 *   blocking   as weft_next of the stream, and as what the sink calls.  A cancel ends it
 *              with WEFT_ECANCELED.
 *
 * An item that was taken from the stream and cannot be handed on goes to the stream's
 * drop function.
 */
#ifndef WEFT_SINK_H
#define WEFT_SINK_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/stream.h>

WEFT_BEGIN_DECLS

/* Calls fn for every item.  A negative code from fn ends it and is returned. */
typedef int weft_each_fn(void *item, void *arg);

struct weft_for_each_opts {
	size_t size;
	size_t limit; /* calls at a time, each on a task of its own; 0: one, on the caller's */
};

/* With a limit: all calls have returned when this does; the first that fails cancels the
 * others.  WEFT_ENOTASK outside of a task then. */
WEFT_API int weft_stream_for_each_opt(struct weft_stream *s, weft_each_fn *fn, void *arg,
				      const struct weft_for_each_opts *opts);

/* Items in a row, in memory of ours; all zero is an empty one. */
struct weft_list {
	void *items;
	size_t n;
	size_t weft__room, weft__size;
};

/* Appends up to `most` items (0: all there are).  0: the stream is at its end; 1: there
 * may be more; an error, and the list has what came before it.  WEFT_ENOMEM takes no
 * item.  A list holds items of one size: WEFT_EINVAL. */
WEFT_API int weft_stream_collect(struct weft_stream *s, struct weft_list *list, size_t most);
WEFT_API void weft_list_free(struct weft_list *list);

/* fn(acc, item, arg) for each. */
WEFT_API int weft_stream_reduce(struct weft_stream *s, void *acc, weft_fold_fn *fn, void *arg);

/* How many there are; after an error, were until then.  They are dropped. */
WEFT_API int weft_stream_count(struct weft_stream *s, uint64_t *n);

/* As weft_next: 1 and an item, 0 when there is none, an error.  first closes the stream,
 * unless it was cancelled; last drops those before, and all of them after an error. */
WEFT_API int weft_stream_first(struct weft_stream *s, void *item);
WEFT_API int weft_stream_last(struct weft_stream *s, void *item);

/* Sends each item.  The channel's items are of the stream's size.  `close`: the channel
 * is closed behind the last one, after an error too.  WEFT_ECLOSED when somebody else
 * has closed it. */
struct weft_channel;
WEFT_API int weft_stream_to_channel(struct weft_stream *s, struct weft_channel *channel,
				    bool close);

/* Writes a stream of struct weft_text, each followed by `end`, unless that is NULL.  Up to
 * `room` bytes are gathered before they are written; 0: each item goes out at once.
 * After an error from the descriptor, and after a cancel, what was gathered may be
 * written in part.  What precedes an error of the stream is written.  WEFT_EINVAL for
 * items of another size. */
WEFT_API int weft_stream_to_fd(struct weft_stream *s, int fd, const char *end, size_t room);

WEFT_END_DECLS

#ifndef __cplusplus
#define weft_stream_for_each(s, fn, arg, ...)                        \
	weft_stream_for_each_opt(s, fn, arg,                         \
				 &(const struct weft_for_each_opts){ \
					 .size = sizeof(struct weft_for_each_opts), __VA_ARGS__ })
#endif

#endif
