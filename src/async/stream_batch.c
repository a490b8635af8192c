/* SPDX-License-Identifier: MIT */
/*
 * stream_batch.c - several items as one
 *
 * Items are written by the source to where the chunk has them.  A reader that is cut off
 * comes again and finds what is there already, and the same deadline.
 */
#include "async/stream_time.h"

static bool has_room(size_t n, size_t size, size_t *bytes)
{
	return n != 0 && !__builtin_mul_overflow(n, size, bytes) && *bytes <= PTRDIFF_MAX / 4;
}

/* A stage whose items are chunks of the source's, with room for `bytes` of these. */
static struct weft_stream *chunks(const struct weft_stream_ops *ops, size_t state_size,
				  size_t bytes, void **state, struct weft_stream *source)
{
	return weft__stream_new(ops, sizeof(struct weft_chunk), state_size + bytes + WEFT__SLACK,
				state, &source, 1);
}

/* --- batch ------------------------------------------------------------------- */

struct batch {
	struct weft_stream *source;
	size_t limit, n;
	int64_t timeout, deadline;
	bool drop_partial;
	char *items;
};

static void *place(struct batch *b)
{
	return b->items + b->n * b->source->item_size;
}

static void drop_all(struct batch *b)
{
	while (b->n > 0) {
		b->n--;
		weft__stream_drop(b->source, place(b));
	}
}

/* Up to the limit: more than 0, or what ended it. */
static int fill(struct batch *b)
{
	int rc = 1;

	while (b->n < b->limit && (rc = weft__next(b->source, place(b))) > 0)
		b->n++;
	return rc;
}

/* The same, with a time limit, in one scope for all of them (weft__next_until). */
static int fill_in_time(struct batch *b, bool *late)
{
	struct weft_scope scope;
	int rc = weft_scope_enter(&scope, .deadline = weft__later(b->deadline, 1));

	if (rc == 0)
		rc = weft_scope_leave(&scope, fill(b));
	*late = rc == WEFT_ETIMEDOUT && weft_scope_cancelled_caught(&scope);
	return rc;
}

static int first(struct batch *b)
{
	int rc = weft__next(b->source, place(b));

	if (rc > 0) {
		b->n++;
		b->deadline = weft_after(b->timeout);
	}
	return rc;
}

static int batch_next(void *state, void *item)
{
	struct batch *b = state;
	bool late = false;
	int rc = 1;

	if (b->timeout == 0)
		rc = fill(b);
	else if (b->n > 0 || (rc = first(b)) > 0)
		rc = fill_in_time(b, &late);
	if (rc == WEFT_ECANCELED || b->n == 0)
		return rc;
	if (rc < 0 && !late && b->drop_partial) {
		drop_all(b);
		return rc;
	}
	*(struct weft_chunk *)item = (struct weft_chunk){ b->items, b->n };
	b->n = 0;
	return 1;
}

static void batch_close(void *state)
{
	drop_all(state);
}

struct weft_stream *weft_batch_opt(struct weft_stream *source, size_t size, int64_t timeout,
				   const struct weft_batch_opts *o)
{
	static const struct weft_stream_ops ops = { .next = batch_next,
						    .close = batch_close,
						    .name = "batch" };
	void *state;
	size_t bytes;

	if (!has_room(size, weft_stream_item_size(source), &bytes) || timeout < 0 ||
	    timeout == WEFT_NEVER || (o && o->size < sizeof *o))
		return weft__refuse(source, WEFT_EINVAL, sizeof(struct weft_chunk));
	struct weft_stream *s = chunks(&ops, sizeof(struct batch), bytes, &state, source);
	if (s) {
		struct batch *b = state;
		*b = (struct batch){ source, size, 0, timeout, 0, o && o->drop_partial, NULL };
		b->items = weft__behind(b + 1);
	}
	return s;
}

/* --- windows by count ----------------------------------------------------------- */

struct window {
	struct weft_stream *source;
	size_t limit, step;
	size_t n;	/* in items */
	size_t surplus; /* of those, what the last chunk had and the next one has not */
	size_t skip;	/* to be dropped before the next one: a step over the size */
	bool fresh;	/* there is one that was in no chunk yet */
	char *items;
};

/* The oldest ones leave. */
static void forget(struct window *w, size_t count, bool drop)
{
	size_t size = w->source->item_size;

	for (size_t i = 0; drop && i < count; i++)
		weft__stream_drop(w->source, w->items + i * size);
	w->n -= count;
	memmove(w->items, w->items + count * size, w->n * size);
}

/* Those between two windows that do not meet. */
static int skip_some(struct window *w)
{
	int rc = 1;

	while (w->skip > 0 &&
	       (rc = weft__next(w->source, w->items + w->n * w->source->item_size)) > 0) {
		weft__stream_drop(w->source, w->items + w->n * w->source->item_size);
		w->skip--;
	}
	return rc;
}

static void give(struct window *w, void *item)
{
	*(struct weft_chunk *)item = (struct weft_chunk){ w->items, w->n };
	w->fresh = false;
	w->surplus = w->step < w->n ? w->step : w->n;
	w->skip = w->step > w->limit ? w->step - w->limit : 0;
}

static int window_next(void *state, void *item)
{
	struct window *w = state;

	forget(w, w->surplus, false);
	w->surplus = 0;
	int rc = skip_some(w);
	while (rc > 0 && w->n < w->limit) {
		rc = weft__next(w->source, w->items + w->n * w->source->item_size);
		w->n += rc > 0;
		w->fresh = w->fresh || rc > 0;
	}
	if (rc == WEFT_ECANCELED || (rc <= 0 && !w->fresh))
		return rc;
	give(w, item);
	return 1;
}

/* Those that were in a chunk have been read. */
static void window_close(void *state)
{
	struct window *w = state;

	if (w->step >= w->limit && w->fresh)
		forget(w, w->n, true);
	w->n = w->surplus = 0;
}

struct weft_stream *weft_window(struct weft_stream *source, size_t size, size_t step)
{
	static const struct weft_stream_ops ops = { .next = window_next,
						    .close = window_close,
						    .name = "window" };
	void *state;
	size_t bytes;

	if (step == 0 || size == SIZE_MAX || !has_room(size, weft_stream_item_size(source), &bytes))
		return weft__refuse(source, WEFT_EINVAL, sizeof(struct weft_chunk));
	struct weft_stream *s = chunks(&ops, sizeof(struct window),
				       bytes + weft_stream_item_size(source), &state, source);
	if (s) {
		struct window *w = state;
		w->source = source;
		w->limit = size;
		w->step = step;
		w->items = weft__behind(w + 1);
	}
	return s;
}

/* --- windows by time ---------------------------------------------------------------- */

struct timed {
	struct weft_stream *source;
	int64_t length, step;
	int64_t end; /* of the window that comes next; 0: none was read yet */
	size_t most, n;
	size_t read;	/* of these, the oldest, which were in a chunk */
	bool ended;	/* the source has */
	int64_t *times; /* at which the items came */
	char *items;
};

static void keep_newest(struct timed *t, size_t n)
{
	size_t size = t->source->item_size, gone = t->n - n;

	for (size_t i = t->read; i < gone; i++)
		weft__stream_drop(t->source, t->items + i * size);
	t->read = t->read > gone ? t->read - gone : 0;
	memmove(t->times, t->times + gone, n * sizeof *t->times);
	memmove(t->items, t->items + gone * size, n * size);
	t->n = n;
}

/* There is room for one more than `most`. */
static void add(struct timed *t)
{
	t->times[t->n++] = weft_now();
	if (t->n > t->most)
		keep_newest(t, t->most);
}

static void forget_until(struct timed *t, int64_t time)
{
	size_t old = 0;

	while (old < t->n && t->times[old] <= time)
		old++;
	keep_newest(t, t->n - old);
}

/* What came later is for the next window. */
static size_t count_until(const struct timed *t, int64_t time)
{
	size_t n = t->n;

	while (n > 0 && t->times[n - 1] > time)
		n--;
	return n;
}

/* Up to the end of the window: 1 then, or what ended it. */
static int fill_window(struct timed *t)
{
	bool late = false;
	int rc;

	do {
		rc = weft__next_until(t->source, t->items + t->n * t->source->item_size, t->end,
				      &late);
		if (rc > 0)
			add(t);
	} while (rc > 0 && weft_now() <= t->end);
	return late ? 1 : rc;
}

static int timed_next(void *state, void *item)
{
	struct timed *t = state;
	size_t n;
	int rc;

	if (t->end == 0)
		t->end = weft_after(t->step) - 1; /* what there is now is in the first one */
	if (t->ended)
		keep_newest(t, t->n - t->read); /* nothing new would come to these */
	do {
		forget_until(t, t->end - t->length);
		rc = fill_window(t);
		if (rc == WEFT_ECANCELED || (rc <= 0 && t->n == 0))
			return rc;
		n = count_until(t, t->end);
		t->end = weft__later(t->end, t->step);
	} while (n == 0);
	*(struct weft_chunk *)item = (struct weft_chunk){ t->items, n };
	t->read = n;
	t->ended = rc <= 0;
	return 1;
}

static void timed_close(void *state)
{
	keep_newest(state, 0);
}

struct weft_stream *weft_window_time(struct weft_stream *source, int64_t length, int64_t step,
				     size_t most)
{
	static const struct weft_stream_ops ops = { .next = timed_next,
						    .close = timed_close,
						    .name = "window_time" };
	size_t size = weft_stream_item_size(source);
	void *state;
	size_t bytes;

	if (length <= 0 || step <= 0 || most == SIZE_MAX ||
	    !has_room(most, size + sizeof(int64_t), &bytes))
		return weft__refuse(source, WEFT_EINVAL, sizeof(struct weft_chunk));
	struct weft_stream *s =
		chunks(&ops, sizeof(struct timed), bytes + size + sizeof(int64_t) + WEFT__SLACK,
		       &state, source);
	if (s) {
		struct timed *t = state;
		*t = (struct timed){
			.source = source, .length = length, .step = step, .most = most
		};
		t->items = weft__behind(t + 1);
		t->times = (int64_t *)(void *)weft__behind(t->items + (most + 1) * size);
	}
	return s;
}
