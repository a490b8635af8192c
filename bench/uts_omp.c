/* SPDX-License-Identifier: MIT */
/* uts_omp.c - the unbalanced tree search with a task per child that has children */
#include "bench.h"
#include "uts.h"

static struct uts_tally tally_of(const struct uts_tree *tree, const struct uts_node *node);

/* The subtree of a child, added to what the tasks of the node have in common. */
static void add_subtree(const struct uts_tree *tree, const struct uts_node *child,
			struct uts_tally *sum)
{
	struct uts_tally t = tally_of(tree, child);

#pragma omp critical
	*sum = uts_add(*sum, t);
}

static struct uts_tally tally_of(const struct uts_tree *tree, const struct uts_node *node)
{
	struct uts_tally own = { 1, node->depth };
	struct uts_tally sum = { 0, 0 };
	struct uts_node child;

	for (int i = 0; i < node->children; i++) {
		uts_child(tree, node, i, &child);
		if (child.children == 0) {
			struct uts_tally leaf = { 1, child.depth };
			own = uts_add(own, leaf);
			continue;
		}
#pragma omp task shared(sum) firstprivate(child)
		add_subtree(tree, &child, &sum);
	}
#pragma omp taskwait
	return uts_add(own, sum);
}

BENCH_PEER void peer_uts(void *job, unsigned threads)
{
	struct uts *u = job;
	struct uts_node root;

	uts_root(&u->tree, &root);
#pragma omp parallel num_threads(threads)
#pragma omp single
	u->out = tally_of(&u->tree, &root);
}
