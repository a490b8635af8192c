/* SPDX-License-Identifier: MIT */
/*
 * channel.c - items from task to task
 *
 * Round trips: two tasks hand one item to and fro over two channels; a round trip is
 * two sends and two receives.  "1 slot" is over channels with room for one, the others
 * are rendezvous.  Streams: one task sends, another receives, through 64 places.
 *
 * "weft 2" leaves it to the scheduler where the tasks run.  "Apart" keeps them on
 * different workers, which both run: they try, and never wait.
 *
 * Beside it two threads that hand an item to and fro by eventfds and by pipes, and,
 * where they were built, Boost.Fiber and Go.
 */
#include "channel.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weft/weft.h>

#include "bench.h"
#include "deque/atomic.h"

enum { MANY = 64 }; /* items a call, where it is several */

struct side {
	struct channel_job *job;
	long capacity; /* of the channels */
	struct weft_channel *there, *back;
};

/* --- weft ------------------------------------------------------------------- */

static int together(struct side *p, weft_fn *one, weft_fn *other)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	bench_check(weft_channel_create(&p->there, sizeof(long), (size_t)p->capacity) == 0, "c");
	bench_check(weft_channel_create(&p->back, sizeof(long), (size_t)p->capacity) == 0, "c");
	if (rc == 0)
		rc = weft_spawn(&g, other, p);
	rc = weft_group_close(&g, rc == 0 ? one(p) : rc);
	weft_channel_destroy(p->there);
	weft_channel_destroy(p->back);
	return rc;
}

static int answer(void *arg)
{
	struct side *p = arg;
	long item;

	while (weft_channel_recv(p->there, &item) == 0)
		weft_channel_send(p->back, &item);
	return 0;
}

static int ask(void *arg)
{
	struct side *p = arg;
	long item, sum = 0;

	for (long i = 0; i < p->job->n; i++) {
		weft_channel_send(p->there, &i);
		weft_channel_recv(p->back, &item);
		sum += item;
	}
	weft_channel_close(p->there);
	p->job->sum = sum;
	return 0;
}

static int ping_pong(void *arg)
{
	struct side p = { arg, 0, NULL, NULL };
	return together(&p, ask, answer);
}

static int ping_pong_slot(void *arg)
{
	struct side p = { arg, 1, NULL, NULL };
	return together(&p, ask, answer);
}

/* Two workers on fewer free CPUs would otherwise wait for the kernel. */
static void relax(unsigned *tries)
{
	if (++*tries % 1024 == 0)
		sched_yield();
	else
		cpu_relax();
}

static void send_trying(struct weft_channel *c, const long *item)
{
	unsigned tries = 0;

	while (weft_channel_try_send(c, item) == WEFT_EAGAIN)
		relax(&tries);
}

static void recv_trying(struct weft_channel *c, long *item)
{
	unsigned tries = 0;

	while (weft_channel_try_recv(c, item) == WEFT_EAGAIN)
		relax(&tries);
}

static int answer_trying(void *arg)
{
	struct side *p = arg;
	long item;

	for (long i = 0; i < p->job->n; i++) {
		recv_trying(p->there, &item);
		send_trying(p->back, &item);
	}
	return 0;
}

static int ask_trying(void *arg)
{
	struct side *p = arg;
	long item, sum = 0;

	for (long i = 0; i < p->job->n; i++) {
		send_trying(p->there, &i);
		recv_trying(p->back, &item);
		sum += item;
	}
	p->job->sum = sum;
	return 0;
}

static int ping_pong_apart(void *arg)
{
	struct side p = { arg, 1, NULL, NULL };
	return together(&p, ask_trying, answer_trying);
}

static int source(void *arg)
{
	struct side *p = arg;

	for (long i = 0; i < p->job->n; i++)
		weft_channel_send(p->there, &i);
	weft_channel_close(p->there);
	return 0;
}

static int sink(void *arg)
{
	struct side *p = arg;
	long item, sum = 0;

	while (weft_channel_recv(p->there, &item) == 0)
		sum += item;
	p->job->sum = sum;
	return 0;
}

static int stream(void *arg)
{
	struct side p = { arg, ((struct channel_job *)arg)->capacity, NULL, NULL };
	return together(&p, sink, source);
}

static int source_many(void *arg)
{
	struct side *p = arg;
	long items[MANY];

	for (long i = 0; i < p->job->n;) {
		long n = 0;
		while (n < MANY && i < p->job->n)
			items[n++] = i++;
		weft_channel_send_many(p->there, items, (size_t)n);
	}
	weft_channel_close(p->there);
	return 0;
}

static int sink_many(void *arg)
{
	struct side *p = arg;
	long items[MANY], sum = 0;
	ptrdiff_t n;

	while ((n = weft_channel_recv_many(p->there, items, MANY)) > 0)
		for (ptrdiff_t i = 0; i < n; i++)
			sum += items[i];
	p->job->sum = sum;
	return 0;
}

static int stream_many(void *arg)
{
	struct side p = { arg, ((struct channel_job *)arg)->capacity, NULL, NULL };
	return together(&p, sink_many, source_many);
}

/* --- two threads -------------------------------------------------------------- */

struct threads {
	long n;
	int there[2], back[2]; /* where to read, where to write */
};

static void *thread_answer(void *arg)
{
	struct threads *t = arg;
	uint64_t item;

	for (long i = 0; i < t->n; i++)
		bench_check(read(t->there[0], &item, 8) == 8 && write(t->back[1], &item, 8) == 8,
			    "answer");
	return NULL;
}

static void over_descriptors(struct threads *t, struct channel_job *job)
{
	pthread_t other;
	long sum = 0;

	t->n = job->n;
	pthread_create(&other, NULL, thread_answer, t);
	for (long i = 0; i < job->n; i++) {
		uint64_t item = (uint64_t)i + 1; /* an eventfd does not send 0 */
		bench_check(write(t->there[1], &item, 8) == 8 && read(t->back[0], &item, 8) == 8,
			    "ask");
		sum += (long)item - 1;
	}
	pthread_join(other, NULL);
	job->sum = sum;
}

static void over_eventfds(void *arg)
{
	struct threads t;

	t.there[0] = t.there[1] = eventfd(0, 0);
	t.back[0] = t.back[1] = eventfd(0, 0);
	over_descriptors(&t, arg);
	close(t.there[0]);
	close(t.back[0]);
}

static void over_pipes(void *arg)
{
	struct threads t;

	bench_check(pipe(t.there) == 0 && pipe(t.back) == 0, "pipe");
	over_descriptors(&t, arg);
	for (int i = 0; i < 2; i++) {
		close(t.there[i]);
		close(t.back[i]);
	}
}

/* --- rows ------------------------------------------------------------------------ */

/* Before each run: is the result of the last one right? */
static void check(void *arg)
{
	struct channel_job *job = arg;

	bench_check(job->sum == job->n * (job->n - 1) / 2, "every item");
	job->sum = 0;
}

static void measure_round_trips(long n)
{
	struct channel_job job = { .n = n, .sum = n * (n - 1) / 2 };
	struct bench_row row = { .what = "round trip", .items = (double)n, .before = check };

	row.before_arg = &job;
	bench_weft(&row, "weft 1", 1, ping_pong, &job);
	bench_weft(&row, "weft 1, 1 slot", 1, ping_pong_slot, &job);
	bench_weft(&row, "weft 2", 2, ping_pong, &job);
	bench_plain(&row, "eventfd", over_eventfds, &job);
	bench_plain(&row, "pipe", over_pipes, &job);
	bench_peer(&row, "Boost 1", "channel_boost", "ping_pong", 1, &job);
	bench_peer(&row, "Boost 2", "channel_boost", "ping_pong", 2, &job);
	bench_peer(&row, "Go 1", "channel_go", "ping_pong", 1, &job);
	bench_peer(&row, "Go 2", "channel_go", "ping_pong", 2, &job);
	bench_bar_cpu(&row, "P15", "weft 1", NULL, BENCH_AT_MOST, 60);
	bench_bar_cpu(&row, "P15", "weft 1, 1 slot", NULL, BENCH_AT_MOST, 60);
	bench_bar(&row, "P15", "weft 2", NULL, BENCH_AT_MOST, 500);
	bench_run(&row);
	check(&job);
}

/* Few: where others use the CPUs too, each trip waits for both to be given. */
static void measure_apart(long n)
{
	struct channel_job job = { .n = n, .sum = n * (n - 1) / 2 };
	struct bench_row row = { .what = "round trip, apart", .items = (double)n, .before = check };

	row.before_arg = &job;
	bench_weft(&row, "weft 2", 2, ping_pong_apart, &job);
	bench_bar(&row, "P15", "weft 2", NULL, BENCH_AT_MOST, 500);
	bench_run(&row);
	check(&job);
}

static void measure_streams(long n)
{
	struct channel_job job = { .n = n, .capacity = 64, .sum = n * (n - 1) / 2 };
	struct bench_row row = { .what = "item of a stream", .items = (double)n, .before = check };

	row.before_arg = &job;
	bench_weft(&row, "weft 1", 1, stream, &job);
	bench_weft(&row, "weft 1, 64 a call", 1, stream_many, &job);
	bench_weft(&row, "weft 2", 2, stream, &job);
	bench_weft(&row, "weft 2, 64 a call", 2, stream_many, &job);
	bench_peer(&row, "Boost 1", "channel_boost", "stream", 1, &job);
	bench_peer(&row, "Boost 2", "channel_boost", "stream", 2, &job);
	bench_peer(&row, "Go 1", "channel_go", "stream", 1, &job);
	bench_peer(&row, "Go 2", "channel_go", "stream", 2, &job);
	bench_bar(&row, "", "weft 2", NULL, BENCH_AT_MOST, 250);
	bench_run(&row);
	check(&job);
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	measure_round_trips(bench_quick() ? 1000 : 30000);
	measure_apart(bench_quick() ? 100 : 2000);
	measure_streams(bench_quick() ? 10000 : 1000000);
	return bench_end();
}
