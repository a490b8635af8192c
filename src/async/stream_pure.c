/* SPDX-License-Identifier: MIT */
/*
 * stream_pure.c - stages that only compute: a call an item, and nothing beside it
 */
#include <string.h>

#include "async/stream.h"

/* A stage over one source, whose state begins with it. */
static struct weft_stream *stage(const struct weft_stream_ops *ops, size_t item_size,
				 size_t state_size, void **state, struct weft_stream *source)
{
	struct weft_stream *s = weft__stream_new(ops, item_size, state_size, state, &source, 1);

	if (s)
		*(struct weft_stream **)*state = source;
	return s;
}

/* The same for items that pass through: what is to become of unread ones is known. */
static struct weft_stream *passage(const struct weft_stream_ops *ops, size_t state_size,
				   void **state, struct weft_stream *source)
{
	struct weft_stream *s =
		stage(ops, weft_stream_item_size(source), state_size, state, source);

	return s ? weft_stream_on_drop(s, source->drop, source->drop_arg) : NULL;
}

/* Arguments that make no sense: the source is closed, and the error comes at the first
 * item. */
static struct weft_stream *refuse(struct weft_stream *source, size_t item_size)
{
	if (!source)
		return NULL;
	weft_stream_destroy(source);
	return weft_from_error(WEFT_EINVAL, item_size);
}

/* --- filter --------------------------------------------------------------- */

struct filter {
	struct weft_stream *source;
	weft_predicate_fn *fn;
	void *arg;
	bool on; /* of while: has it begun, or is it over */
};

static int filter_next(void *state, void *item)
{
	struct filter *f = state;
	int rc;

	while ((rc = weft__next(f->source, item)) > 0 && !f->fn(item, f->arg))
		weft__stream_drop(f->source, item);
	return rc;
}

static int take_while_next(void *state, void *item)
{
	struct filter *f = state;
	int rc = weft__next(f->source, item);

	if (rc <= 0 || f->fn(item, f->arg))
		return rc;
	weft__stream_drop(f->source, item);
	weft_stream_close(f->source);
	return 0;
}

static int skip_while_next(void *state, void *item)
{
	struct filter *f = state;
	int rc;

	while ((rc = weft__next(f->source, item)) > 0 && !f->on && f->fn(item, f->arg))
		weft__stream_drop(f->source, item);
	f->on = f->on || rc > 0;
	return rc;
}

static struct weft_stream *filter(const struct weft_stream_ops *ops, struct weft_stream *source,
				  weft_predicate_fn *fn, void *arg)
{
	void *state;

	if (!fn)
		return refuse(source, weft_stream_item_size(source));
	struct weft_stream *s = passage(ops, sizeof(struct filter), &state, source);
	if (s)
		*(struct filter *)state = (struct filter){ source, fn, arg, false };
	return s;
}

struct weft_stream *weft_filter(struct weft_stream *source, weft_predicate_fn *fn, void *arg)
{
	static const struct weft_stream_ops ops = { .next = filter_next, .name = "filter" };
	return filter(&ops, source, fn, arg);
}

struct weft_stream *weft_take_while(struct weft_stream *source, weft_predicate_fn *fn, void *arg)
{
	static const struct weft_stream_ops ops = { .next = take_while_next, .name = "take_while" };
	return filter(&ops, source, fn, arg);
}

struct weft_stream *weft_skip_while(struct weft_stream *source, weft_predicate_fn *fn, void *arg)
{
	static const struct weft_stream_ops ops = { .next = skip_while_next, .name = "skip_while" };
	return filter(&ops, source, fn, arg);
}

/* --- take, skip -------------------------------------------------------------- */

struct counted {
	struct weft_stream *source;
	size_t left;
};

/* The source is closed with the last item, and not when one more is asked for: what
 * runs upstream does not run on (ST17). */
static int take_next(void *state, void *item)
{
	struct counted *t = state;

	if (t->left == 0)
		return 0;
	int rc = weft__next(t->source, item);
	if (rc > 0 && --t->left == 0)
		weft_stream_close(t->source);
	return rc;
}

static int skip_next(void *state, void *item)
{
	struct counted *k = state;
	int rc;

	while ((rc = weft__next(k->source, item)) > 0 && k->left > 0) {
		k->left--;
		weft__stream_drop(k->source, item);
	}
	return rc;
}

static struct weft_stream *counted(const struct weft_stream_ops *ops, struct weft_stream *source,
				   size_t n)
{
	void *state;
	struct weft_stream *s = passage(ops, sizeof(struct counted), &state, source);

	if (s)
		*(struct counted *)state = (struct counted){ source, n };
	return s;
}

struct weft_stream *weft_take(struct weft_stream *source, size_t n)
{
	static const struct weft_stream_ops ops = { .next = take_next, .name = "take" };
	return counted(&ops, source, n);
}

struct weft_stream *weft_skip(struct weft_stream *source, size_t n)
{
	static const struct weft_stream_ops ops = { .next = skip_next, .name = "skip" };
	return counted(&ops, source, n);
}

/* --- distinct ------------------------------------------------------------------ */

struct distinct {
	struct weft_stream *source;
	bool some;
	char last[]; /* item */
};

static int distinct_next(void *state, void *item)
{
	struct distinct *d = state;
	size_t size = d->source->item_size;
	int rc;

	while ((rc = weft__next(d->source, item)) > 0) {
		if (!d->some || memcmp(d->last, item, size) != 0) {
			d->some = true;
			memcpy(d->last, item, size);
			return rc;
		}
		weft__stream_drop(d->source, item);
	}
	return rc;
}

struct weft_stream *weft_distinct(struct weft_stream *source)
{
	static const struct weft_stream_ops ops = { .next = distinct_next, .name = "distinct" };
	void *state;

	return passage(&ops, sizeof(struct distinct) + weft_stream_item_size(source), &state,
		       source);
}

/* --- enumerate ------------------------------------------------------------------ */

struct enumerate {
	struct weft_stream *source;
	uint64_t index;
};

static int enumerate_next(void *state, void *item)
{
	struct enumerate *e = state;
	int rc = weft__next(e->source, (char *)item + sizeof e->index);

	if (rc > 0) {
		memcpy(item, &e->index, sizeof e->index);
		e->index++;
	}
	return rc;
}

struct weft_stream *weft_enumerate(struct weft_stream *source)
{
	static const struct weft_stream_ops ops = { .next = enumerate_next, .name = "enumerate" };
	void *state;

	return stage(&ops, sizeof(uint64_t) + weft_stream_item_size(source),
		     sizeof(struct enumerate), &state, source);
}

/* --- apply, accumulate: another type comes out ------------------------------------- */

/* A function that waits may be cancelled: its item stays in hand for the next call, or
 * is dropped. */
struct apply {
	struct weft_stream *source;
	weft_apply_fn *fn;
	void *arg;
	bool held;			 /* `in` was taken, and fn was cancelled over it */
	_Alignas(max_align_t) char in[]; /* item */
};

static int apply_next(void *state, void *item)
{
	struct apply *a = state;
	int rc;

	while ((rc = a->held ? 1 : weft__next(a->source, a->in)) > 0) {
		int kept = a->fn(a->in, item, a->arg);
		a->held = kept == WEFT_ECANCELED;
		if (WEFT_LIKELY(kept != 0))
			return kept;
	}
	return rc;
}

static void apply_close(void *state)
{
	struct apply *a = state;

	if (a->held)
		weft__stream_drop(a->source, a->in);
}

struct weft_stream *weft__apply_here(struct weft_stream *source, weft_apply_fn *fn, void *arg,
				     size_t out_size)
{
	static const struct weft_stream_ops ops = { .next = apply_next,
						    .close = apply_close,
						    .name = "apply" };
	void *state;

	if (!fn)
		return refuse(source, out_size);
	struct weft_stream *s =
		stage(&ops, out_size, sizeof(struct apply) + weft_stream_item_size(source), &state,
		      source);
	if (s) {
		struct apply *a = state;
		a->fn = fn;
		a->arg = arg;
	}
	return s;
}

struct accumulate {
	struct weft_stream *source;
	weft_fold_fn *fn;
	void *arg;
	size_t size;
	bool held;			  /* as of apply */
	char *in;			  /* behind acc */
	_Alignas(max_align_t) char acc[]; /* and then an item */
};

static int accumulate_next(void *state, void *item)
{
	struct accumulate *a = state;
	int rc = a->held ? 1 : weft__next(a->source, a->in);

	if (rc <= 0)
		return rc;
	rc = a->fn(a->acc, a->in, a->arg);
	a->held = rc == WEFT_ECANCELED;
	if (rc < 0)
		return rc;
	memcpy(item, a->acc, a->size);
	return 1;
}

static void accumulate_close(void *state)
{
	struct accumulate *a = state;

	if (a->held)
		weft__stream_drop(a->source, a->in);
}

struct weft_stream *weft_accumulate(struct weft_stream *source, const void *first, size_t acc_size,
				    weft_fold_fn *fn, void *arg)
{
	static const struct weft_stream_ops ops = { .next = accumulate_next,
						    .close = accumulate_close,
						    .name = "accumulate" };
	size_t behind = (acc_size + 15) & ~(size_t)15;
	void *state;

	if (!fn || !first || acc_size == 0)
		return refuse(source, acc_size);
	struct weft_stream *s = stage(
		&ops, acc_size, sizeof(struct accumulate) + behind + weft_stream_item_size(source),
		&state, source);
	if (s) {
		struct accumulate *a = state;
		a->fn = fn;
		a->arg = arg;
		a->size = acc_size;
		a->in = a->acc + behind;
		memcpy(a->acc, first, acc_size);
	}
	return s;
}
