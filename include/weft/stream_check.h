/* SPDX-License-Identifier: MIT */
/*
 * weft/stream_check.h - does a stage keep the rules of streams?
 *
 * For tests of stages, one's own or weft's.  A stage is put over a source that counts
 * what is done to it, and is read to its end, to an error, past both, and closed at
 * several moments.
 *
 *	static struct weft_stream *evens(struct weft_stream *source, void *arg) { ... }
 *	static const struct weft_stage stage = { .name = "evens", .make = evens };
 *
 *	const char *rule = weft_stream_check(&stage);
 *
 * The result is NULL, or the rule that does not hold.
 *
 * The rules (those with a number in brackets are from Reactive Streams 1.0.4):
 *
 *	an end stays, and so does an error  [1.7];
 *	nobody asks a source that is at its end, or closed  [2.4];
 *	a WEFT_ECANCELED changes nothing: the same items come as without;
 *	close may come at any time and again  [3.7]; then weft_next is WEFT_ECLOSED;
 *	a source is closed once, with its stage, and freed once;
 *	NULL for a source gives NULL;
 *	of the items that were taken each is delivered or dropped, once (.passes).
 *
 *	threads    the caller's; stages with tasks need a task
 *	memory     all is freed again
 *	errors     none but the result
 *	blocking   as the stage does
 */
#ifndef WEFT_STREAM_CHECK_H
#define WEFT_STREAM_CHECK_H

#include <stdbool.h>
#include <string.h>

#include <weft/error.h>
#include <weft/stream.h>

/* The source: int64_t 0 .. n - 1, and then rc. */
struct weft_probe {
	int64_t n;
	int rc;
	bool balks; /* WEFT_ECANCELED before each item and before rc */

	/* What was done to it. */
	int64_t given, dropped;
	int closed, freed;
	int late; /* asked after it was over */
	bool balked, over;
};

static inline int weft_probe_next(void *state, void *item)
{
	struct weft_probe *p = *(struct weft_probe **)state;

	if (p->over || p->closed)
		p->late++;
	p->balked = p->balks && !p->balked;
	if (p->balked)
		return WEFT_ECANCELED;
	p->over = p->given >= p->n;
	if (p->over)
		return p->rc;
	memcpy(item, &p->given, sizeof p->given);
	p->given++;
	return 1;
}

static inline void weft_probe_close(void *state)
{
	(*(struct weft_probe **)state)->closed++;
}

static inline void weft_probe_free(void *state)
{
	(*(struct weft_probe **)state)->freed++;
}

static inline void weft_probe_drop(void *item, void *arg)
{
	(void)item;
	((struct weft_probe *)arg)->dropped++;
}

static inline struct weft_stream *weft_probe_open(struct weft_probe *p)
{
	static const struct weft_stream_ops ops = { weft_probe_next, weft_probe_close,
						    weft_probe_free, "probe" };
	void *state;
	struct weft_stream *s =
		weft_stream_create(&ops, sizeof(int64_t), sizeof p, &state, NULL, 0);

	if (s)
		*(struct weft_probe **)state = p;
	return weft_stream_on_drop(s, weft_probe_drop, p);
}

typedef struct weft_stream *weft_stage_fn(struct weft_stream *source, void *arg);

struct weft_stage {
	const char *name;
	weft_stage_fn *make; /* over int64_t; items of up to 256 bytes */
	void *arg;
	bool passes; /* what comes out is what went in, or less: drops can be counted */
	bool tasks;  /* it runs tasks: a source that is cancelled by itself ends them */
};

enum {
	WEFT_STAGE_N = 300, /* items of a run */
	WEFT_STAGE_ITEM = 256,
};

struct weft_stage_run {
	struct weft_probe probe;
	struct weft_stream *s;
	int64_t got;
	uint64_t sum; /* of the bytes of all items, in order */
	int rc;
};

static inline bool weft_stage_begin(struct weft_stage_run *run, const struct weft_stage *stage,
				    int64_t n, int rc, bool balks)
{
	memset(run, 0, sizeof *run);
	run->probe.n = n;
	run->probe.rc = rc;
	run->probe.balks = balks;
	run->s = stage->make(weft_probe_open(&run->probe), stage->arg);
	return run->s && weft_stream_item_size(run->s) <= WEFT_STAGE_ITEM;
}

/* Reads up to `most` items, and passes over cancels when the source balks. */
static inline void weft_stage_read(struct weft_stage_run *run, int64_t most)
{
	unsigned char item[WEFT_STAGE_ITEM] __attribute__((aligned(16)));
	size_t size = weft_stream_item_size(run->s);

	for (run->rc = 1; run->got < most && run->rc > 0;) {
		while ((run->rc = weft_next(run->s, item)) == WEFT_ECANCELED && run->probe.balks)
			;
		if (run->rc <= 0)
			break;
		run->got++;
		for (size_t i = 0; i < size; i++)
			run->sum = (run->sum ^ item[i]) * 1099511628211u;
	}
}

/* Closes and frees it from any state. */
static inline const char *weft_stage_end(struct weft_stage_run *run, const struct weft_stage *stage)
{
	unsigned char item[WEFT_STAGE_ITEM] __attribute__((aligned(16)));

	weft_stream_close(run->s);
	if (run->probe.closed != 1 || run->probe.freed != 0)
		return "a source is closed with its stage";
	if (weft_next(run->s, item) != WEFT_ECLOSED)
		return "what is closed says so";
	weft_stream_close(run->s);
	weft_stream_destroy(run->s);
	if (run->probe.closed != 1 || run->probe.freed != 1)
		return "a source is closed and freed once";
	if (run->probe.late)
		return "a source that is over is not asked again";
	if (stage->passes && run->got + run->probe.dropped != run->probe.given)
		return "an item is delivered or dropped, once";
	return NULL;
}

static inline const char *weft_stage_check_end(const struct weft_stage *stage, int64_t n, int end)
{
	unsigned char item[WEFT_STAGE_ITEM] __attribute__((aligned(16)));
	struct weft_stage_run run;

	if (!weft_stage_begin(&run, stage, n, end, false))
		return "it can be made";
	weft_stage_read(&run, INT64_MAX);
	if (run.rc != end && run.rc != 0)
		return "ends and errors travel downwards as they are";
	for (int i = 0; i < 3; i++)
		if (weft_next(run.s, item) != run.rc)
			return "ends and errors stay";
	return weft_stage_end(&run, stage);
}

static inline const char *weft_stage_check_close(const struct weft_stage *stage, int64_t after)
{
	struct weft_stage_run run;

	if (!weft_stage_begin(&run, stage, WEFT_STAGE_N, 0, false))
		return "it can be made";
	weft_stage_read(&run, after);
	return weft_stage_end(&run, stage);
}

static inline const char *weft_stage_check_cancel(const struct weft_stage *stage, int end)
{
	struct weft_stage_run calm, balky;
	const char *rule;

	if (!weft_stage_begin(&calm, stage, WEFT_STAGE_N, end, false) ||
	    !weft_stage_begin(&balky, stage, WEFT_STAGE_N, end, true))
		return "it can be made";
	weft_stage_read(&calm, INT64_MAX);
	weft_stage_read(&balky, INT64_MAX);
	if (calm.got != balky.got || calm.sum != balky.sum || calm.rc != balky.rc)
		return "a cancel loses nothing";
	rule = weft_stage_end(&calm, stage);
	return rule ? rule : weft_stage_end(&balky, stage);
}

static inline const char *weft_stream_check(const struct weft_stage *stage)
{
	static const int64_t counts[] = { 0, 1, 2, 7, WEFT_STAGE_N };
	const char *rule = NULL;

	if (stage->make(NULL, stage->arg))
		return "NULL for a source gives NULL";
	for (int i = 0; i < 5 && !rule; i++)
		rule = weft_stage_check_end(stage, counts[i], 0);
	for (int i = 0; i < 5 && !rule; i++)
		rule = weft_stage_check_end(stage, counts[i], WEFT_EIO);
	for (int i = 0; i < 5 && !rule; i++)
		rule = weft_stage_check_close(stage, counts[i]);
	if (!rule && !stage->tasks)
		rule = weft_stage_check_cancel(stage, 0);
	if (!rule && !stage->tasks)
		rule = weft_stage_check_cancel(stage, WEFT_EIO);
	return rule;
}

#endif
