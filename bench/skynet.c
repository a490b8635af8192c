/* SPDX-License-Identifier: MIT */
/*
 * skynet.c - a million leaves under a tree of ten-way forks
 *
 *   A. Temerev's skynet micro-benchmark (2016) for goroutines and actors: each
 *   node starts ten children, and the leaves' numbers are added up.
 *
 * A tree takes about a millisecond, so two things are shown: one tree after the
 * other inside a task, which is the price of forking, and a single tree from
 * outside, which has to wake up two workers first.
 *
 * "weft N" is the expert form of weft/fork.h: recursion by value, a look at the
 * byte in each node, and halves of its children offered when somebody is hungry.  "all N" is what
 * anybody would write: ten structs and weft_all, in every node.
 */
#include "skynet.h"

#include <weft/weft.h>

#include "bench.h"

/* Compilers make anything from 0.34 to 0.7 ms of this; the shape is the fastest
 * that was found, and the parallel one below has the same. */
static long serial_sum(long first, long size)
{
	long child = size / SKYNET_WAYS;
	long sum = 0;

	if (size == 1)
		return first;
	for (long leaf = first; leaf < first + size; leaf += child)
		sum += serial_sum(leaf, child);
	return sum;
}

static void serial(void *arg)
{
	struct skynet *s = arg;

	for (int i = 0; i < s->times; i++) {
		s->sum = serial_sum(s->first, s->size);
		bench_keep(s);
	}
}

/* --- by value ----------------------------------------------------------- */

/* The leaves first .. last - 1, under children of `child` leaves each. */
struct part {
	long first, last, child, sum;
};

static long node_sum(long first, long size);
static int part_task(void *arg);

static long part_offered(long first, long last, long child)
{
	long middle = first + (last - first) / child / 2 * child;
	struct part l = { first, middle, child, 0 };
	struct part r = { middle, last, child, 0 };

	weft_both_offered(part_task, &l, part_task, &r);
	return l.sum + r.sum;
}

static int part_task(void *arg)
{
	struct part *p = arg;

	if (p->last - p->first == p->child)
		p->sum = node_sum(p->first, p->child);
	else
		p->sum = part_offered(p->first, p->last, p->child);
	return 0;
}

static long node_sum(long first, long size)
{
	long child = size / SKYNET_WAYS;
	long sum = 0;

	if (size == 1)
		return first;
	if (weft_hungry())
		return part_offered(first, first + size, child);
	for (long leaf = first; leaf < first + size; leaf += child)
		sum += node_sum(leaf, child);
	return sum;
}

static int by_value(void *arg)
{
	struct skynet *s = arg;

	for (int i = 0; i < s->times; i++) {
		s->sum = node_sum(s->first, s->size);
		bench_keep(s);
	}
	return 0;
}

/* --- by weft_all -------------------------------------------------------- */

static int node_task(void *arg)
{
	struct skynet *s = arg;
	struct skynet child[SKYNET_WAYS];
	struct weft_call calls[SKYNET_WAYS];
	long size = s->size / SKYNET_WAYS;

	s->sum = s->first;
	if (s->size == 1)
		return 0;
	for (int i = 0; i < SKYNET_WAYS; i++) {
		child[i] = (struct skynet){ s->first + i * size, size, 0, 1 };
		calls[i] = (struct weft_call){ node_task, &child[i] };
	}
	int rc = weft_all(calls, SKYNET_WAYS);
	s->sum = 0;
	for (int i = 0; i < SKYNET_WAYS; i++)
		s->sum += child[i].sum;
	return rc;
}

static int by_all(void *arg)
{
	struct skynet *s = arg;
	int rc = 0;

	for (int i = 0; i < s->times && rc == 0; i++)
		rc = node_task(s);
	return rc;
}

/* --- rows --------------------------------------------------------------- */

/* Before each run: is the result of the last one right? */
static void check(void *arg)
{
	struct skynet *s = arg;

	bench_check(s->sum == s->size * (s->size - 1) / 2, "skynet");
	s->sum = 0;
}

static struct skynet tree(long size, int times)
{
	return (struct skynet){ 0, size, size * (size - 1) / 2, times };
}

static void in_a_row(long size)
{
	struct skynet s = tree(size, bench_quick() ? 2 : 32);
	struct bench_row row = { .what = "skynet", .items = s.times, .before = check };

	row.before_arg = &s;
	bench_plain(&row, "serial", serial, &s);
	bench_weft(&row, "weft 1", 1, by_value, &s);
	bench_weft(&row, "weft N", 0, by_value, &s);
	bench_weft(&row, "all N", 0, by_all, &s);
	bench_bar(&row, "P4", "serial", "weft N", BENCH_AT_LEAST, 1.8);
	bench_run(&row);
	check(&s);
}

static void once(long size)
{
	struct skynet s = tree(size, 1);
	struct bench_row row = { .what = "skynet, once", .before = check, .before_arg = &s };

	bench_plain(&row, "serial", serial, &s);
	bench_weft(&row, "weft N", 0, by_value, &s);
	bench_weft(&row, "all N", 0, by_all, &s);
	bench_peers(&row, "skynet", &s);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "libomp", BENCH_AT_MOST, 1);
	bench_run(&row);
	check(&s);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	long size = bench_quick() ? 10 * 1000 : 1000 * 1000;

	in_a_row(size);
	once(size);
	return bench_end();
}
