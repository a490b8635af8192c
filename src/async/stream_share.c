/* SPDX-License-Identifier: MIT */
/*
 * stream_share.c - several readers of one source
 *
 *	      slowest           fastest
 *	         v                 v
 *	. . [ ][ ][ ][ ][ ][ ][ ] (next item) . .       a ring of `lead` items
 *	         3  2     1        0                     how many readers still want it
 *
 * There is no task: a reader that has read all that is there becomes the puller, one at
 * a time, and the others wait for what it brings.  When it is cut off another one pulls.
 * With a function an item is for one of the readers, and the others go past it.
 *
 *   I1  Item i is in slot i % lead, for first <= i < end; `first` is the first one that
 *       somebody wants.
 *   I2  The puller alone writes slot `end`, without the lock; it has seen end - first <
 *       lead, and first only grows.
 *   I3  The source is the puller's, and closed by the last reader to leave.
 */
#include "async/stream_stage.h"

#include "deque/alloc.h"

enum { LEAD = 16 };

struct reader {
	struct shared *shared;
	size_t index;
	uint64_t at;
	bool left;
	struct weft__bell bell;
};

struct shared {
	struct weft_stream *source;
	weft_partition_fn *fn;
	void *arg;
	size_t n, lead, size;
	bool drop_oldest;
	size_t bytes;

	struct weft__spin lock; /* all below */
	uint64_t first, end;
	bool pulling;
	int rc;			/* <= 0: the end of it */
	size_t open, alive;	/* readers not closed, not destroyed */
	struct reader **reader; /* NULL: destroyed */
	struct slot {
		size_t target; /* its reader, or SIZE_MAX: all */
		bool was_read;
	} * slots;
	char *items;
};

static struct slot *slot_of(const struct shared *h, uint64_t i)
{
	return &h->slots[i % h->lead];
}

static char *item_of(const struct shared *h, uint64_t i)
{
	return h->items + i % h->lead * h->size;
}

/* --- with the lock held -------------------------------------------------------- */

static bool wants(const struct reader *r, uint64_t i)
{
	size_t target = slot_of(r->shared, i)->target;

	return target == SIZE_MAX || target == r->index;
}

/* Goes past what is for others. */
static void pass(struct reader *r)
{
	while (r->at < r->shared->end && !wants(r, r->at))
		r->at++;
}

static uint64_t slowest(const struct shared *h)
{
	uint64_t at = h->end;

	for (size_t i = 0; i < h->n; i++) {
		struct reader *r = h->reader[i];
		if (!r || r->left)
			continue;
		pass(r);
		at = r->at < at ? r->at : at;
	}
	return at;
}

/* Everybody looks again: there is news, and it is seldom that all wait. */
static void ring_all(struct shared *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->reader[i])
			weft__bell_answer(weft__bell_ring(&h->reader[i]->bell));
}

/* An item that nobody wants any more. */
static void retire(struct shared *h)
{
	if (!slot_of(h, h->first)->was_read)
		weft__stream_drop(h->source, item_of(h, h->first));
	h->first++;
}

static void retire_until(struct shared *h, uint64_t at)
{
	bool full = h->end - h->first == h->lead;

	if (h->first == at)
		return;
	while (h->first < at)
		retire(h);
	if (full)
		ring_all(h);
}

/* The slowest ones miss the oldest item. */
static void push_on(struct shared *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->reader[i] && h->reader[i]->at == h->first)
			h->reader[i]->at++;
	retire(h);
}

static bool has_room(struct shared *h)
{
	if (h->end - h->first < h->lead)
		return true;
	retire_until(h, slowest(h));
	if (h->end - h->first == h->lead && h->drop_oldest)
		push_on(h);
	return h->end - h->first < h->lead;
}

/* --- reading ---------------------------------------------------------------------- */

/* The lock is held before and after, not meanwhile. */
static int pull(struct shared *h)
{
	uint64_t at = h->end;

	h->pulling = true;
	weft__spin_unlock(&h->lock);
	int rc = weft__next(h->source, item_of(h, at)); /* I2 */
	size_t target = rc > 0 && h->fn ? h->fn(item_of(h, at), h->arg) : SIZE_MAX;
	weft__spin_lock(&h->lock);
	h->pulling = false;
	if (rc > 0) {
		*slot_of(h, at) = (struct slot){ target, false };
		h->end++;
		retire_until(h, slowest(h)); /* it may be for nobody */
	} else if (rc != WEFT_ECANCELED) {
		h->rc = rc;
	}
	ring_all(h);
	return rc == WEFT_ECANCELED ? rc : 0;
}

/* 1 when there is an item at r->at. */
static int await_item(struct reader *r)
{
	struct shared *h = r->shared;

	for (;;) {
		int rc = 0;
		pass(r);
		if (r->at < h->end)
			return 1;
		if (h->rc <= 0)
			return h->rc;
		if (!h->pulling && has_room(h))
			rc = pull(h);
		else
			rc = weft__bell_wait(&r->bell, &h->lock, "an item of a stream", h);
		if (rc != 0)
			return rc;
	}
}

static int share_next(void *state, void *item)
{
	struct reader *r = state;
	struct shared *h = r->shared;
	int rc = weft_checkpoint();

	if (rc != 0)
		return rc;
	weft__spin_lock(&h->lock);
	rc = await_item(r);
	if (rc > 0) {
		weft__copy_item(item, item_of(h, r->at), h->size);
		slot_of(h, r->at)->was_read = true;
		if (r->at++ == h->first)
			retire_until(h, slowest(h));
	}
	weft__spin_unlock(&h->lock);
	return rc;
}

/* --- leaving ----------------------------------------------------------------------- */

static void share_close(void *state)
{
	struct reader *r = state;
	struct shared *h = r->shared;

	weft__spin_lock(&h->lock);
	r->left = true;
	bool last = --h->open == 0;
	retire_until(h, slowest(h));
	ring_all(h);
	weft__spin_unlock(&h->lock);
	if (last)
		weft_stream_close(h->source); /* I3 */
}

/* Of a reader, or of who made them. */
static void let_go(struct shared *h)
{
	weft__spin_lock(&h->lock);
	bool last = --h->alive == 0;
	weft__spin_unlock(&h->lock);
	if (!last)
		return;
	weft_stream_destroy(h->source);
	weft__free(h, h->bytes);
}

/* Readers are freed in any order, by any task; the last one frees all. */
static void share_destroy(void *state)
{
	struct reader *r = state;
	struct shared *h = r->shared;

	weft__spin_lock(&h->lock);
	h->reader[r->index] = NULL;
	weft__spin_unlock(&h->lock);
	let_go(h);
}

/* --- making them --------------------------------------------------------------------- */

static struct shared *new_shared(struct weft_stream *source, size_t n, size_t lead)
{
	size_t size = source->item_size, bytes, slots;
	struct shared *h;

	if (__builtin_mul_overflow(lead, size + sizeof(struct slot), &bytes) ||
	    bytes > PTRDIFF_MAX / 4 || n > SIZE_MAX / 64)
		return NULL;
	slots = weft__aligned(sizeof *h + n * sizeof(struct reader *));
	bytes += slots + WEFT__SLACK;
	h = weft__alloc(bytes);
	if (!h)
		return NULL;
	memset(h, 0, slots);
	h->source = source;
	h->n = n;
	h->lead = lead;
	h->size = size;
	h->bytes = bytes;
	h->rc = 1;
	h->alive = 1; /* the maker */
	h->reader = (struct reader **)(h + 1);
	h->slots = (struct slot *)(void *)((char *)h + slots);
	h->items = weft__behind(h->slots + lead);
	return h;
}

static struct weft_stream *new_reader(struct shared *h, size_t index)
{
	static const struct weft_stream_ops ops = {
		.next = share_next, .close = share_close, .destroy = share_destroy, .name = "share"
	};
	void *state;
	struct weft_stream *s =
		weft__stream_new(&ops, h->size, sizeof(struct reader), &state, NULL, 0);

	if (!s)
		return NULL;
	struct reader *r = state;
	r->shared = h;
	r->index = index;
	h->reader[index] = r;
	h->open++;
	h->alive++;
	return s;
}

static int make_readers(struct shared *h, struct weft_stream **readers)
{
	for (size_t i = 0; i < h->n; i++) {
		readers[i] = new_reader(h, i);
		if (readers[i])
			continue;
		while (i > 0) {
			weft_stream_destroy(readers[--i]);
			readers[i] = NULL;
		}
		let_go(h);
		return WEFT_ENOMEM;
	}
	let_go(h);
	return 0;
}

static int share(struct weft_stream *source, weft_partition_fn *fn, void *arg,
		 struct weft_stream **readers, size_t n, const struct weft_share_opts *o)
{
	struct shared *h = NULL;
	bool bad = n == 0 || !readers || (o && o->size < sizeof *o);

	for (size_t i = 0; readers && i < n; i++)
		readers[i] = NULL;
	if (source && !bad)
		h = new_shared(source, n, o && o->lead ? o->lead : LEAD);
	if (!h) {
		weft_stream_destroy(source);
		return bad ? WEFT_EINVAL : WEFT_ENOMEM;
	}
	h->fn = fn;
	h->arg = arg;
	h->drop_oldest = o && o->drop_oldest;
	return make_readers(h, readers);
}

int weft_share_opt(struct weft_stream *source, struct weft_stream **readers, size_t n,
		   const struct weft_share_opts *o)
{
	return share(source, NULL, NULL, readers, n, o);
}

int weft_partition_opt(struct weft_stream *source, weft_partition_fn *fn, void *arg,
		       struct weft_stream **readers, size_t n, const struct weft_share_opts *o)
{
	if (!fn) {
		weft_stream_destroy(source);
		return WEFT_EINVAL;
	}
	return share(source, fn, arg, readers, n, o);
}
