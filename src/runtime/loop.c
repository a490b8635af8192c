/* SPDX-License-Identifier: MIT */
/*
 * loop.c - parallel loops that split when somebody asks
 *
 *   Lazy splitting: A. Tzannes et al., Lazy binary-splitting, PPoPP 2010.
 *
 * A piece is worked off in chunks from the left.  Between chunks its worker
 * looks at the hungry byte; when it is set, the upper half of what is left goes
 * to the deque, and the lower half is worked on first.
 *
 *	[ done | chunk |   lower half   |      offered      ]
 *	               ^ here                ^ a frame on this stack
 *
 * A chunk aims at 10 us: a hungry worker waits no longer, and a look at the
 * cycle counter per chunk is 0.1 %.  The size is measured, chunk by chunk, and
 * remembered by the body's address from one loop to the next.  When one item
 * alone takes longer, or nothing is known yet, the halves are offered unasked:
 * the owner will not be back at the byte for a while, and an offer that nobody
 * takes costs 10 ns.
 *
 * The first error in index order wins.  Pieces hand theirs up as they are
 * joined, lower half before upper; `stop` only spares work.
 */
#include "runtime/loop.h"

#include <weft/error.h>

#include "deque/atomic.h"
#include "runtime/frame.h"
#include "runtime/region.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"
#include "runtime/worker.h"

enum {
	LEAP = 1024, /* items of a first chunk, however cheap they were last time */
	GROWTH = 8,  /* from one chunk to the next */
};

/* What the pieces of one loop share. */
struct shared {
	const struct weft__loop *loop;
	uint64_t chunk_ticks; /* what a chunk should take */
	uint64_t share_cost;  /* of a piece that is worth handing over */
	uint64_t item_cost;   /* latest measure, 0: none */
	uint32_t stop;	      /* some piece failed */
};

struct piece {
	struct shared *shared;
	size_t begin, end;
	size_t failed; /* the item of the first error, or NOWHERE */
};

#define NOWHERE SIZE_MAX

static int work_off(void *arg);

/* --- how large a chunk ------------------------------------------------- */

/* Items that should take one chunk's time at this cost, at least 1. */
static size_t items_in_chunk(uint64_t chunk_ticks, uint64_t item_cost)
{
	uint64_t n = chunk_ticks * WEFT__COST_UNIT / (item_cost ? item_cost : 1);
	return n ? n : 1;
}

static size_t first_chunk(const struct shared *s)
{
	uint64_t cost = load_relaxed(&s->item_cost);
	if (cost == 0)
		return 1;
	size_t n = items_in_chunk(s->chunk_ticks, cost);
	return n < LEAP ? n : LEAP;
}

/* After n items took `ticks`: the next chunk.  Grows by steps, since items may
 * get dearer; shrinks at once. */
static size_t next_chunk(struct shared *s, size_t n, uint64_t ticks)
{
	uint64_t cost = ticks * WEFT__COST_UNIT / n;
	size_t want;

	cost = cost ? cost : 1;
	store_relaxed(&s->item_cost, cost);
	want = items_in_chunk(s->chunk_ticks, cost);
	return want < n * GROWTH ? want : n * GROWTH;
}

/* An item, as far as known, that keeps its worker from the byte for too long. */
static bool items_are_long(const struct shared *s)
{
	uint64_t cost = load_relaxed(&s->item_cost);
	return cost == 0 || cost > s->chunk_ticks * WEFT__COST_UNIT;
}

/* --- a piece ----------------------------------------------------------- */

/* Both halves are worth handing over, as far as is known. */
static bool is_divisible(const struct piece *p)
{
	size_t left = p->end - p->begin;
	uint64_t cost = load_relaxed(&p->shared->item_cost);

	if (left < 2 || left / 2 < p->shared->loop->grain)
		return false;
	return cost == 0 || (double)left * (double)cost > 2.0 * (double)p->shared->share_cost;
}

static bool may_split(struct weft__worker *w, const struct piece *p)
{
	if (!weft_hungry() && !items_are_long(p->shared))
		return false;
	return w->runtime->worker_count > 1 && is_divisible(p) && weft__region_offers(w);
}

static int run_chunk(struct piece *p, size_t *chunk)
{
	struct shared *s = p->shared;
	size_t n = *chunk < p->end - p->begin ? *chunk : p->end - p->begin;
	struct weft_range r = { p->begin, p->begin + n };
	uint64_t began = weft__ticks();
	int rc = s->loop->body(&r, s->loop->arg);

	if (WEFT_UNLIKELY(rc < 0)) {
		p->failed = r.begin;
		return rc;
	}
	p->begin += n;
	*chunk = next_chunk(s, n, weft__ticks() - began);
	return 0;
}

/* The scope that the loop runs in was cancelled. */
static int stopped(struct piece *p)
{
	p->failed = p->begin;
	return WEFT_ECANCELED;
}

/* Offers the upper half and works off the lower one; what nobody took of the
 * upper half comes after that. */
static int split(struct weft__worker *w, struct piece *p)
{
	size_t middle = p->begin + (p->end - p->begin) / 2;
	struct piece lower = { p->shared, p->begin, middle, NOWHERE };
	struct piece upper = { p->shared, middle, p->end, NOWHERE };
	int rc = weft__frame_fork(w, work_off, &lower, work_off, &upper);

	p->begin = p->end;
	p->failed = lower.failed != NOWHERE ? lower.failed : upper.failed;
	return rc;
}

static int work_off(void *arg)
{
	struct piece *p = arg;
	struct shared *s = p->shared;
	size_t grain = s->loop->grain ? s->loop->grain : 1;
	size_t chunk = first_chunk(s);
	int rc = 0;

	while (p->begin < p->end && rc == 0 && !load_relaxed(&s->stop)) {
		struct weft__worker *w = weft__worker_self();

		if (chunk < grain)
			chunk = grain;
		if (w && weft__strand_check(weft__worker_fiber(w)->strand) != 0)
			rc = stopped(p);
		else
			rc = w && may_split(w, p) ? split(w, p) : run_chunk(p, &chunk);
	}
	if (rc < 0)
		store_relaxed(&s->stop, 1);
	return rc;
}

/* --- a loop ------------------------------------------------------------ */

static int run_on_worker(struct weft__worker *w, const struct weft__loop *loop, struct piece *p,
			 uint64_t cost, double expected)
{
	struct shared s = {
		.loop = loop,
		.chunk_ticks = WEFT__CHUNK_US * w->runtime->ticks_per_us,
		.share_cost = WEFT__SHARE_US * w->runtime->ticks_per_us * WEFT__COST_UNIT,
		.item_cost = cost,
	};
	bool outermost = weft__region_enter(w, expected);

	p->shared = &s;
	int rc = work_off(p);
	if (outermost)
		weft__region_leave();
	weft__region_learn_item_cost(loop->key, load_relaxed(&s.item_cost));
	return rc;
}

static int run_alone(const struct weft__loop *loop, struct piece *p)
{
	struct weft_range r = { p->begin, p->end };
	int rc = r.begin < r.end ? loop->body(&r, loop->arg) : 0;

	p->failed = r.begin;
	return rc < 0 ? rc : 0;
}

int weft__loop_run(const struct weft__loop *loop, size_t begin, size_t end, size_t *failed)
{
	struct weft__worker *w = weft__worker_self();
	struct piece p = { NULL, begin, end, NOWHERE };
	size_t n = end - begin;
	uint64_t cost = w ? weft__region_item_cost(w, loop->key) : 0;
	double expected = (double)cost / WEFT__COST_UNIT * (double)n;
	int rc;

	if (!w || (n <= LEAP && weft__region_is_short(w, loop->key, expected)))
		rc = run_alone(loop, &p);
	else
		rc = run_on_worker(w, loop, &p, cost, expected);
	*failed = p.failed;
	return rc;
}

static const void *key_of(void (*fn)(void))
{
	return (const void *)(uintptr_t)fn;
}

int weft_for_opt(size_t begin, size_t end, weft_range_fn *body, void *arg,
		 const struct weft_for_opts *opts)
{
	struct weft__loop loop = { body, arg, key_of((void (*)(void))body),
				   opts ? opts->grain : 0 };
	size_t failed;

	if (begin > end || !body || !weft__loop_opts_ok(opts))
		return WEFT_EINVAL;
	int rc = weft__loop_run(&loop, begin, end, &failed);
	weft__loop_blame(opts, rc, failed);
	return rc;
}

/* --- arrays and lists of calls ----------------------------------------- */

struct each {
	char *base;
	size_t size;
	weft_item_fn *fn;
	void *arg;
};

static int each_piece(struct weft_range *r, void *arg)
{
	struct each *e = arg;

	for (size_t i = r->begin; i < r->end; i++) {
		int rc = e->fn(e->base + i * e->size, e->arg);
		if (WEFT_UNLIKELY(rc < 0)) {
			r->begin = i;
			return rc;
		}
	}
	return 0;
}

int weft_for_each_opt(void *base, size_t n, size_t size, weft_item_fn *fn, void *arg,
		      const struct weft_for_opts *opts)
{
	struct each each = { base, size, fn, arg };
	struct weft__loop loop = { each_piece, &each, key_of((void (*)(void))fn),
				   opts ? opts->grain : 0 };
	size_t failed;

	if (!fn || !weft__loop_opts_ok(opts) || (n && (!base || size == 0)))
		return WEFT_EINVAL;
	int rc = weft__loop_run(&loop, 0, n, &failed);
	weft__loop_blame(opts, rc, failed);
	return rc;
}

static int call(void *item, void *arg)
{
	const struct weft_call *c = item;

	(void)arg;
	return c->fn(c->arg);
}

int weft_all_opt(const struct weft_call *calls, size_t n, const struct weft_for_opts *opts)
{
	struct each each = { (char *)(uintptr_t)calls, sizeof *calls, call, NULL };
	struct weft__loop loop = { each_piece, &each, NULL, 0 };
	size_t failed;

	if (!weft__loop_opts_ok(opts) || (n && !calls))
		return WEFT_EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!calls[i].fn)
			return WEFT_EINVAL;
	if (n)
		loop.key = key_of((void (*)(void))calls[0].fn);
	int rc = weft__loop_run(&loop, 0, n, &failed);
	weft__loop_blame(opts, rc, failed);
	return rc;
}
