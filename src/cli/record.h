/* SPDX-License-Identifier: MIT */
/*
 * record.h - where one record ends and the next begins
 *
 * The reader asks weft__record_cut() for a run of whole records; the lane that
 * owns the run takes them one by one with weft__record_next().  Both see what a
 * scan of the whole input from left to right would see, also for a separator
 * that overlaps itself.
 *
 *   threads    a format is read-only once parsed; a cursor belongs to one lane.
 *   memory     the format owns its separator; the cursor borrows the bytes and
 *              writes NULs over separators.
 *   errors     parse returns false for what is no kind of record.
 */
#ifndef WEFT_CLI_RECORD_H
#define WEFT_CLI_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "match.h"

enum weft__record_kind {
	WEFT__RECORD_BYTE,   /* ended by one byte: lines, nul */
	WEFT__RECORD_STRING, /* ended by a string of two bytes and more */
	WEFT__RECORD_BLANK,  /* ended by one or more empty lines */
	WEFT__RECORD_FIXED,  /* so many bytes each */
};

struct weft__record_format {
	enum weft__record_kind kind;
	char *separator;  /* STRING, BLANK */
	size_t length;	  /* of the separator, or of a FIXED record */
	bool overlapping; /* the separator can overlap itself, as "aa" does */
	char byte;	  /* BYTE */
};

/* A run of records: what is left of it, and the record that next() found. */
struct weft__cursor {
	char *at, *end;
	char *record;  /* where the record is, followed by a NUL */
	size_t length; /* under format->length for a FIXED record cut short by the end */
	char *begin;   /* where the record is in the run: for FIXED not the same */
	char *scratch; /* format->length + 1 bytes, for FIXED only */

	/* Private: looked at up to here, and where in the last 64 bytes of that a
	 * separator may begin. */
	char *window;
	uint64_t mask;
};

/* The value of --record: lines, nul, blank-line, fixed:N, or a separator, in
 * which \n \r \t \0 \\ and \xHH stand for what they do in C. */
bool weft__record_parse(struct weft__record_format *format, const char *text);
void weft__record_fini(struct weft__record_format *format);

/* The length of the longest run of whole records within data[0..target), or of
 * the first record when that is longer; 0 when data[0..n) holds no whole record.
 * `data` begins a record.  *scanned, 0 at first, saves a second look at the same
 * bytes when the call is repeated with more of them. */
size_t weft__record_cut(const struct weft__record_format *format, const char *data, size_t n,
			size_t target, size_t *scanned);

void weft__cursor_init(struct weft__cursor *c, char *begin, char *end, char *scratch);

/* Takes the next record off the run; false when there is none.  A record that
 * ends with the run and not with a separator gets its NUL at *end, which must be
 * writable. */
bool weft__record_next(const struct weft__record_format *format, struct weft__cursor *c);

/* The same when it is known to be ended by one byte; inline for speed. */
static inline bool weft__record_next_byte(const struct weft__record_format *format,
					  struct weft__cursor *c);

/* Where the run goes on after its first `most` records; *count = how many there
 * were, at most that many.  Changes no byte. */
char *weft__record_skip(const struct weft__record_format *format, char *begin, char *end,
			uint64_t most, uint64_t *count);

/* The record reaches from c->at to `stop`, the next one begins at `next`. */
static inline bool weft__cursor_found(struct weft__cursor *c, char *stop, char *next)
{
	c->record = c->begin = c->at;
	c->length = (size_t)(stop - c->at);
	c->at = next;
	return true;
}

/* The last bytes of a run are looked at one by one: those behind it are not ours
 * to read. */
static inline bool weft__record_find_byte(const struct weft__record_format *f,
					  struct weft__cursor *c)
{
	while (c->mask == 0) {
		if (c->end - c->window < WEFT__MATCH_WIDTH) {
			char *stop = memchr(c->window, f->byte, (size_t)(c->end - c->window));
			c->window = stop ? stop + 1 : c->end;
			return weft__cursor_found(c, stop ? stop : c->end, c->window);
		}
		c->mask = weft__match(c->window, f->byte);
		c->window += WEFT__MATCH_WIDTH;
	}
	char *stop = c->window - WEFT__MATCH_WIDTH + __builtin_ctzll(c->mask);
	c->mask &= c->mask - 1;
	return weft__cursor_found(c, stop, stop + 1);
}

static inline bool weft__record_next_byte(const struct weft__record_format *format,
					  struct weft__cursor *c)
{
	if (c->at == c->end)
		return false;
	weft__record_find_byte(format, c);
	c->record[c->length] = '\0';
	return true;
}

#endif
