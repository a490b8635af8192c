/* SPDX-License-Identifier: MIT */
/*
 * json_field.c - one field of each line of JSON
 *
 *	weft map --set field=user.name json_field.c events.jsonl
 *	weft map --set field=tags.0 --set missing=- json_field.c events.jsonl
 *
 *   field    names of members and indices of arrays, with dots between them
 *   missing  what to print for a line without the field; nothing if not set
 *
 * A string comes out decoded, anything else as it stands in the line.  The whole
 * line is read (RFC 8259): one that is not JSON fails, wherever the fault is.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <weft/job.h>

#define DEPTH_MOST 512

static const char *path, *missing;

/* What is left of the line.  Past the end there is a NUL, which fits nowhere. */
struct scan {
	struct weft_job *job;
	const char *at;
	const char *found, *found_end; /* the value that the path leads to */
	unsigned depth;
};

static bool scan_value(struct scan *s, const char *rest);

int start(struct weft_job *job)
{
	path = weft_arg(job, "field");
	missing = weft_arg(job, "missing");
	return path && *path ? 0 : weft_fail(job, "--set field=NAME is missing");
}

static void skip_space(struct scan *s)
{
	while (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')
		s->at++;
}

/* Steps over `c`, with white space around it. */
static bool skip(struct scan *s, char c)
{
	skip_space(s);
	if (*s->at != c)
		return false;
	s->at++;
	skip_space(s);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of a \u escape, or -1. */
static long hex4(const char *at)
{
	long value = 0;

	for (int i = 0; i < 4; i++) {
		if (hex_digit(at[i]) < 0)
			return -1;
		value = value << 4 | hex_digit(at[i]);
	}
	return value;
}

/* Steps over a string, quotes included. */
static bool scan_string(struct scan *s)
{
	if (*s->at++ != '"')
		return false;
	for (; *s->at != '"'; s->at++) {
		if ((unsigned char)*s->at < ' ')
			return false;
		if (*s->at != '\\')
			continue;
		s->at++;
		if (*s->at == 'u' ? hex4(s->at + 1) < 0 : !*s->at || !strchr("\"\\/bfnrt", *s->at))
			return false;
	}
	s->at++;
	return true;
}

static bool scan_digits(struct scan *s)
{
	const char *begin = s->at;

	while (*s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > begin;
}

static bool scan_number(struct scan *s)
{
	s->at += *s->at == '-';
	bool zero = *s->at == '0';
	const char *begin = s->at;
	if (!scan_digits(s) || (zero && s->at > begin + 1))
		return false;
	if (*s->at == '.' && (s->at++, !scan_digits(s)))
		return false;
	if ((*s->at | 32) != 'e')
		return true;
	s->at++;
	s->at += *s->at == '+' || *s->at == '-';
	return scan_digits(s);
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(s->at, word, n))
		return false;
	s->at += n;
	return true;
}

/* When the first name of the path is this one, the rest of the path; else NULL.
 * Names are compared as they stand, escapes and all. */
static const char *enter(const char *rest, const char *name, size_t length)
{
	if (!rest || strncmp(rest, name, length) || (rest[length] && rest[length] != '.'))
		return NULL;
	return rest[length] ? rest + length + 1 : rest + length;
}

static bool scan_object(struct scan *s, const char *rest)
{
	s->at++;
	if (skip(s, '}'))
		return true;
	do {
		skip_space(s);
		const char *name = s->at + 1;
		if (!scan_string(s))
			return false;
		const char *inner = enter(rest, name, (size_t)(s->at - 1 - name));
		if (!skip(s, ':') || !scan_value(s, inner))
			return false;
	} while (skip(s, ','));
	return skip(s, '}');
}

static bool scan_array(struct scan *s, const char *rest)
{
	char *end = NULL;
	unsigned long wanted = rest ? strtoul(rest, &end, 10) : 0;
	bool indexed = rest && end > rest && (*end == '.' || !*end);

	s->at++;
	if (skip(s, ']'))
		return true;
	for (unsigned long i = 0;; i++) {
		const char *inner = indexed && i == wanted ? end + (*end == '.') : NULL;
		if (!scan_value(s, inner))
			return false;
		if (!skip(s, ','))
			return skip(s, ']');
	}
}

static bool scan_inner(struct scan *s, const char *rest)
{
	bool fine;

	if (++s->depth > DEPTH_MOST)
		return false;
	if (*s->at == '{')
		fine = scan_object(s, rest);
	else if (*s->at == '[')
		fine = scan_array(s, rest);
	else if (*s->at == '"')
		fine = scan_string(s);
	else if (*s->at == 't')
		fine = scan_word(s, "true");
	else if (*s->at == 'f')
		fine = scan_word(s, "false");
	else if (*s->at == 'n')
		fine = scan_word(s, "null");
	else
		fine = scan_number(s);
	s->depth--;
	return fine;
}

/* A value; `rest` is the path that is left to go, NULL off the path. */
static bool scan_value(struct scan *s, const char *rest)
{
	skip_space(s);
	const char *begin = s->at;
	if (!scan_inner(s, rest && *rest ? rest : NULL))
		return false;
	/* Of a member that is there twice, the last one counts. */
	if (rest && !*rest) {
		s->found = begin;
		s->found_end = s->at;
		while (strchr(" \t\n\r", s->found_end[-1]))
			s->found_end--;
	}
	skip_space(s);
	return true;
}

static void emit_utf8(struct weft_job *job, unsigned long c)
{
	char text[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		text[i] = (char)(0x80 | (c & 0x3f));
	text[0] = (char)(lead[n] | c);
	weft_emit(job, text, n);
}

/* A \u escape, and the one behind it when the two make one character.  Half a
 * pair comes out as U+FFFD. */
static const char *emit_escape(struct weft_job *job, const char *at)
{
	unsigned long c = (unsigned long)hex4(at), low;

	at += 4;
	if (c >= 0xd800 && c < 0xdc00 && at[0] == '\\' && at[1] == 'u') {
		low = (unsigned long)hex4(at + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			at += 6;
		}
	}
	emit_utf8(job, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return at;
}

static void emit_string(struct weft_job *job, const char *at, const char *end)
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";

	while (at < end) {
		const char *stop = memchr(at, '\\', (size_t)(end - at));
		stop = stop ? stop : end;
		weft_emit(job, at, (size_t)(stop - at));
		at = stop;
		if (at == end)
			break;
		if (at[1] == 'u') {
			at = emit_escape(job, at + 2);
			continue;
		}
		const char *name = strchr(names, at[1]);
		weft_emit(job, name ? &values[name - names] : &at[1], 1);
		at += 2;
	}
}

int map(struct weft_job *job, const char *line, size_t length)
{
	struct scan s = { .job = job, .at = line };

	if (!scan_value(&s, path) || s.at != line + length)
		return weft_fail(job, "no JSON at byte %td of the line", s.at - line + 1);
	if (!s.found)
		return missing ? weft_emits(job, missing) || weft_emits(job, "\n") : 0;
	if (*s.found == '"')
		emit_string(job, s.found + 1, s.found_end - 1);
	else
		weft_emit(job, s.found, (size_t)(s.found_end - s.found));
	return weft_emits(job, "\n");
}
