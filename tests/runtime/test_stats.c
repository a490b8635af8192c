/* SPDX-License-Identifier: MIT */
/*
 * test_stats.c - the counters, and what WEFT_STATS=1 and WEFT_DISPLAY_ENV=1 print
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

TestSuite(stats, .timeout = 60);

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Two children that each say that they have begun, and a look at the counters. */
struct look {
	int rc, rc_none, rc_null;
	struct weft_stats all, first, second, none;
};

static int look(void *arg)
{
	struct look *l = arg;

	l->rc = weft_stats(-1, &l->all);
	if (l->rc == 0)
		l->rc = weft_stats(0, &l->first);
	if (l->rc == 0)
		l->rc = weft_stats(1, &l->second);
	l->rc_none = weft_stats((int)weft_worker_count(), &l->none);
	l->rc_null = weft_stats(-1, NULL);
	return 0;
}

static int fork_apart(void *arg)
{
	(void)arg;
	return apart(nothing, NULL, nothing, NULL);
}

static int fork_and_look(void *arg)
{
	int rc = fork_apart(NULL);

	return rc ? rc : look(arg);
}

Test(stats, a_fork_that_another_worker_took_is_offered_and_shared)
{
	struct look l = { 0 };

	cr_assert(eq(int, run_on(2, fork_and_look, &l), 0));
	cr_assert(eq(int, l.rc, 0));
	cr_expect(eq(u64, l.all.offered, 1));
	cr_expect(eq(u64, l.all.shared, 1));
	cr_expect(eq(u64, l.all.steals_won, 1));
	cr_expect(ge(u64, l.all.steals_tried, 1));
}

Test(stats, the_sum_is_over_all_workers)
{
	struct look l = { 0 };

	cr_assert(eq(int, run_on(2, fork_and_look, &l), 0));
	cr_expect(eq(u64, l.first.offered + l.second.offered, l.all.offered));
	cr_expect(eq(u64, l.first.shared + l.second.shared, l.all.shared));
	cr_expect(eq(u64, l.first.steals_won + l.second.steals_won, l.all.steals_won));
	cr_expect(eq(u64, l.first.stacks, 0), "stacks are not counted by worker");
}

Test(stats, a_worker_that_does_not_exist_is_einval)
{
	struct look l = { 0 };

	cr_assert(eq(int, run_on(2, look, &l), 0));
	cr_expect(eq(int, l.rc_none, WEFT_EINVAL));
	cr_expect(eq(int, l.rc_null, WEFT_EINVAL));
	cr_expect(eq(u64, l.none.switches, 0));
}

Test(stats, without_a_default_runtime_there_are_none)
{
	struct weft_stats stats;

	cr_expect(eq(int, weft_stats(-1, &stats), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_stats_print(stderr), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_stats_print(NULL), WEFT_EINVAL));
}

static int fork_many(void *arg)
{
	for (int i = 0; i < 1000; i++)
		weft_both_offered(nothing, arg, nothing, arg);
	return 0;
}

Test(stats, one_worker_offers_nothing)
{
	struct weft_stats stats;

	cr_assert(eq(int, weft_configure(.workers = 1), 0));
	cr_assert(eq(int, weft_run_sync(fork_many, NULL), 0));
	cr_assert(eq(int, weft_stats(-1, &stats), 0));
	cr_expect(eq(u64, stats.offered, 0));
	cr_expect(eq(u64, stats.shared, 0));
	cr_expect(eq(u64, stats.steals_won, 0));
}

Test(stats, an_idle_runtime_uses_no_more_stacks_than_it_has_workers)
{
	struct weft_stats stats;
	unsigned n = weft_worker_count();

	for (int i = 0; i < 100; i++)
		cr_assert(eq(int, weft_run_sync(n > 1 ? fork_apart : nothing, NULL), 0));
	cr_assert(eq(int, weft_stats(-1, &stats), 0));
	cr_expect(ge(u64, stats.stacks, 1));
	cr_expect(le(u64, stats.stacks, n));
	cr_expect(ge(u64, stats.stacks_highest, stats.stacks));
}

/* --- what is printed --------------------------------------------------- */

static int print_to(void *arg)
{
	return weft_stats_print(arg);
}

static int count_lines(const char *text)
{
	int n = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		n++;
	}
	return n;
}

Test(stats, print_has_a_row_for_each_worker_and_one_for_all)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	cr_assert(eq(int, run_on(3, print_to, out), 0));
	fclose(out);
	cr_expect(eq(int, count_lines(text), 1 + 3 + 1 + 1), "%s", text);
	for (char row[4] = "\n0 "; row[1] <= '2'; row[1]++)
		cr_expect(ne(ptr, strstr(text, row), NULL), "row %c of %s", row[1], text);
	cr_expect(ne(ptr, strstr(text, "\nall "), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, "\nstacks: "), NULL), "%s", text);
	free(text);
}

/* Tables in the text. */
static int tables(const char *said)
{
	int n = 0;

	while ((said = strstr(said, "worker  ")) != NULL) {
		said++;
		n++;
	}
	return n;
}

static void run_with_stats(void)
{
	setenv("WEFT_STATS", "1", 1);
	weft_configure(.workers = 2);
	weft_run_sync(nothing, NULL);
}

static void run_twice_with_stats(void)
{
	run_with_stats();
	weft_shutdown(WEFT_NEVER);
	run_with_stats();
	weft_shutdown(WEFT_NEVER);
}

static int exit_now(void *arg)
{
	(void)arg;
	exit(0);
}

static void exit_inside_with_stats(void)
{
	setenv("WEFT_STATS", "1", 1);
	weft_run_sync(exit_now, NULL);
}

static void run_without_stats(void)
{
	unsetenv("WEFT_STATS");
	weft_run_sync(nothing, NULL);
	weft_shutdown(WEFT_NEVER);
	setenv("WEFT_STATS", "0", 1);
	weft_run_sync(nothing, NULL);
}

Test(stats, weft_stats_1_prints_one_table_for_each_life_of_the_default_runtime)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(run_with_stats, said), 0));
	cr_expect(eq(int, tables(said), 1), "%s", said);
	cr_expect(eq(int, child_says(run_twice_with_stats, said), 0));
	cr_expect(eq(int, tables(said), 2), "%s", said);
	cr_expect(eq(int, child_says(exit_inside_with_stats, said), 0));
	cr_expect(eq(int, tables(said), 1), "%s", said);
	cr_expect(eq(int, child_says(run_without_stats, said), 0));
	cr_expect(eq(str, said, ""));
}

static void fork_with_stats(void)
{
	run_with_stats();
	pid_t pid = fork();

	if (pid == 0)
		exit(0); /* and prints nothing */
	child_code(pid);
}

Test(stats, weft_stats_1_prints_nothing_in_a_forked_child)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(fork_with_stats, said), 0));
	cr_expect(eq(int, tables(said), 1), "%s", said);
}

static void display(void)
{
	setenv("WEFT_DISPLAY_ENV", "1", 1);
	setenv("WEFT_NUM_THREADS", "3", 1);
	for (int i = 0; i < 2; i++) {
		weft_run_sync(nothing, NULL);
		weft_shutdown(WEFT_NEVER);
	}
}

Test(stats, weft_display_env_1_says_once_what_the_runtime_starts_with)
{
	char said[CHILD_SAYS];
	char *line;

	cr_expect(eq(int, child_says(display, said), 0));
	cr_expect(ne(ptr,
		     strstr(said, "weft: 3 workers unless configured, from WEFT_NUM_THREADS=3\n"),
		     NULL),
		  "%s", said);
	line = strstr(said, "weft: version " WEFT_VERSION);
	cr_assert(ne(ptr, line, NULL), "%s", said);
	cr_expect(eq(ptr, strstr(line + 1, "weft: version "), NULL), "%s", said);
	cr_expect(ne(ptr, strstr(said, "weft: stacks of "), NULL), "%s", said);
}
