/* SPDX-License-Identifier: MIT */
/*
 * debian_sections.c - packages and their installed size, by section of Debian
 *
 *	apt-cache dumpavail | weft map --record blank-line debian_sections.c
 *
 * A record is the stanza of one package: lines "Name: value", and lines that
 * begin with a blank and go on with the value before.
 */
#include "table.h"

#include <weft/job.h>

struct sections {
	struct table table; /* sum: installed size, in KiB */
};
WEFT_STATE(struct sections);

/* The value of a field, or NULL; it ends with its line. */
static const char *find_field(const char *stanza, size_t size, const char *name, size_t *length)
{
	const char *end = stanza + size, *next;
	size_t n = strlen(name);

	for (const char *line = stanza; line < end; line = next) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop : end;
		next = stop < end ? stop + 1 : end;
		if ((size_t)(stop - line) < n || memcmp(line, name, n))
			continue;
		for (line += n; line < stop && *line == ' '; line++)
			;
		*length = (size_t)(stop - line);
		return line;
	}
	return NULL;
}

int map(struct weft_job *job, const char *stanza, size_t size)
{
	struct sections *s = weft_state(job);
	size_t length, ignored;
	const char *section = find_field(stanza, size, "Section:", &length);
	const char *kib = find_field(stanza, size, "Installed-Size:", &ignored);

	if (!find_field(stanza, size, "Package:", &ignored))
		return weft_fail(job, "this is no stanza of a package");
	if (!section) {
		section = "(none)";
		length = strlen(section);
	}
	return table_add(&s->table, table_hash(section, length), section, length, 1,
			 kib ? strtoull(kib, NULL, 10) : 0)
		       ? 0
		       : weft_fail(job, "no memory");
}

int merge(struct weft_job *job, struct sections *total, struct sections *part)
{
	bool fine = table_merge(&total->table, &part->table);

	table_fini(&part->table);
	return fine ? 0 : weft_fail(job, "no memory");
}

static int by_size(const void *left, const void *right, void *table)
{
	const struct entry *a = left, *b = right;

	if (a->sum != b->sum)
		return a->sum < b->sum ? 1 : -1;
	return table_by_text(table, a, b);
}

int finish(struct weft_job *job, struct sections *total)
{
	const struct table *t = &total->table;
	uint64_t packages = 0, kib = 0;

	table_sort(&total->table, SIZE_MAX, by_size);
	weft_emitf(job, "packages   installed  section\n");
	for (size_t i = 0; i < t->used; i++) {
		const struct entry *e = &t->entries[i];
		weft_emitf(job, "%8llu %8.1f MB  %.*s\n", (unsigned long long)e->count,
			   (double)e->sum * 1.024e-3, (int)e->length, t->text + e->text);
		packages += e->count;
		kib += e->sum;
	}
	weft_emitf(job, "%8llu %8.1f MB  in all\n", (unsigned long long)packages,
		   (double)kib * 1.024e-3);
	table_fini(&total->table);
	return 0;
}
