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
 * have tasks for that, from the first weft_next on; these belong to the scope that the
 * caller was in when it made the stage, and the stream must be closed before that scope
 * is left.  A scope that is left before is a bug, and ends the program.
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
#include <weft/task.h>
#include <weft/time.h>
#include <weft/wait.h>

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
	WEFT_LATE_SKIP,	 /* gets one, and the next at its time; the count shows the gap */
};
WEFT_API struct weft_stream *weft_interval(int64_t period, enum weft_late late);

/* A piece of text or data, valid until the next one is read.  A stage that runs beside its
 * reader (merge, flat_map, buffer, share, retry, apply with a limit ...) reads the next one
 * while this one is in use: put a weft_apply that copies it in front of such a stage. */
struct weft_text {
	const char *data;
	size_t length;
};

/* struct weft_text: lines without their newline, of up to `longest` bytes (0: 1 MiB;
 * -EMSGSIZE beyond), the last with or without one, any bytes inside; or blocks of up to
 * `size` bytes, as one read gives them.  Files, pipes, sockets (weft/io.h).  The
 * descriptor is borrowed, or closed with the stream, also when that is not made.  What
 * other programs write: weft_exec_lines and weft_exec_blocks in weft/exec.h. */
WEFT_API struct weft_stream *weft_from_lines(int fd, size_t longest, bool close_fd);
WEFT_API struct weft_stream *weft_from_blocks(int fd, size_t size, bool close_fd);

/* struct weft_entry: everything below a directory, each directory before what is in it;
 * symbolic links are not followed, but for the root.  Valid until the next one.  A
 * descriptor a level is open.  A root that cannot be read is an error, a directory below
 * it is passed over.  The worker is held while the disk is read. */
struct weft_entry {
	const char *path;   /* root + "/" + ... */
	unsigned char type; /* DT_REG ... of dirent.h */
	int depth;	    /* 1: directly in the root */
	int rc;		    /* 0, or why what is in this directory is not listed */
};
WEFT_API struct weft_stream *weft_walk(const char *root);

/* --- stages that only compute --------------------------------------------- */

/* out = fn(in): 1 for an item, 0 to leave it out, an error.  After WEFT_ECANCELED it is
 * called for the same item again. */
typedef int weft_apply_fn(const void *in, void *out, void *arg);

struct weft_apply_opts {
	size_t size;
	size_t limit;	/* at once, each on a task of its own, results that wait to be read
			 * included; 0: one, on the reader's */
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

/* --- stages that run something beside their reader --------------------------- */

/* A task reads up to n items ahead, and holds one more: with n of 0 it has the next item
 * at hand and no more.  When all is full it goes on when `low` are left. */
struct weft_buffer_opts {
	size_t size;
	size_t low; /* at most n; 0: half */
};
WEFT_API struct weft_stream *weft_buffer_opt(struct weft_stream *s, size_t n,
					     const struct weft_buffer_opts *opts);

/* The same, begun when it is made: another worker that is idle reads ahead already. */
WEFT_API struct weft_stream *weft_prefetch(struct weft_stream *s, size_t n);

/* The newest item: those that came after it while nobody read take its place. */
WEFT_API struct weft_stream *weft_conflate(struct weft_stream *s);

/* What comes first, from n sources of one item size, each of which is pulled by a task and
 * one item ahead.  Sources that are ready take turns.  The end is that of the last one. */
enum weft_merge_error {
	WEFT_MERGE_FAIL, /* cancels the others; what came before is read, then the error */
	WEFT_MERGE_SKIP, /* ends that source */
	WEFT_MERGE_STOP, /* ends all of them */
};
struct weft_merge_opts {
	size_t size;
	enum weft_merge_error on_error;
	bool delay_errors; /* the first error comes at the end of all */
	bool priority;	   /* of those that are ready, the one with the least index */
	int *rcs;	   /* room for n, until the stream is closed: 0 or the error with which
			    * each source ended, WEFT_ECANCELED if it was cut off */
};
WEFT_API struct weft_stream *weft_merge_opt(struct weft_stream *const *sources, size_t n,
					    const struct weft_merge_opts *opts);

/* The items of the streams that fn makes out of items, as they come, of up to `limit`
 * streams at a time; the default of 1 keeps their order.  Each is made, read and destroyed
 * by a task of its own.  The item given to fn is fn's.  The first error ends it all; it and
 * those that come meanwhile are kept, in order of time, until the stream is closed. */
typedef struct weft_stream *weft_flat_map_fn(const void *item, void *arg);
struct weft_flat_map_opts {
	size_t size;
	size_t limit;
	struct weft_failure *failures; /* named after the stage that failed */
	size_t max_failures;
	size_t *failed; /* how many there are; some more than have room */
};
WEFT_API struct weft_stream *weft_flat_map_opt(struct weft_stream *s, weft_flat_map_fn *fn,
					       void *arg, size_t item_size,
					       const struct weft_flat_map_opts *opts);

/* What comes from the stream that make(arg) makes.  When it fails, and the options of
 * weft_retry say that it is worth it, another one is made and goes on; `attempts` are for
 * an item, and per_attempt is the time until it comes.  A task makes, reads and destroys
 * them.  Callbacks of the options get `arg`, which is theirs until the stream is closed, as
 * are stats: those of all items together. */
typedef struct weft_stream *weft_make_stream_fn(void *arg);
WEFT_API struct weft_stream *weft_retry_stream_opt(weft_make_stream_fn *make, void *arg,
						   size_t item_size,
						   const struct weft_retry_opts *opts);

/* --- several items as one, and time ------------------------------------------ */

/* Items in a row, valid until the next read. */
struct weft_chunk {
	void *items;
	size_t n;
};

/* struct weft_chunk of `size` items; less at the end, before an error, and when `timeout`
 * (0: none) has passed since the first one came.  One that comes at that very moment is
 * in; the wait ends a nanosecond later.  Never an empty one. */
struct weft_batch_opts {
	size_t size;
	bool drop_partial; /* an error drops what came before it */
};
WEFT_API struct weft_stream *weft_batch_opt(struct weft_stream *s, size_t size, int64_t timeout,
					    const struct weft_batch_opts *opts);

/* struct weft_chunk: the last `size` items, after each `step` new ones; at the end what
 * was in none yet, as far as there is some.  Sliding ones share their items, which are
 * then never dropped. */
WEFT_API struct weft_stream *weft_window(struct weft_stream *s, size_t size, size_t step);

/* struct weft_chunk: what has come in the last `length`, each `step` from the first read
 * on; up to `most` items, the oldest leave first.  Empty ones are left out.  What leaves
 * before it was in one goes to the drop function. */
WEFT_API struct weft_stream *weft_window_time(struct weft_stream *s, int64_t length, int64_t step,
					      size_t most);

/* `rate` items per `per`, evenly spaced, up to `burst` at once after a pause (and at the
 * beginning).  Times are exact: what was late does not shift what follows.  WEFT_EINVAL for
 * a rate of 0. */
struct weft_throttle_opts {
	size_t size;
	uint64_t rate;	/* 1 or more */
	int64_t per;	/* 0: a second */
	uint64_t burst; /* 0: 1 */
};
WEFT_API struct weft_stream *weft_throttle_opt(struct weft_stream *s,
					       const struct weft_throttle_opts *opts);

/* WEFT_ETIMEDOUT when no item comes for so long, once, and the stream can be read on:
 * the next read waits.  An item that comes at that very moment wins; the wait ends a
 * nanosecond later.  For a stage behind this one the error is the end. */
WEFT_API struct weft_stream *weft_timeout_each(struct weft_stream *s, int64_t timeout);

/* The last item before each pause of `quiet`.  Only what is pulled counts: when the reader
 * is slow put a weft_buffer in between. */
WEFT_API struct weft_stream *weft_debounce(struct weft_stream *s, int64_t quiet);

/* The last item of each `period` in which there was one, from the first read on; of what
 * is pulled, as above. */
WEFT_API struct weft_stream *weft_sample(struct weft_stream *s, int64_t period);

/* --- several readers of one source ---------------------------------------------- */

/*
 * n streams that each give all the items of s, a copy for each.  There is no task: who
 * needs an item that is not there pulls it, for the others too.  The source is closed
 * when the last of them is.  Each reader may be a task of its own.  An item that all have
 * gone past and none has read is dropped by the function of s, which may not wait.
 * 0 or WEFT_ENOMEM, WEFT_EINVAL, and then all of them are NULL; s is owned in any case.
 */
struct weft_share_opts {
	size_t size;
	size_t lead;	  /* items that the fastest is ahead of the slowest; 0: 16 */
	bool drop_oldest; /* the slowest misses some, and nobody waits for it */
};
WEFT_API int weft_share_opt(struct weft_stream *s, struct weft_stream **readers, size_t n,
			    const struct weft_share_opts *opts);

/* Each item goes to reader fn(item, arg) only; to none when there is no such one.  A reader
 * that is behind by `lead` items holds up the others. */
typedef size_t weft_partition_fn(const void *item, void *arg);
WEFT_API int weft_partition_opt(struct weft_stream *s, weft_partition_fn *fn, void *arg,
				struct weft_stream **readers, size_t n,
				const struct weft_share_opts *opts);

WEFT_END_DECLS

#ifndef __cplusplus
#define weft_apply(s, fn, arg, out_size, ...)                                                   \
	weft_apply_opt(s, fn, arg, out_size,                                                    \
		       &(const struct weft_apply_opts){ .size = sizeof(struct weft_apply_opts), \
							__VA_ARGS__ })
#define WEFT_STREAM_OPTS(type, ...) \
	(&(const struct type){ .size = sizeof(struct type), __VA_ARGS__ })
#define weft_buffer(s, n, ...) \
	weft_buffer_opt(s, n, WEFT_STREAM_OPTS(weft_buffer_opts, __VA_ARGS__))
#define weft_merge(sources, n, ...) \
	weft_merge_opt(sources, n, WEFT_STREAM_OPTS(weft_merge_opts, __VA_ARGS__))
#define weft_flat_map(s, fn, arg, item_size, ...) \
	weft_flat_map_opt(s, fn, arg, item_size, WEFT_STREAM_OPTS(weft_flat_map_opts, __VA_ARGS__))
#define weft_retry_stream(make, arg, item_size, ...) \
	weft_retry_stream_opt(make, arg, item_size, WEFT_STREAM_OPTS(weft_retry_opts, __VA_ARGS__))
#define weft_batch(s, n, timeout, ...) \
	weft_batch_opt(s, n, timeout, WEFT_STREAM_OPTS(weft_batch_opts, __VA_ARGS__))
#define weft_throttle(s, ...) \
	weft_throttle_opt(s, WEFT_STREAM_OPTS(weft_throttle_opts, __VA_ARGS__))
#define weft_share(s, readers, n, ...) \
	weft_share_opt(s, readers, n, WEFT_STREAM_OPTS(weft_share_opts, __VA_ARGS__))
#define weft_partition(s, fn, arg, readers, n, ...) \
	weft_partition_opt(s, fn, arg, readers, n, WEFT_STREAM_OPTS(weft_share_opts, __VA_ARGS__))
#endif

#endif
