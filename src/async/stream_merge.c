/* SPDX-License-Identifier: MIT */
/*
 * stream_merge.c - whatever comes first
 *
 *	source -> pull -> [item] -+
 *	source -> pull            +- ready, oldest first -> reader
 *	source -> pull -> [item] -+
 *
 * A pull is a task for one item: it ends when the item is there, and the reader starts
 * it again when it takes that.  So no source is more than one item ahead, sources that are
 * always ready go to the back of the line, and ten thousand items that wait need no
 * stacks.
 *
 *   I1  A feed is in one of three states: being pulled, ready (its item is there), ended;
 *       `going` counts those not ended.
 *   I2  A source is closed by the last pull of it, or with the stream.
 */
#include "async/stream_stage.h"

struct feed {
	struct weft__list link; /* in ready */
	struct merge *merge;
	struct weft_stream *source;
	char *item;
};

struct merge {
	struct weft_stream *self;
	struct weft__crew crew;
	struct weft_merge_opts opts;
	size_t n;
	bool begun;

	struct weft__spin lock; /* all below */
	struct weft__bell reader;
	struct weft__list ready;
	size_t going;
	bool stopped; /* nothing is pulled any more */
	bool cut_off; /* a cancel ended a pull */
	int rc;	      /* the first error that counts */
	struct feed feeds[];
};

/* --- pulling ------------------------------------------------------------------ */

/* Among those that are ready: at the end, or by index. */
static struct weft__list *place(struct merge *m, const struct feed *f)
{
	struct weft__list *at = &m->ready;

	if (m->opts.priority)
		for (at = m->ready.next; at != &m->ready; at = at->next)
			if (WEFT__CONTAINER(at, struct feed, link) > f)
				break;
	return at;
}

/* With the lock held: true when the others are to end because of this. */
static bool end_feed(struct feed *f, int rc)
{
	struct merge *m = f->merge;

	m->going--;
	if (m->opts.rcs)
		m->opts.rcs[f - m->feeds] = rc;
	if (rc == WEFT_ECANCELED && !m->stopped)
		m->cut_off = true;
	if (rc == 0 || rc == WEFT_ECANCELED || m->stopped || m->opts.on_error == WEFT_MERGE_SKIP)
		return false;
	if (m->opts.on_error == WEFT_MERGE_FAIL && m->rc == 0)
		m->rc = rc;
	m->stopped = !m->opts.delay_errors;
	return m->stopped;
}

static int pull(void *arg)
{
	struct feed *f = arg;
	struct merge *m = f->merge;
	int rc = weft__next(f->source, f->item);
	bool stop = false;

	if (rc <= 0)
		weft_stream_close(f->source); /* I2 */
	weft__spin_lock(&m->lock);
	if (rc > 0)
		weft__list_insert(place(m, f), &f->link);
	else
		stop = end_feed(f, rc);
	struct weft__strand *woken = weft__bell_ring(&m->reader);
	weft__spin_unlock(&m->lock);
	weft__bell_answer(woken);
	if (stop)
		weft__crew_cancel(&m->crew);
	return 0;
}

static void start_pull(struct feed *f)
{
	struct merge *m = f->merge;
	int rc = weft__crew_start(&m->crew, pull, f, "merge");

	if (rc == 0)
		return;
	weft__spin_lock(&m->lock);
	bool stop = end_feed(f, rc);
	weft__spin_unlock(&m->lock);
	if (stop)
		weft__crew_cancel(&m->crew);
}

static void begin(struct merge *m)
{
	m->begun = true;
	for (size_t i = 0; i < m->n; i++)
		start_pull(&m->feeds[i]);
}

/* --- reading -------------------------------------------------------------------- */

/* With the lock held, while nothing is ready: 1 when something is. */
static int await_ready(struct merge *m)
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

static int merge_next(void *state, void *item)
{
	struct merge *m = state;
	struct feed *f = NULL;
	bool again = false;
	int rc = weft_checkpoint();

	if (rc != 0)
		return rc;
	if (!m->begun)
		begin(m);
	weft__spin_lock(&m->lock);
	rc = await_ready(m);
	if (rc > 0) {
		f = WEFT__CONTAINER(weft__list_pop_front(&m->ready), struct feed, link);
		weft__copy_item(item, f->item, m->self->item_size);
		again = !m->stopped;
		m->going -= !again;
	}
	weft__spin_unlock(&m->lock);
	if (again)
		start_pull(f);
	return rc;
}

static void merge_close(void *state)
{
	struct merge *m = state;
	struct weft__list *link;

	weft__crew_close(&m->crew);
	while ((link = weft__list_pop_front(&m->ready)))
		weft__stream_drop(m->self, WEFT__CONTAINER(link, struct feed, link)->item);
}

/* --- making it -------------------------------------------------------------------- */

static bool are_alike(struct weft_stream *const *sources, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (weft_stream_item_size(sources[i]) != weft_stream_item_size(sources[0]))
			return false;
	return true;
}

static void init(struct merge *m, struct weft_stream *s, const struct weft_merge_opts *o)
{
	size_t size = s->item_size;
	char *items = weft__behind(m->feeds + s->n);

	m->self = s;
	m->n = m->going = s->n;
	if (o)
		m->opts = *o;
	weft__list_init(&m->ready);
	for (size_t i = 0; i < s->n; i++) {
		m->feeds[i].merge = m;
		m->feeds[i].source = s->sources[i];
		m->feeds[i].item = items + i * weft__aligned(size);
		if (m->opts.rcs)
			m->opts.rcs[i] = WEFT_ECANCELED;
	}
}

static bool has_null(struct weft_stream *const *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!sources[i])
			return true;
	return false;
}

struct weft_stream *weft_merge_opt(struct weft_stream *const *sources, size_t n,
				   const struct weft_merge_opts *o)
{
	static const struct weft_stream_ops ops = { .next = merge_next,
						    .close = merge_close,
						    .name = "merge" };
	size_t size = n && sources ? weft_stream_item_size(sources[0]) : 0;
	void *state;

	if (n && !sources)
		return weft_from_error(WEFT_EINVAL, 0);
	bool bad = !has_null(sources, n) && (!are_alike(sources, n) || (o && o->size < sizeof *o));
	struct weft_stream *s = weft__stream_new(
		&ops, size,
		sizeof(struct merge) + n * (sizeof(struct feed) + weft__aligned(size)) +
			WEFT__SLACK,
		&state, sources, n);
	if (!s)
		return NULL;
	init(state, s, bad ? NULL : o);
	if (n)
		weft_stream_on_drop(s, sources[0]->drop, sources[0]->drop_arg);
	int rc = bad ? WEFT_EINVAL : weft__crew_open(&((struct merge *)state)->crew);
	return rc ? weft__stillborn(s, rc) : s;
}
