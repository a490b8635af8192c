/* SPDX-License-Identifier: MIT */
/*
 * Streams that only compute: the protocol, the sources out of memory, the pure stages.
 */
#include <stdlib.h>
#include <string.h>

#include "async/stream.h"
#include "deque/alloc.h"
#include "deque/rng.h"
#include "support/virtual.h"

#include <weft/stream_check.h>

TestSuite(stream, .timeout = 60);

static bool is_even(const void *item, void *arg)
{
	(void)arg;
	return *(const int64_t *)item % 2 == 0;
}

static bool is_below(const void *item, void *arg)
{
	return *(const int64_t *)item < *(const int64_t *)arg;
}

static int thrice(const void *in, void *out, void *arg)
{
	(void)arg;
	*(int64_t *)out = *(const int64_t *)in * 3;
	return *(int64_t *)out % 7 != 0;
}

static int add(void *acc, const void *item, void *arg)
{
	(void)arg;
	*(int64_t *)acc += *(const int64_t *)item;
	return 1;
}

/* What the stream gives is `n` numbers, and then rc. */
static void gives(struct weft_stream *s, const int64_t *want, size_t n, int rc)
{
	int64_t item;

	for (size_t i = 0; i < n; i++) {
		cr_assert(gt(int, weft_next(s, &item), 0));
		cr_assert(eq(i64, item, want[i]));
	}
	cr_assert(eq(int, weft_next(s, &item), rc));
	cr_assert(eq(int, weft_next(s, &item), rc));
	weft_stream_destroy(s);
}

#define GIVES(s, ...)                              \
	gives(s, (const int64_t[]){ __VA_ARGS__ }, \
	      sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), 0)

/* --- the rules, over every stage ------------------------------------------ */

static int64_t ten = 10, five = 5, zero;

static struct weft_stream *filter(struct weft_stream *s, void *arg)
{
	return weft_filter(s, is_even, arg);
}
static struct weft_stream *apply(struct weft_stream *s, void *arg)
{
	return weft__apply_here(s, thrice, arg, sizeof(int64_t));
}
static struct weft_stream *take(struct weft_stream *s, void *arg)
{
	return weft_take(s, (size_t) * (int64_t *)arg);
}
static struct weft_stream *skip(struct weft_stream *s, void *arg)
{
	return weft_skip(s, (size_t) * (int64_t *)arg);
}
static struct weft_stream *take_while(struct weft_stream *s, void *arg)
{
	return weft_take_while(s, is_below, arg);
}
static struct weft_stream *skip_while(struct weft_stream *s, void *arg)
{
	return weft_skip_while(s, is_below, arg);
}
static struct weft_stream *enumerate(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_enumerate(s);
}
static struct weft_stream *accumulate(struct weft_stream *s, void *arg)
{
	return weft_accumulate(s, arg, sizeof(int64_t), add, NULL);
}
static struct weft_stream *distinct(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_distinct(s);
}
static struct weft_stream *chain(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_chain((struct weft_stream *[]){ weft_from_range(0, 3, 1), s }, 2);
}
static struct weft_stream *chain_one(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_chain(&s, 1);
}
static struct weft_stream *interleave(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_interleave((struct weft_stream *[]){ weft_from_range(0, 3, 1), s }, 2);
}
static struct weft_stream *zip(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_zip(s, weft_from_range(0, 100, 1));
}
static struct weft_stream *zip_behind(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_zip(weft_from_range(0, 100, 1), s);
}
static struct weft_stream *many(struct weft_stream *s, void *arg)
{
	return take(filter(skip_while(s, &five), NULL), arg);
}

static const struct weft_stage stages[] = {
	{ .name = "filter", .make = filter, .passes = true },
	{ .name = "apply", .make = apply },
	{ .name = "take", .make = take, .arg = &ten, .passes = true },
	{ .name = "take none", .make = take, .arg = &zero, .passes = true },
	{ .name = "skip", .make = skip, .arg = &ten, .passes = true },
	{ .name = "take_while", .make = take_while, .arg = &ten, .passes = true },
	{ .name = "skip_while", .make = skip_while, .arg = &ten, .passes = true },
	{ .name = "enumerate", .make = enumerate, .passes = true },
	{ .name = "accumulate", .make = accumulate, .arg = &zero },
	{ .name = "distinct", .make = distinct, .passes = true },
	{ .name = "chain", .make = chain },
	{ .name = "chain of one", .make = chain_one, .passes = true },
	{ .name = "interleave", .make = interleave },
	{ .name = "zip", .make = zip, .passes = true },
	{ .name = "zip, second", .make = zip_behind, .passes = true },
	{ .name = "several", .make = many, .arg = &ten, .passes = true },
};

Test(stream, every_stage_keeps_the_rules)
{
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		const char *rule = weft_stream_check(&stages[i]);
		cr_assert(rule == NULL, "%s: not true: %s", stages[i].name, rule);
	}
}

Test(stream, ST_3_a_source_is_owned_also_when_a_stage_cannot_be_made)
{
	int64_t live = weft__alloc_live();

	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		bool failed = true;
		for (uint64_t n = 1; failed; n++) {
			struct weft_probe probe = { .n = 3 };
			struct weft_stream *source = weft_probe_open(&probe);
			weft__alloc_fail_at(n);
			struct weft_stream *s = stages[i].make(source, stages[i].arg);
			weft__alloc_fail_at(0);
			failed = s == NULL;
			weft_stream_destroy(s);
			cr_assert(eq(int, probe.closed, 1), "%s", stages[i].name);
			cr_assert(eq(int, probe.freed, 1), "%s", stages[i].name);
		}
	}
	cr_assert(eq(i64, weft__alloc_live(), live));
}

Test(stream, ST_3_null_and_nonsense_are_told_at_the_first_item)
{
	struct weft_probe probe = { .n = 3 };
	int64_t item;

	cr_assert(eq(int, weft_next(NULL, &item), WEFT_ENOMEM));
	weft_stream_close(NULL);
	weft_stream_destroy(NULL);
	cr_assert(zero(ptr, weft_zip(NULL, weft_probe_open(&probe))));
	cr_assert(eq(int, probe.freed, 1));
	gives(weft_filter(weft_probe_open(&probe), NULL, NULL), NULL, 0, WEFT_EINVAL);
	cr_assert(eq(int, probe.freed, 2));
	gives(weft_accumulate(weft_probe_open(&probe), NULL, 8, add, NULL), NULL, 0, WEFT_EINVAL);
	cr_assert(eq(int, probe.freed, 3));
	gives(weft_chain((struct weft_stream *[]){ weft_probe_open(&probe), weft_from_nothing(3) },
			 2),
	      NULL, 0, WEFT_EINVAL);
	cr_assert(eq(int, probe.freed, 4));
	gives(weft_from_range(0, 1, 0), NULL, 0, WEFT_EINVAL);
	gives(weft_from_array(NULL, 2, 8), NULL, 0, WEFT_EINVAL);
	gives(weft_from_function(NULL, NULL, 8), NULL, 0, WEFT_EINVAL);
	gives(weft_stream_create(NULL, 8, 8, NULL, NULL, 0), NULL, 0, WEFT_EINVAL);
}

/* --- closing ----------------------------------------------------------------- */

Test(stream, ST17_take_closes_its_source_with_the_last_item)
{
	struct weft_probe probe = { .n = INT64_MAX };
	struct weft_stream *s = weft_take(weft_probe_open(&probe), 1);
	int64_t item;

	cr_assert(eq(int, weft_next(s, &item), 1));
	cr_assert(eq(int, probe.closed, 1));
	cr_assert(eq(i64, probe.given, 1));
	cr_assert(eq(int, weft_next(s, &item), 0));
	weft_stream_destroy(s);
}

Test(stream, take_while_closes_its_source_with_the_first_that_is_not)
{
	struct weft_probe probe = { .n = INT64_MAX };
	struct weft_stream *s = weft_take_while(weft_probe_open(&probe), is_below, &five);
	int64_t item;

	for (int i = 0; i < 5; i++)
		cr_assert(eq(int, weft_next(s, &item), 1));
	cr_assert(eq(int, probe.closed, 0));
	cr_assert(eq(int, weft_next(s, &item), 0));
	cr_assert(eq(int, probe.closed, 1));
	cr_assert(eq(i64, probe.dropped, 1));
	weft_stream_destroy(s);
}

Test(stream, chain_closes_each_source_at_its_end)
{
	struct weft_probe a = { .n = 1 }, b = { .n = 1 };
	struct weft_stream *s =
		weft_chain((struct weft_stream *[]){ weft_probe_open(&a), weft_probe_open(&b) }, 2);
	int64_t item;

	weft_next(s, &item);
	cr_assert(eq(int, a.closed, 0));
	weft_next(s, &item);
	cr_assert(eq(int, a.closed, 1));
	cr_assert(eq(int, b.closed, 0));
	weft_stream_destroy(s);
	cr_assert(eq(int, a.closed, 1));
	cr_assert(eq(int, b.closed, 1));
}

static char closings[8];

static void leaves_name(void *state)
{
	strcat(closings, *(char **)state);
}

static int passes_on(void *state, void *item)
{
	(void)state;
	(void)item;
	return 0;
}

static struct weft_stream *named(char *name, struct weft_stream *source)
{
	static const struct weft_stream_ops ops = { .next = passes_on, .close = leaves_name };
	void *state;
	struct weft_stream *s =
		weft_stream_create(&ops, 8, sizeof name, &state, &source, source ? 1 : 0);

	*(char **)state = name;
	return s;
}

Test(stream, ST_1_close_goes_from_the_outermost_inwards)
{
	struct weft_stream *s = named("a", named("b", named("c", NULL)));

	weft_stream_close(s);
	weft_stream_close(s);
	weft_stream_destroy(s);
	cr_assert(eq(str, closings, "abc"));
}

/* --- cancel ------------------------------------------------------------------- */

static int balky(const void *in, void *out, void *arg)
{
	int *calls = arg;

	*(int64_t *)out = *(const int64_t *)in;
	return ++*calls % 2 ? WEFT_ECANCELED : 1;
}

Test(stream, ST_2_a_function_that_was_cancelled_gets_its_item_again)
{
	struct weft_probe probe = { .n = 3 };
	int calls = 0;
	struct weft_stream *s =
		weft__apply_here(weft_probe_open(&probe), balky, &calls, sizeof(int64_t));
	int64_t item;

	for (int64_t i = 0; i < 2; i++) {
		cr_assert(eq(int, weft_next(s, &item), WEFT_ECANCELED));
		cr_assert(eq(int, weft_next(s, &item), 1));
		cr_assert(eq(i64, item, i));
	}
	cr_assert(eq(int, weft_next(s, &item), WEFT_ECANCELED));
	cr_assert(eq(i64, probe.dropped, 0));
	weft_stream_close(s);
	cr_assert(eq(i64, probe.dropped, 1));
	weft_stream_destroy(s);
	cr_assert(eq(i64, probe.dropped, 1));
}

Test(stream, ST_2_the_half_of_a_pair_is_dropped_once)
{
	struct weft_probe a = { .n = 5 }, b = { .n = 2, .balks = true };
	struct weft_stream *s = weft_zip(weft_probe_open(&a), weft_probe_open(&b));
	int64_t pair[2];

	cr_assert(eq(int, weft_next(s, pair), WEFT_ECANCELED));
	cr_assert(eq(int, weft_next(s, pair), 1));
	cr_assert(eq(int, weft_next(s, pair), WEFT_ECANCELED));
	weft_stream_destroy(s);
	cr_assert(eq(i64, a.given, 2));
	cr_assert(eq(i64, a.dropped, 1));
	cr_assert(eq(i64, b.dropped, 0));
}

/* An array never waits, and yet a reader of it can be stopped. */
TaskTest(stream, ST_2_a_cancelled_reader_of_an_array_stops_and_loses_nothing)
{
	int64_t item = 0, sum = 0, was = 0;
	struct weft_stream *s = weft_from_range(0, 1000, 1);
	struct weft_scope scope;
	int rc;

	(void)arg;
	weft_scope_enter(&scope);
	while ((rc = weft_next(s, &item)) > 0) {
		sum += item;
		if (++was == 500)
			weft_scope_cancel(&scope);
	}
	HOLDS(rc == WEFT_ECANCELED && was < 600);
	HOLDS(weft_scope_leave(&scope, rc) == 0);
	while ((rc = weft_next(s, &item)) > 0)
		sum += item;
	HOLDS(rc == 0);
	HOLDS(sum == 999 * 500);
	weft_stream_destroy(s);
	return 0;
}

/* --- what comes out --------------------------------------------------------------- */

Test(stream, sources_give_what_they_have)
{
	static const int64_t some[] = { 3, 0, -1 };

	gives(weft_from_array(some, 3, 8), some, 3, 0);
	gives(weft_from_array(NULL, 0, 8), NULL, 0, 0);
	gives(weft_from_nothing(8), NULL, 0, 0);
	gives(weft_from_error(WEFT_EIO, 8), NULL, 0, WEFT_EIO);
	GIVES(weft_from_range(2, 9, 3), 2, 5, 8);
	GIVES(weft_from_range(2, -3, -2), 2, 0, -2);
	gives(weft_from_range(2, 2, 1), NULL, 0, 0);
	GIVES(weft_from_range(INT64_MAX - 1, INT64_MAX, 5), INT64_MAX - 1);
}

Test(stream, several_sources_become_one)
{
	GIVES(weft_chain((struct weft_stream *[]){ weft_from_range(0, 2, 1), weft_from_nothing(8),
						   weft_from_range(7, 9, 1) },
			 3),
	      0, 1, 7, 8);
	GIVES(weft_interleave((struct weft_stream *[]){ weft_from_range(0, 1, 1),
							weft_from_range(10, 13, 1),
							weft_from_range(20, 22, 1) },
			      3),
	      0, 10, 20, 11, 21, 12);
	gives(weft_chain(NULL, 0), NULL, 0, 0);
	gives(weft_interleave(NULL, 0), NULL, 0, 0);
	gives(weft_interleave((struct weft_stream *[]){ weft_from_range(0, 3, 1),
							weft_from_error(WEFT_EIO, 8) },
			      2),
	      (const int64_t[]){ 0 }, 1, WEFT_EIO);
}

Test(stream, pairs_and_numbers_lie_at_8_bytes)
{
	struct weft_stream *s =
		weft_enumerate(weft_zip(weft_from_array("abc", 3, 1), weft_from_range(5, 100, 1)));
	struct {
		uint64_t index;
		char c;
		int64_t number;
	} item;

	cr_assert(eq(sz, weft_stream_item_size(s), sizeof item));
	for (uint64_t i = 0; i < 3; i++) {
		cr_assert(eq(int, weft_next(s, &item), 1));
		cr_assert(eq(u64, item.index, i));
		cr_assert(eq(chr, item.c, "abc"[i]));
		cr_assert(eq(i64, item.number, 5 + (int64_t)i));
	}
	cr_assert(eq(int, weft_next(s, &item), 0));
	weft_stream_destroy(s);
}

/* --- ST23 ------------------------------------------------------------------------- */

struct counter {
	int64_t at;
	uintptr_t low, high;
};

static int counts(void *item, void *arg)
{
	struct counter *c = arg;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	c->low = here < c->low ? here : c->low;
	c->high = here > c->high ? here : c->high;
	*(int64_t *)item = c->at;
	return c->at++ < 1000000;
}

TaskTest(stream, ST23_a_million_items_through_five_stages_on_constant_stack)
{
	struct counter c = { 0, UINTPTR_MAX, 0 };
	struct weft_stream *s = weft_from_function(counts, &c, 8);
	int64_t item, n = 0;
	int rc;

	(void)arg;
	s = weft_skip(weft_filter(weft_distinct(s), is_even, NULL), 10);
	s = weft_take(weft__apply_here(s, thrice, NULL, 8), 10000000);
	while ((rc = weft_next(s, &item)) > 0)
		n++;
	HOLDS(rc == 0);
	HOLDS(n == 428563); /* of 499,990 even numbers from 20, all but multiples of 7 */
	HOLDS(c.high - c.low < 4096);
	weft_stream_destroy(s);
	return 0;
}

/* --- random chains against arrays ----------------------------------------------------- */

enum { MOST = 200 };

struct model {
	int64_t v[2 * MOST];
	size_t n;
};

static void model_range(struct model *m, int64_t begin, size_t n)
{
	m->n = n;
	for (size_t i = 0; i < n; i++)
		m->v[i] = begin + (int64_t)i;
}

static struct weft_stream *grow(struct weft_stream *s, struct model *m, struct weft__rng *rng)
{
	size_t n = weft__rng_below(rng, MOST), kept = 0, i = 0;
	static int64_t limit = 77;
	static int64_t first = 1;

	switch (weft__rng_below(rng, 9)) {
	case 0:
		for (; i < m->n; i++)
			if (m->v[i] % 2 == 0)
				m->v[kept++] = m->v[i];
		m->n = kept;
		return weft_filter(s, is_even, NULL);
	case 1:
		for (; i < m->n; i++)
			if (m->v[i] * 3 % 7 != 0)
				m->v[kept++] = m->v[i] * 3;
		m->n = kept;
		return weft__apply_here(s, thrice, NULL, 8);
	case 2:
		m->n = m->n < n ? m->n : n;
		return weft_take(s, n);
	case 3:
		n %= 10;
		kept = m->n < n ? m->n : n;
		m->n -= kept;
		memmove(m->v, m->v + kept, m->n * sizeof *m->v);
		return weft_skip(s, n);
	case 4:
		while (i < m->n && m->v[i] < limit)
			i++;
		m->n = i;
		return weft_take_while(s, is_below, &limit);
	case 5:
		while (i < m->n && m->v[i] < limit)
			i++;
		m->n -= i;
		memmove(m->v, m->v + i, m->n * sizeof *m->v);
		return weft_skip_while(s, is_below, &limit);
	case 6:
		for (; i < m->n; i++)
			m->v[i] += i ? m->v[i - 1] : first;
		return weft_accumulate(s, &first, 8, add, NULL);
	case 7:
		for (; i < m->n; i++)
			if (!kept || m->v[kept - 1] != m->v[i])
				m->v[kept++] = m->v[i];
		m->n = kept;
		return weft_distinct(s);
	default:
		n = weft__rng_below(rng, 5);
		n = m->n + n <= MOST ? n : 0;
		for (i = 0; i < n; i++)
			m->v[m->n++] = (int64_t)i;
		return weft_chain((struct weft_stream *[]){ s, weft_from_range(0, (int64_t)n, 1) },
				  2);
	}
}

static void one_chain(struct weft__rng *rng, uint64_t seed)
{
	struct model m;
	struct weft_probe probe = { .n = (int64_t)weft__rng_below(rng, MOST), .balks = true };
	struct weft_stream *s = weft_probe_open(&probe);
	size_t length = weft__rng_below(rng, 8);
	size_t most = weft__rng_below(rng, 2) ? SIZE_MAX : weft__rng_below(rng, MOST);
	int64_t item;
	int rc = 1;

	model_range(&m, 0, (size_t)probe.n);
	for (size_t i = 0; i < length; i++)
		s = grow(s, &m, rng);
	for (size_t i = 0; i < most && rc > 0; i++) {
		while ((rc = weft_next(s, &item)) == WEFT_ECANCELED)
			;
		cr_assert(rc == (i < m.n), "item %zu, WEFT_SEED=%lu", i, seed);
		cr_assert(rc == 0 || item == m.v[i], "item %zu, WEFT_SEED=%lu", i, seed);
	}
	weft_stream_destroy(s);
	cr_assert(probe.closed == 1 && probe.freed == 1 && probe.late == 0, "WEFT_SEED=%lu", seed);
}

Test(stream, random_chains_do_what_arrays_do)
{
	const char *given = getenv("WEFT_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : 1;
	int64_t live = weft__alloc_live();

	for (uint64_t seed = first; seed < first + (given ? 1 : 5000); seed++) {
		struct weft__rng rng;
		weft__rng_init(&rng, seed);
		one_chain(&rng, seed);
	}
	cr_assert(eq(i64, weft__alloc_live(), live));
}
