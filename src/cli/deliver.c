/* SPDX-License-Identifier: MIT */
/*
 * deliver.c - the end of a part: output, messages, counts, reduction
 *
 * This runs for one part after the other, in the order of the input, whichever
 * lane finished them.  Only here is it known how many records came before, so
 * only here do records get their numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "lane.h"
#include "run.h"
#include "say.h"

/* A note: this, and `length` bytes of text. */
struct note {
	uint64_t index; /* of the record in the part, NO_RECORD for the whole file */
	uint64_t offset;
	size_t length;
};

#define NO_RECORD UINT64_MAX

static bool add_note(struct weft__part *part, const struct note *note, const char *text)
{
	return weft__buffer_reserve(&part->notes, sizeof *note + note->length) &&
	       weft__buffer_add(&part->notes, note, sizeof *note) &&
	       weft__buffer_add(&part->notes, text, note->length);
}

bool weft__part_note(struct weft__part *part, uint64_t index, uint64_t offset, const char *text)
{
	struct note note = { .index = index, .offset = offset, .length = strlen(text) };

	return add_note(part, &note, text);
}

static bool take_notes(struct weft__part *part, uint64_t first, const char *notes, size_t size)
{
	struct note note;

	while (size >= sizeof note) {
		memcpy(&note, notes, sizeof note);
		notes += sizeof note;
		size -= sizeof note;
		note.index += note.index == NO_RECORD ? 0 : first;
		if (note.length > size || !add_note(part, &note, notes))
			return false;
		notes += note.length;
		size -= note.length;
	}
	return size == 0;
}

bool weft__part_take_notes(struct weft__part *part, uint64_t first, const char *notes, size_t size)
{
	size_t before = part->notes.used;
	bool fine = take_notes(part, first, notes, size);

	if (!fine)
		part->notes.used = before;
	return fine;
}

bool weft__part_note_file(struct weft__part *part, const char *text)
{
	return weft__part_note(part, NO_RECORD, 0, text);
}

/* Records of this file before the part. */
static uint64_t records_before(struct weft__run *run, const struct weft__part *part)
{
	uint64_t before = part->slice.source == run->source ? run->in_source : 0;

	return before + part->slice.skipped;
}

static void format_note(struct weft__buffer *text, const struct weft__part *part, uint64_t before,
			const struct note *note, const char *what)
{
	if (note->index == NO_RECORD)
		weft__buffer_format(text, "weft: %s: %.*s\n", part->slice.name, (int)note->length,
				    what);
	else
		weft__buffer_format(text, "weft: %s: record %llu (byte %llu): %.*s\n",
				    part->slice.name,
				    (unsigned long long)(before + note->index + 1),
				    (unsigned long long)note->offset, (int)note->length, what);
}

void weft__run_say_notes(struct weft__run *run, struct weft__part *part)
{
	uint64_t before = records_before(run, part);
	struct weft__buffer text = { 0 };

	for (size_t at = 0; at < part->notes.used;) {
		struct note note;
		memcpy(&note, part->notes.data + at, sizeof note);
		at += sizeof note;
		format_note(&text, part, before, &note, part->notes.data + at);
		at += note.length;
	}
	if (text.used > 0)
		weft__say_raw(text.data, text.used);
	weft__buffer_fini(&text);
	part->notes.used = 0;
}

static bool merge(struct weft__run *run, struct weft__part *part)
{
	struct weft__lane lane;

	if (!part->state)
		return true;
	weft__lane_init(&lane, run);
	weft__lane_begin(&lane, part, false);
	int rc = run->code->merge(&lane.job, run->total, part->state);
	if (rc == 0)
		return true;
	weft__say("%s: merge: %s", run->options->job, weft__lane_why(&lane, rc));
	weft__run_fail(run, WEFT__EXIT_RECORDS);
	return false;
}

static void count(struct weft__run *run, const struct weft__part *part)
{
	run->in_source = records_before(run, part) + part->records;
	run->source = part->slice.source;
	run->records += part->records;
	run->failed += part->failed;
}

/* How many of the parts are to be delivered: none behind one that is cut. */
static unsigned until_cut(struct weft__part *const *parts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (parts[i]->cut)
			return i + 1;
	return count;
}

static bool write_all(struct weft__run *run, struct weft__part *const *parts, unsigned count)
{
	struct iovec vector[count];
	int n = 0;

	for (unsigned i = 0; i < count; i++)
		if (parts[i]->out.used > 0)
			vector[n++] = (struct iovec){ .iov_base = parts[i]->out.data,
						      .iov_len = parts[i]->out.used };
	return n == 0 || weft__run_write(run, vector, n);
}

/* False when it ends the run. */
static bool deliver_one(struct weft__run *run, struct weft__part *part)
{
	weft__run_say_notes(run, part);
	count(run, part);
	bool merged = merge(run, part);
	free(part->state);
	part->state = NULL;
	if (part->code)
		weft__run_fail(run, (enum weft__exit)part->code);
	return merged && !part->cut;
}

bool weft__run_deliver(struct weft__part *const *parts, unsigned count, void *arg)
{
	struct weft__run *run = arg;
	unsigned n = until_cut(parts, count);
	bool going = write_all(run, parts, n);

	for (unsigned i = 0; i < n && going; i++)
		going = deliver_one(run, parts[i]);
	return going;
}
