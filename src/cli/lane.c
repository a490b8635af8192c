/* SPDX-License-Identifier: MIT */
/*
 * lane.c - one worker's share of a run: read a part, map it, hand it on
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/fork.h>

#include "isolate.h"
#include "lane.h"
#include "run.h"

/* Notes that a part keeps back until its turn. */
#define NOTES_MOST ((size_t)1 << 20)

/* States are aligned for any type and for vector instructions. */
#define STATE_ALIGNMENT ((size_t)64)

void *weft__state_new(const struct weft__code *code)
{
	size_t size = (code->state_size + STATE_ALIGNMENT - 1) / STATE_ALIGNMENT * STATE_ALIGNMENT;
	void *state = aligned_alloc(STATE_ALIGNMENT, size);

	return state ? memset(state, 0, code->state_size) : NULL;
}

void weft__lane_cut(struct weft__lane *lane, enum weft__exit code)
{
	lane->part->cut = true;
	lane->part->code = (int)code;
	weft__run_cut(lane->run, lane->part->number);
}

static void out_of_memory(struct weft__lane *lane)
{
	weft__part_note_file(lane->part, "out of memory");
	weft__lane_cut(lane, WEFT__EXIT_SYSTEM);
}

/* The state of the part; false when that ends the run. */
static bool make_state(struct weft__lane *lane)
{
	struct weft__run *run = lane->run;
	struct weft__part *part = lane->part;

	if (run->code->state_size == 0)
		return true;
	part->state = weft__state_new(run->code);
	if (!part->state) {
		out_of_memory(lane);
		return false;
	}
	weft__lane_begin(lane, part, false);
	int rc = run->code->init ? run->code->init(&lane->job, part->state) : 0;
	if (rc == 0)
		return true;
	char text[sizeof lane->why + 16];
	snprintf(text, sizeof text, "init: %s", weft__lane_why(lane, rc));
	weft__part_note_file(part, text);
	weft__lane_cut(lane, WEFT__EXIT_RECORDS);
	return false;
}

/* No record is half written at this point, so the output can go to others: holding
 * it while waiting for the head would be waiting for one another. */
void weft__lane_flush_notes(struct weft__lane *lane)
{
	struct weft__run *run = lane->run;

	if (lane->part->notes.used <= NOTES_MOST || run->apart)
		return;
	weft__lane_release(lane);
	if (weft__order_await_head(&run->order, lane->part))
		weft__run_say_notes(run, lane->part);
}

bool weft__lane_record_failed(struct weft__lane *lane, const char *why)
{
	struct weft__part *part = lane->part;

	weft__lane_drop(lane);
	part->failed++;
	if (!weft__part_note(part, part->records++, lane->job.offset, why)) {
		out_of_memory(lane);
		return false;
	}
	if (!lane->run->options->skip_failed) {
		weft__lane_cut(lane, WEFT__EXIT_RECORDS);
		return false;
	}
	weft__lane_flush_notes(lane);
	return true;
}

static bool too_long(struct weft__lane *lane)
{
	char why[128];

	snprintf(why, sizeof why, "longer than %zu bytes (--max-record)",
		 lane->run->options->max_record);
	return weft__lane_record_failed(lane, why);
}

static bool too_short(struct weft__lane *lane, size_t length)
{
	char why[128];

	snprintf(why, sizeof why, "the file ends after %zu of %zu bytes", length,
		 lane->run->options->record.length);
	return weft__lane_record_failed(lane, why);
}

/* map() returned `rc`.  False when the part ends here. */
static bool map_failed(struct weft__lane *lane, int rc)
{
	if (!lane->gone)
		return weft__lane_record_failed(lane, weft__lane_why(lane, rc));
	/* Without an output a record cannot but fail, and it is not to blame. */
	lane->part->cut = true;
	return false;
}

typedef bool next_fn(const struct weft__record_format *format, struct weft__cursor *c);

/* The loop that all records go through.  Records may be a few bytes long: what is
 * done for each is a few loads and stores. */
static inline __attribute__((always_inline)) void map_each(struct weft__lane *lane,
							   struct weft__cursor *c, next_fn *next)
{
	const struct weft__options *o = lane->run->options;
	int (*const function)(struct weft_job *, const char *, size_t) = lane->run->code->map;
	const size_t most = o->max_record;
	const size_t least = o->record.kind == WEFT__RECORD_FIXED ? o->record.length : 0;
	const uint64_t number = lane->part->number;
	const uint64_t base = lane->part->slice.offset;
	const char *begin = lane->part->slice.begin;
	bool going = true;

	while (going && atomic_load_explicit(&lane->run->last, memory_order_relaxed) >= number &&
	       next(&o->record, c)) {
		weft__lane_at(lane, base + (uint64_t)(c->begin - begin));
		lane->mark = lane->job.out;
		if (c->length > most || c->length < least) {
			going = c->length > most ? too_long(lane) : too_short(lane, c->length);
			continue;
		}
		int rc = function(&lane->job, c->record, c->length);
		if (rc == 0)
			lane->part->records++;
		else
			going = map_failed(lane, rc);
	}
}

void weft__lane_map(struct weft__lane *lane)
{
	const struct weft__record_format *format = &lane->run->options->record;
	struct weft__cursor c;

	weft__cursor_init(&c, lane->part->slice.begin, lane->part->slice.end, lane->scratch);
	if (format->kind == WEFT__RECORD_BYTE)
		map_each(lane, &c, weft__record_next_byte);
	else
		map_each(lane, &c, weft__record_next);
	if (c.at < c.end)
		lane->part->cut = true;
}

static void map_part(struct weft__lane *lane)
{
	struct weft__part *part = lane->part;
	struct weft__run *run = lane->run;

	weft__lane_begin(lane, part, true);
	if (part->slice.too_long)
		too_long(lane);
	else if (run->isolation)
		weft__isolate_map(lane);
	else
		weft__lane_map(lane);
	weft__lane_end(lane);
	atomic_fetch_add_explicit(&run->bytes_done, (uint64_t)(part->slice.end - part->slice.begin),
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&run->records_done, part->records, memory_order_relaxed);
}

/* There is no more input; was that because it has all been read? */
static void note_end(struct weft__run *run)
{
	if (atomic_load(&run->last) == UINT64_MAX)
		atomic_store(&run->complete, true);
}

/* Claims the next part; false when there is none.  The end of the input by an
 * error is a part too: it has its place in the order. */
static bool claim(struct weft__lane *lane)
{
	struct weft__run *run = lane->run;
	struct weft__slice slice;

	lane->part = NULL;
	pthread_mutex_lock(&run->reader);
	if (weft__order_wait_room(&run->order) &&
	    atomic_load_explicit(&run->last, memory_order_relaxed) == UINT64_MAX) {
		enum weft__input_result result = weft__input_next(&run->input, &slice);
		if (result != WEFT__INPUT_END)
			lane->part = weft__order_append(&run->order, &slice);
		if (result == WEFT__INPUT_FAILED) {
			weft__part_note_file(lane->part, run->input.message);
			weft__lane_cut(lane, WEFT__EXIT_INPUT);
		}
		if (result == WEFT__INPUT_END)
			note_end(run);
	}
	pthread_mutex_unlock(&run->reader);
	return lane->part != NULL;
}

/* Maps the part that the lane has claimed, and hands it on. */
static void work(struct weft__lane *lane)
{
	if (!lane->part->cut && make_state(lane))
		map_part(lane);
	weft__block_put(lane->part->slice.block);
	weft__order_finish(&lane->run->order, lane->part);
}

static int offer_lane(struct weft__lane *lane);

/* A hungry worker becomes a lane.  There is no more to it: one that comes too
 * late finds no parts left. */
static int go_on(void *arg)
{
	struct weft__lane *lane = arg;

	work(lane);
	while (claim(lane)) {
		if (weft_hungry())
			return offer_lane(lane);
		work(lane);
	}
	return 0;
}

/* Only a lane that holds a part offers another, so there are no more offers than
 * parts. */
static int offer_lane(struct weft__lane *lane)
{
	return weft_both_offered(go_on, lane, weft__lane_run, lane->run);
}

static int run_lane(struct weft__lane *lane)
{
	const struct weft__record_format *record = &lane->run->options->record;

	if (!claim(lane))
		return 0;
	if (record->kind == WEFT__RECORD_FIXED && !(lane->scratch = malloc(record->length + 1)))
		out_of_memory(lane);
	/* Offered whether anybody is hungry now or not: the first record may take
	 * a minute, and the other workers may just be starting. */
	int rc = offer_lane(lane);
	free(lane->scratch);
	return rc;
}

int weft__lane_run(void *arg)
{
	struct weft__lane lane;

	weft__lane_init(&lane, arg);
	return run_lane(&lane);
}

int weft__lane_run_alone(struct weft__run *run, unsigned desk)
{
	struct weft__lane lane;

	weft__lane_init(&lane, run);
	lane.desk = desk;
	while (claim(&lane))
		work(&lane);
	return 0;
}
