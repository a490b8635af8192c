/* SPDX-License-Identifier: MIT */
/*
 * stream_conflate.c - the newest item only
 *
 * A task pulls as fast as items come; each takes the place of the one before, unless that
 * was read.  Three places for them: one is being filled, one is the newest, and dropping
 * the one before it happens outside of the lock.
 */
#include "async/stream_stage.h"

struct conflate {
	struct weft_stream *self, *source;
	struct weft__crew crew;
	bool begun;

	struct weft__spin lock; /* all below, but for fresh */
	struct weft__bell reader;
	char *newest, *fresh; /* fresh: the pump's */
	bool has, over;
	int rc;
};

/* The fresh one is the newest now; the other one is to be dropped, if this is true. */
static bool exchange(struct conflate *c)
{
	weft__spin_lock(&c->lock);
	char *old = c->newest;
	bool had = c->has;
	c->newest = c->fresh;
	c->fresh = old;
	c->has = true;
	struct weft__strand *woken = weft__bell_ring(&c->reader);
	weft__spin_unlock(&c->lock);
	weft__bell_answer(woken);
	return had;
}

static int pump(void *arg)
{
	struct conflate *c = arg;
	int rc;

	while ((rc = weft__next(c->source, c->fresh)) > 0)
		if (exchange(c))
			weft__stream_drop(c->self, c->fresh);
	weft_stream_close(c->source);
	weft__spin_lock(&c->lock);
	c->over = true;
	c->rc = rc;
	struct weft__strand *woken = weft__bell_ring(&c->reader);
	weft__spin_unlock(&c->lock);
	weft__bell_answer(woken);
	return 0;
}

static int begin(struct conflate *c)
{
	if (c->begun)
		return 0;
	c->begun = true;
	return weft__crew_start(&c->crew, pump, c, "conflate");
}

static int conflate_next(void *state, void *item)
{
	struct conflate *c = state;
	int rc = weft_checkpoint();

	if (rc == 0)
		rc = begin(c);
	weft__spin_lock(&c->lock);
	while (rc == 0 && !c->has && !c->over)
		rc = weft__bell_wait(&c->reader, &c->lock, "an item of a stream", c);
	if (rc == 0 && c->has) {
		weft__copy_item(item, c->newest, c->self->item_size);
		c->has = false;
		rc = 1;
	} else if (rc == 0) {
		rc = c->rc;
	}
	weft__spin_unlock(&c->lock);
	return rc;
}

static void conflate_close(void *state)
{
	struct conflate *c = state;

	weft__crew_close(&c->crew);
	if (c->has)
		weft__stream_drop(c->self, c->newest);
	c->has = false;
}

struct weft_stream *weft_conflate(struct weft_stream *source)
{
	static const struct weft_stream_ops ops = { .next = conflate_next,
						    .close = conflate_close,
						    .name = "conflate" };
	size_t size = weft__aligned(weft_stream_item_size(source));
	void *state;
	struct weft_stream *s = weft__passage(
		&ops, sizeof(struct conflate) + WEFT__SLACK + 2 * size, &state, source);

	if (!s)
		return NULL;
	struct conflate *c = state;
	c->self = s;
	c->source = source;
	c->newest = weft__behind(c + 1);
	c->fresh = c->newest + size;
	int rc = weft__crew_open(&c->crew);
	return rc ? weft__stillborn(s, rc) : s;
}
