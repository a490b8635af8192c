/* SPDX-License-Identifier: MIT */
/*
 * stream_join.c - several sources, one after the other on the reader's own task
 *
 * Their items are of one size, but for zip; a source of another size makes no sense.
 */
#include <string.h>

#include "async/stream.h"

struct join {
	struct weft_stream *self;
	size_t at;   /* source that is read */
	size_t left; /* of interleave: sources that are not at their end */
};

static bool are_alike(struct weft_stream *const *sources, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (sources[i] && sources[0] && sources[i]->item_size != sources[0]->item_size)
			return false;
	return true;
}

static struct weft_stream *join(const struct weft_stream_ops *ops,
				struct weft_stream *const *sources, size_t n)
{
	size_t size = n && sources ? weft_stream_item_size(sources[0]) : 0;
	void *state;

	if (n && !sources)
		return weft_from_error(WEFT_EINVAL, 0);
	if (!are_alike(sources, n)) {
		for (size_t i = 0; i < n; i++)
			weft_stream_destroy(sources[i]);
		return weft_from_error(WEFT_EINVAL, size);
	}
	struct weft_stream *s =
		weft__stream_new(ops, size, sizeof(struct join), &state, sources, n);
	if (s) {
		*(struct join *)state = (struct join){ s, 0, n };
		if (n)
			weft_stream_on_drop(s, sources[0]->drop, sources[0]->drop_arg);
	}
	return s;
}

/* --- chain ---------------------------------------------------------------- */

static int chain_next(void *state, void *item)
{
	struct join *j = state;

	while (j->at < j->self->n) {
		int rc = weft__next(j->self->sources[j->at], item);
		if (rc != 0)
			return rc;
		weft_stream_close(j->self->sources[j->at++]);
	}
	return 0;
}

struct weft_stream *weft_chain(struct weft_stream *const *sources, size_t n)
{
	static const struct weft_stream_ops ops = { .next = chain_next, .name = "chain" };
	return join(&ops, sources, n);
}

/* --- interleave ------------------------------------------------------------ */

/* One of each in turn; those at their end are passed over. */
static int interleave_next(void *state, void *item)
{
	struct join *j = state;

	while (j->left > 0) {
		struct weft_stream *source = j->self->sources[j->at];
		int rc = source->closed ? 0 : weft__next(source, item);
		if (rc == WEFT_ECANCELED)
			return rc; /* and its turn it still is */
		j->at = (j->at + 1) % j->self->n;
		if (rc != 0)
			return rc;
		if (!source->closed) {
			weft_stream_close(source);
			j->left--;
		}
	}
	return 0;
}

struct weft_stream *weft_interleave(struct weft_stream *const *sources, size_t n)
{
	static const struct weft_stream_ops ops = { .next = interleave_next, .name = "interleave" };
	return join(&ops, sources, n);
}

/* --- zip ---------------------------------------------------------------------- */

struct zip {
	struct weft_stream *a, *b;
	size_t offset; /* of b's item */
	bool half;     /* a's item is in `first` and waits for b's */
	_Alignas(max_align_t) char first[];
};

static int zip_next(void *state, void *item)
{
	struct zip *z = state;
	int rc = z->half ? 1 : weft__next(z->a, z->first);

	if (rc <= 0)
		return rc;
	z->half = true;
	rc = weft__next(z->b, (char *)item + z->offset);
	if (rc <= 0)
		return rc;
	z->half = false;
	memcpy(item, z->first, z->a->item_size);
	return 1;
}

static void zip_close(void *state)
{
	struct zip *z = state;

	if (z->half)
		weft__stream_drop(z->a, z->first);
	z->half = false;
}

struct weft_stream *weft_zip(struct weft_stream *a, struct weft_stream *b)
{
	static const struct weft_stream_ops ops = { .next = zip_next,
						    .close = zip_close,
						    .name = "zip" };
	struct weft_stream *both[2] = { a, b };
	size_t offset = (weft_stream_item_size(a) + 7) & ~(size_t)7;
	void *state;
	struct weft_stream *s =
		weft__stream_new(&ops, offset + weft_stream_item_size(b),
				 sizeof(struct zip) + weft_stream_item_size(a), &state, both, 2);

	if (s) {
		struct zip *z = state;
		z->a = a;
		z->b = b;
		z->offset = offset;
	}
	return s;
}
