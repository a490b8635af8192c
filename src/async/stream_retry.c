/* SPDX-License-Identifier: MIT */
/*
 * stream_retry.c - a stream that is made again when it fails
 *
 * Made while it is read, by whoever reads: what such a stream runs would hang below any
 * scope that the reader happens to be in.  So a task of its own reads it, a buffer's,
 * and closes it, too.  For the same reason the time of an attempt is that of a read, in
 * a scope that begins behind make().
 */
#include "async/stream_stage.h"

struct again {
	weft_make_stream_fn *make;
	void *arg;
	struct weft_retry_opts opts; /* `mine` with callbacks that get the right argument */
	struct weft_retry_opts theirs;
	struct weft_retry_stats stats; /* of one item */
	struct weft_retry_stats total;
	size_t item_size;
	struct weft_stream *inner; /* NULL: to be made */
	void *item;
};

static int read_inner(struct again *a)
{
	struct weft_scope scope;

	if (a->inner->item_size != a->item_size)
		return WEFT_EINVAL;
	if (a->theirs.per_attempt == 0)
		return weft__next(a->inner, a->item);
	int rc = weft_scope_enter(&scope, .timeout = a->theirs.per_attempt);
	return rc ? rc : weft_scope_leave(&scope, weft__next(a->inner, a->item));
}

/* 1, or the end, or an error; the inner stream is gone then. */
static int attempt(void *arg)
{
	struct again *a = arg;

	if (!a->inner && !(a->inner = a->make(a->arg)))
		return WEFT_ENOMEM;
	int rc = read_inner(a);
	if (rc < 0 && rc != WEFT_ECANCELED) {
		weft_stream_destroy(a->inner);
		a->inner = NULL;
	}
	return rc;
}

static bool retryable(int rc, void *arg)
{
	struct again *a = arg;
	return a->theirs.retryable(rc, a->arg);
}

static int64_t retry_after(int rc, void *arg)
{
	struct again *a = arg;
	return a->theirs.retry_after(rc, a->arg);
}

static void after_attempt(const struct weft_retry_stats *stats, void *arg)
{
	struct again *a = arg;
	a->theirs.after_attempt(stats, a->arg);
}

static void before_sleep(const struct weft_retry_stats *stats, void *arg)
{
	struct again *a = arg;
	a->theirs.before_sleep(stats, a->arg);
}

/* What the item has taken. */
static void count_in(struct again *a)
{
	a->total.attempts += a->stats.attempts;
	a->total.slept += a->stats.slept;
	a->total.last_rc = a->stats.last_rc;
	a->total.next = a->stats.next;
	if (a->theirs.stats)
		*a->theirs.stats = a->total;
}

static int again_next(void *state, void *item)
{
	struct again *a = state;

	a->item = item;
	a->stats = (struct weft_retry_stats){ .last_rc = WEFT_ECANCELED };
	int rc = weft_retry_opt(attempt, a, &a->opts);
	count_in(a);
	return rc;
}

static void again_close(void *state)
{
	struct again *a = state;

	weft_stream_destroy(a->inner);
	a->inner = NULL;
}

static void set_opts(struct again *a, const struct weft_retry_opts *o)
{
	a->theirs = a->opts = *o;
	a->opts.size = a->theirs.size = sizeof *o;
	a->opts.per_attempt = 0;
	a->opts.stats = &a->stats;
	a->opts.retryable = o->retryable ? retryable : NULL;
	a->opts.retry_after = o->retry_after ? retry_after : NULL;
	a->opts.after_attempt = o->after_attempt ? after_attempt : NULL;
	a->opts.before_sleep = o->before_sleep ? before_sleep : NULL;
}

struct weft_stream *weft_retry_stream_opt(weft_make_stream_fn *make, void *arg, size_t item_size,
					  const struct weft_retry_opts *o)
{
	static const struct weft_stream_ops ops = { .next = again_next,
						    .close = again_close,
						    .name = "retry" };
	void *state;

	if (!make || !o || o->size < sizeof *o || o->attempts == 0 || o->per_attempt < 0)
		return weft_from_error(WEFT_EINVAL, item_size);
	struct weft_stream *s =
		weft__stream_new(&ops, item_size, sizeof(struct again), &state, NULL, 0);
	if (!s)
		return NULL;
	struct again *a = state;
	a->make = make;
	a->arg = arg;
	a->item_size = item_size;
	set_opts(a, o);
	return weft_buffer(s, 0);
}
