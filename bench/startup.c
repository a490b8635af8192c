/* SPDX-License-Identifier: MIT */
/*
 * startup.c - from nothing to a running task, and from outside into a runtime
 *
 * A plain thread that runs a function in a runtime has to wake a worker, and to be
 * woken when it is done.  "semaphores" does that and nothing else: a thread that
 * sleeps on one, and posts another; hot, the kernel hands one CPU to and fro between
 * the two, which is no measure for a worker that stays awake for a while, so only
 * the cold call is judged by it.  "threads" starts and joins as many threads as
 * the runtime has workers.
 */
#include <pthread.h>
#include <semaphore.h>

#include <weft/weft.h>

#include "bench.h"

enum { THREADS_MAX = 64, CALLS_MAX = 500 };

struct startup {
	int times;
};

static int nothing(void *arg)
{
	bench_keep(arg);
	return 0;
}

/* --- start and stop ----------------------------------------------------- */

static void start_and_stop(void *arg)
{
	struct startup *s = arg;

	for (int i = 0; i < s->times; i++) {
		bench_check(weft_run_sync(nothing, s) == 0, "weft_run_sync");
		bench_check(weft_shutdown(WEFT_NEVER) == 0, "weft_shutdown");
	}
}

static void *thread_main(void *arg)
{
	return arg;
}

static void start_and_stop_threads(void *arg)
{
	struct startup *s = arg;
	pthread_t thread[THREADS_MAX];
	unsigned count = bench_threads() < THREADS_MAX ? bench_threads() : THREADS_MAX;

	for (int i = 0; i < s->times; i++) {
		for (unsigned t = 0; t < count; t++)
			bench_check(pthread_create(&thread[t], NULL, thread_main, NULL) == 0,
				    "pthread_create");
		for (unsigned t = 0; t < count; t++)
			pthread_join(thread[t], NULL);
	}
}

static void measure_start(void)
{
	struct startup s = { bench_quick() ? 2 : 50 };
	struct bench_row row = { .what = "start and stop", .items = s.times };

	bench_plain(&row, "threads", start_and_stop_threads, &s);
	bench_plain(&row, "weft N", start_and_stop, &s);
	bench_bar(&row, "", "weft N", NULL, BENCH_AT_MOST, 1e6);
	bench_run(&row);
}

/* --- an empty run ------------------------------------------------------- */

static struct {
	pthread_t thread;
	sem_t begin, done;
	bool end;
} helper;

static void *help(void *arg)
{
	while (sem_wait(&helper.begin) == 0 && !helper.end)
		sem_post(&helper.done);
	return arg;
}

static void helper_start(void)
{
	sem_init(&helper.begin, 0, 0);
	sem_init(&helper.done, 0, 0);
	bench_check(pthread_create(&helper.thread, NULL, help, NULL) == 0, "pthread_create");
}

static void helper_stop(void)
{
	helper.end = true;
	sem_post(&helper.begin);
	pthread_join(helper.thread, NULL);
}

static void call_helper(void)
{
	sem_post(&helper.begin);
	sem_wait(&helper.done);
}

static void call_weft(void)
{
	weft_run_sync(nothing, &helper);
}

static void helper_in_a_row(void *arg)
{
	struct startup *s = arg;
	for (int i = 0; i < s->times; i++)
		call_helper();
}

static void weft_in_a_row(void *arg)
{
	struct startup *s = arg;
	for (int i = 0; i < s->times; i++)
		call_weft();
}

static void measure_hot(void)
{
	struct startup s = { bench_quick() ? 100 : 5000 };
	struct bench_row row = { .what = "empty run, hot", .items = s.times };

	bench_plain(&row, "semaphores", helper_in_a_row, &s);
	bench_plain(&row, "weft N", weft_in_a_row, &s);
	bench_run(&row);
}

static void pause_busily(double seconds)
{
	double until = bench_now() + seconds;

	while (bench_now() < until)
		bench_keep(&until);
}

/* The median of calls that each come a millisecond after the last, in us. */
static double after_pauses(void (*call)(void), unsigned calls)
{
	double took[CALLS_MAX];

	for (unsigned i = 0; i < calls; i++) {
		pause_busily(1e-3);
		double before = bench_now();
		call();
		took[i] = bench_now() - before;
	}
	return 1e6 * bench_median(took, calls);
}

static void measure_cold(void)
{
	unsigned calls = bench_quick() ? 10 : CALLS_MAX;
	double semaphores = after_pauses(call_helper, calls);
	double weft = after_pauses(call_weft, calls);

	bench_value("", "empty run after 1 ms", weft, "us", BENCH_AT_MOST, 100);
	bench_value("", "weft / semaphores", weft / semaphores, "", BENCH_AT_MOST, 1.1);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	measure_start();
	helper_start();
	measure_hot();
	measure_cold();
	helper_stop();
	weft_shutdown(WEFT_NEVER);
	return bench_end();
}
