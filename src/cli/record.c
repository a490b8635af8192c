/* SPDX-License-Identifier: MIT */
/*
 * record.c - cutting bytes into records
 *
 * A cut looks backwards from the target, so it touches one record and not the
 * whole megabyte: the last separator that ends at or before the target, or else
 * the first one after it.  Looking backwards is right only if a match found
 * there is one that a scan from the left would find.  That is so for a separator
 * that cannot overlap itself, since two matches of it never share a byte.  For
 * one that can ("aa" in "aaa") the cut scans from the left.
 *
 * Empty lines are such a case with a way out: the separator is "\n\n", but
 * newlines in front of a record are skipped, so a cut anywhere inside a run of
 * newlines gives the same records.
 */
#include "record.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10;
}

/* One character of a separator, escapes resolved; NULL for a bad escape. */
static const char *unescape(const char *text, char *out)
{
	static const char names[] = "nrt0\\", values[] = "\n\r\t\0\\";

	*out = *text++;
	if (*out != '\\')
		return text;
	const char *known = *text ? strchr(names, *text) : NULL;
	if (known) {
		*out = values[known - names];
		return text + 1;
	}
	if (*text != 'x' || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
		return NULL;
	*out = (char)(hex_value(text[1]) << 4 | hex_value(text[2]));
	return text + 3;
}

/* True when some proper prefix of the separator is also its suffix. */
static bool overlaps(const char *s, size_t n)
{
	for (size_t shift = 1; shift < n; shift++)
		if (!memcmp(s, s + shift, n - shift))
			return true;
	return false;
}

static bool parse_separator(struct weft__record_format *format, const char *text)
{
	size_t n = 0;
	char *s = malloc(strlen(text) + 1);

	if (!s)
		return false;
	while (text && *text)
		text = unescape(text, &s[n++]);
	if (!text || n == 0) {
		free(s);
		return false;
	}
	format->kind = n == 1 ? WEFT__RECORD_BYTE : WEFT__RECORD_STRING;
	format->byte = s[0];
	format->separator = s;
	format->length = n;
	format->overlapping = overlaps(s, n);
	return true;
}

static bool parse_fixed(struct weft__record_format *format, const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || n == 0 || n > SIZE_MAX / 4)
		return false;
	format->kind = WEFT__RECORD_FIXED;
	format->length = (size_t)n;
	return true;
}

bool weft__record_parse(struct weft__record_format *format, const char *text)
{
	*format = (struct weft__record_format){ 0 };
	if (!strcmp(text, "lines"))
		return parse_separator(format, "\\n");
	if (!strcmp(text, "nul"))
		return parse_separator(format, "\\0");
	if (!strncmp(text, "fixed:", 6))
		return parse_fixed(format, text + 6);
	if (strcmp(text, "blank-line"))
		return parse_separator(format, text);
	if (!parse_separator(format, "\\n\\n"))
		return false;
	format->kind = WEFT__RECORD_BLANK;
	format->overlapping = false; /* see the head of this file */
	return true;
}

void weft__record_fini(struct weft__record_format *format)
{
	free(format->separator);
}

static size_t cut_fixed(size_t record, size_t n, size_t target)
{
	size_t most = target > record ? target : record;

	return (n < most ? n : most) / record * record;
}

/* The end of the last separator within data[0..n), or 0. */
static size_t last_end(const struct weft__record_format *f, const char *data, size_t n)
{
	size_t m = f->length;

	while (n >= m) {
		const char *p = memrchr(data + m - 1, f->separator[m - 1], n - m + 1);
		if (!p)
			return 0;
		n = (size_t)(p - data);
		if (!memcmp(p + 1 - m, f->separator, m))
			return n + 1;
	}
	return 0;
}

/* The end of the first separator in data[from..n), or 0. */
static size_t first_end(const struct weft__record_format *f, const char *data, size_t n,
			size_t from)
{
	const char *p;

	if (f->length == 1)
		p = memchr(data + from, f->byte, n - from);
	else
		p = memmem(data + from, n - from, f->separator, f->length);
	return p ? (size_t)(p - data) + f->length : 0;
}

static size_t cut_from_left(const struct weft__record_format *f, const char *data, size_t n,
			    size_t target, size_t *scanned)
{
	size_t cut = 0, end = *scanned;

	while ((end = first_end(f, data, n, end)) != 0 && (end <= target || cut == 0)) {
		cut = end;
		if (cut >= target)
			break;
	}
	/* Without a match the last bytes may still begin one. */
	if (cut == 0 && n >= f->length)
		*scanned = n - f->length + 1;
	return cut;
}

size_t weft__record_cut(const struct weft__record_format *format, const char *data, size_t n,
			size_t target, size_t *scanned)
{
	if (format->kind == WEFT__RECORD_FIXED)
		return cut_fixed(format->length, n, target);
	if (format->overlapping)
		return cut_from_left(format, data, n, target, scanned);

	size_t cut = *scanned < target ? last_end(format, data, n < target ? n : target) : 0;
	return cut ? cut : cut_from_left(format, data, n, 0, scanned);
}

void weft__cursor_init(struct weft__cursor *c, char *begin, char *end, char *scratch)
{
	*c = (struct weft__cursor){ .at = begin, .end = end, .window = begin, .scratch = scratch };
}

/* The places where the first and the last byte of the separator are right. */
static uint64_t candidates(const struct weft__record_format *f, const char *window)
{
	return weft__match(window, f->byte) &
	       weft__match(window + f->length - 1, f->separator[f->length - 1]);
}

/* Goes on to the next window with a candidate in it; false near the end of the
 * run, where a window and a separator do not fit any more. */
static bool next_window(const struct weft__record_format *f, struct weft__cursor *c)
{
	while (c->mask == 0) {
		if ((size_t)(c->end - c->window) < WEFT__MATCH_WIDTH + f->length)
			return false;
		c->mask = candidates(f, c->window);
		c->window += WEFT__MATCH_WIDTH;
	}
	return true;
}

static bool find_string(const struct weft__record_format *f, struct weft__cursor *c)
{
	while (next_window(f, c)) {
		char *stop = c->window - WEFT__MATCH_WIDTH + __builtin_ctzll(c->mask);
		c->mask &= c->mask - 1;
		/* What lies before c->at is part of the separator found last. */
		if (stop >= c->at && !memcmp(stop, f->separator, f->length))
			return weft__cursor_found(c, stop, stop + f->length);
	}
	char *from = c->window > c->at ? c->window : c->at;
	char *stop = memmem(from, (size_t)(c->end - from), f->separator, f->length);
	c->window = stop ? stop + f->length : c->end;
	return weft__cursor_found(c, stop ? stop : c->end, c->window);
}

/* Lines are short, so memchr from newline to newline beats a search for two. */
static bool find_blank(struct weft__cursor *c)
{
	while (c->at < c->end && *c->at == '\n')
		c->at++;
	if (c->at == c->end)
		return false;
	for (char *p = c->at;; p++) {
		p = memchr(p, '\n', (size_t)(c->end - p));
		if (!p)
			return weft__cursor_found(c, c->end, c->end);
		if (p + 1 == c->end)
			return weft__cursor_found(c, p, c->end);
		if (p[1] == '\n')
			return weft__cursor_found(c, p, p + 2);
	}
}

static bool find_fixed(const struct weft__record_format *f, struct weft__cursor *c)
{
	size_t left = (size_t)(c->end - c->at);
	char *stop = c->at + (left < f->length ? left : f->length);

	return weft__cursor_found(c, stop, stop);
}

/* Takes the next record off the run, and changes no byte of it. */
static bool find(const struct weft__record_format *format, struct weft__cursor *c)
{
	if (c->at == c->end)
		return false;
	switch (format->kind) {
	case WEFT__RECORD_BYTE:
		return weft__record_find_byte(format, c);
	case WEFT__RECORD_STRING:
		return find_string(format, c);
	case WEFT__RECORD_BLANK:
		return find_blank(c);
	case WEFT__RECORD_FIXED:
		return find_fixed(format, c);
	}
	return false;
}

/* The byte after a fixed record belongs to the next one, which another lane may
 * be reading: such a record gets its NUL in a copy. */
bool weft__record_next(const struct weft__record_format *format, struct weft__cursor *c)
{
	if (!find(format, c))
		return false;
	if (format->kind == WEFT__RECORD_FIXED)
		c->record = memcpy(c->scratch, c->record, c->length);
	c->record[c->length] = '\0';
	return true;
}

char *weft__record_skip(const struct weft__record_format *format, char *begin, char *end,
			uint64_t most, uint64_t *count)
{
	struct weft__cursor c;

	weft__cursor_init(&c, begin, end, NULL);
	for (*count = 0; *count < most && find(format, &c); ++*count)
		;
	return c.at;
}
