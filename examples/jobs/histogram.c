/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - how often each value of a field occurs in a delimited file
 *
 *	weft map --skip 1 --set field=3 histogram.c data.csv
 *	weft map --set field=7 --set delimiter=: histogram.c /etc/passwd
 *
 *   field      which one, from 1; the first if not set
 *   delimiter  one character, or \t; a comma if not set
 *   top        only so many of the most frequent values
 *
 * A field that begins with a double quote ends with the next one; two in a row
 * stand for one inside.  A record that has no such field fails.
 */
#include "table.h"

#include <weft/job.h>

struct histogram {
	struct table table;
	char *unquoted; /* room for one field without its quotes */
	size_t room;
};
WEFT_STATE(struct histogram);

static unsigned long field = 1, top;
static char delimiter = ',';

static int read_number(struct weft_job *job, const char *key, unsigned long *number)
{
	const char *text = weft_arg(job, key);
	char *end;

	if (!text)
		return 0;
	*number = strtoul(text, &end, 10);
	return end == text || *end || *number == 0
		       ? weft_fail(job, "%s=%s is no number from 1", key, text)
		       : 0;
}

int start(struct weft_job *job)
{
	const char *text = weft_arg(job, "delimiter");

	if (text && !strcmp(text, "\\t"))
		delimiter = '\t';
	else if (text && strlen(text) == 1)
		delimiter = text[0];
	else if (text)
		return weft_fail(job, "delimiter=%s is not one character", text);
	return read_number(job, "field", &field) || read_number(job, "top", &top) ? -1 : 0;
}

/* The end of the field that begins at `at`: its delimiter, or the end of the
 * record. */
static const char *field_end(const char *at, const char *end)
{
	if (at < end && *at == '"') {
		for (at++; at < end; at++)
			if (*at == '"' && (at + 1 == end || at[1] != '"'))
				break;
			else if (*at == '"')
				at++;
	}
	const char *found = at < end ? memchr(at, delimiter, (size_t)(end - at)) : NULL;
	return found ? found : end;
}

/* Takes the quotes off; NULL when there is no memory. */
static const char *unquote(struct histogram *h, const char *text, size_t *length)
{
	size_t n = 0;

	if (*length < 2 || text[0] != '"' || text[*length - 1] != '"')
		return text;
	if (h->room < *length) {
		free(h->unquoted);
		h->room = 2 * *length;
		h->unquoted = malloc(h->room);
		if (!h->unquoted)
			return h->room = 0, NULL;
	}
	for (size_t i = 1; i + 1 < *length; i++) {
		h->unquoted[n++] = text[i];
		i += text[i] == '"';
	}
	*length = n;
	return h->unquoted;
}

int map(struct weft_job *job, const char *record, size_t length)
{
	struct histogram *h = weft_state(job);
	const char *at = record, *end = record + length, *stop = field_end(at, end);

	if (length > 0 && end[-1] == '\r')
		end--;
	for (unsigned long i = 1; i < field; i++) {
		if (stop >= end)
			return weft_fail(job, "there are only %lu fields", i);
		at = stop + 1;
		stop = field_end(at, end);
	}
	size_t n = (size_t)((stop < end ? stop : end) - at);
	const char *value = unquote(h, at, &n);
	if (!value || !table_add(&h->table, table_hash(value, n), value, n, 1, 0))
		return weft_fail(job, "no memory");
	return 0;
}

int merge(struct weft_job *job, struct histogram *total, struct histogram *part)
{
	bool fine = table_merge(&total->table, &part->table);

	table_fini(&part->table);
	free(part->unquoted);
	return fine ? 0 : weft_fail(job, "no memory");
}

int finish(struct weft_job *job, struct histogram *total)
{
	const struct table *t = &total->table;

	table_sort(&total->table, top ? top : SIZE_MAX, table_by_count);
	for (size_t i = 0; i < t->used && (top == 0 || i < top); i++)
		weft_emitf(job, "%8llu  %.*s\n", (unsigned long long)t->entries[i].count,
			   (int)t->entries[i].length, t->text + t->entries[i].text);
	table_fini(&total->table);
	return 0;
}
