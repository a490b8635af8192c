/* SPDX-License-Identifier: MIT */
/*
 * test_loop.c - weft_for, weft_for_each, weft_all: each index once, first error first
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/assert.h"
#include "support/tasks.h"

TestSuite(loop, .timeout = 120);

enum { MOST = 2000 };

/* --- each index once --------------------------------------------------- */

struct sweep {
	size_t begin, end, grain;
	unsigned char seen[MOST + 2]; /* of index begin - 1, begin, ... end */
	uint32_t empty;		      /* pieces without an item */
	int rc;
};

static int see(struct weft_range *r, void *arg)
{
	struct sweep *s = arg;

	if (r->begin >= r->end)
		add_seqcst(&s->empty, 1);
	for (size_t i = r->begin; i < r->end; i++)
		s->seen[i - s->begin + 1]++;
	return 0;
}

static int sweep(void *arg)
{
	struct sweep *s = arg;

	memset(s->seen, 0, sizeof s->seen);
	if (weft__worker_self())
		grow_old();
	s->rc = weft_for(s->begin, s->end, see, s, .grain = s->grain);
	return 0;
}

static bool saw_each_once(const struct sweep *s)
{
	size_t n = s->end - s->begin;

	for (size_t i = 0; i < n; i++)
		if (s->seen[i + 1] != 1)
			return false;
	return s->rc == 0 && s->empty == 0 && s->seen[0] == 0 && s->seen[n + 1] == 0;
}

static void expect_each_once(struct weft_runtime *rt, size_t begin, size_t n, size_t grain)
{
	struct sweep s = { .begin = begin, .end = begin + n, .grain = grain };

	if (rt)
		weft_runtime_run(rt, sweep, &s);
	else
		sweep(&s);
	cr_assert(saw_each_once(&s), "%zu items from %zu, grain %zu", n, begin, grain);
}

Test(loop, for_calls_each_index_once_for_any_size)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct weft_runtime *rt;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (size_t n = 0; n <= MOST; n++)
			expect_each_once(rt, 0, n, 0);
		weft_runtime_destroy(rt);
	}
}

Test(loop, for_calls_each_index_once_for_any_begin_and_grain)
{
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 3), 0));
	for (size_t n = 0; n <= 200; n++) {
		expect_each_once(rt, 7, n, 0);
		expect_each_once(rt, SIZE_MAX - n, n, 0);
		for (size_t grain = 1; grain <= 300; grain *= 3)
			expect_each_once(rt, 1000, n, grain);
		expect_each_once(rt, 5, n, SIZE_MAX);
	}
	weft_runtime_destroy(rt);
}

Test(loop, for_runs_serially_outside_of_a_task)
{
	for (size_t n = 0; n <= MOST; n++)
		expect_each_once(NULL, n, n % (MOST + 1), 0);
	cr_expect(eq(int, weft_stats(-1, &(struct weft_stats){ 0 }), WEFT_ESHUTDOWN),
		  "a loop starts no runtime");
}

/* --- who runs them ----------------------------------------------------- */

/* Each item waits for all others: as many pieces at once as there are workers. */
static int meet(struct weft_range *r, void *arg)
{
	uint32_t *arrived = arg;

	add_seqcst(arrived, (uint32_t)(r->end - r->begin));
	until(arrived, weft_worker_count());
	return 0;
}

static int meet_all(void *arg)
{
	return weft_for(0, weft_worker_count(), meet, arg);
}

Test(loop, items_of_which_nothing_is_known_are_offered_to_all_workers)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		uint32_t arrived = 0;
		cr_expect(eq(int, run_on(worker_counts[i], meet_all, &arrived), 0));
		cr_expect(eq(u32, arrived, worker_counts[i]));
	}
}

/* --- grain ------------------------------------------------------------- */

struct pieces {
	size_t n, grain;
	uint32_t count;
};

static int count_piece(struct weft_range *r, void *arg)
{
	struct pieces *p = arg;

	(void)r;
	add_seqcst(&p->count, 1);
	return 0;
}

static int cut(void *arg)
{
	struct pieces *p = arg;

	grow_old();
	return weft_for(0, p->n, count_piece, p, .grain = p->grain);
}

Test(loop, a_loop_no_longer_than_the_grain_is_one_piece)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct weft_runtime *rt;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (size_t n = 1; n <= 300; n += 13) {
			struct pieces p = { n, n + n % 3, 0 };
			cr_assert(eq(int, weft_runtime_run(rt, cut, &p), 0));
			cr_expect(eq(u32, p.count, 1), "%zu items", n);
		}
		weft_runtime_destroy(rt);
	}
}

/* --- nesting ----------------------------------------------------------- */

/* Every way to fork in every other one, to a depth of 6: a tree whose nodes are
 * told apart by their path, each leaf counted once. */
enum { DEPTH = 6, WAYS = 5, LEAVES = 64 };

struct node {
	const unsigned char *way; /* of each depth */
	unsigned depth;
	size_t first; /* leaf */
	uint32_t *seen;
};

static int visit(void *arg);

static int visit_half(const struct node *n, size_t half)
{
	struct node child = *n;

	child.depth++;
	child.first += half * (LEAVES >> child.depth);
	return visit(&child);
}

static int visit_left(void *arg)
{
	return visit_half(arg, 0);
}

static int visit_right(void *arg)
{
	return visit_half(arg, 1);
}

static int visit_range(struct weft_range *r, void *arg)
{
	int rc = 0;

	for (size_t i = r->begin; i < r->end && rc == 0; i++)
		rc = visit_half(arg, i);
	return rc;
}

static int visit_item(void *item, void *arg)
{
	return visit_half(arg, *(char *)item == '1');
}

static void unit_init(void *acc, void *arg)
{
	(void)arg;
	*(char *)acc = 0;
}

static int unit_fold(void *acc, struct weft_range *r, void *arg)
{
	(void)acc;
	return visit_range(r, arg);
}

static void unit_join(void *acc, const void *right, void *arg)
{
	(void)acc, (void)right, (void)arg;
}

static const struct weft_reducer unit = { 1, unit_init, unit_fold, unit_join };

static int visit(void *arg)
{
	struct node *n = arg;
	struct weft_call calls[2] = { { visit_left, n }, { visit_right, n } };
	char items[2] = { '0', '1' }, acc;

	if (n->depth == DEPTH) {
		add_seqcst(&n->seen[n->first], 1);
		return 0;
	}
	switch (n->way[n->depth]) {
	case 0:
		return weft_both(visit_left, n, visit_right, n);
	case 1:
		return weft_for(0, 2, visit_range, n);
	case 2:
		return weft_for_each(items, 2, 1, visit_item, n);
	case 3:
		return weft_all(calls, 2);
	default:
		return weft_reduce(0, 2, &unit, &acc, n);
	}
}

/* All 5^6 combinations, as one number each. */
static int visit_combinations(void *arg)
{
	uint32_t *wrong = arg;

	for (unsigned c = 0; c < 5 * 5 * 5 * 5 * 5 * 5; c++) {
		uint32_t seen[LEAVES] = { 0 };
		unsigned char way[DEPTH];
		unsigned rest = c;
		for (int d = 0; d < DEPTH; d++, rest /= WAYS)
			way[d] = (unsigned char)(rest % WAYS);

		struct node root = { way, 0, 0, seen };
		*wrong += visit(&root) != 0;
		for (int i = 0; i < LEAVES; i++)
			*wrong += seen[i] != 1;
	}
	return 0;
}

Test(loop, everything_nests_in_everything)
{
	uint32_t wrong = 0;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		cr_expect(eq(int, run_on(worker_counts[i], visit_combinations, &wrong), 0));
	cr_expect(eq(int, visit_combinations(&wrong), 0));
	cr_expect(eq(u32, wrong, 0));
}

/* --- errors ------------------------------------------------------------ */

struct failing {
	size_t n;
	unsigned char fails[MOST]; /* which items do */
	uint32_t ran[MOST];
	bool say_which; /* the body leaves the item in r->begin */
	size_t failed;
	int rc;
};

static int code_of(size_t i)
{
	return -5000 - (int)i;
}

static int fail_some(struct weft_range *r, void *arg)
{
	struct failing *f = arg;

	for (size_t i = r->begin; i < r->end; i++) {
		add_seqcst(&f->ran[i], 1);
		if (f->fails[i]) {
			if (f->say_which)
				r->begin = i;
			return code_of(i);
		}
	}
	return 0;
}

static int loop_of_failures(void *arg)
{
	struct failing *f = arg;

	f->failed = SIZE_MAX;
	if (weft__worker_self())
		grow_old();
	f->rc = weft_for(0, f->n, fail_some, f, .failed = &f->failed, .grain = 1);
	return 0;
}

/* The error is that of an item that ran and failed, no item with a lower index
 * failed, and no item ran twice. */
static void expect_lowest_of_those_that_ran(const struct failing *f)
{
	size_t lowest = SIZE_MAX;

	for (size_t i = f->n; i-- > 0;) {
		cr_assert(le(u32, f->ran[i], 1), "item %zu", i);
		if (f->ran[i] && f->fails[i])
			lowest = i;
	}
	cr_assert(ne(sz, lowest, SIZE_MAX));
	cr_assert(eq(int, f->rc, code_of(lowest)));
	cr_assert(eq(sz, f->failed, lowest));
}

Test(loop, the_failed_piece_with_the_lowest_index_is_returned)
{
	static struct failing f;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct weft_runtime *rt;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (unsigned round = 0; round < 300; round++) {
			f = (struct failing){ .n = 100 + round, .say_which = true };
			for (unsigned k = 0; k <= round % 4; k++)
				f.fails[(round * 37 + k * 59) % f.n] = 1;
			cr_assert(eq(int, weft_runtime_run(rt, loop_of_failures, &f), 0));
			expect_lowest_of_those_that_ran(&f);
		}
		weft_runtime_destroy(rt);
	}
}

Test(loop, outside_of_a_task_the_first_item_that_fails_ends_the_loop)
{
	static struct failing f = { .n = 100, .fails = { [41] = 1, [77] = 1 }, .say_which = true };

	loop_of_failures(&f);
	cr_expect(eq(int, f.rc, code_of(41)));
	cr_expect(eq(sz, f.failed, 41));
	cr_expect(eq(u32, f.ran[40], 1));
	cr_expect(eq(u32, f.ran[42], 0));
}

Test(loop, a_body_that_does_not_say_which_item_failed_blames_the_first_of_its_piece)
{
	static struct failing f = { .n = 100, .fails = { [41] = 1 } };

	loop_of_failures(&f);
	cr_expect(eq(int, f.rc, code_of(41)));
	cr_expect(eq(sz, f.failed, 0), "outside of a task there is one piece");
}

Test(loop, failed_is_left_alone_when_nothing_failed)
{
	static struct failing f = { .n = MOST };

	loop_of_failures(&f);
	cr_expect(eq(int, f.rc, 0));
	cr_expect(eq(sz, f.failed, SIZE_MAX));
	cr_assert(eq(int, run_on(2, loop_of_failures, &f), 0));
	cr_expect(eq(int, f.rc, 0));
	cr_expect(eq(sz, f.failed, SIZE_MAX));
}

static int positive(struct weft_range *r, void *arg)
{
	(void)r, (void)arg;
	return 7;
}

static int loop_of_positives(void *arg)
{
	*(int *)arg = weft_for(0, 100, positive, NULL);
	return 0;
}

Test(loop, a_positive_code_is_no_error)
{
	int rc = 1;

	cr_assert(eq(int, run_on(2, loop_of_positives, &rc), 0));
	cr_expect(eq(int, rc, 0));
	loop_of_positives(&rc);
	cr_expect(eq(int, rc, 0));
}

/* With one worker the order is fixed: what comes after the failure never began. */
Test(loop, pieces_not_begun_are_skipped)
{
	static struct failing f = { .n = 1000, .fails = { [10] = 1 }, .say_which = true };
	size_t ran = 0;

	cr_assert(eq(int, run_on(1, loop_of_failures, &f), 0));
	for (size_t i = 0; i < f.n; i++)
		ran += f.ran[i];
	cr_expect(eq(sz, ran, 11));
}

/* Two items on two workers; the first one fails while the second is under way. */
struct overlap {
	uint32_t begun, failed, ended;
};

static int fail_beside(struct weft_range *r, void *arg)
{
	struct overlap *o = arg;

	if (r->begin == 0) {
		until(&o->begun, 1);
		store_release(&o->failed, 1);
		return WEFT_EIO;
	}
	store_release(&o->begun, 1);
	until(&o->failed, 1);
	store_release(&o->ended, 1);
	return 0;
}

static int loop_of_two(void *arg)
{
	struct overlap *o = arg;
	int rc = weft_for(0, 2, fail_beside, o);

	return load_acquire(&o->ended) ? rc : 1;
}

Test(loop, pieces_under_way_are_waited_for)
{
	struct overlap o = { 0 };

	cr_expect(eq(int, run_on(2, loop_of_two, &o), WEFT_EIO));
}

/* --- weft_for_each ----------------------------------------------------- */

struct big {
	uint32_t count;
	char padding[36];
};

struct each {
	struct big items[MOST];
	size_t n, fails; /* SIZE_MAX: none does */
	size_t failed;
	int rc;
};

static int touch(void *item, void *arg)
{
	struct each *e = arg;
	struct big *b = item;

	b->count++;
	return (size_t)(b - e->items) == e->fails ? WEFT_EIO : 0;
}

static int for_each(void *arg)
{
	struct each *e = arg;

	e->failed = SIZE_MAX;
	e->rc = weft_for_each(e->items, e->n, sizeof *e->items, touch, e, .failed = &e->failed);
	return 0;
}

Test(loop, for_each_calls_once_for_each_element)
{
	static struct each e;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		for (size_t n = 0; n <= MOST; n = n * 3 + 1) {
			e = (struct each){ .n = n, .fails = SIZE_MAX };
			cr_assert(eq(int, run_on(worker_counts[i], for_each, &e), 0));
			cr_expect(eq(int, e.rc, 0));
			cr_expect(eq(sz, e.failed, SIZE_MAX));
			for (size_t k = 0; k < MOST; k++)
				cr_assert(eq(u32, e.items[k].count, k < n), "item %zu of %zu", k,
					  n);
		}
	}
}

Test(loop, for_each_tells_exactly_which_element_failed)
{
	static struct each e;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		for (size_t fails = 0; fails < 500; fails += 71) {
			e = (struct each){ .n = 500, .fails = fails };
			cr_assert(eq(int, run_on(worker_counts[i], for_each, &e), 0));
			cr_expect(eq(int, e.rc, WEFT_EIO));
			cr_expect(eq(sz, e.failed, fails));
		}
	}
}

/* --- weft_all ---------------------------------------------------------- */

enum { CALLS = 50 };

struct all {
	struct weft_call calls[CALLS];
	int code[CALLS];
	size_t failed;
	int rc;
};

static int give(void *arg)
{
	return *(int *)arg;
}

static int call_all(void *arg)
{
	struct all *a = arg;

	a->failed = SIZE_MAX;
	a->rc = weft_all(a->calls, CALLS, .failed = &a->failed);
	return 0;
}

static void expect_all(unsigned workers, size_t fails)
{
	struct all a = { .rc = 1 };

	for (size_t i = 0; i < CALLS; i++) {
		a.calls[i] = (struct weft_call){ give, &a.code[i] };
		a.code[i] = i == fails ? code_of(i) : 0;
	}
	cr_assert(eq(int, run_on(workers, call_all, &a), 0));
	cr_expect(eq(int, a.rc, fails < CALLS ? code_of(fails) : 0));
	cr_expect(eq(sz, a.failed, fails < CALLS ? fails : SIZE_MAX));
}

Test(loop, all_returns_the_code_and_the_index_of_the_call_that_failed)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		expect_all(worker_counts[i], SIZE_MAX);
		for (size_t fails = 0; fails < CALLS; fails += 7)
			expect_all(worker_counts[i], fails);
	}
}

static int count_call(void *arg)
{
	add_seqcst((uint32_t *)arg, 1);
	return 0;
}

static int call_counters(void *arg)
{
	uint32_t *count = arg;
	struct weft_call calls[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = (struct weft_call){ count_call, &count[i] };
	return weft_all(calls, CALLS);
}

Test(loop, all_makes_each_call_once)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		uint32_t count[CALLS] = { 0 };
		cr_assert(eq(int, run_on(worker_counts[i], call_counters, count), 0));
		for (size_t k = 0; k < CALLS; k++)
			cr_expect(eq(u32, count[k], 1));
	}
}

/* --- arguments --------------------------------------------------------- */

static int never(struct weft_range *r, void *arg)
{
	(void)r;
	++*(int *)arg;
	return 0;
}

static int never_item(void *item, void *arg)
{
	(void)item;
	++*(int *)arg;
	return 0;
}

static int refuse(void *arg)
{
	struct weft_for_opts old = { .size = sizeof old - 1 };
	struct weft_call none = { NULL, NULL };
	int *wrong = arg, called = 0, item = 0;
	size_t failed = 4711;

	*wrong += weft_for(2, 1, never, &called, .failed = &failed) != WEFT_EINVAL;
	*wrong += weft_for(SIZE_MAX, 0, never, &called) != WEFT_EINVAL;
	*wrong += weft_for(0, 10, NULL, &called) != WEFT_EINVAL;
	*wrong += weft_for_opt(0, 10, never, &called, &old) != WEFT_EINVAL;
	*wrong += weft_for_each(&item, 1, 0, never_item, &called) != WEFT_EINVAL;
	*wrong += weft_for_each(NULL, 1, 1, never_item, &called) != WEFT_EINVAL;
	*wrong += weft_for_each(&item, 1, 1, NULL, &called) != WEFT_EINVAL;
	*wrong += weft_for_each_opt(&item, 1, 1, never_item, &called, &old) != WEFT_EINVAL;
	*wrong += weft_all(NULL, 1) != WEFT_EINVAL;
	*wrong += weft_all(&none, 1) != WEFT_EINVAL;
	*wrong += weft_all_opt(&none, 0, &old) != WEFT_EINVAL;
	*wrong += called != 0;
	return 0;
}

static int accepts(void *arg)
{
	int *wrong = arg, called = 0;

	*wrong += weft_for(5, 5, never, &called) != 0;
	*wrong += weft_for_opt(5, 5, never, &called, NULL) != 0;
	*wrong += weft_for_each(NULL, 0, 4, never_item, &called) != 0;
	*wrong += weft_all(NULL, 0) != 0;
	*wrong += called != 0;
	return 0;
}

Test(loop, arguments_that_make_no_sense_are_einval)
{
	int wrong = 0;

	refuse(&wrong);
	cr_expect(eq(int, wrong, 0), "outside");
	cr_expect(eq(int, run_on(2, refuse, &wrong), 0));
	cr_expect(eq(int, wrong, 0), "inside");
}

Test(loop, a_loop_over_nothing_calls_nothing)
{
	int wrong = 0;

	accepts(&wrong);
	cr_expect(eq(int, wrong, 0), "outside");
	cr_expect(eq(int, run_on(2, accepts, &wrong), 0));
	cr_expect(eq(int, wrong, 0), "inside");
}
