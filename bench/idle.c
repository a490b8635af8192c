/* SPDX-License-Identifier: MIT */
/*
 * idle.c - CPU time used after the last task
 *
 * A burst of work, and then nothing for two seconds.  What the process uses in
 * that time, but for the thread that measures, is what its workers burn while they
 * wait: in the first millisecond, and after it.
 */
#include "idle.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weft/weft.h>

#include "bench.h"

enum { ROUNDS = 3 };

static int burst_items(struct weft_range *r, void *arg)
{
	struct idle *idle = arg;

	for (size_t i = r->begin; i < r->end; i++)
		idle->out[i] = idle_item(i);
	return 0;
}

static int burst(void *arg)
{
	struct idle *idle = arg;
	return weft_for(0, idle->n, burst_items, idle);
}

static void weft_burst(void *arg, unsigned threads)
{
	(void)threads;
	bench_check(weft_run_sync(burst, arg) == 0, "burst");
}

static double own_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* CPU time that the other threads use in so many seconds. */
static double others_use(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };
	double all = bench_cpu();
	double own = own_cpu();

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
	own = own_cpu() - own;
	return bench_cpu() - all - own;
}

static void show(const char *name, const char *when, double seconds, double limit, const char *id)
{
	char *text = NULL;

	bench_check(asprintf(&text, "%s, %s", name, when) > 0, "memory");
	bench_value(id, text, 1e3 * seconds, "ms cpu", BENCH_AT_MOST, limit);
	free(text);
}

static void measure(const char *name, bench_peer_fn *work, struct idle *idle)
{
	unsigned rounds = bench_quick() ? 1 : ROUNDS;
	double first[ROUNDS], later[ROUNDS];

	for (unsigned i = 0; i < rounds; i++) {
		work(idle, bench_threads());
		first[i] = others_use(1e-3);
		later[i] = others_use(bench_quick() ? 0.3 : 2);
	}
	show(name, "first ms", bench_median(first, rounds), 0.5, "P11");
	show(name, "later", bench_median(later, rounds), 0.01, "P11"); /* 10 us: the clocks */
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);

	size_t n = bench_quick() ? 1000 * 1000 : 20 * 1000 * 1000;
	struct idle idle = { n, calloc(n, sizeof(*idle.out)) };
	struct bench_row row = { 0 };

	bench_check(idle.out != NULL, "memory");
	measure("weft", weft_burst, &idle);
	weft_shutdown(WEFT_NEVER);
	bench_peers(&row, "burst", &idle);
	for (unsigned i = 0; i < row.side_count; i++)
		measure(row.sides[i].name, row.sides[i].peer, &idle);
	free(idle.out);
	return bench_end();
}
