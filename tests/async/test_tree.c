/* SPDX-License-Identifier: MIT */
/*
 * test_tree.c - where a cancel goes: forks, loops and what was stolen
 */
#include "async/async.h"
#include "async/group.h"
#include "async/scope.h"
#include "support/virtual.h"

TestSuite(tree, .timeout = 60);

static uint32_t begun, cancelled;

static int waits_in_piece(void *arg)
{
	(void)arg;
	add_seqcst(&begun, 1);
	int rc = weft_sleep_forever();
	add_seqcst(&cancelled, rc == WEFT_ECANCELED && weft_check() == WEFT_ECANCELED);
	return rc;
}

static int returns_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* The forker waits for the stolen piece, and that is no wait that a cancel ends. */
static int forks(void *arg)
{
	return apart(returns_nothing, arg, waits_in_piece, arg);
}

static int cancels_when_blocked(void *arg)
{
	HOLDS(weft_wait_all_blocked() == 0);
	HOLDS(begun == 1);
	weft_group_cancel(arg);
	return 0;
}

static int cancels_forks(void *arg)
{
	struct weft_group g;

	(void)arg;
	begun = cancelled = 0;
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, cancels_when_blocked, &g) == 0);
	HOLDS(weft_spawn(&g, forks, NULL) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(cancelled == 1);
	return 0;
}

static void with_workers(unsigned workers, weft_fn *fn)
{
	struct weft_config c = { .workers = workers, .clock = WEFT_CLOCK_VIRTUAL };

	cr_assert(eq(int, go_with(c, fn, NULL), 0));
}

/* The forker never waited: its node is linked by the stolen piece. */
/* O1 of tree.c: as soon as a daemon can be walked to, checks see its cancel. */
Test(tree, a_dismissal_is_counted_with_its_flag)
{
	struct weft__node n;
	uint64_t before = load_acquire(&weft__cancel_epoch);

	weft__node_init(&n, NULL, WEFT__NODE_DAEMON | WEFT__NODE_SHIELD);
	weft__group_dismiss(&n);
	cr_assert(eq(int, n.flags, WEFT__NODE_DAEMON | WEFT__NODE_CANCELLED));
	cr_assert(eq(u64, load_acquire(&weft__cancel_epoch), before + 1));
}

Test(tree, what_is_cancelled_is_not_asked_any_more)
{
	struct weft__node n;

	weft__node_init(&n, NULL, WEFT__NODE_SCOPE);
	cr_assert(weft__node_mark(&n, WEFT__NODE_SOFT));
	cr_assert(not(weft__node_mark(&n, WEFT__NODE_SOFT)));
	cr_assert(weft__node_mark(&n, WEFT__NODE_CANCELLED));
	weft__node_init(&n, NULL, WEFT__NODE_SCOPE);
	cr_assert(weft__node_mark(&n, WEFT__NODE_CANCELLED));
	cr_assert(not(weft__node_mark(&n, WEFT__NODE_CANCELLED)));
	cr_assert(not(weft__node_mark(&n, WEFT__NODE_SOFT)));
}

Test(tree, a_stolen_piece_is_cancelled_with_its_forker)
{
	for (int i = 0; i < 20; i++) {
		with_workers(2, cancels_forks);
		with_workers(8, cancels_forks);
	}
}

static int forks_again(void *arg)
{
	return apart(waits_in_piece, arg, waits_in_piece, arg);
}

static int forks_deep(void *arg)
{
	return apart(forks_again, arg, forks_again, arg);
}

static int cancels_deep_forks(void *arg)
{
	struct weft_group g;
	struct weft_scope s;

	(void)arg;
	begun = cancelled = 0;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_SEC(1)) == 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft_spawn(&g, forks_deep, NULL) == 0);
	int rc = weft_group_close(&g, 0);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	HOLDS(begun == 4 && cancelled == 4);
	return 0;
}

Test(tree, pieces_of_stolen_pieces_are_cancelled)
{
	for (int i = 0; i < 20; i++)
		with_workers(8, cancels_deep_forks);
}

/* --- loops ---------------------------------------------------------------- */

enum { ITEMS = 1 << 20 };

struct looping {
	struct weft_scope *scope;
	uint64_t done, at;
};

static int cancels_midway(struct weft_range *r, void *arg)
{
	struct looping *l = arg;
	uint64_t n = r->end - r->begin;

	if (add_seqcst(&l->done, n) + n >= l->at)
		weft_scope_cancel(l->scope);
	return 0;
}

TaskTest(tree, a_cancelled_loop_stops_between_chunks)
{
	struct weft_scope s;
	struct looping l = { &s, 0, ITEMS / 8 };

	(void)arg;
	HOLDS(weft_scope_enter(&s) == 0);
	int rc = weft_for(0, ITEMS, cancels_midway, &l);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(l.done < ITEMS);
	HOLDS(weft_scope_leave(&s, rc) == 0);
	return 0;
}

static void init_zero(void *acc, void *arg)
{
	(void)arg;
	*(uint64_t *)acc = 0;
}

static int fold_and_cancel(void *acc, struct weft_range *r, void *arg)
{
	*(uint64_t *)acc += r->end - r->begin;
	return cancels_midway(r, arg);
}

static void join_sums(void *acc, const void *other, void *arg)
{
	(void)arg;
	*(uint64_t *)acc += *(const uint64_t *)other;
}

static int emits_nothing(void *acc, struct weft_range *r, void *arg)
{
	(void)arg;
	*(uint64_t *)acc += r->end - r->begin;
	return 0;
}

static int reduces(const struct weft_reducer *r, uint64_t *sum, struct looping *l)
{
	return weft_reduce(0, ITEMS, r, sum, l);
}

static int scans(const struct weft_reducer *r, uint64_t *sum, struct looping *l)
{
	return weft_scan(0, ITEMS, r, emits_nothing, sum, l);
}

static void stops_between_blocks(int (*work)(const struct weft_reducer *, uint64_t *,
					     struct looping *))
{
	struct weft_scope s;
	struct looping l = { &s, 0, ITEMS / 8 };
	const struct weft_reducer r = { .size = sizeof(uint64_t),
					.init = init_zero,
					.fold = fold_and_cancel,
					.join = join_sums };
	uint64_t sum = 77;

	HOLDS(weft_scope_enter(&s) == 0);
	int rc = work(&r, &sum, &l);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(sum == 77);
	HOLDS(l.done < ITEMS);
	HOLDS(weft_scope_leave(&s, rc) == 0);
}

TaskTest(tree, cancelled_reductions_and_scans_stop_between_blocks)
{
	(void)arg;
	stops_between_blocks(reduces);
	stops_between_blocks(scans);
	return 0;
}

struct sorting {
	struct weft_scope *scope;
	uint64_t compared;
};

static bool less_and_cancel(const void *a, const void *b, void *arg)
{
	struct sorting *s = arg;

	if (add_seqcst(&s->compared, 1) == ITEMS)
		weft_scope_cancel(s->scope);
	return *(const uint32_t *)a < *(const uint32_t *)b;
}

/* Sorted or not: every element is there once. */
static bool is_whole(const uint32_t *v)
{
	uint64_t sum = 0, squares = 0, all = 0, all_squares = 0;

	for (uint64_t i = 0; i < ITEMS; i++) {
		sum += v[i];
		squares += (uint64_t)v[i] * v[i];
		all += i;
		all_squares += i * i;
	}
	return sum == all && squares == all_squares;
}

TaskTest(tree, a_cancelled_sort_loses_no_element)
{
	static uint32_t v[ITEMS];
	struct weft_scope scope;
	struct sorting s = { &scope, 0 };

	(void)arg;
	for (uint32_t i = 0; i < ITEMS; i++)
		v[i] = (uint32_t)(((uint64_t)i * 700001 + 5) % ITEMS);
	HOLDS(is_whole(v));
	HOLDS(weft_scope_enter(&scope) == 0);
	int rc = weft_sort(v, ITEMS, sizeof *v, less_and_cancel, &s);
	HOLDS(rc == 0 || rc == WEFT_ECANCELED);
	HOLDS(is_whole(v));
	for (uint32_t i = 1; i < ITEMS && rc == 0; i++)
		HOLDS(v[i - 1] <= v[i]);
	HOLDS(weft_scope_leave(&scope, rc) == 0);
	return 0;
}

static int is_not_run(void *arg)
{
	*(uint32_t *)arg += 1;
	return 0;
}

TaskTest(tree, a_fork_in_a_cancelled_scope_runs_neither_side)
{
	struct weft_scope s;
	uint32_t ran = 0;

	(void)arg;
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_both(is_not_run, &ran, is_not_run, &ran) == WEFT_ECANCELED);
	HOLDS(ran == 0);
	return weft_scope_leave(&s, WEFT_ECANCELED);
}

/* --- the walk -------------------------------------------------------------- */

struct chain {
	struct weft_token *token;
	unsigned depth;
};

static int grows_chain(void *arg)
{
	struct chain me = *(struct chain *)arg;
	struct weft_group g;

	if (me.depth == 0)
		return weft_sleep_forever();
	me.depth--;
	int rc = weft_group_open(&g);
	if (rc != 0)
		return rc;
	HOLDS(weft_spawn(&g, grows_chain, &me) == 0);
	return weft_group_close(&g, 0);
}

TaskTest(tree, a_chain_of_two_thousand_groups_is_walked_without_recursion)
{
	struct chain chain = { NULL, 2000 };
	struct weft_scope s;

	(void)arg;
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_SEC(1)) == 0);
	int rc = grows_chain(&chain);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	return 0;
}

/* More than one step of the walker, some of whom leave while it walks. */
TaskTest(tree, a_wide_group_is_walked_while_its_children_leave)
{
	struct weft_group g;

	(void)arg;
	for (int round = 0; round < 5; round++) {
		begun = cancelled = 0;
		HOLDS(weft_group_open(&g) == 0);
		for (int i = 0; i < 1000; i++)
			HOLDS(weft_spawn(&g, waits_in_piece, NULL) == 0);
		HOLDS(weft_wait_all_blocked() == 0);
		HOLDS(begun == 1000);
		weft_group_cancel(&g);
		HOLDS(weft_group_close(&g, 0) == 0);
		HOLDS(cancelled == 1000);
	}
	return 0;
}
