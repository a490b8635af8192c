/* SPDX-License-Identifier: MIT */
/*
 * uts.h - the trees of the unbalanced tree search, for uts.c and its peers
 *
 *   S. Olivier et al., UTS: an unbalanced tree search benchmark, LCPC 2006.
 *
 * A node is a SHA-1 hash; child i of it is the hash of the node's hash and i.
 * How many children a node has follows from its hash: in a geometric tree at
 * random around b0, down to a depth; in a binomial one m with probability q, and
 * none otherwise, but b0 at the root.
 */
#ifndef BENCH_UTS_H
#define BENCH_UTS_H

#include <math.h>
#include <stdint.h>

#include "sha1.h"

enum { UTS_CHILDREN_MAX = 100 }; /* of a node that is not the root */

struct uts_tree {
	uint32_t seed;
	int b0;
	int depth; /* geometric: nodes at this depth have no children.  0: binomial */
	double q;
	int m;
};

struct uts_node {
	uint32_t state[SHA1_WORDS];
	int depth;
	int children;
};

struct uts_tally {
	long nodes;
	long depth; /* of the deepest node */
};

struct uts {
	struct uts_tree tree;
	struct uts_tally out;
};

static inline struct uts_tally uts_add(struct uts_tally a, struct uts_tally b)
{
	struct uts_tally sum = { a.nodes + b.nodes, a.depth > b.depth ? a.depth : b.depth };
	return sum;
}

/* 0 <= x < 1 */
static inline double uts_random(const struct uts_node *node)
{
	return (double)(node->state[SHA1_WORDS - 1] & 0x7fffffff) / 2147483648.0;
}

static inline int uts_children_geometric(const struct uts_tree *tree, const struct uts_node *node)
{
	if (node->depth >= tree->depth)
		return 0;
	double p = 1.0 / (1.0 + tree->b0);
	int n = (int)floor(log(1.0 - uts_random(node)) / log(1.0 - p));
	return n < UTS_CHILDREN_MAX ? n : UTS_CHILDREN_MAX;
}

static inline int uts_children(const struct uts_tree *tree, const struct uts_node *node)
{
	if (tree->depth > 0)
		return uts_children_geometric(tree, node);
	if (node->depth == 0)
		return tree->b0;
	return uts_random(node) < tree->q ? tree->m : 0;
}

static inline void uts_root(const struct uts_tree *tree, struct uts_node *root)
{
	uint32_t message[SHA1_WORDS] = { 0, 0, 0, 0, tree->seed };

	sha1(root->state, message, SHA1_WORDS);
	root->depth = 0;
	root->children = uts_children(tree, root);
}

static inline void uts_child(const struct uts_tree *tree, const struct uts_node *node, int i,
			     struct uts_node *child)
{
	uint32_t message[SHA1_WORDS + 1];

	for (int word = 0; word < SHA1_WORDS; word++)
		message[word] = node->state[word];
	message[SHA1_WORDS] = (uint32_t)i;
	sha1(child->state, message, SHA1_WORDS + 1);
	child->depth = node->depth + 1;
	child->children = uts_children(tree, child);
}

#endif
