/* SPDX-License-Identifier: MIT */
/*
 * stream_flat_map.c - streams out of items, and what comes from them
 *
 * A feeder pulls the source whenever one of `limit` lanes is free.  A lane is a task that
 * makes one stream, hands over its items one by one, and destroys it: what that stream
 * runs hangs below the task, and ends with it.
 *
 *	free --feeder--> going: pulls, puts its item into `ready`, waits until it is taken
 *	  ^                 |
 *	  '----- ended <----'   and its last item taken
 */
#include "async/stream_stage.h"

struct lane {
	struct weft__list link;	 /* in free */
	struct weft__list ready; /* in flat_map.ready, while has */
	struct flat_map *map;
	struct weft__bell taken;
	char *in, *out;
	const char *name; /* of what it reads */
	bool has, ended;
};

struct flat_map {
	struct weft_stream *self, *source;
	struct weft__crew crew;
	weft_flat_map_fn *fn;
	void *arg;
	struct weft_flat_map_opts opts;
	size_t limit;
	bool begun;

	struct weft__spin lock; /* all below */
	struct weft__bell reader, feeder;
	struct weft__list free, ready;
	size_t going; /* the feeder, and lanes that have not ended */
	bool stopped, cut_off;
	int rc; /* the first error */
	size_t failed;
	struct lane lanes[];
};

/* With the lock held. */
static void keep_failure(struct flat_map *m, int rc, const char *name)
{
	if (m->failed < m->opts.max_failures)
		m->opts.failures[m->failed] = (struct weft_failure){ rc, name };
	m->failed++;
	if (m->opts.failed)
		*m->opts.failed = m->failed;
}

/* With the lock held.  True when all is to end because of this. */
static bool end_one(struct flat_map *m, int rc, const char *name)
{
	m->going--;
	if (rc != 0 && rc != WEFT_ECANCELED)
		keep_failure(m, rc, name);
	if (rc == WEFT_ECANCELED && !m->stopped)
		m->cut_off = true;
	if (rc == 0 || rc == WEFT_ECANCELED || m->stopped)
		return false;
	m->rc = rc;
	m->stopped = true;
	return true;
}

/* --- lanes -------------------------------------------------------------------- */

/* The item of the lane is there: until it is taken. */
static int hand_over(struct lane *l)
{
	struct flat_map *m = l->map;
	int rc = 0;

	weft__spin_lock(&m->lock);
	l->has = true;
	weft__list_push_back(&m->ready, &l->ready);
	struct weft__strand *woken = weft__bell_ring(&m->reader);
	if (woken) {
		weft__spin_unlock(&m->lock);
		weft__bell_answer(woken);
		weft__spin_lock(&m->lock);
	}
	while (rc == 0 && l->has)
		rc = weft__bell_wait(&l->taken, &m->lock, "a reader of a stream", m);
	weft__spin_unlock(&m->lock);
	return rc;
}

static int pour(struct lane *l)
{
	struct weft_stream *inner = l->map->fn(l->in, l->map->arg);
	int rc;

	l->name = inner ? inner->ops->name : NULL;
	if (!inner)
		return WEFT_ENOMEM;
	if (inner->item_size != l->map->self->item_size)
		rc = WEFT_EINVAL;
	else
		while ((rc = weft__next(inner, l->out)) > 0)
			if ((rc = hand_over(l)) != 0)
				break;
	weft_stream_destroy(inner);
	return rc;
}

static void end_lane(struct lane *l, int rc)
{
	struct flat_map *m = l->map;

	weft__spin_lock(&m->lock);
	bool stop = end_one(m, rc, l->name);
	l->ended = true;
	if (!l->has)
		weft__list_push_back(&m->free, &l->link);
	struct weft__strand *reader = weft__bell_ring(&m->reader);
	struct weft__strand *feeder = weft__bell_ring(&m->feeder);
	weft__spin_unlock(&m->lock);
	weft__bell_answer(reader);
	weft__bell_answer(feeder);
	if (stop)
		weft__crew_cancel(&m->crew);
}

static int run_lane(void *arg)
{
	struct lane *l = arg;

	end_lane(l, pour(l));
	return 0;
}

/* --- the feeder ------------------------------------------------------------------ */

/* A lane that is free, or NULL and what to end with. */
static struct lane *await_lane(struct flat_map *m, int *rc)
{
	struct weft__list *link = NULL;

	weft__spin_lock(&m->lock);
	*rc = 0;
	while (*rc == 0 && !m->stopped && !(link = weft__list_pop_front(&m->free)))
		*rc = weft__bell_wait(&m->feeder, &m->lock, "room in a stream", m);
	weft__spin_unlock(&m->lock);
	return link ? WEFT__CONTAINER(link, struct lane, link) : NULL;
}

static int start_lane(struct flat_map *m, struct lane *l)
{
	weft__spin_lock(&m->lock);
	l->ended = false;
	m->going++;
	weft__spin_unlock(&m->lock);
	int rc = weft__crew_start(&m->crew, run_lane, l, "flat_map");
	if (rc == 0)
		return 0;
	weft__stream_drop(m->source, l->in);
	weft__spin_lock(&m->lock);
	m->going--;
	weft__spin_unlock(&m->lock);
	return rc;
}

static int feed(void *arg)
{
	struct flat_map *m = arg;
	struct lane *l;
	int rc;

	while ((l = await_lane(m, &rc)) && (rc = weft__next(m->source, l->in)) > 0)
		if ((rc = start_lane(m, l)) != 0)
			break;
	weft_stream_close(m->source);
	weft__spin_lock(&m->lock);
	bool stop = end_one(m, rc, m->source->ops->name);
	struct weft__strand *woken = weft__bell_ring(&m->reader);
	weft__spin_unlock(&m->lock);
	weft__bell_answer(woken);
	if (stop)
		weft__crew_cancel(&m->crew);
	return 0;
}

/* --- the reader -------------------------------------------------------------------- */

static int begin(struct flat_map *m)
{
	if (m->begun)
		return 0;
	m->begun = true;
	m->going = 1;
	return weft__crew_start(&m->crew, feed, m, "flat_map");
}

/* With the lock held: 1 when something is ready, else what to return. */
static int await_ready(struct flat_map *m)
{
	int rc = 0;

	while (rc == 0 && weft__list_is_empty(&m->ready) && m->going > 0)
		rc = weft__bell_wait(&m->reader, &m->lock, "an item of a stream", m);
	if (rc != 0)
		return rc;
	if (!weft__list_is_empty(&m->ready))
		return 1;
	return m->rc ? m->rc : m->cut_off ? WEFT_ECANCELED : 0;
}

/* With the lock held.  Whom to answer. */
static struct weft__strand *take(struct flat_map *m, void *item)
{
	struct weft__list *link = weft__list_pop_front(&m->ready);
	struct lane *l = WEFT__CONTAINER(link, struct lane, ready);

	weft__copy_item(item, l->out, m->self->item_size);
	l->has = false;
	if (!l->ended)
		return weft__bell_ring(&l->taken);
	weft__list_push_back(&m->free, &l->link);
	return weft__bell_ring(&m->feeder);
}

static int flat_map_next(void *state, void *item)
{
	struct flat_map *m = state;
	struct weft__strand *woken = NULL;
	int rc = weft_checkpoint();

	if (rc == 0)
		rc = begin(m);
	if (rc != 0)
		return rc;
	weft__spin_lock(&m->lock);
	rc = await_ready(m);
	if (rc > 0)
		woken = take(m, item);
	weft__spin_unlock(&m->lock);
	weft__bell_answer(woken);
	return rc;
}

static void flat_map_close(void *state)
{
	struct flat_map *m = state;
	struct weft__list *link;

	weft__crew_close(&m->crew);
	while ((link = weft__list_pop_front(&m->ready)))
		weft__stream_drop(m->self, WEFT__CONTAINER(link, struct lane, ready)->out);
}

/* --- making it ------------------------------------------------------------------------ */

static void init(struct flat_map *m, struct weft_stream *s, size_t in, size_t out)
{
	char *items = weft__behind(m->lanes + m->limit);

	m->self = s;
	m->source = s->sources[0];
	weft__list_init(&m->free);
	weft__list_init(&m->ready);
	for (size_t i = 0; i < m->limit; i++) {
		struct lane *l = &m->lanes[i];
		l->map = m;
		l->in = items + i * (in + out);
		l->out = l->in + in;
		weft__list_push_back(&m->free, &l->link);
	}
}

struct weft_stream *weft_flat_map_opt(struct weft_stream *source, weft_flat_map_fn *fn, void *arg,
				      size_t item_size, const struct weft_flat_map_opts *o)
{
	static const struct weft_stream_ops ops = { .next = flat_map_next,
						    .close = flat_map_close,
						    .name = "flat_map" };
	size_t in = weft__aligned(weft_stream_item_size(source)), out = weft__aligned(item_size);
	size_t limit = o && o->limit ? o->limit : 1, bytes;
	void *state;

	if (!fn || (o && (o->size < sizeof *o || (o->max_failures && !o->failures))) ||
	    __builtin_mul_overflow(limit, in + out + sizeof(struct lane), &bytes) ||
	    bytes > PTRDIFF_MAX / 2)
		return weft__refuse(source, WEFT_EINVAL, item_size);
	struct weft_stream *s = weft__stream_new(
		&ops, item_size, sizeof(struct flat_map) + bytes + WEFT__SLACK, &state, &source, 1);
	if (!s)
		return NULL;
	struct flat_map *m = state;
	m->fn = fn;
	m->arg = arg;
	if (o)
		m->opts = *o;
	if (m->opts.failed)
		*m->opts.failed = 0;
	m->limit = limit;
	init(m, s, in, out);
	int rc = weft__crew_open(&m->crew);
	return rc ? weft__stillborn(s, rc) : s;
}
