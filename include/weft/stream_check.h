/* SPDX-License-Identifier: MIT */
/*
 * weft/stream_check.h - does a stage keep the rules of streams?
 *
 * For tests of stages and sources, one's own or weft's.  A stage is put over a source that
 * counts what is done to it, and is read to its end, to an error, past both, and closed
 * at several moments.
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
 *	a WEFT_ECANCELED, from the source or of the reader, changes nothing: the same items
 *	come as without;
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
#include <weft/scope.h>
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
	bool varies; /* what comes out depends on who is faster */
	bool source; /* it is a source, which ends: make() gets NULL, and there are no drops */
};

enum {
	WEFT_STAGE_N = 300, /* items of a run */
	WEFT_STAGE_ITEM = 256,
};

struct weft_stage_run {
	struct weft_probe probe;
	struct weft_stream *s;
	bool cut; /* the reader is cancelled now and then */
	int64_t got, reads;
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
	run->s = stage->make(stage->source ? NULL : weft_probe_open(&run->probe), stage->arg);
	return run->s && weft_stream_item_size(run->s) <= WEFT_STAGE_ITEM;
}

/* Every second read is that of one who is cancelled. */
static inline int weft_stage_next(struct weft_stage_run *run, void *item)
{
	struct weft_scope scope;

	if (!run->cut || run->reads++ % 2 || weft_scope_enter_opt(&scope, NULL) != 0)
		return weft_next(run->s, item);
	weft_scope_cancel(&scope);
	int rc = weft_next(run->s, item);
	weft_scope_leave(&scope, 0);
	return rc;
}

/* Reads up to `most` items, and passes over cancels that are meant to be. */
static inline void weft_stage_read(struct weft_stage_run *run, int64_t most)
{
	unsigned char item[WEFT_STAGE_ITEM] __attribute__((aligned(16)));
	size_t size = weft_stream_item_size(run->s);

	for (run->rc = 1; run->got < most && run->rc > 0;) {
		while ((run->rc = weft_stage_next(run, item)) == WEFT_ECANCELED &&
		       (run->probe.balks || run->cut))
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
	int one = !stage->source;

	weft_stream_close(run->s);
	if (run->probe.closed != one || run->probe.freed != 0)
		return "a source is closed with its stage";
	if (weft_next(run->s, item) != WEFT_ECLOSED)
		return "what is closed says so";
	weft_stream_close(run->s);
	weft_stream_destroy(run->s);
	if (run->probe.closed != one || run->probe.freed != one)
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
	if (!stage->source && run.rc != end && run.rc != 0)
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

static inline bool weft_stage_alike(const struct weft_stage_run *a, const struct weft_stage_run *b,
				    const struct weft_stage *stage)
{
	return a->rc == b->rc && (stage->varies || (a->got == b->got && a->sum == b->sum));
}

/* Cancelled by its source, or by whoever reads it. */
static inline const char *weft_stage_check_cancel(const struct weft_stage *stage, int end, bool cut)
{
	struct weft_stage_run calm, balky;
	const char *rule;

	if (!weft_stage_begin(&calm, stage, WEFT_STAGE_N, end, false) ||
	    !weft_stage_begin(&balky, stage, WEFT_STAGE_N, end, !cut))
		return "it can be made";
	balky.cut = cut;
	weft_stage_read(&calm, INT64_MAX);
	weft_stage_read(&balky, INT64_MAX);
	if (!weft_stage_alike(&calm, &balky, stage))
		return "a cancel loses nothing";
	rule = weft_stage_end(&calm, stage);
	return rule ? rule : weft_stage_end(&balky, stage);
}

static inline const char *weft_stream_check(const struct weft_stage *stage)
{
	static const int64_t counts[] = { 0, 1, 2, 7, WEFT_STAGE_N };
	static const int ends[] = { 0, WEFT_EIO };
	const char *rule = NULL;

	if (!stage->source && stage->make(NULL, stage->arg))
		return "NULL for a source gives NULL";
	for (int i = 0; i < 10 && !rule; i++)
		rule = weft_stage_check_end(stage, counts[i % 5], ends[i / 5]);
	for (int i = 0; i < 5 && !rule; i++)
		rule = weft_stage_check_close(stage, counts[i]);
	for (int i = 0; i < 2 && !rule; i++)
		rule = weft_stage_check_cancel(stage, ends[i], true);
	for (int i = 0; i < 2 && !rule && !stage->tasks; i++)
		rule = weft_stage_check_cancel(stage, ends[i], false);
	return rule;
}

#endif
