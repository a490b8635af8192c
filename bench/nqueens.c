/* SPDX-License-Identifier: MIT */
/*
 * nqueens.c - all solutions of the n queens problem, one fork per column
 *
 * The board is an array that is copied for each child, as in the programs of
 * Cilk and of those who took theirs from it: work of some 20 ns between two
 * forks, in a tree that nobody knows the shape of.
 *
 * "weft N" looks at the byte once a node, and offers half of the columns left when
 * somebody is hungry; "both N" halves the columns by weft_both in any
 * case.
 */
#include "nqueens.h"

#include <weft/weft.h>

#include "bench.h"

static long serial_count(const struct board *b)
{
	struct board next;
	long count = 0;

	if (b->rows == b->n)
		return 1;
	for (int column = 0; column < b->n; column++)
		if (place(&next, b, column))
			count += serial_count(&next);
	return count;
}

static void serial(void *arg)
{
	struct nqueens *q = arg;
	q->out = serial_count(&(struct board){ .n = q->n });
}

/* The columns from .. to - 1 of the row below b. */
struct columns {
	const struct board *b;
	int from, to;
	long count;
};

/* --- by value ----------------------------------------------------------- */

static long columns_count(const struct board *b, int from, int to);

static int columns_task(void *arg)
{
	struct columns *c = arg;
	c->count = columns_count(c->b, c->from, c->to);
	return 0;
}

static long columns_offered(const struct board *b, int from, int to)
{
	int middle = from + (to - from) / 2;
	struct columns l = { b, from, middle, 0 };
	struct columns r = { b, middle, to, 0 };

	weft_both_offered(columns_task, &l, columns_task, &r);
	return l.count + r.count;
}

/* Quiet: the serial loop. */
static long count_below(const struct board *b)
{
	struct board next;
	long count = 0;

	if (b->rows == b->n)
		return 1;
	if (weft_hungry())
		return columns_count(b, 0, b->n);
	for (int column = 0; column < b->n; column++)
		if (place(&next, b, column))
			count += count_below(&next);
	return count;
}

/* Wanted: with a look before each column, for there may be much left. */
static long columns_count(const struct board *b, int from, int to)
{
	struct board next;
	long count = 0;

	for (int column = from; column < to; column++) {
		if (weft_hungry() && to - column > 1)
			return count + columns_offered(b, column, to);
		if (place(&next, b, column))
			count += count_below(&next);
	}
	return count;
}

static int by_value(void *arg)
{
	struct nqueens *q = arg;
	q->out = columns_count(&(struct board){ .n = q->n }, 0, q->n);
	return 0;
}

/* --- by weft_both ------------------------------------------------------- */

static int halves_task(void *arg);

static int column_task(struct columns *c)
{
	struct board next;
	struct columns below = { &next, 0, c->b->n, 0 };
	int rc = 0;

	if (place(&next, c->b, c->from))
		rc = halves_task(&below);
	c->count = below.count;
	return rc;
}

static int halves_task(void *arg)
{
	struct columns *c = arg;

	c->count = 1;
	if (c->b->rows == c->b->n)
		return 0;
	if (c->to - c->from == 1)
		return column_task(c);

	int middle = c->from + (c->to - c->from) / 2;
	struct columns l = { c->b, c->from, middle, 0 };
	struct columns r = { c->b, middle, c->to, 0 };
	int rc = weft_both(halves_task, &l, halves_task, &r);
	c->count = l.count + r.count;
	return rc;
}

static int by_both(void *arg)
{
	struct nqueens *q = arg;
	struct board empty = { .n = q->n };
	struct columns all = { &empty, 0, q->n, 0 };
	int rc = halves_task(&all);

	q->out = all.count;
	return rc;
}

/* Before each run: is the result of the last one right? */
static void check(void *arg)
{
	static const long solutions[] = { [8] = 92, [9] = 352, [12] = 14200, [13] = 73712 };
	struct nqueens *q = arg;

	bench_check(q->out == solutions[q->n], "nqueens");
	q->out = 0;
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	struct nqueens q = { bench_quick() ? 9 : 13, bench_quick() ? 352 : 73712 };
	struct bench_row row = { .what = "nqueens(13)", .before = check, .before_arg = &q };

	bench_plain(&row, "serial", serial, &q);
	bench_weft(&row, "weft 1", 1, by_value, &q);
	bench_weft(&row, "weft N", 0, by_value, &q);
	bench_weft(&row, "both N", 0, by_both, &q);
	bench_peers(&row, "nqueens", &q);
	bench_bar(&row, "P5", "weft N", "serial", BENCH_AT_MOST, 1.03 / 2);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "libomp", BENCH_AT_MOST, 1);
	bench_run(&row);
	check(&q);
	return bench_end();
}
