/* SPDX-License-Identifier: MIT */
/*
 * uts.c - unbalanced trees whose shape nobody knows beforehand
 *
 * T1 is bushy and shallow; T3 is thin and deep, and most of its subtrees are
 * tiny, so that a thief seldom finds much to take.  What a tree must have in nodes
 * and depth is known from its authors (uts.h).
 *
 * "weft N" looks at the byte once a node, and offers half of the children left when
 * somebody is hungry; "both N" halves the children by weft_both in
 * any case.
 */
#include "uts.h"

#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"

static struct uts_tally serial_tally(const struct uts_tree *tree, const struct uts_node *node)
{
	struct uts_tally t = { 1, node->depth };
	struct uts_node child;

	for (int i = 0; i < node->children; i++) {
		uts_child(tree, node, i, &child);
		t = uts_add(t, serial_tally(tree, &child));
	}
	return t;
}

static void serial(void *arg)
{
	struct uts *u = arg;
	struct uts_node root;

	uts_root(&u->tree, &root);
	u->out = serial_tally(&u->tree, &root);
}

/* The subtrees of the children from .. to - 1 of a node. */
struct part {
	const struct uts_tree *tree;
	const struct uts_node *node;
	int from, to;
	struct uts_tally out;
};

/* --- by value ----------------------------------------------------------- */

static struct uts_tally part_tally(const struct uts_tree *tree, const struct uts_node *node,
				   int from, int to);

static int part_task(void *arg)
{
	struct part *p = arg;
	p->out = part_tally(p->tree, p->node, p->from, p->to);
	return 0;
}

static struct uts_tally part_offered(const struct uts_tree *tree, const struct uts_node *node,
				     int from, int to)
{
	int middle = from + (to - from) / 2;
	struct part l = { tree, node, from, middle, { 0, 0 } };
	struct part r = { tree, node, middle, to, { 0, 0 } };

	weft_both_offered(part_task, &l, part_task, &r);
	return uts_add(l.out, r.out);
}

/* Quiet: the serial loop. */
static struct uts_tally node_tally(const struct uts_tree *tree, const struct uts_node *node)
{
	struct uts_tally t = { 1, node->depth };
	struct uts_node child;

	if (weft_hungry() && node->children > 1)
		return uts_add(t, part_tally(tree, node, 0, node->children));
	for (int i = 0; i < node->children; i++) {
		uts_child(tree, node, i, &child);
		t = uts_add(t, node_tally(tree, &child));
	}
	return t;
}

/* Wanted: with a look before each child, for there may be much left. */
static struct uts_tally part_tally(const struct uts_tree *tree, const struct uts_node *node,
				   int from, int to)
{
	struct uts_tally t = { 0, 0 };
	struct uts_node child;

	for (int i = from; i < to; i++) {
		if (weft_hungry() && to - i > 1)
			return uts_add(t, part_offered(tree, node, i, to));
		uts_child(tree, node, i, &child);
		t = uts_add(t, node_tally(tree, &child));
	}
	return t;
}

static int by_value(void *arg)
{
	struct uts *u = arg;
	struct uts_node root;

	uts_root(&u->tree, &root);
	u->out = uts_add((struct uts_tally){ 1, 0 }, part_tally(&u->tree, &root, 0, root.children));
	return 0;
}

/* --- by weft_both ------------------------------------------------------- */

static int halves_task(void *arg);

static int child_task(struct part *p)
{
	struct uts_node child;

	uts_child(p->tree, p->node, p->from, &child);
	p->out = (struct uts_tally){ 1, child.depth };
	if (child.children == 0)
		return 0;

	struct part below = { p->tree, &child, 0, child.children, { 0, 0 } };
	int rc = halves_task(&below);
	p->out = uts_add(p->out, below.out);
	return rc;
}

static int halves_task(void *arg)
{
	struct part *p = arg;

	if (p->to - p->from == 1)
		return child_task(p);
	int middle = p->from + (p->to - p->from) / 2;
	struct part l = { p->tree, p->node, p->from, middle, { 0, 0 } };
	struct part r = { p->tree, p->node, middle, p->to, { 0, 0 } };
	int rc = weft_both(halves_task, &l, halves_task, &r);
	p->out = uts_add(l.out, r.out);
	return rc;
}

static int by_both(void *arg)
{
	struct uts *u = arg;
	struct uts_node root;

	uts_root(&u->tree, &root);
	struct part all = { &u->tree, &root, 0, root.children, { 0, 0 } };
	int rc = halves_task(&all);
	u->out = uts_add((struct uts_tally){ 1, 0 }, all.out);
	return rc;
}

/* --- rows --------------------------------------------------------------- */

struct known {
	const char *what;
	struct uts run;
	struct uts_tally right;
};

static struct uts_tally serial_result(struct uts *u)
{
	serial(u);
	return u->out;
}

/* Before each run: is the result of the last one right? */
static void check(void *arg)
{
	struct known *k = arg;

	bench_check(k->run.out.nodes == k->right.nodes && k->run.out.depth == k->right.depth,
		    k->what);
	k->run.out = (struct uts_tally){ 0, 0 };
}

static void measure(struct known *k)
{
	struct bench_row row = {
		.what = k->what, .items = (double)k->right.nodes, .before = check, .before_arg = k
	};

	k->run.out = k->right;
	bench_plain(&row, "serial", serial, &k->run);
	bench_weft(&row, "weft 1", 1, by_value, &k->run);
	bench_weft(&row, "weft N", 0, by_value, &k->run);
	bench_weft(&row, "both N", 0, by_both, &k->run);
	bench_peers(&row, "uts", &k->run);
	bench_bar(&row, "P6", "weft N", "serial", BENCH_AT_MOST, 1.03 / 2);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "libomp", BENCH_AT_MOST, 1);
	bench_run(&row);
	check(k);
}

int main(int argc, char **argv)
{
	/* T3 is 1572 deep: a fiber may be as large as the main thread's stack. */
	setenv("WEFT_STACK_SIZE", "8M", 0);
	bench_begin(argc, argv);

	struct known t1 = { "UTS T1",
			    { .tree = { .seed = 19, .b0 = 4, .depth = 10 } },
			    { 4130071, 10 } };
	struct known t3 = { "UTS T3",
			    { .tree = { .seed = 42, .b0 = 2000, .q = 0.124875, .m = 8 } },
			    { 4112897, 1572 } };

	if (bench_quick()) {
		t1.run.tree.depth = 6;
		t3.run.tree.b0 = 50;
		t1.right = serial_result(&t1.run);
		t3.right = serial_result(&t3.run);
	}
	measure(&t1);
	measure(&t3);
	return bench_end();
}
