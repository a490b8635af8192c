/* SPDX-License-Identifier: MIT */
/*
 * tree.c - a million tasks at rest: what they take, and what it takes to cancel them
 *
 * Memory is resident memory, of the whole process, by the task: tasks that were
 * started and have not run, and tasks that run and wait, each on a stack of its own.
 * The latter are a tree of 1000 groups of 1000 tasks, which a cancel at the root wakes
 * and which is then joined; of that, walking and waking is the shorter part.
 *
 * A last row cancels from outside a task that has 5,000 and 50,000 scopes inside one
 * another: the time for one scope stays what it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

#include "bench.h"

static unsigned groups = 1000, tasks = 1000;

static double resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static unsigned long ran;

static int counts(void *arg)
{
	(void)arg;
	ran++;
	return 0;
}

/* With one worker nothing runs before the group is joined. */
static int not_started(void *arg)
{
	struct weft_group g;
	double *bytes = arg, before = resident();

	bench_check(weft_group_open(&g) == 0, "open");
	for (unsigned i = 0; i < groups * tasks; i++)
		bench_check(weft_spawn(&g, counts, NULL) == 0, "spawn");
	*bytes = (resident() - before) / (double)groups / (double)tasks;
	return weft_group_close(&g, 0);
}

static int waits(void *arg)
{
	int rc = weft_sleep_forever();

	(void)arg;
	ran += rc == WEFT_ECANCELED;
	return rc;
}

static int branch(void *arg)
{
	struct weft_group g;

	bench_check(weft_group_open(&g) == 0, "open");
	for (unsigned i = 0; i < tasks; i++)
		bench_check(weft_spawn(&g, waits, arg) == 0, "spawn");
	return weft_group_close(&g, 0);
}

struct figures {
	double bytes, cancel, join;
};

static int waiting(void *arg)
{
	struct figures *f = arg;
	struct weft_group g;
	double before = resident();

	bench_check(weft_group_open(&g) == 0, "open");
	for (unsigned i = 0; i < groups; i++)
		bench_check(weft_spawn(&g, branch, NULL) == 0, "spawn");
	bench_check(weft_wait_all_blocked() == 0, "wait");
	f->bytes = (resident() - before) / (double)groups / (double)(tasks + 1);
	double began = bench_now();
	weft_group_cancel(&g);
	f->cancel = bench_now() - began;
	int rc = weft_group_close(&g, 0);
	f->join = bench_now() - began;
	return rc;
}

struct nest {
	struct weft_scope *scopes;
	unsigned depth;
	double seconds;
};

static int cancels(void *arg)
{
	struct nest *n = arg;
	int rc = weft_wait_all_blocked();

	n->seconds = bench_now();
	weft_scope_cancel(&n->scopes[0]);
	return rc;
}

static int nested(void *arg)
{
	struct nest *n = arg;
	struct weft_group g;
	int rc = weft_scope_enter(&n->scopes[0]);

	bench_check(rc == 0 && weft_group_open(&g) == 0, "open");
	bench_check(weft_spawn(&g, cancels, n) == 0, "spawn");
	for (unsigned i = 1; i < n->depth; i++)
		bench_check(weft_scope_enter(&n->scopes[i]) == 0, "enter");
	rc = weft_sleep_forever();
	for (unsigned i = n->depth - 1; i > 0; i--)
		rc = weft_scope_leave(&n->scopes[i], rc);
	rc = weft_group_close(&g, rc);
	n->seconds = bench_now() - n->seconds;
	return weft_scope_leave(&n->scopes[0], rc);
}

static double nest(struct weft_runtime *rt, unsigned depth)
{
	struct nest n = { calloc(depth, sizeof(struct weft_scope)), depth, 0 };

	bench_check(n.scopes && weft_runtime_run(rt, nested, &n) == 0, "nest");
	free(n.scopes);
	return n.seconds / depth * 1e9;
}

int main(int argc, char **argv)
{
	struct figures f = { 0 };
	struct weft_runtime *rt;
	double bytes = 0;

	bench_begin(argc, argv);
	if (bench_quick())
		groups = tasks = 30;
	bench_check(weft_runtime_create(&rt, .workers = 1, .stack_size = 16 << 10) == 0, "create");
	bench_check(weft_runtime_run(rt, not_started, &bytes) == 0, "not started");
	bench_check(ran == groups * tasks, "each ran");
	ran = 0;
	bench_check(weft_runtime_run(rt, waiting, &f) == 0, "waiting");
	bench_check(ran == groups * tasks, "each was cancelled");
	bench_value("P16", "a task that has not started", bytes, "bytes", BENCH_AT_MOST,
		    192 * 1.05);
	bench_value("P16", "a task that waits", f.bytes, "bytes", BENCH_AT_MOST, 4.4 * 1024);
	bench_value("SC-2", "cancel: walk and wake all", f.cancel, "s", BENCH_AT_MOST, 1);
	bench_value("SC-2", "cancel and join all", f.join, "s", BENCH_AT_MOST, 2);
	bench_value("SC19", "5,000 nested scopes, for one", nest(rt, 5000), "ns", BENCH_AT_MOST,
		    2000);
	bench_value("SC19", "50,000 nested scopes, for one", nest(rt, bench_quick() ? 5000 : 50000),
		    "ns", BENCH_AT_MOST, 2000);
	weft_runtime_destroy(rt);
	return bench_end();
}
