/* SPDX-License-Identifier: MIT */
/*
 * stream_buffer.c - a task that reads ahead
 *
 *	      reader                        pump
 *	        v                             v
 *	. . . [ r ][ r ][ t ][ t ][ i ][ i ][ p ] . .     n + 1 slots in a ring
 *	        read      `left'    rest      being filled
 *
 * The pump lets the source write into the slot at `tail`, so no item is ever in its hand
 * only, and it leads by the n + 1 slots that there are.  When all are full it waits until
 * `low` are left.  The reader takes all items above that at once and gives their slots
 * back together: one lock for many items, and two switches a turn on one worker.
 *
 *   I1  count is the number of slots from the reader's first one not given back to the
 *       pump's; the pump alone adds, the reader alone takes away, under the lock.
 *   I2  Those of `took` are the reader's without the lock, the slot at tail the pump's.
 *   I3  The source is the pump's from its first item on, and closed by it at the end, on
 *       the task that what the source runs may belong to.
 */
#include "async/stream_stage.h"

struct buffer {
	struct weft_stream *self, *source;
	struct weft__crew crew;
	size_t size, room, low;
	bool begun;

	/* The reader's. */
	size_t head, took, left;

	char apart[64];
	struct weft__spin lock; /* all below, but for tail */
	struct weft__bell reader, pump;
	size_t count;
	bool over;
	int rc; /* when it is */

	size_t tail; /* the pump's */
	_Alignas(max_align_t) char items[];
};

static void *slot(struct buffer *b, size_t i)
{
	return b->items + i * b->size;
}

static size_t behind(const struct buffer *b, size_t i)
{
	return i + 1 == b->room ? 0 : i + 1;
}

/* --- the pump --------------------------------------------------------------- */

static int await_room(struct buffer *b)
{
	int rc = 0;

	weft__spin_lock(&b->lock);
	if (b->count == b->room)
		while (rc == 0 && b->count > b->low)
			rc = weft__bell_wait(&b->pump, &b->lock, "room in a stream", b);
	weft__spin_unlock(&b->lock);
	return rc;
}

static int publish(struct buffer *b)
{
	b->tail = behind(b, b->tail);
	weft__spin_lock(&b->lock);
	bool full = ++b->count == b->room;
	struct weft__strand *woken = weft__bell_ring(&b->reader);
	weft__spin_unlock(&b->lock);
	weft__bell_answer(woken);
	return full ? await_room(b) : 0;
}

static void finish(struct buffer *b, int rc)
{
	weft_stream_close(b->source); /* I3 */
	weft__spin_lock(&b->lock);
	b->over = true;
	b->rc = rc;
	struct weft__strand *woken = weft__bell_ring(&b->reader);
	weft__spin_unlock(&b->lock);
	weft__bell_answer(woken);
}

static int pump(void *arg)
{
	struct buffer *b = arg;
	int rc;

	while ((rc = weft__next(b->source, slot(b, b->tail))) > 0)
		if ((rc = publish(b)) != 0)
			break;
	finish(b, rc);
	return 0;
}

/* --- the reader -------------------------------------------------------------- */

/* With the lock held. */
static void take(struct buffer *b)
{
	b->took = b->left = b->count > b->low ? b->count - b->low : b->count;
}

/* What was taken has been read. */
static void give_back(struct buffer *b)
{
	struct weft__strand *woken = NULL;

	weft__spin_lock(&b->lock);
	b->count -= b->took;
	if (b->count <= b->low)
		woken = weft__bell_ring(&b->pump);
	take(b);
	weft__spin_unlock(&b->lock);
	weft__bell_answer(woken);
}

static int begin(struct buffer *b)
{
	if (b->begun)
		return 0;
	b->begun = true;
	return weft__crew_start(&b->crew, pump, b, "buffer");
}

/* 1 when there are items, else what to return. */
static int await_items(struct buffer *b)
{
	int rc = begin(b);

	weft__spin_lock(&b->lock);
	while (rc == 0 && b->count == 0 && !b->over)
		rc = weft__bell_wait(&b->reader, &b->lock, "an item of a stream", b);
	if (rc == 0 && b->count > 0) {
		take(b);
		rc = 1;
	} else if (rc == 0) {
		rc = b->rc;
	}
	weft__spin_unlock(&b->lock);
	return rc;
}

static int buffer_next(void *state, void *item)
{
	struct buffer *b = state;
	int rc = weft_checkpoint();

	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	if (b->left == 0 && (rc = await_items(b)) <= 0)
		return rc;
	weft__copy_item(item, slot(b, b->head), b->size);
	b->head = behind(b, b->head);
	if (--b->left == 0)
		give_back(b);
	return 1;
}

static void buffer_close(void *state)
{
	struct buffer *b = state;

	weft__crew_close(&b->crew);
	for (size_t n = b->count - (b->took - b->left); n > 0; n--) {
		weft__stream_drop(b->self, slot(b, b->head));
		b->head = behind(b, b->head);
	}
	b->count = b->took = b->left = 0;
}

/* --- making it ------------------------------------------------------------------ */

static struct weft_stream *buffer(struct weft_stream *source, size_t n, size_t low,
				  struct buffer **made)
{
	static const struct weft_stream_ops ops = { .next = buffer_next,
						    .close = buffer_close,
						    .name = "buffer" };
	size_t size = weft_stream_item_size(source), bytes;
	void *state;

	if (n == SIZE_MAX || __builtin_mul_overflow(n + 1, size, &bytes) || bytes > PTRDIFF_MAX / 2)
		return weft__refuse(source, WEFT_EINVAL, size);
	struct weft_stream *s = weft__passage(&ops, sizeof(struct buffer) + bytes, &state, source);
	if (!s)
		return NULL;
	struct buffer *b = state;
	b->self = s;
	b->source = source;
	b->size = size;
	b->room = n + 1;
	b->low = low ? low : (n + 1) / 2;
	int rc = weft__crew_open(&b->crew);
	if (rc != 0)
		return weft__stillborn(s, rc);
	*made = b;
	return s;
}

struct weft_stream *weft_buffer_opt(struct weft_stream *source, size_t n,
				    const struct weft_buffer_opts *o)
{
	struct buffer *b;

	if (o && (o->size < sizeof *o || o->low > n))
		return weft__refuse(source, WEFT_EINVAL, weft_stream_item_size(source));
	return buffer(source, n, o ? o->low : 0, &b);
}

/* The maker goes on, so whoever is idle takes the pump. */
struct weft_stream *weft_prefetch(struct weft_stream *source, size_t n)
{
	struct buffer *b = NULL;
	struct weft_stream *s = buffer(source, n, 0, &b);
	int rc = b ? begin(b) : 0;

	return rc ? weft__stillborn(s, rc) : s;
}
