/* SPDX-License-Identifier: MIT */
/*
 * streams.h - what the tests of streams that run tasks share
 *
 * A script is a source: items with the times at which they come, and how it ends.  All
 * runs by the virtual clock, and readings say what came when, in milliseconds.
 */
#ifndef WEFT_TESTS_STREAMS_H
#define WEFT_TESTS_STREAMS_H

#include <weft/weft.h>

#include "deque/alloc.h"
#include "deque/atomic.h"
#include "runtime/runtime.h"

/* Where a runtime's tasks of a test leave what they saw. */
struct reading {
	int rc;
	int64_t item;
	int64_t at; /* ms */
};

static inline int64_t ms_now(void)
{
	return (weft_now() + 1000) / 1000000;
}

/* Items first, first + step ... `n` of them (0: no end), one each `every` after `delay`;
 * then `end`.  A cancelled sleep loses nothing. */
struct script {
	int64_t first, step;
	size_t n;
	int64_t delay, every;
	int end;

	int64_t next_at;
	size_t made;
	bool begun, in_wait;
	int closed, cut_off;
};

static inline int script_next(void *state, void *item)
{
	struct script *s = *(struct script **)state;
	int rc;

	if (!s->begun) {
		s->begun = true;
		s->next_at = weft_now() + s->delay;
	}
	if (s->n && s->made == s->n)
		return s->end;
	s->in_wait = true;
	rc = s->next_at > weft_now() ? weft_sleep_until(s->next_at) : weft_checkpoint();
	s->in_wait = false;
	if (rc != 0) {
		s->cut_off++;
		return rc;
	}
	*(int64_t *)item = s->first + (int64_t)s->made * s->step;
	s->made++;
	s->next_at += s->every;
	return 1;
}

static inline void script_close(void *state)
{
	(*(struct script **)state)->closed++;
}

static inline struct weft_stream *script(struct script *s)
{
	static const struct weft_stream_ops ops = {
		.next = script_next,
		.close = script_close,
		.name = "script",
	};
	void *state;
	struct weft_stream *stream =
		weft_stream_create(&ops, sizeof(int64_t), sizeof s, &state, NULL, 0);

	if (stream)
		*(struct script **)state = s;
	return stream;
}

/* Reads up to n times, up to and with what is no item. */
static inline size_t read_on(struct weft_stream *s, struct reading *r, size_t n)
{
	size_t i = 0;

	while (i < n) {
		r[i].item = -1;
		r[i].rc = weft_next(s, &r[i].item);
		r[i].at = ms_now();
		if (r[i++].rc <= 0)
			break;
	}
	return i;
}

/* Lets all others run until they wait; timers do not count. */
static inline void let_run(void)
{
	weft_wait_all_blocked();
}

static inline int run_virtual(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

#endif
