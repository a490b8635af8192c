/* SPDX-License-Identifier: MIT */
/*
 * stream_apply.c - apply with several calls at a time
 *
 *	source -> feeder -> call            in the order of the source, or of their ends:
 *	                    call   ------>  [call][call][call] -> reader
 *	                    call
 *
 * There are `limit` calls.  One feeder pulls the source whenever one of them is free, and
 * starts a task for it.  A call is free again when its result has been read, so results
 * that wait count: that is the backpressure.
 */
#include "async/stream_stage.h"

struct call {
	struct weft__list link; /* in free or line */
	struct apply *apply;
	char *in, *out;
	bool ended;
	int rc; /* of fn */
};

struct apply {
	struct weft_stream *self, *source;
	struct weft__crew crew;
	weft_apply_fn *fn;
	void *arg;
	size_t limit;
	bool unordered, begun;

	struct weft__spin lock; /* all below */
	struct weft__bell reader, feeder;
	struct weft__list free;
	struct weft__list line; /* what the reader gets, first at the front */
	size_t running;
	bool failed; /* a call has, or the reader is gone: no more are started */
	bool over;   /* the feeder is */
	int rc;	     /* of the source, then */
	struct call calls[];
};

static struct call *call_at(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct call, link);
}

/* --- beside the reader ------------------------------------------------------- */

static int run_call(void *arg)
{
	struct call *c = arg;
	struct apply *a = c->apply;
	int rc = a->fn(c->in, c->out, a->arg);

	weft__spin_lock(&a->lock);
	c->rc = rc;
	c->ended = true;
	a->running--;
	a->failed = a->failed || rc < 0;
	if (a->unordered)
		weft__list_push_back(&a->line, &c->link);
	struct weft__strand *woken = weft__bell_ring(&a->reader);
	struct weft__strand *feeder = a->failed ? weft__bell_ring(&a->feeder) : NULL;
	weft__spin_unlock(&a->lock);
	weft__bell_answer(woken);
	weft__bell_answer(feeder);
	return 0;
}

/* A call that is free, or NULL and what to end with. */
static struct call *await_call(struct apply *a, int *rc)
{
	struct weft__list *link = NULL;

	weft__spin_lock(&a->lock);
	*rc = 0;
	while (*rc == 0 && !a->failed && !(link = weft__list_pop_front(&a->free)))
		*rc = weft__bell_wait(&a->feeder, &a->lock, "room in a stream", a);
	weft__spin_unlock(&a->lock);
	return link ? call_at(link) : NULL;
}

/* The item of the call is there. */
static int start_call(struct apply *a, struct call *c)
{
	weft__spin_lock(&a->lock);
	c->ended = false;
	a->running++;
	if (!a->unordered)
		weft__list_push_back(&a->line, &c->link);
	weft__spin_unlock(&a->lock);
	int rc = weft__crew_start(&a->crew, run_call, c, "apply");
	if (rc == 0)
		return 0;
	weft__stream_drop(a->source, c->in);
	weft__spin_lock(&a->lock);
	a->running--;
	if (!a->unordered)
		weft__list_remove(&c->link);
	weft__spin_unlock(&a->lock);
	return rc;
}

static int feed(void *arg)
{
	struct apply *a = arg;
	struct call *c;
	int rc;

	while ((c = await_call(a, &rc)) && (rc = weft__next(a->source, c->in)) > 0)
		if ((rc = start_call(a, c)) != 0)
			break;
	weft_stream_close(a->source);
	weft__spin_lock(&a->lock);
	a->over = true;
	a->rc = rc;
	struct weft__strand *woken = weft__bell_ring(&a->reader);
	weft__spin_unlock(&a->lock);
	weft__bell_answer(woken);
	return 0;
}

/* --- the reader ----------------------------------------------------------------- */

static int begin(struct apply *a)
{
	if (a->begun)
		return 0;
	a->begun = true;
	return weft__crew_start(&a->crew, feed, a, "apply");
}

/* With the lock held: the next one in line that has ended, or NULL. */
static struct call *first_ended(const struct apply *a)
{
	struct weft__list *link = weft__list_front(&a->line);

	return link && call_at(link)->ended ? call_at(link) : NULL;
}

static bool is_over(const struct apply *a)
{
	return a->over && a->running == 0 && weft__list_is_empty(&a->line);
}

/* With the lock held.  NULL and what to return. */
static struct call *await_ended(struct apply *a, int *rc)
{
	struct call *c = NULL;

	*rc = 0;
	while (!(c = first_ended(a)) && !is_over(a)) {
		*rc = weft__bell_wait(&a->reader, &a->lock, "an item of a stream", a);
		if (*rc != 0)
			return NULL;
	}
	if (!c)
		*rc = a->rc;
	return c;
}

/* With the lock held: reads it; its code.  A failed one stays where it is. */
static int read_call(struct apply *a, struct call *c, void *item)
{
	if (c->rc < 0)
		return c->rc;
	if (c->rc > 0)
		weft__copy_item(item, c->out, a->self->item_size);
	weft__list_remove(&c->link);
	weft__list_push_back(&a->free, &c->link);
	return c->rc;
}

/* Also for one that is left out, a call is free again. */
static int next_of(struct apply *a, void *item)
{
	struct call *c;
	int rc;

	do {
		struct weft__strand *woken = NULL;

		weft__spin_lock(&a->lock);
		c = await_ended(a, &rc);
		if (c)
			rc = read_call(a, c, item);
		if (c && rc >= 0)
			woken = weft__bell_ring(&a->feeder);
		weft__spin_unlock(&a->lock);
		weft__bell_answer(woken);
	} while (c && rc == 0);
	return rc;
}

static int apply_next(void *state, void *item)
{
	struct apply *a = state;
	int rc = weft_checkpoint();

	if (rc == 0)
		rc = begin(a);
	if (rc == 0)
		rc = next_of(a, item);
	if (rc < 0 && rc != WEFT_ECANCELED)
		weft__crew_cancel(&a->crew); /* the rest is of no use */
	return rc;
}

static void apply_close(void *state)
{
	struct apply *a = state;
	struct weft__list *link;

	weft__crew_close(&a->crew);
	while ((link = weft__list_pop_front(&a->line))) {
		struct call *c = call_at(link);
		if (c->rc > 0)
			weft__stream_drop(a->self, c->out);
		else if (c->rc == WEFT_ECANCELED) /* it would be called again */
			weft__stream_drop(a->source, c->in);
	}
}

/* --- making it --------------------------------------------------------------------- */

static void init(struct apply *a, struct weft_stream *s, size_t in, size_t out)
{
	char *items = weft__behind(a->calls + a->limit);

	a->self = s;
	a->source = s->sources[0];
	weft__list_init(&a->free);
	weft__list_init(&a->line);
	for (size_t i = 0; i < a->limit; i++) {
		struct call *c = &a->calls[i];
		c->apply = a;
		c->in = items + i * (in + out);
		c->out = c->in + in;
		weft__list_push_back(&a->free, &c->link);
	}
}

static struct weft_stream *several(struct weft_stream *source, weft_apply_fn *fn, void *arg,
				   size_t out_size, const struct weft_apply_opts *o)
{
	static const struct weft_stream_ops ops = { .next = apply_next,
						    .close = apply_close,
						    .name = "apply" };
	size_t in = weft__aligned(weft_stream_item_size(source)), out = weft__aligned(out_size);
	size_t bytes;
	void *state;

	if (__builtin_mul_overflow(o->limit, in + out + sizeof(struct call), &bytes) ||
	    bytes > PTRDIFF_MAX / 2)
		return weft__refuse(source, WEFT_EINVAL, out_size);
	struct weft_stream *s = weft__stream_new(
		&ops, out_size, sizeof(struct apply) + bytes + WEFT__SLACK, &state, &source, 1);
	if (!s)
		return NULL;
	struct apply *a = state;
	a->fn = fn;
	a->arg = arg;
	a->limit = o->limit;
	a->unordered = o->unordered;
	init(a, s, in, out);
	int rc = weft__crew_open(&a->crew);
	return rc ? weft__stillborn(s, rc) : s;
}

struct weft_stream *weft_apply_opt(struct weft_stream *source, weft_apply_fn *fn, void *arg,
				   size_t out_size, const struct weft_apply_opts *o)
{
	if (!fn || (o && o->size < sizeof *o))
		return weft__refuse(source, WEFT_EINVAL, out_size);
	if (!o || o->limit == 0)
		return weft__apply_here(source, fn, arg, out_size);
	return several(source, fn, arg, out_size, o);
}
