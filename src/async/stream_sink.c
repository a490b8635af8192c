/* SPDX-License-Identifier: MIT */
/*
 * stream_sink.c - what reads a stream until it is over
 */
#include <weft/sink.h>

#include <string.h>
#include <sys/uio.h>

#include <weft/channel.h>
#include <weft/io.h>
#include <weft/task.h>

#include "async/stream.h"
#include "deque/alloc.h"

/* Room for one item: nearly always on the stack. */
struct hand {
	_Alignas(max_align_t) char small[128];
	char *item;
	size_t size;
};

static int hand_init(struct hand *h, const struct weft_stream *s)
{
	h->size = s ? s->item_size : 0;
	h->item = h->size <= sizeof h->small ? h->small : weft__alloc(h->size);
	return s && h->item ? 0 : WEFT_ENOMEM;
}

static void hand_fini(struct hand *h)
{
	if (h->item != h->small)
		weft__free(h->item, h->size);
}

/* --- for_each ---------------------------------------------------------------- */

static int each_here(struct weft_stream *s, weft_each_fn *fn, void *arg)
{
	struct hand h;
	int rc = hand_init(&h, s);

	if (rc == 0) {
		while ((rc = weft__next(s, h.item)) > 0)
			if ((rc = fn(h.item, arg)) < 0)
				break;
	}
	hand_fini(&h);
	return rc;
}

/* An item on its way to a task of its own. */
struct cell {
	struct weft_stream *s;
	weft_each_fn *fn;
	void *arg;
	size_t bytes;
	_Alignas(max_align_t) char item[];
};

static struct cell *cell_new(struct weft_stream *s, weft_each_fn *fn, void *arg)
{
	size_t bytes = sizeof(struct cell) + s->item_size;
	struct cell *c = weft__alloc(bytes);

	if (c)
		*c = (struct cell){ s, fn, arg, bytes };
	return c;
}

static int cell_run(void *arg)
{
	struct cell *c = arg;
	int rc = c->fn(c->item, c->arg);

	weft__free(c, c->bytes);
	return rc < 0 ? rc : 0;
}

static void cell_drop(void *arg)
{
	struct cell *c = arg;

	weft__stream_drop(c->s, c->item);
	weft__free(c, c->bytes);
}

/* The cell comes first: without memory no item is taken. */
static int each_spawn(struct weft_group *g, struct weft_stream *s, weft_each_fn *fn, void *arg)
{
	struct cell *c = cell_new(s, fn, arg);

	if (!c)
		return WEFT_ENOMEM;
	int rc = weft__next(s, c->item);
	if (rc <= 0) {
		weft__free(c, c->bytes);
		return rc;
	}
	rc = weft_spawn(g, cell_run, c, .drop = cell_drop);
	return rc < 0 ? rc : 1;
}

static int each_beside(struct weft_stream *s, weft_each_fn *fn, void *arg, size_t limit)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "for_each", .limit = limit);

	if (rc != 0)
		return rc;
	while ((rc = each_spawn(&g, s, fn, arg)) > 0)
		;
	return weft_group_close(&g, rc);
}

int weft_stream_for_each_opt(struct weft_stream *s, weft_each_fn *fn, void *arg,
			     const struct weft_for_each_opts *opts)
{
	if (!fn)
		return WEFT_EINVAL;
	if (!s)
		return WEFT_ENOMEM;
	return opts && opts->limit ? each_beside(s, fn, arg, opts->limit) : each_here(s, fn, arg);
}

/* --- collect --------------------------------------------------------------------- */

static int list_grow(struct weft_list *list)
{
	size_t room = list->weft__room ? list->weft__room * 2 : 64;
	char *items = weft__alloc(room * list->weft__size);

	if (!items)
		return WEFT_ENOMEM;
	if (list->n)
		memcpy(items, list->items, list->n * list->weft__size);
	weft__free(list->items, list->weft__room * list->weft__size);
	list->items = items;
	list->weft__room = room;
	return 0;
}

int weft_stream_collect(struct weft_stream *s, struct weft_list *list, size_t most)
{
	size_t until = most && most < SIZE_MAX - list->n ? list->n + most : SIZE_MAX;
	int rc = 1;

	if (!s)
		return WEFT_ENOMEM;
	if (s->rc <= 0)
		return s->rc;
	if (s->item_size == 0 || (list->weft__size && list->weft__size != s->item_size))
		return WEFT_EINVAL;
	list->weft__size = s->item_size;
	while (rc > 0 && list->n < until) {
		if (list->n == list->weft__room && list_grow(list) != 0)
			return WEFT_ENOMEM;
		rc = weft__next(s, (char *)list->items + list->n * s->item_size);
		list->n += rc > 0;
	}
	return rc > 0 ? 1 : rc;
}

void weft_list_free(struct weft_list *list)
{
	weft__free(list->items, list->weft__room * list->weft__size);
	*list = (struct weft_list){ 0 };
}

/* --- one value ------------------------------------------------------------------- */

int weft_stream_reduce(struct weft_stream *s, void *acc, weft_fold_fn *fn, void *arg)
{
	struct hand h;
	int rc = fn ? hand_init(&h, s) : WEFT_EINVAL;

	if (!fn)
		return rc;
	if (rc == 0) {
		while ((rc = weft__next(s, h.item)) > 0)
			if ((rc = fn(acc, h.item, arg)) < 0)
				break;
	}
	hand_fini(&h);
	return rc;
}

int weft_stream_count(struct weft_stream *s, uint64_t *n)
{
	struct hand h;
	int rc = hand_init(&h, s);

	*n = 0;
	if (rc == 0) {
		while ((rc = weft__next(s, h.item)) > 0) {
			weft__stream_drop(s, h.item);
			++*n;
		}
	}
	hand_fini(&h);
	return rc;
}

int weft_stream_first(struct weft_stream *s, void *item)
{
	int rc = weft_next(s, item);

	if (rc != WEFT_ECANCELED)
		weft_stream_close(s);
	return rc;
}

/* The last so far lies in *item; the next comes into the hand. */
static int last(struct weft_stream *s, struct hand *h, void *item)
{
	bool some = false;
	int rc;

	while ((rc = weft__next(s, h->item)) > 0) {
		if (some)
			weft__stream_drop(s, item);
		memcpy(item, h->item, h->size);
		some = true;
	}
	if (rc < 0 && some)
		weft__stream_drop(s, item);
	return rc < 0 ? rc : some;
}

int weft_stream_last(struct weft_stream *s, void *item)
{
	struct hand h;
	int rc = hand_init(&h, s);

	if (rc == 0)
		rc = last(s, &h, item);
	hand_fini(&h);
	return rc;
}

/* --- to a channel ------------------------------------------------------------------ */

int weft_stream_to_channel(struct weft_stream *s, struct weft_channel *channel, bool close)
{
	struct hand h;
	int rc = hand_init(&h, s);

	if (rc == 0) {
		while ((rc = weft__next(s, h.item)) > 0) {
			rc = weft_channel_send(channel, h.item);
			if (rc < 0) {
				weft__stream_drop(s, h.item);
				break;
			}
		}
	}
	hand_fini(&h);
	if (close)
		weft_channel_close(channel);
	return rc;
}

/* --- to a descriptor ------------------------------------------------------------------ */

struct writer {
	int fd;
	char *buffer;
	size_t room, used;
};

/* A write that a cancel cuts short tells by the next one. */
static int write_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t did = weft_write_full(fd, data, n);
		if (did < 0)
			return (int)did;
		data += did;
		n -= (size_t)did;
	}
	return 0;
}

static int flush(struct writer *w)
{
	size_t used = w->used;

	w->used = 0;
	return write_all(w->fd, w->buffer, used);
}

static int gather(struct writer *w, const char *data, size_t n)
{
	int rc = n > w->room - w->used ? flush(w) : 0;

	if (rc != 0)
		return rc;
	if (n > w->room)
		return write_all(w->fd, data, n);
	if (n)
		memcpy(w->buffer + w->used, data, n);
	w->used += n;
	return 0;
}

/* At once, in one piece if the descriptor takes it so. */
static int write_pieces(int fd, const struct weft_text *text, const struct weft_text *end)
{
	struct iovec pieces[2] = { { (void *)(uintptr_t)text->data, text->length },
				   { (void *)(uintptr_t)end->data, end->length } };
	ssize_t did = weft_writev(fd, pieces, end->length ? 2 : 1);

	if (did < 0)
		return (int)did;
	size_t n = (size_t)did;
	if (n < text->length) {
		int rc = write_all(fd, text->data + n, text->length - n);
		return rc ? rc : write_all(fd, end->data, end->length);
	}
	n -= text->length;
	return write_all(fd, end->data + n, end->length - n);
}

static int write_item(struct writer *w, const struct weft_text *text, const struct weft_text *end)
{
	if (w->room == 0)
		return text->length + end->length ? write_pieces(w->fd, text, end) : 0;
	int rc = gather(w, text->data, text->length);
	return rc ? rc : gather(w, end->data, end->length);
}

static int write_stream(struct weft_stream *s, struct writer *w, const struct weft_text *end)
{
	struct weft_text text;
	int rc, written;

	while ((rc = weft__next(s, &text)) > 0) {
		written = write_item(w, &text, end);
		if (written != 0)
			return written;
	}
	written = flush(w);
	return rc ? rc : written;
}

int weft_stream_to_fd(struct weft_stream *s, int fd, const char *end, size_t room)
{
	struct weft_text tail = { end ? end : "", end ? strlen(end) : 0 };
	struct writer w = { .fd = fd, .room = room };

	if (!s)
		return WEFT_ENOMEM;
	if (s->item_size != sizeof(struct weft_text))
		return s->rc <= 0 ? s->rc : WEFT_EINVAL;
	if (room && !(w.buffer = weft__alloc(room)))
		return WEFT_ENOMEM;
	int rc = write_stream(s, &w, &tail);
	weft__free(w.buffer, room);
	return rc;
}
