/* SPDX-License-Identifier: MIT */
/*
 * word_count.c - lines, words and bytes, and the most frequent words
 *
 *	weft map word_count.c *.txt
 *	weft map --set top=20 word_count.c *.txt
 *
 * A word is what wc takes for one: a run of bytes without white space.
 *
 * Each part of the input fills a table of its own.  merge() adds it to the table
 * of all before it, looking words up by the hash that the part has stored.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <weft/job.h>

struct word {
	uint64_t hash;
	uint64_t count; /* 0: a free place in the table */
	size_t text;	/* where in counts.text the word is */
	size_t length;
};

struct counts {
	uint64_t lines, words, bytes;
	struct word *table; /* open addressing, linear probing, at most half full */
	size_t used, capacity;
	char *text; /* the words, one after the other */
	size_t text_used, text_capacity;
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
	return text && (end == text || *end) ? weft_fail(job, "top=%s is not a number", text) : 0;
}

/* The place of the word, or the free one where it belongs. */
static struct word *look_up(struct counts *c, uint64_t hash, const char *text, size_t length)
{
	for (size_t i = hash & (c->capacity - 1);; i = (i + 1) & (c->capacity - 1)) {
		struct word *w = &c->table[i];
		if (w->count == 0)
			return w;
		if (w->hash == hash && w->length == length &&
		    !memcmp(c->text + w->text, text, length))
			return w;
	}
}

static bool grow_table(struct counts *c)
{
	struct counts larger = *c;

	larger.capacity = c->capacity ? 2 * c->capacity : 1024;
	larger.table = calloc(larger.capacity, sizeof *larger.table);
	if (!larger.table)
		return false;
	for (size_t i = 0; i < c->capacity; i++) {
		const struct word *w = &c->table[i];
		if (w->count)
			*look_up(&larger, w->hash, c->text + w->text, w->length) = *w;
	}
	free(c->table);
	*c = larger;
	return true;
}

static bool grow_text(struct counts *c, size_t length)
{
	size_t capacity = 2 * (c->text_capacity + length) + 4096;
	char *text = realloc(c->text, capacity);

	if (!text)
		return false;
	c->text = text;
	c->text_capacity = capacity;
	return true;
}

static bool add(struct counts *c, uint64_t hash, const char *text, size_t length, uint64_t count)
{
	if (2 * c->used >= c->capacity && !grow_table(c))
		return false;

	struct word *w = look_up(c, hash, text, length);
	if (w->count == 0) {
		if (c->text_capacity - c->text_used < length && !grow_text(c, length))
			return false;
		*w = (struct word){ .hash = hash, .text = c->text_used, .length = length };
		memcpy(c->text + c->text_used, text, length);
		c->text_used += length;
		c->used++;
	}
	w->count += count;
	return true;
}

/* Words are hashed while their end is looked for: FNV-1a, and a final mix that
 * brings the upper bits down to those that index the table. */
int map(struct weft_job *job, const char *line, size_t length)
{
	struct counts *c = weft_state(job);
	const unsigned char *at = (const unsigned char *)line, *end = at + length;

	c->lines++;
	c->bytes += length + 1;
	while (at < end) {
		if (is_space[*at]) {
			at++;
			continue;
		}
		const unsigned char *word = at;
		uint64_t hash = 0xcbf29ce484222325;
		for (; at < end && !is_space[*at]; at++)
			hash = (hash ^ *at) * 0x100000001b3;
		hash ^= hash >> 32;
		c->words++;
		if (top && !add(c, hash, (const char *)word, (size_t)(at - word), 1))
			return weft_fail(job, "no memory");
	}
	return 0;
}

int merge(struct weft_job *job, struct counts *total, struct counts *part)
{
	bool fine = true;

	total->lines += part->lines;
	total->words += part->words;
	total->bytes += part->bytes;
	for (size_t i = 0; fine && i < part->capacity; i++) {
		const struct word *w = &part->table[i];
		if (w->count)
			fine = add(total, w->hash, part->text + w->text, w->length, w->count);
	}
	free(part->table);
	free(part->text);
	return fine ? 0 : weft_fail(job, "no memory");
}

static const char *texts; /* for qsort */

/* The most frequent first; among equals the order of the dictionary. */
static int by_count(const void *left, const void *right)
{
	const struct word *a = left, *b = right;
	size_t shorter = a->length < b->length ? a->length : b->length;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	int order = memcmp(texts + a->text, texts + b->text, shorter);
	return order ? order : (a->length > b->length) - (a->length < b->length);
}

int finish(struct weft_job *job, struct counts *total)
{
	size_t n = 0;

	weft_emitf(job, "%llu lines, %llu words, %llu bytes\n", (unsigned long long)total->lines,
		   (unsigned long long)total->words, (unsigned long long)total->bytes);
	for (size_t i = 0; i < total->capacity; i++)
		if (total->table[i].count)
			total->table[n++] = total->table[i];
	texts = total->text;
	if (n)
		qsort(total->table, n, sizeof *total->table, by_count);
	for (size_t i = 0; i < n && i < top; i++) {
		const struct word *w = &total->table[i];
		weft_emitf(job, "%8llu  %.*s\n", (unsigned long long)w->count, (int)w->length,
			   texts + w->text);
	}
	free(total->table);
	free(total->text);
	return 0;
}
