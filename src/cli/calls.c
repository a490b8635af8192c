/* SPDX-License-Identifier: MIT */
/*
 * calls.c - what a job can ask for: the table behind weft/job.h
 *
 * Output gathers in the part's buffer.  One that grows past OUT_MOST is written
 * straight through, once it may: so a record can put out any amount in bounded
 * memory.  It pays for that by waiting for all before it.
 */
#include <stdio.h>
#include <string.h>

#include "lane.h"

#define OUT_FIRST ((size_t)1 << 16)
#define OUT_MOST  ((size_t)8 << 20)

static struct weft__lane *lane_of(struct weft_job *job)
{
	return (struct weft__lane *)job;
}

/* The part's buffer knows what the job has put into it ... */
static void sync_part(struct weft__lane *lane)
{
	if (lane->may_emit && lane->job.out)
		lane->part->out.used = (size_t)(lane->job.out - lane->part->out.data);
}

/* ... and the job knows what room there is. */
static void sync_job(struct weft__lane *lane)
{
	struct weft__buffer *out = &lane->part->out;

	lane->job.out = out->data ? out->data + out->used : NULL;
	lane->job.out_end = out->data ? out->data + out->capacity : NULL;
}

/* Writes what the part has emitted so far, as soon as it may. */
static bool drain(struct weft__lane *lane)
{
	struct weft__buffer *out = &lane->part->out;
	struct iovec whole = { .iov_base = out->data, .iov_len = out->used };

	if (!lane->writing)
		lane->writing = weft__order_acquire_output(&lane->run->order, lane->part);
	if (!lane->writing || !weft__run_write(lane->run, &whole, 1))
		lane->gone = true;
	out->used = 0;
	lane->mark = out->data;
	return !lane->gone;
}

static int no_memory(struct weft__lane *lane)
{
	return weft_fail(&lane->job, "no memory for the output");
}

/* Makes room for `n` bytes, at most OUT_MOST. */
static int make_room(struct weft__lane *lane, size_t n)
{
	struct weft__buffer *out = &lane->part->out;

	if (out->used + n > OUT_MOST && !lane->run->apart && !drain(lane))
		return -1;
	size_t marked = lane->mark ? (size_t)(lane->mark - out->data) : 0;
	size_t least = out->capacity < OUT_FIRST ? OUT_FIRST : n;
	if (!weft__buffer_reserve(out, n > least ? n : least))
		return no_memory(lane);
	lane->mark = out->data + marked;
	return 0;
}

static int refuse(struct weft__lane *lane)
{
	return weft_fail(&lane->job, "only map, start and finish may emit");
}

static int call_emit(struct weft_job *job, const void *data, size_t length)
{
	struct weft__lane *lane = lane_of(job);
	const char *at = data;

	if (!lane->may_emit)
		return refuse(lane);
	sync_part(lane);
	int rc = 0;
	while (rc == 0 && length > 0) {
		size_t step = length < OUT_MOST / 2 ? length : OUT_MOST / 2;
		rc = make_room(lane, step);
		if (rc == 0)
			weft__buffer_add(&lane->part->out, at, step);
		at += step;
		length -= step;
	}
	sync_job(lane);
	return rc;
}

static int call_emit_format(struct weft_job *job, const char *format, va_list values)
{
	struct weft__lane *lane = lane_of(job);
	size_t room = (size_t)(job->out_end - job->out);
	va_list again;

	if (!lane->may_emit)
		return refuse(lane);
	va_copy(again, values);
	int n = vsnprintf(job->out, room, format, values);
	int rc = n < 0 ? weft_fail(job, "weft_emitf: bad format") : 0;
	if (rc == 0 && (size_t)n >= room) {
		sync_part(lane);
		rc = make_room(lane, (size_t)n + 1);
		sync_job(lane);
		if (rc == 0)
			vsnprintf(job->out, (size_t)n + 1, format, again);
	}
	va_end(again);
	if (rc == 0)
		job->out += n;
	return rc;
}

static int call_fail(struct weft_job *job, const char *format, va_list values)
{
	struct weft__lane *lane = lane_of(job);

	vsnprintf(lane->why, sizeof lane->why, format, values);
	lane->failed = job->offset + 1;
	return -1;
}

static const char *call_arg(struct weft_job *job, const char *key)
{
	struct weft__options *o = lane_of(job)->run->options;

	/* The last one counts, as with all options. */
	for (size_t i = o->setting_count; i-- > 0;) {
		if (strcmp(o->settings[i].key, key))
			continue;
		atomic_store_explicit(&o->settings[i].used, true, memory_order_relaxed);
		return o->settings[i].value;
	}
	return NULL;
}

static const struct weft_job_calls calls = {
	.emit = call_emit,
	.emit_format = call_emit_format,
	.fail = call_fail,
	.arg = call_arg,
};

void weft__lane_init(struct weft__lane *lane, struct weft__run *run)
{
	memset(lane, 0, offsetof(struct weft__lane, why));
	lane->job.calls = &calls;
	lane->run = run;
}

void weft__lane_begin(struct weft__lane *lane, struct weft__part *part, bool may_emit)
{
	lane->part = part;
	lane->may_emit = may_emit;
	lane->failed = 0;
	lane->mark = NULL;
	lane->job.state = part->state;
	lane->job.input = part->slice.name;
	weft__lane_at(lane, part->slice.offset);
	lane->job.out = lane->job.out_end = NULL;
	if (may_emit)
		sync_job(lane);
}

void weft__lane_end(struct weft__lane *lane)
{
	sync_part(lane);
	lane->may_emit = false;
	if (lane->run->options->unordered && lane->part->out.used > 0)
		drain(lane);
	weft__lane_release(lane);
}

void weft__lane_drop(struct weft__lane *lane)
{
	struct weft__buffer *out = &lane->part->out;

	out->used = lane->mark ? (size_t)(lane->mark - out->data) : 0;
	sync_job(lane);
}

void weft__lane_release(struct weft__lane *lane)
{
	if (lane->writing)
		weft__order_release_output(&lane->run->order);
	lane->writing = false;
}

const char *weft__lane_why(struct weft__lane *lane, int rc)
{
	if (lane->failed != lane->job.offset + 1)
		snprintf(lane->why, sizeof lane->why, "the job returned %d", rc);
	return lane->why;
}
