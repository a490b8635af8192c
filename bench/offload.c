/* SPDX-License-Identifier: MIT */
/*
 * offload.c - a blocking call on a thread of the pool, and back
 *
 * Hot: one call after the other, from one task.  Cold: after a millisecond in which the
 * thread has gone to sleep.  Throughput: many tasks, each with one call after the other.
 * And a thousand calls of 10 ms at once, which is what pools are for.  Beside it what a
 * thread for each call costs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weft/weft.h>

#include "bench.h"

enum { ROUNDS = 7, TASKS = 64, CALLS = 1000 };

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int nap(void *arg)
{
	struct timespec t = { 0, 10000000 };

	(void)arg;
	return nanosleep(&t, NULL);
}

static void *thread_nothing(void *arg)
{
	return arg;
}

static int hot(void *arg)
{
	long n = *(long *)arg;
	int rc = 0;

	while (n-- > 0 && rc == 0)
		rc = weft_to_thread(nothing, NULL);
	return rc;
}

/* Nanoseconds that the calls took, without what lies between them. */
static int cold(void *arg)
{
	double *ns = arg;
	long n = (long)*ns;

	*ns = 0;
	for (long i = 0; i < n; i++) {
		weft_sleep(WEFT_MS(1));
		double began = bench_now();
		weft_to_thread(nothing, NULL);
		*ns += (bench_now() - began) * 1e9 / (double)n;
	}
	return 0;
}

static int spawn_all(weft_fn *fn, void *arg, int n)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < n && rc == 0; i++)
		rc = weft_spawn(&g, fn, arg);
	return weft_group_close(&g, rc);
}

static int crowd(void *arg)
{
	return spawn_all(hot, arg, TASKS);
}

static int nap_there(void *arg)
{
	return weft_to_thread(nap, arg);
}

static int naps(void *arg)
{
	return spawn_all(nap_there, arg, CALLS);
}

static double seconds(weft_fn *fn, void *arg)
{
	double began = bench_now();

	bench_check(weft_run_sync(fn, arg) == 0, "a call failed");
	return bench_now() - began;
}

static double thread_each(long n)
{
	double began = bench_now();
	pthread_t t;

	for (long i = 0; i < n; i++) {
		pthread_create(&t, NULL, thread_nothing, NULL);
		pthread_join(t, NULL);
	}
	return (bench_now() - began) * 1e9 / (double)n;
}

int main(int argc, char **argv)
{
	double one[ROUNDS], late[ROUNDS], many[ROUNDS], thousand[ROUNDS], threads[ROUNDS];

	bench_begin(argc, argv);
	long n = bench_quick() ? 200 : 20000;
	int rounds = bench_quick() ? 1 : ROUNDS;
	for (int i = 0; i < rounds; i++) {
		one[i] = seconds(hot, &n) * 1e9 / (double)n;
		late[i] = bench_quick() ? 5 : 100;
		seconds(cold, &late[i]);
		long each = n / 10;
		many[i] = seconds(crowd, &each) * 1e9 / (double)(each * TASKS);
		thousand[i] = seconds(naps, NULL) * 1e3;
		threads[i] = thread_each(n / 20);
	}
	size_t count = (size_t)rounds;
	bench_value("P17", "hot", bench_median(one, count), "ns", BENCH_AT_MOST, 1000);
	bench_value("P17", "cold", bench_median(late, count), "ns", BENCH_AT_MOST, 24000);
	bench_value("P17", "throughput", bench_median(many, count), "ns", BENCH_AT_MOST, 120);
	bench_value("", "1000 calls of 10 ms", bench_median(thousand, count), "ms", BENCH_AT_MOST, 60);
	bench_value("", "a thread for each call", bench_median(threads, count), "ns", BENCH_AT_MOST,
		    1e9);
	return bench_end();
}
