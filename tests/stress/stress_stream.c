/* SPDX-License-Identifier: MIT */
/*
 * stress_stream.c - every item is read or dropped exactly once
 *
 * Random chains of stages that run tasks, over sources that wait now and then, are read by
 * a reader with short deadlines and closed at a random moment.  Each item is one bit:
 * who reads or drops it sets the bit and must find it unset.  After the close all items
 * that the sources made have their bit.
 */
#include <string.h>

#include <weft/weft.h>

#include "deque/atomic.h"
#include "deque/sanitizer.h"
#include "support/stress.h"

enum {
	SOURCES = 4,
	ITEMS = 400, /* of a source */
	ROUNDS = WEFT__SANITIZED ? 30 : 150,
	TASKS = 3, /* rounds at one time */
	/* AddressSanitizer gives each task that waits a second stack, eleven times as
	 * large, and clears its shadow again: with stacks of 1 MiB little else is done. */
	STACK = 128 << 10,
};

struct source {
	struct weft__rng rng;
	uint64_t first, made; /* made: written by whoever pulls, one at a time */
	int end;
};

struct round {
	struct weft__rng rng;
	struct source sources[SOURCES];
	uint64_t bits[SOURCES * ITEMS / 64 + 1];
};

static uint64_t reads, drops, cut_off;

static void mark(struct round *r, uint64_t item)
{
	STRESS_CHECK(item < SOURCES * ITEMS);
	uint64_t bit = UINT64_C(1) << (item % 64);
	STRESS_CHECK(!(or_seqcst(&r->bits[item / 64], bit) & bit));
}

static void drop(void *item, void *arg)
{
	mark(arg, *(uint64_t *)item);
	add_seqcst(&drops, 1);
}

/* --- sources -------------------------------------------------------------------- */

static int make(void *item, void *arg)
{
	struct source *s = arg;
	unsigned what = (unsigned)weft__rng_below(&s->rng, 16);
	int rc = what == 0 ? weft_sleep(WEFT_US((int64_t)weft__rng_below(&s->rng, 50))) : 0;

	if (what == 1)
		weft_yield();
	if (rc == 0)
		rc = weft_check();
	if (rc != 0)
		return rc;
	if (s->made == ITEMS)
		return s->end;
	*(uint64_t *)item = s->first + s->made++;
	return 1;
}

static struct weft_stream *source(struct round *r, unsigned i)
{
	struct source *s = &r->sources[i];

	weft__rng_init(&s->rng, weft__rng_next(&r->rng));
	s->first = i * ITEMS;
	s->made = 0;
	s->end = weft__rng_below(&r->rng, 4) ? 0 : -77;
	return weft_stream_on_drop(weft_from_function(make, s, sizeof(uint64_t)), drop, r);
}

/* --- chains ---------------------------------------------------------------------- */

static int same(const void *in, void *out, void *arg)
{
	uint64_t item = *(const uint64_t *)in;

	(void)arg;
	*(uint64_t *)out = item;
	if (item % 7 == 0)
		weft_yield();
	return 1;
}

/* A stream of one item, which it drops itself when nobody wants it. */
struct single {
	struct round *round;
	uint64_t item;
	bool given;
};

static int single_next(void *state, void *item)
{
	struct single *s = state;

	if (s->given)
		return 0;
	int rc = weft_checkpoint();
	if (rc != 0)
		return rc;
	s->given = true;
	memcpy(item, &s->item, sizeof s->item);
	return 1;
}

static void single_close(void *state)
{
	struct single *s = state;

	if (!s->given)
		drop(&s->item, s->round);
	s->given = true;
}

static struct weft_stream *one_of(const void *item, void *arg)
{
	static const struct weft_stream_ops ops = {
		.next = single_next,
		.close = single_close,
		.name = "single",
	};
	void *state;
	struct weft_stream *s =
		weft_stream_create(&ops, sizeof(uint64_t), sizeof(struct single), &state, NULL, 0);

	STRESS_CHECK(s);
	*(struct single *)state = (struct single){ arg, *(const uint64_t *)item, false };
	return s;
}

static struct weft_stream *stage(struct round *r, struct weft_stream *s)
{
	size_t n = weft__rng_below(&r->rng, 6);

	switch (weft__rng_below(&r->rng, 7)) {
	case 0:
		return weft_buffer(s, n);
	case 1:
		return weft_prefetch(s, n);
	case 2:
		return weft_apply(s, same, NULL, sizeof(uint64_t), .limit = n + 1);
	case 3:
		return weft_apply(s, same, NULL, sizeof(uint64_t), .limit = n + 1,
				  .unordered = true);
	case 4:
		return weft_flat_map(s, one_of, r, sizeof(uint64_t), .limit = n + 1);
	case 5:
		return weft_throttle(s, .rate = 1000000, .burst = 10);
	default:
		return weft_conflate(s);
	}
}

static struct weft_stream *chain(struct round *r)
{
	struct weft_stream *sources[SOURCES];

	for (unsigned i = 0; i < SOURCES; i++)
		sources[i] = weft_stream_on_drop(stage(r, source(r, i)), drop, r);
	struct weft_stream *s = weft_merge(sources, SOURCES, .delay_errors = true);
	for (size_t n = weft__rng_below(&r->rng, 3); n > 0; n--)
		s = weft_stream_on_drop(stage(r, s), drop, r);
	return s;
}

/* --- rounds ------------------------------------------------------------------------ */

static int read_one(struct round *r, struct weft_stream *s, uint64_t *item)
{
	struct weft_scope scope;

	if (weft__rng_below(&r->rng, 4))
		return weft_next(s, item);
	weft_scope_enter(&scope, .timeout = WEFT_US((int64_t)weft__rng_below(&r->rng, 20) + 1));
	return weft_scope_leave(&scope, weft_next(s, item));
}

static void read_some(struct round *r, struct weft_stream *s)
{
	uint64_t most = weft__rng_below(&r->rng, SOURCES * ITEMS * 2);

	for (uint64_t i = 0; i < most; i++) {
		uint64_t item;
		int rc = read_one(r, s, &item);
		if (rc > 0) {
			mark(r, item);
			add_seqcst(&reads, 1);
		} else if (rc == WEFT_ETIMEDOUT) {
			add_seqcst(&cut_off, 1);
		} else {
			STRESS_CHECK(rc == 0 || rc == -77);
			return;
		}
	}
}

static void check_all(const struct round *r)
{
	for (unsigned i = 0; i < SOURCES; i++) {
		const struct source *s = &r->sources[i];
		for (uint64_t k = s->first; k < s->first + ITEMS; k++) {
			bool set = r->bits[k / 64] >> k % 64 & 1;
			STRESS_CHECK(set == (k < s->first + s->made));
		}
	}
}

static int rounds(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uint64_t)(uintptr_t)arg);
	for (unsigned i = 0; i < ROUNDS * (unsigned)stress_scale / TASKS; i++) {
		struct round r;
		memset(r.bits, 0, sizeof r.bits);
		weft__rng_init(&r.rng, weft__rng_next(&rng));
		struct weft_stream *s = chain(&r);
		STRESS_CHECK(s);
		read_some(&r, s);
		weft_stream_destroy(s);
		check_all(&r);
	}
	return 0;
}

static int root(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_spawn(&g, rounds, (void *)i);
	return weft_group_close(&g, 0);
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;

	stress_begin(argc, argv);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads, .stack_size = STACK) == 0);
	STRESS_CHECK(weft_runtime_run(rt, root, NULL) == 0);
	weft_runtime_destroy(rt);
	printf("%ld streams; %" PRIu64 " items read, %" PRIu64 " dropped; %" PRIu64
	       " reads cut off\n",
	       (long)ROUNDS * stress_scale, reads, drops, cut_off);
	return 0;
}
