/* SPDX-License-Identifier: MIT */
/*
 * stream.c - what an item costs in a stage of a stream
 *
 * Rows of the stages that only compute are for an item and stage: filter, apply and take
 * over an array.  A buffer is a task on either side; "2" leaves it to the scheduler where
 * they run.  Applying does 10 us of work an item, in order; results that wait for their
 * turn count against the limit, so 16 is 160 us ahead of a worker that loses its CPU.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "bench.h"
#include "channel.h"
#include "stream.h"

struct job {
	size_t n;
	struct weft_stream *(*make)(struct job *job);
	int64_t *items;
	int64_t sum, expected;
	size_t limit;
	size_t times; /* a run is so many streams; 0: one */
};

static int drain_once(struct job *job)
{
	struct weft_stream *s = job->make(job);
	int64_t item, sum = 0;

	while (weft_next(s, &item) > 0)
		sum += item;
	weft_stream_destroy(s);
	job->sum = sum;
	bench_check(!job->expected || sum == job->expected, "the sum of a stream");
	return 0;
}

static int drain(void *arg)
{
	struct job *job = arg;
	int rc = drain_once(job);

	for (size_t i = 1; i < job->times; i++)
		drain_once(job);
	return rc;
}

static int drain_chunks(void *arg)
{
	struct job *job = arg;
	struct weft_stream *s = job->make(job);
	struct weft_chunk chunk;
	int64_t sum = 0;

	while (weft_next(s, &chunk) > 0)
		for (size_t i = 0; i < chunk.n; i++)
			sum += ((int64_t *)chunk.items)[i];
	weft_stream_destroy(s);
	job->sum = sum;
	bench_check(!job->expected || sum == job->expected, "the sum of a stream");
	return 0;
}

/* --- streams ------------------------------------------------------------------ */

static bool is_any(const void *item, void *arg)
{
	(void)arg;
	return *(const int64_t *)item >= 0;
}

static int add_one(const void *in, void *out, void *arg)
{
	(void)arg;
	*(int64_t *)out = *(const int64_t *)in + 1;
	return 1;
}

static struct weft_stream *array(struct job *job)
{
	return weft_from_array(job->items, job->n, sizeof(int64_t));
}

static struct weft_stream *pure(struct job *job)
{
	return weft_take(
		weft_apply(weft_filter(array(job), is_any, NULL), add_one, NULL, sizeof(int64_t)),
		SIZE_MAX);
}

static struct weft_stream *buffered(struct job *job)
{
	return weft_buffer(array(job), 256);
}

static struct weft_stream *one_ahead(struct job *job)
{
	return weft_buffer(array(job), 1);
}

static struct weft_stream *batched(struct job *job)
{
	return weft_batch(array(job), 100, 0);
}

static struct weft_stream *batched_in_time(struct job *job)
{
	return weft_batch(array(job), 100, WEFT_SEC(1));
}

static struct weft_stream *merged(struct job *job)
{
	size_t each = job->n / job->limit;
	struct weft_stream **sources = malloc(job->limit * sizeof *sources);

	bench_check(sources != NULL, "memory");
	for (size_t i = 0; i < job->limit; i++)
		sources[i] = weft_from_array(job->items + i * each, each, sizeof(int64_t));
	struct weft_stream *s = weft_merge(sources, job->limit);
	free(sources);
	return s;
}

/* --- work ----------------------------------------------------------------------- */

static uint64_t spin(uint64_t seed, unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return seed;
}

static unsigned turns;

static void calibrate(void)
{
	uint64_t value = 1;
	double began = bench_cpu();

	value = spin(value, 10000000);
	double took = bench_cpu() - began;
	bench_keep(&value);
	turns = (unsigned)(10e-6 / (took / 1e7));
}

static int work(const void *in, void *out, void *arg)
{
	(void)arg;
	*(uint64_t *)out = spin(*(const uint64_t *)in, turns) | 1;
	return 1;
}

static struct weft_stream *worked(struct job *job)
{
	return weft_apply(array(job), work, NULL, sizeof(int64_t), .limit = job->limit);
}

/* --- rows ------------------------------------------------------------------------ */

static int64_t *numbers;

static struct job job_of(size_t n, struct weft_stream *(*make)(struct job *), int64_t more)
{
	struct job job = { .n = n, .make = make, .items = numbers };

	job.expected = (int64_t)n * ((int64_t)n - 1) / 2 + more;
	return job;
}

static void run(const char *what, const char *id, struct job *job, bench_task_fn *fn, double items,
		unsigned workers, double limit)
{
	struct bench_row row = { .what = what, .items = items };
	const char *name = workers == 1 ? "weft 1" : "weft 2";

	bench_weft(&row, name, workers, fn, job);
	if (limit > 0 && workers == 1)
		bench_bar_cpu(&row, id, name, NULL, BENCH_AT_MOST, limit);
	else if (limit > 0)
		bench_bar(&row, id, name, NULL, BENCH_AT_MOST, limit);
	bench_run(&row);
}

static void flatness(size_t most)
{
	static const char *const names[] = { "buffer(256), 10^2 items", "buffer(256), 10^3 items",
					     "buffer(256), 10^4 items", "buffer(256), 10^5 items",
					     "buffer(256), 10^6 items" };
	size_t n = 100;

	for (size_t i = 0; i < 5 && n <= most; i++, n *= 10) {
		struct job job = job_of(n, buffered, 0);
		job.times = n < 100000 ? 100000 / n : 1;
		run(names[i], "S2", &job, drain, (double)(n * job.times), 1, n > 1000 ? 40 : 0);
	}
}

/* A channel of 256 is what peers have for a buffer. */
static void buffering(size_t n)
{
	struct job job = job_of(n, buffered, 0);
	struct channel_job peer = { .n = (long)n, .capacity = 256 };
	struct bench_row row = { .what = "buffer(256)", .items = (double)n };

	bench_weft(&row, "weft 1", 1, drain, &job);
	bench_weft(&row, "weft 2", 2, drain, &job);
	bench_peer(&row, "Boost 1", "channel_boost", "stream", 1, &peer);
	bench_peer(&row, "Boost 2", "channel_boost", "stream", 2, &peer);
	bench_peer(&row, "Go 1", "channel_go", "stream", 1, &peer);
	bench_peer(&row, "Go 2", "channel_go", "stream", 2, &peer);
	bench_bar(&row, "S3", "weft 2", NULL, BENCH_AT_MOST, 100);
	bench_run(&row);
}

static void merging(const char *what, size_t n, size_t sources)
{
	struct job job = job_of(n, merged, 0);
	struct stream_job peer = { .n = (long)n, .sources = (long)sources };
	struct bench_row row = { .what = what, .items = (double)n };

	job.limit = sources;
	bench_weft(&row, "weft 1", 1, drain, &job);
	bench_peer(&row, "Go 1", "stream_go", "merge", 1, &peer);
	bench_peer(&row, "Go 2", "stream_go", "merge", 2, &peer);
	bench_run(&row);
}

static void applying(size_t n)
{
	struct job one = { .n = n, .make = worked, .items = numbers, .limit = 0 };
	struct job few = { .n = n, .make = worked, .items = numbers, .limit = 16 };
	struct stream_job peer = { .n = (long)n, .turns = turns };
	struct bench_row row = { .what = "apply, 10 us an item", .items = (double)n };

	bench_weft(&row, "serial", 1, drain, &one);
	bench_weft(&row, "limit 16", 2, drain, &few);
	bench_peer(&row, "Go 2", "stream_go", "apply", 2, &peer);
	bench_bar(&row, "S6", "serial", "limit 16", BENCH_AT_LEAST, 1.9);
	bench_run(&row);
	bench_check(one.sum == few.sum, "the sum of what was applied");
	bench_check(!peer.sum || one.sum == peer.sum, "the sum of the peer");
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	size_t n = bench_quick() ? 10000 : 1000000;

	numbers = malloc(n * sizeof *numbers);
	bench_check(numbers != NULL, "memory");
	for (size_t i = 0; i < n; i++)
		numbers[i] = (int64_t)i;
	calibrate();

	struct job job = job_of(n, pure, (int64_t)n);
	run("filter, apply, take: item and stage", "S1", &job, drain, 3.0 * (double)n, 1, 5);
	flatness(n);
	buffering(n);
	job = job_of(n, one_ahead, 0);
	run("buffer(1)", "", &job, drain, (double)n, 1, 0);
	job = job_of(n, batched, 0);
	run("batch(100)", "S4", &job, drain_chunks, (double)n, 1, 10);
	job = job_of(n, batched_in_time, 0);
	run("batch(100, 1 s)", "S4", &job, drain_chunks, (double)n, 1, 10);
	merging("merge of 10", n, 10);
	merging("merge of n / 100 (10,000)", n, n / 100);
	applying(n / 50);
	free(numbers);
	return bench_end();
}
