/* SPDX-License-Identifier: MIT */
/*
 * weft/stream.h - streams: items pulled one after the other through stages
 *
 * A stream is read like a file: weft_next() copies the next item into the caller's
 * storage and returns more than 0, or 0 at the end, or an error; the end and errors
 * stay.  Items are of one size, copied; pointers are the common case, and any value is
 * a fine item.
 *
 *	struct weft_stream *s =
 *		weft_batch(weft_throttle(weft_merge(feeds, 2), .rate = 10), 100, WEFT_SEC(5));
 *	struct weft_chunk chunk;
 *	int rc;
 *
 *	while ((rc = weft_next(s, &chunk)) > 0)
 *		if ((rc = insert(chunk.items, chunk.n)) < 0)
 *			break;
 *	weft_stream_destroy(s);
 *
 * A stage owns its sources from the call that makes it on, also when that call fails.
 * Without memory such a call returns NULL; NULL as a source gives NULL again, and
 * weft_next(NULL) is WEFT_ENOMEM, so a chain needs one check, and that at the first
 * item.  An argument that makes no sense gives a stream that fails with WEFT_EINVAL.
 *
 * Stages that only compute (filter, apply, take ...) cost a function call an item.
 * Those that run something beside their reader (merge, buffer, apply with a limit ...)
 * start tasks when they are made; these belong to the scope that the caller is in then,
 * and the stream must be closed before that scope is left.
 *
 *   threads    one task at a time reads a stream; any may, in turn.  Streams that run
 *              tasks need a task to be made and closed.
 *   memory     the stream owns itself, its state, its tasks and its sources.  Items are
 *              copied; what they point to is the user's, and goes to the drop function
 *              (weft_stream_on_drop) when it was taken from upstream and never read.
 *   errors     those of sources travel downwards as they are.
 *   blocking   weft_next suspends the task while there is no item.  WEFT_ECANCELED from
 *              it loses nothing: the item stays for the next call.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

struct weft_stream;
struct weft_channel;

/* > 0: *item is the next one; 0: the end; < 0: an error.  WEFT_ECLOSED after close. */
WEFT_API int weft_next(struct weft_stream *s, void *item);

/* Ends a stream from any state: cancels what runs upstream, waits for it, closes the
 * sources, drops what was not read.  Again: nothing.  When the caller is cancelled it
 * does all of that just the same.  NULL is allowed. */
WEFT_API void weft_stream_close(struct weft_stream *s);

/* Closes it and frees it and its sources. */
WEFT_API void weft_stream_destroy(struct weft_stream *s);

/* Bytes of an item. */
WEFT_API size_t weft_stream_item_size(const struct weft_stream *s);

/* What becomes of items that this stage has taken and nobody reads.  Returns s. */
WEFT_API struct weft_stream *weft_stream_on_drop(struct weft_stream *s,
						 void (*drop)(void *item, void *arg), void *arg);

/* WEFT_AUTO_STREAM s = ...; is destroyed at the end of its block. */
static inline void weft_stream_auto(struct weft_stream **s)
{
	weft_stream_destroy(*s);
}
#define WEFT_AUTO_STREAM __attribute__((cleanup(weft_stream_auto))) struct weft_stream *

/*
 * Stages of one's own.  next() is called for an item and follows the rules of
 * weft_next; it is not called again after it returned the end or an error other than
 * WEFT_ECANCELED.  close() ends what the state runs, and sources are closed after it;
 * destroy() frees what the state owns, what the last item points to included.  Either may
 * be NULL.
 */
struct weft_stream_ops {
	int (*next)(void *state, void *item);
	void (*close)(void *state);
	void (*destroy)(void *state);
	const char *name;
};

/* A stage with `state_size` zeroed bytes of state, which *state leads to, over n
 * sources, which it owns from here on.  NULL: no memory, or a source was NULL; the
 * sources are closed then. */
WEFT_API struct weft_stream *weft_stream_create(const struct weft_stream_ops *ops, size_t item_size,
						size_t state_size, void **state,
						struct weft_stream *const *sources, size_t n);

/* --- sources ------------------------------------------------------------ */

/* n items of `size` bytes, borrowed until the stream is closed. */
WEFT_API struct weft_stream *weft_from_array(const void *items, size_t n, size_t size);

/* What fn leaves in *item, until it returns 0 or an error.  fn may wait. */
typedef int weft_generate_fn(void *item, void *arg);
WEFT_API struct weft_stream *weft_from_function(weft_generate_fn *fn, void *arg, size_t size);

/* int64_t: begin, begin + step, ... before end. */
WEFT_API struct weft_stream *weft_from_range(int64_t begin, int64_t end, int64_t step);

/* Nothing; an error. */
WEFT_API struct weft_stream *weft_from_nothing(size_t size);
WEFT_API struct weft_stream *weft_from_error(int rc, size_t size);

/* What is received from the channel, until it is closed.  The channel is borrowed. */
WEFT_API struct weft_stream *weft_from_channel(struct weft_channel *channel, size_t size);

/* uint64_t: 0, 1, 2 ... at a fixed rate, the first after one period.  A reader that is
 * late ... */
enum weft_late {
	WEFT_LATE_BURST, /* gets what it missed at once */
	WEFT_LATE_DELAY, /* shifts all that follow */
	WEFT_LATE_SKIP,  /* gets one, and the next at its time; the count shows the gap */
};
WEFT_API struct weft_stream *weft_interval(int64_t period, enum weft_late late);

/* A piece of text or data, valid until the next one is read. */
struct weft_text {
	const char *data;
	size_t length;
};

/* struct weft_text: lines without their newline, of up to `longest` bytes (0: 1 MiB;
 * -EMSGSIZE beyond), the last with or without one, any bytes inside; or blocks of up to
 * `size` bytes, as one read gives them.  Files, pipes, sockets (weft/io.h).  The
 * descriptor is borrowed, or closed with the stream, also when that is not made. */
WEFT_API struct weft_stream *weft_from_lines(int fd, size_t longest, bool close_fd);
WEFT_API struct weft_stream *weft_from_blocks(int fd, size_t size, bool close_fd);

/* struct weft_entry: everything below a directory, each directory before what is in it;
 * symbolic links are not followed, but for the root.  Valid until the next one.  A
 * descriptor a level is open.  A root that cannot be read is an error, a directory below
 * it is passed over.  The worker is held while the disk is read. */
struct weft_entry {
	const char *path;   /* root + "/" + ... */
	unsigned char type; /* DT_REG ... of dirent.h */
	int depth;          /* 1: directly in the root */
	int rc;             /* 0, or why what is in this directory is not listed */
};
WEFT_API struct weft_stream *weft_walk(const char *root);

/* --- stages that only compute --------------------------------------------- */

/* out = fn(in): 1 for an item, 0 to leave it out, an error.  After WEFT_ECANCELED it is
 * called for the same item again. */
typedef int weft_apply_fn(const void *in, void *out, void *arg);

struct weft_apply_opts {
	size_t size;
	size_t limit;   /* at once, each on a task of its own; 0: one, on the reader's */
	bool unordered; /* as they are done, rather than in the order of the source */
};
WEFT_API struct weft_stream *weft_apply_opt(struct weft_stream *s, weft_apply_fn *fn, void *arg,
					    size_t out_size, const struct weft_apply_opts *opts);

typedef bool weft_predicate_fn(const void *item, void *arg);
WEFT_API struct weft_stream *weft_filter(struct weft_stream *s, weft_predicate_fn *fn, void *arg);
WEFT_API struct weft_stream *weft_take(struct weft_stream *s, size_t n);
WEFT_API struct weft_stream *weft_take_while(struct weft_stream *s, weft_predicate_fn *fn,
					     void *arg);
WEFT_API struct weft_stream *weft_skip(struct weft_stream *s, size_t n);
WEFT_API struct weft_stream *weft_skip_while(struct weft_stream *s, weft_predicate_fn *fn,
					     void *arg);

/* Items become struct { uint64_t index; item }, the item aligned to 8 bytes behind. */
WEFT_API struct weft_stream *weft_enumerate(struct weft_stream *s);

/* Running totals: fn(acc, item, arg) updates acc, which begins as a copy of *first and is
 * the item that is put out each time. */
typedef int weft_fold_fn(void *acc, const void *item, void *arg);
WEFT_API struct weft_stream *weft_accumulate(struct weft_stream *s, const void *first,
					     size_t acc_size, weft_fold_fn *fn, void *arg);

/* Leaves out items equal to the one before. */
WEFT_API struct weft_stream *weft_distinct(struct weft_stream *s);

/* One source after the other; in turns; pairs (both items, one behind the other, the
 * second aligned to 8 bytes), as long as both have some. */
WEFT_API struct weft_stream *weft_chain(struct weft_stream *const *sources, size_t n);
WEFT_API struct weft_stream *weft_interleave(struct weft_stream *const *sources, size_t n);
WEFT_API struct weft_stream *weft_zip(struct weft_stream *a, struct weft_stream *b);

WEFT_END_DECLS

#ifndef __cplusplus
#define weft_apply(s, fn, arg, out_size, ...)                                                      \
	weft_apply_opt(s, fn, arg, out_size,                                                       \
		       &(const struct weft_apply_opts){ .size = sizeof(struct weft_apply_opts),    \
							__VA_ARGS__ })
#endif

#endif
