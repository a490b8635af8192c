/* SPDX-License-Identifier: MIT */
/*
 * reduce.c - reductions and scans whose result does not depend on who ran what
 *
 * The range is cut into blocks, and the blocks are leaves of a binary tree; cut
 * and tree depend on the length of the range alone.  Every block is folded into
 * an accumulator of its own, and accumulators are joined along the tree, left
 * with right.  Workers decide who computes a subtree, never what it is: equal
 * bits for any number of workers, and for none.
 *
 *	            join                     64 blocks for small ranges, up to 4096
 *	        /          \                 for large ones: enough to balance, few
 *	     join          join              enough that init and join are noise
 *	    /    \        /    \
 *	 fold    fold  fold    fold          leaf: one block, items in order
 *
 * The right accumulator of a node lies on the stack of who runs the node, or is
 * allocated when it is larger than SMALL.
 *
 * A scan folds all blocks, adds up the results from the left in one pass, and
 * then emits every block from its offset.
 */
#include <string.h>

#include <weft/error.h>
#include <weft/fork.h>

#include "deque/alloc.h"
#include "runtime/frame.h"
#include "runtime/loop.h"
#include "runtime/region.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"
#include "runtime/worker.h"

enum {
	BLOCKS_MIN = 64,
	BLOCKS_MAX = 4096,
	ITEMS_PER_BLOCK = 1024, /* one more block for every so many items */
	SMALL = 1024,		/* bytes of an accumulator that goes on the stack */
	LARGEST = 1 << 20,
};

struct reduction {
	const struct weft_reducer *r;
	void *arg;
	size_t begin, end;
	size_t block; /* items of a block; the last one may have fewer */
	size_t blocks;
	bool eager; /* a block keeps a hungry worker waiting for too long */
};

#define NOWHERE SIZE_MAX

struct node {
	const struct reduction *red;
	size_t first, last; /* blocks first .. last - 1 */
	void *acc;
	size_t failed; /* the item of the first error, or NOWHERE */
};

static int run_node(void *arg);

/* --- the cut ----------------------------------------------------------- */

static struct reduction cut(const struct weft_reducer *r, void *arg, size_t begin, size_t end,
			    size_t grain)
{
	size_t n = end - begin;
	size_t blocks = BLOCKS_MIN + n / ITEMS_PER_BLOCK;

	if (blocks > BLOCKS_MAX)
		blocks = BLOCKS_MAX;
	size_t block = n / blocks + (n % blocks != 0);
	if (block < grain)
		block = grain;
	return (struct reduction){ r,	 arg,	begin,
				   end,	 block, block ? n / block + (n % block != 0) : 0,
				   false };
}

static struct weft_range block_range(const struct reduction *red, size_t block)
{
	size_t begin = red->begin + block * red->block;
	size_t left = red->end - begin;

	return (struct weft_range){ begin, begin + (left < red->block ? left : red->block) };
}

static int fold_block(const struct reduction *red, size_t block, void *acc, size_t *failed)
{
	struct weft_range range = block_range(red, block);

	struct weft__strand *s = weft__strand_self();
	int rc = s ? weft__strand_check(s) : 0;

	if (rc == 0) {
		red->r->init(acc, red->arg);
		rc = red->r->fold(acc, &range, red->arg);
	}
	if (WEFT_UNLIKELY(rc < 0)) {
		*failed = range.begin;
		return rc;
	}
	return 0;
}

/* --- the tree ---------------------------------------------------------- */

static int run_halves(struct node *n, void *right_acc)
{
	const struct reduction *red = n->red;
	size_t middle = n->first + (n->last - n->first) / 2;
	struct node left = { red, n->first, middle, n->acc, NOWHERE };
	struct node right = { red, middle, n->last, right_acc, NOWHERE };
	struct weft__worker *w = weft_hungry() || red->eager ? weft__worker_self() : NULL;
	int rc;

	if (w && w->runtime->worker_count > 1 && weft__region_offers(w))
		rc = weft__frame_fork(w, run_node, &left, run_node, &right);
	else
		rc = weft__frame_in_turn(run_node, &left, run_node, &right);
	if (rc == 0)
		red->r->join(n->acc, right_acc, red->arg);
	n->failed = left.failed != NOWHERE ? left.failed : right.failed;
	return rc;
}

static int run_halves_large(struct node *n)
{
	size_t size = n->red->r->size;
	void *acc = weft__alloc(size);

	if (!acc) {
		n->failed = block_range(n->red, n->first).begin;
		return WEFT_ENOMEM;
	}
	int rc = run_halves(n, acc);
	weft__free(acc, size);
	return rc;
}

static int run_halves_small(struct node *n)
{
	_Alignas(max_align_t) char acc[SMALL];
	return run_halves(n, acc);
}

static int run_node(void *arg)
{
	struct node *n = arg;

	if (n->last - n->first == 1)
		return fold_block(n->red, n->first, n->acc, &n->failed);
	return n->red->r->size <= SMALL ? run_halves_small(n) : run_halves_large(n);
}

/* --- weft_reduce ------------------------------------------------------- */

static bool is_whole(const struct weft_reducer *r)
{
	return r && r->size && r->size <= LARGEST && r->init && r->fold && r->join;
}

/* The tree as a region of its own, or a part of the one around it. */
static int run_on_worker(struct weft__worker *w, struct reduction *red, struct node *root)
{
	const void *key = (const void *)(uintptr_t)red->r->fold;
	double cost = (double)weft__region_item_cost(w, key) / WEFT__COST_UNIT;
	size_t n = red->end - red->begin;
	double chunk = WEFT__CHUNK_US * (double)w->runtime->ticks_per_us;

	red->eager = cost == 0 || cost * (double)red->block > chunk;
	bool outermost = weft__region_enter(w, cost * (double)n);
	uint64_t began = weft__ticks();
	int rc = run_node(root);
	uint64_t took = weft__ticks() - began;
	if (outermost)
		weft__region_leave();
	weft__region_learn_item_cost(key, took * WEFT__COST_UNIT / n + 1);
	return rc;
}

static int run_tree(struct reduction *red, void *acc, size_t *failed)
{
	struct weft__worker *w = weft__worker_self();
	struct node root = { red, 0, red->blocks, acc, NOWHERE };
	int rc = w ? run_on_worker(w, red, &root) : run_node(&root);

	*failed = root.failed;
	return rc;
}

int weft_reduce_opt(size_t begin, size_t end, const struct weft_reducer *r, void *result, void *arg,
		    const struct weft_for_opts *opts)
{
	size_t failed;

	if (begin > end || !is_whole(r) || !result || !weft__loop_opts_ok(opts))
		return WEFT_EINVAL;
	if (begin == end) {
		r->init(result, arg);
		return 0;
	}

	struct reduction red = cut(r, arg, begin, end, opts ? opts->grain : 0);
	void *acc = weft__alloc(r->size);
	if (!acc)
		return WEFT_ENOMEM;
	int rc = run_tree(&red, acc, &failed);
	if (rc == 0)
		memcpy(result, acc, r->size);
	weft__free(acc, r->size);
	weft__loop_blame(opts, rc, failed);
	return rc;
}

/* --- weft_scan --------------------------------------------------------- */

struct scan {
	struct reduction red;
	weft_emit_fn *emit;
	char *acc; /* one per block: its sum, then the sum of all before it */
	size_t stride;
	size_t failed;
};

static void *acc_of(const struct scan *s, size_t block)
{
	return s->acc + block * s->stride;
}

static int fold_blocks(struct weft_range *r, void *arg)
{
	struct scan *s = arg;

	for (size_t b = r->begin; b < r->end; b++) {
		size_t failed;
		int rc = fold_block(&s->red, b, acc_of(s, b), &failed);
		if (rc < 0) {
			r->begin = b;
			return rc;
		}
	}
	return 0;
}

static int emit_blocks(struct weft_range *r, void *arg)
{
	struct scan *s = arg;

	for (size_t b = r->begin; b < r->end; b++) {
		struct weft_range range = block_range(&s->red, b);
		int rc = s->emit(acc_of(s, b), &range, s->red.arg);
		if (rc < 0) {
			r->begin = b;
			return rc;
		}
	}
	return 0;
}

/* acc[b] = what comes before block b; the spare one after the last: the total. */
static void accumulate(struct scan *s)
{
	const struct weft_reducer *r = s->red.r;
	void *total = acc_of(s, s->red.blocks);
	void *sum = acc_of(s, s->red.blocks + 1);

	r->init(total, s->red.arg);
	for (size_t b = 0; b < s->red.blocks; b++) {
		memcpy(sum, acc_of(s, b), r->size);
		memcpy(acc_of(s, b), total, r->size);
		r->join(total, sum, s->red.arg);
	}
}

static int run_pass(struct scan *s, weft_range_fn *pass, const void *key)
{
	struct weft__loop loop = { pass, s, key, 0 };
	size_t block;
	int rc = weft__loop_run(&loop, 0, s->red.blocks, &block);

	if (rc < 0)
		s->failed = block_range(&s->red, block).begin;
	return rc;
}

static int run_scan(struct scan *s)
{
	int rc = run_pass(s, fold_blocks, (const void *)(uintptr_t)s->red.r->fold);

	if (rc == 0) {
		accumulate(s);
		rc = run_pass(s, emit_blocks, (const void *)(uintptr_t)s->emit);
	}
	return rc;
}

int weft_scan_opt(size_t begin, size_t end, const struct weft_reducer *r, weft_emit_fn *emit,
		  void *total, void *arg, const struct weft_for_opts *opts)
{
	if (begin > end || !is_whole(r) || !emit || !weft__loop_opts_ok(opts))
		return WEFT_EINVAL;

	struct scan s = { .red = cut(r, arg, begin, end, opts ? opts->grain : 0), .emit = emit };
	s.stride = (r->size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	size_t bytes = (s.red.blocks + 2) * s.stride;
	s.acc = weft__alloc(bytes);
	if (!s.acc)
		return WEFT_ENOMEM;

	int rc = run_scan(&s);
	if (rc == 0 && total)
		memcpy(total, acc_of(&s, s.red.blocks), r->size);
	weft__free(s.acc, bytes);
	weft__loop_blame(opts, rc, s.failed);
	return rc;
}
