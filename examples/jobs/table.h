/* SPDX-License-Identifier: MIT */
/*
 * table.h - counts by text, for jobs that reduce to a table
 *
 * Entries lie one after the other in the order in which their texts were first
 * added; slots find them by hash, with open addressing.  A table of a part is
 * small and stays in the cache; table_merge() goes through it in order and asks
 * for the places in the large table a few entries ahead of time.
 *
 *   use        include it before any other header.
 *   memory     a zeroed table is empty; fini frees what it grew.
 *   errors     false when there is no memory.
 */
#ifndef TABLE_H
#define TABLE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* qsort_r */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t count, sum;
	size_t text; /* where in table.text it begins */
	uint32_t length, hash;
};

struct slot {
	uint32_t hash;
	uint32_t entry; /* its index + 1; 0: free */
};

struct table {
	struct entry *entries;
	size_t used, room;
	struct slot *slots;
	size_t slot_count; /* a power of two, at least twice as many as entries */
	char *text;
	size_t text_used, text_room;
};

/* FNV-1a, one byte at a time, so that a scanner can hash as it goes. */
#define TABLE_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t table_hash_byte(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* The lower bits choose the slot: mix the upper ones into them. */
static inline uint32_t table_hash_end(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

static inline uint32_t table_hash(const char *text, size_t length)
{
	uint64_t hash = TABLE_HASH_BEGIN;

	for (size_t i = 0; i < length; i++)
		hash = table_hash_byte(hash, (unsigned char)text[i]);
	return table_hash_end(hash);
}

/* The slot of the text, or the free one where it belongs. */
static inline struct slot *table_find(const struct table *t, uint32_t hash, const char *text,
				      size_t length)
{
	for (size_t i = hash;; i++) {
		struct slot *slot = &t->slots[i & (t->slot_count - 1)];
		if (!slot->entry)
			return slot;
		if (slot->hash != hash)
			continue;
		const struct entry *e = &t->entries[slot->entry - 1];
		if (e->length == length && !memcmp(t->text + e->text, text, length))
			return slot;
	}
}

/* Twice the slots; all entries find their places anew. */
static inline bool table_grow_slots(struct table *t)
{
	size_t count = t->slot_count ? 2 * t->slot_count : 256;
	struct slot *slots = calloc(count, sizeof *slots);

	if (!slots)
		return false;
	for (size_t n = 0; n < t->used; n++) {
		size_t i = t->entries[n].hash & (count - 1);
		while (slots[i].entry)
			i = (i + 1) & (count - 1);
		slots[i] = (struct slot){ t->entries[n].hash, (uint32_t)n + 1 };
	}
	free(t->slots);
	t->slots = slots;
	t->slot_count = count;
	return true;
}

/* Room for one more entry, with a text of this length. */
static inline bool table_reserve(struct table *t, size_t length)
{
	if (2 * t->used >= t->slot_count && !table_grow_slots(t))
		return false;
	if (t->used == t->room) {
		size_t room = 2 * t->room + 128;
		struct entry *entries = realloc(t->entries, room * sizeof *entries);
		if (!entries)
			return false;
		t->entries = entries;
		t->room = room;
	}
	if (t->text_room - t->text_used < length) {
		size_t room = 2 * t->text_room + length + 1024;
		char *text = realloc(t->text, room);
		if (!text)
			return false;
		t->text = text;
		t->text_room = room;
	}
	return true;
}

/* Adds to the entry of the text, which is made if there is none. */
static inline bool table_add(struct table *t, uint32_t hash, const char *text, size_t length,
			     uint64_t count, uint64_t sum)
{
	struct slot *slot = t->slots ? table_find(t, hash, text, length) : NULL;

	if (!slot || !slot->entry) {
		if (length > UINT32_MAX || !table_reserve(t, length))
			return false;
		slot = table_find(t, hash, text, length); /* it may have moved */
		t->entries[t->used] = (struct entry){ 0, 0, t->text_used, (uint32_t)length, hash };
		*slot = (struct slot){ hash, (uint32_t)++t->used };
		memcpy(t->text + t->text_used, text, length);
		t->text_used += length;
	}
	t->entries[slot->entry - 1].count += count;
	t->entries[slot->entry - 1].sum += sum;
	return true;
}

/* Adds all of `from` to `t`, in the order of `from`. */
static inline bool table_merge(struct table *t, const struct table *from)
{
	const size_t ahead = 16;

	for (size_t n = 0; n < from->used; n++) {
		const struct entry *e = &from->entries[n];
		if (n + ahead < from->used && t->slots)
			__builtin_prefetch(&t->slots[e[ahead].hash & (t->slot_count - 1)]);
		if (!table_add(t, e->hash, from->text + e->text, e->length, e->count, e->sum))
			return false;
	}
	return true;
}

/* Puts the first `most` entries of an order in front, for reading only: none can be
 * found any more.  `order` gets the table and two of its entries. */
static inline void table_sort(struct table *t, size_t most,
			      int (*order)(const void *, const void *, void *))
{
	const size_t few = 64;
	struct entry *e = t->entries;

	if (most > few || most >= t->used) {
		if (t->used)
			qsort_r(e, t->used, sizeof *e, order, t);
		return;
	}
	/* The first of those before n are in order in front, and seldom is n one of them. */
	for (size_t n = 0; n < t->used && most > 0; n++) {
		struct entry here = e[n];
		size_t i = n < most ? n : most;
		if (i == most && order(&here, &e[most - 1], t) >= 0)
			continue;
		if (i == most)
			e[n] = e[--i];
		for (; i > 0 && order(&here, &e[i - 1], t) < 0; i--)
			e[i] = e[i - 1];
		e[i] = here;
	}
}

/* The order of the dictionary. */
static inline int table_by_text(const struct table *t, const struct entry *a, const struct entry *b)
{
	size_t shorter = a->length < b->length ? a->length : b->length;
	int order = memcmp(t->text + a->text, t->text + b->text, shorter);

	return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The highest count first. */
static inline int table_by_count(const void *left, const void *right, void *table)
{
	const struct entry *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return table_by_text(table, a, b);
}

static inline void table_fini(struct table *t)
{
	free(t->entries);
	free(t->slots);
	free(t->text);
	*t = (struct table){ 0 };
}

#endif
