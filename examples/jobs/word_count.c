/* SPDX-License-Identifier: MIT */
/*
 * word_count.c - lines, words and bytes, and the most frequent words
 *
 *	weft map word_count.c *.txt
 *	weft map --set top=20 word_count.c *.txt
 *
 * A word is what wc takes for one: a run of bytes without white space.  Bytes
 * count one for the end of each line.
 */
#include "table.h"

#include <weft/job.h>

struct counts {
	uint64_t lines, words, bytes;
	struct table table;
};
WEFT_STATE(struct counts);

static unsigned long top;
static bool is_space[256];

int start(struct weft_job *job)
{
	const char *text = weft_arg(job, "top");
	char *end = NULL;

	for (const char *c = " \t\n\v\f\r"; *c; c++)
		is_space[(unsigned char)*c] = true;
	top = text ? strtoul(text, &end, 10) : 0;
	return text && (end == text || *end) ? weft_fail(job, "top=%s is no number", text) : 0;
}

/* Words, counted only. */
static size_t count_words(const unsigned char *line, size_t length)
{
	size_t words = 0;
	bool space = true;

	for (size_t i = 0; i < length; i++) {
		words += space && !is_space[line[i]];
		space = is_space[line[i]];
	}
	return words;
}

/* Words, each added to the table, hashed while its end is looked for.  False
 * when there is no memory. */
static bool add_words(struct counts *c, const unsigned char *at, const unsigned char *end)
{
	while (at < end) {
		const unsigned char *word = at;
		uint64_t hash = TABLE_HASH_BEGIN;
		for (; at < end && !is_space[*at]; at++)
			hash = table_hash_byte(hash, *at);
		if (at == word) {
			at++;
			continue;
		}
		c->words++;
		if (!table_add(&c->table, table_hash_end(hash), (const char *)word,
			       (size_t)(at - word), 1, 0))
			return false;
	}
	return true;
}

int map(struct weft_job *job, const char *line, size_t length)
{
	struct counts *c = weft_state(job);
	const unsigned char *bytes = (const unsigned char *)line;

	c->lines++;
	c->bytes += length + 1;
	if (top)
		return add_words(c, bytes, bytes + length) ? 0 : weft_fail(job, "no memory");
	c->words += count_words(bytes, length);
	return 0;
}

int merge(struct weft_job *job, struct counts *total, struct counts *part)
{
	total->lines += part->lines;
	total->words += part->words;
	total->bytes += part->bytes;
	bool fine = table_merge(&total->table, &part->table);
	table_fini(&part->table);
	return fine ? 0 : weft_fail(job, "no memory");
}

int finish(struct weft_job *job, struct counts *total)
{
	const struct table *t = &total->table;

	table_sort(&total->table, top, table_by_count);
	weft_emitf(job, "%llu lines, %llu words, %llu bytes\n", (unsigned long long)total->lines,
		   (unsigned long long)total->words, (unsigned long long)total->bytes);
	for (size_t i = 0; i < t->used && i < top; i++)
		weft_emitf(job, "%8llu  %.*s\n", (unsigned long long)t->entries[i].count,
			   (int)t->entries[i].length, t->text + t->entries[i].text);
	table_fini(&total->table);
	return 0;
}
