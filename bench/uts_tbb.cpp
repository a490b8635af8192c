/* SPDX-License-Identifier: MIT */
/* uts_tbb.cpp - the unbalanced tree search with a task per child that has children */
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_reduce.h>

#include "bench.h"
#include "uts.h"

static uts_tally tally_of(const uts_tree &tree, const uts_node &node);

static uts_tally child_tally(const uts_tree &tree, const uts_node &node, int i)
{
	uts_node child;

	uts_child(&tree, &node, i, &child);
	return tally_of(tree, child);
}

static uts_tally tally_of(const uts_tree &tree, const uts_node &node)
{
	uts_tally self = { 1, node.depth };
	uts_tally none = { 0, 0 };

	if (node.children == 0)
		return self;
	uts_tally below = tbb::parallel_reduce(
		tbb::blocked_range<int>(0, node.children), none,
		[&](const tbb::blocked_range<int> &r, uts_tally sum) {
			for (int i = r.begin(); i < r.end(); i++)
				sum = uts_add(sum, child_tally(tree, node, i));
			return sum;
		},
		uts_add);
	return uts_add(self, below);
}

BENCH_PEER void peer_uts(void *job, unsigned threads)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
	uts *u = static_cast<uts *>(job);
	uts_node root;

	uts_root(&u->tree, &root);
	u->out = tally_of(u->tree, root);
}
