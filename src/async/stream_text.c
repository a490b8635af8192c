/* SPDX-License-Identifier: MIT */
/*
 * stream_text.c - lines and blocks out of a descriptor
 *
 * What is put out lies in the buffer, so it holds until the next call.
 *
 *	buffer [ put out already |  line so far  |  room  ]
 *	                         begin  scanned  end
 *
 * Text moves only when there is no room behind it.  No byte is scanned twice, but for
 * one in each line; the buffer doubles up to the longest line there may be.  Each read
 * is a cancellation point, and a cancelled one has read nothing: all that came before
 * is in the buffer.
 */
#include <errno.h>
#include <string.h>

#include <weft/io.h>

#include "async/stream.h"
#include "deque/alloc.h"

enum { FIRST_ROOM = 64 << 10, LONGEST = 1 << 20 };

struct text {
	int fd;
	bool close_fd;
	bool over; /* read to its end */
	char *buffer;
	size_t room, begin, scanned, end;
	size_t longest;
};

static void text_close(void *state)
{
	struct text *t = state;

	if (t->close_fd)
		weft_close(t->fd);
}

static void text_destroy(void *state)
{
	struct text *t = state;

	weft__free(t->buffer, t->room);
}

/* Moves the text to the front, or into a larger buffer when that is full with it. */
static int make_room(struct text *t)
{
	size_t length = t->end - t->begin;
	size_t room = t->room;
	char *to = t->buffer;

	if (length > room / 2) {
		room = room < t->longest / 2 ? room * 2 : t->longest + 1;
		if (room > t->room && !(to = weft__alloc(room)))
			return WEFT_ENOMEM;
	}
	memmove(to, t->buffer + t->begin, length);
	if (to != t->buffer) {
		weft__free(t->buffer, t->room);
		t->buffer = to;
		t->room = room;
	}
	t->scanned -= t->begin;
	t->begin = 0;
	t->end = length;
	return 0;
}

/* More than 0 when there is more text than before. */
static ssize_t fill(struct text *t)
{
	int rc = t->end == t->room ? make_room(t) : 0;
	ssize_t n = rc ? rc : weft_read(t->fd, t->buffer + t->end, t->room - t->end);

	if (n > 0)
		t->end += (size_t)n;
	return n;
}

/* The line [begin, to) is put out; what follows begins behind its newline. */
static int put_out(struct text *t, size_t to, size_t newline, struct weft_text *line)
{
	size_t length = to - t->begin;

	if (length > t->longest)
		return -EMSGSIZE;
	*line = (struct weft_text){ t->buffer + t->begin, length };
	t->begin = t->scanned = to + newline;
	return 1;
}

static int lines_next(void *state, void *item)
{
	struct text *t = state;

	for (;;) {
		const char *from = t->buffer + t->scanned;
		const char *newline = memchr(from, '\n', t->end - t->scanned);
		if (newline)
			return put_out(t, (size_t)(newline - t->buffer), 1, item);
		t->scanned = t->end;
		if (t->over && t->begin == t->end)
			return 0;
		if (t->over || t->end - t->begin > t->longest)
			return put_out(t, t->end, 0, item);
		ssize_t n = fill(t);
		if (n < 0)
			return (int)n;
		t->over = n == 0;
	}
}

static int blocks_next(void *state, void *item)
{
	struct text *t = state;
	ssize_t n = weft_read(t->fd, t->buffer, t->room);

	if (n > 0)
		*(struct weft_text *)item = (struct weft_text){ t->buffer, (size_t)n };
	return n > 0 ? 1 : (int)n;
}

static struct weft_stream *text(const struct weft_stream_ops *ops, int fd, bool close_fd,
				size_t room, size_t longest)
{
	void *state;
	struct weft_stream *s = weft__stream_new(ops, sizeof(struct weft_text), sizeof(struct text),
						 &state, NULL, 0);

	if (!s) {
		if (close_fd)
			weft_close(fd);
		return NULL;
	}
	struct text *t = state;
	*t = (struct text){ .fd = fd, .close_fd = close_fd, .longest = longest };
	t->buffer = weft__alloc(room);
	if (!t->buffer) {
		weft_stream_destroy(s);
		return NULL;
	}
	t->room = room;
	return s;
}

struct weft_stream *weft_from_lines(int fd, size_t longest, bool close_fd)
{
	static const struct weft_stream_ops ops = {
		.next = lines_next, .close = text_close, .destroy = text_destroy, .name = "lines"
	};
	if (longest == 0)
		longest = LONGEST;
	if (longest > PTRDIFF_MAX / 2)
		longest = PTRDIFF_MAX / 2;
	return text(&ops, fd, close_fd, FIRST_ROOM, longest);
}

struct weft_stream *weft_from_blocks(int fd, size_t size, bool close_fd)
{
	static const struct weft_stream_ops ops = {
		.next = blocks_next, .close = text_close, .destroy = text_destroy, .name = "blocks"
	};
	if (size == 0) {
		if (close_fd)
			weft_close(fd);
		return weft_from_error(WEFT_EINVAL, sizeof(struct weft_text));
	}
	return text(&ops, fd, close_fd, size, 0);
}
