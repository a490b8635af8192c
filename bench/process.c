/* SPDX-License-Identifier: MIT */
/*
 * process.c - a job to a worker process and back, and how long a worker takes to start
 *
 * "socket" is the least that a message there and back can cost with processes that
 * sleep: a child that echoes over a pair of sockets.  Python's ProcessPoolExecutor
 * is run when there is a python3.  A job that finds no worker, in a small process and
 * in one with 1 GiB of memory in use, is beside posix_spawn of /bin/true.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "bench.h"

enum { SAMPLES_MAX = 200, BURST = 16 };

struct work {
	int times;
	struct weft_process_pool *pool;
};

static int echo(const void *in, size_t size, struct weft_reply *reply)
{
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(echo);

static void call(struct weft_process_pool *pool, const void *data, size_t size)
{
	struct weft_buf out = { 0 };

	bench_check(weft_to_process(echo, data, size, &out, .pool = pool) == 0, "weft_to_process");
	bench_check(out.size == size, "size");
	weft_buf_free(&out);
}

/* --- there and back ------------------------------------------------------ */

static int ends[2];
static pid_t echoer;

static void start_echoer(void)
{
	bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "sockets");
	echoer = fork();
	if (echoer != 0)
		return;
	char byte[64];
	for (;;) {
		ssize_t n = recv(ends[1], byte, sizeof byte, 0);
		if (n <= 0 || send(ends[1], byte, (size_t)n, 0) != n)
			_exit(0);
	}
}

static void stop_echoer(void)
{
	kill(echoer, SIGKILL);
	waitpid(echoer, NULL, 0);
}

static void over_socket(void)
{
	char byte[64] = { 0 };

	bench_check(send(ends[0], byte, sizeof byte, 0) == sizeof byte, "send");
	bench_check(recv(ends[0], byte, sizeof byte, 0) == sizeof byte, "recv");
}

static void socket_in_a_row(void *arg)
{
	const struct work *w = arg;
	for (int i = 0; i < w->times; i++)
		over_socket();
}

static int weft_in_a_row(void *arg)
{
	const struct work *w = arg;
	char byte[64] = { 0 };

	for (int i = 0; i < w->times; i++)
		call(w->pool, byte, sizeof byte);
	return 0;
}

static void measure_hot(struct work *w)
{
	struct bench_row row = { .what = "job and back, hot", .items = w->times };

	bench_plain(&row, "socket", socket_in_a_row, w);
	bench_weft(&row, "weft N", 0, weft_in_a_row, w);
	bench_bar(&row, "P19", "weft N", "socket", BENCH_AT_MOST, 2);
	bench_run(&row);
}

static int one_more(void *arg)
{
	const struct work *w = arg;

	for (int i = 0; i < w->times / BURST; i++)
		call(w->pool, arg, sizeof(int));
	return 0;
}

/* Callers enough to keep all workers busy. */
static int weft_burst(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < BURST && rc == 0; i++)
		rc = weft_spawn(&g, one_more, arg);
	return weft_group_close(&g, rc);
}

static void measure_burst(struct work *w)
{
	struct bench_row row = { .what = "jobs of 16 callers", .items = w->times };

	bench_weft(&row, "weft N", 0, weft_burst, w);
	bench_run(&row);
}

static double cold[SAMPLES_MAX];

static void pause_for(useconds_t us)
{
	usleep(us);
}

static int sample_cold(void *arg)
{
	const struct work *w = arg;

	for (int i = 0; i < w->times; i++) {
		pause_for(2000);
		double begun = bench_now();
		call(w->pool, arg, sizeof(int));
		cold[i] = bench_now() - begun;
	}
	return 0;
}

static void measure_cold(struct work w)
{
	double raw[SAMPLES_MAX];

	w.times = bench_quick() ? 10 : SAMPLES_MAX;
	weft_run_sync(sample_cold, &w);
	for (int i = 0; i < w.times; i++) {
		pause_for(2000);
		double begun = bench_now();
		over_socket();
		raw[i] = bench_now() - begun;
	}
	double mine = bench_median(cold, (size_t)w.times),
	       socket = bench_median(raw, (size_t)w.times);
	bench_value("P19", "job and back after 2 ms", 1e6 * mine, "us", BENCH_AT_MOST, 45);
	bench_value("", "weft / socket", mine / socket, "", BENCH_AT_MOST, 2);
}

/* --- starting ------------------------------------------------------------ */

static int sample_starts(void *arg)
{
	const struct work *w = arg;

	for (int i = 0; i < w->times; i++) {
		struct weft_process_pool *pool;
		double begun = bench_now();
		bench_check(weft_process_pool_create(&pool, .workers = 1) == 0, "create");
		call(pool, arg, sizeof(int));
		cold[i] = bench_now() - begun;
		bench_check(weft_process_pool_close(pool, 0) == 0, "close");
	}
	return 0;
}

/* The server is there; the worker is not. */
static int sample_workers(void *arg)
{
	const struct work *w = arg;
	struct weft_process_pool *pool;

	bench_check(weft_process_pool_create(&pool, .workers = 1, .max_tasks = 1) == 0, "create");
	call(pool, arg, sizeof(int));
	for (int i = 0; i < w->times; i++) {
		double begun = bench_now();
		call(pool, arg, sizeof(int));
		cold[i] = bench_now() - begun;
	}
	return weft_process_pool_close(pool, 0);
}

static double spawn_time(int times)
{
	char *argv[] = { "true", NULL }, *env[] = { NULL };
	double took[SAMPLES_MAX];

	for (int i = 0; i < times; i++) {
		pid_t pid;
		double begun = bench_now();
		bench_check(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env) == 0, "spawn");
		waitpid(pid, NULL, 0);
		took[i] = bench_now() - begun;
	}
	return bench_median(took, (size_t)times);
}

static double median_of(weft_fn *sample, struct work *w)
{
	bench_check(weft_run_sync(sample, w) == 0, "a sample");
	return 1e3 * bench_median(cold, (size_t)w->times);
}

static void measure_starts(void)
{
	struct work w = { .times = bench_quick() ? 3 : 50 };
	size_t gib = (size_t)(bench_quick() ? 1 << 24 : 1 << 30);

	bench_value("", "posix_spawn of true", 1e3 * spawn_time(w.times), "ms", BENCH_AT_MOST, 5);
	bench_value("", "first job of a pool", median_of(sample_starts, &w), "ms", BENCH_AT_MOST,
		    15);
	double small = median_of(sample_workers, &w);
	bench_value("", "job and a new worker", small, "ms", BENCH_AT_MOST, 5);
	char *memory = mmap(NULL, gib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bench_check(memory != MAP_FAILED, "mmap");
	memset(memory, 1, gib);
	double large = median_of(sample_workers, &w);
	bench_value("", "the same beside 1 GiB", large, "ms", BENCH_AT_MOST, 5);
	bench_value("", "large / small", large / small, "", BENCH_AT_MOST, 1.1);
	munmap(memory, gib);
}

/* --- Python -------------------------------------------------------------- */

static void measure_python(void)
{
	static const char script[] = "python3 -c '\n"
				     "from concurrent.futures import ProcessPoolExecutor as P\n"
				     "import time\n"
				     "with P(1) as p:\n"
				     "    p.submit(abs, 1).result(); t = []\n"
				     "    for i in range(1000):\n"
				     "        a = time.perf_counter(); p.submit(abs, 1).result()\n"
				     "        t.append(time.perf_counter() - a)\n"
				     "print(sorted(t)[500])' 2>/dev/null";
	FILE *f = popen(script, "re");
	double seconds = 0;

	if (f && fscanf(f, "%lf", &seconds) == 1)
		bench_value("", "Python's, hot", 1e6 * seconds, "us", BENCH_AT_LEAST, 0);
	if (f)
		pclose(f);
}

static int open_pool(void *arg)
{
	struct work *w = arg;

	return weft_process_pool_create(&w->pool, .workers = bench_threads());
}

static int close_pool(void *arg)
{
	return weft_process_pool_close(((struct work *)arg)->pool, 0);
}

int main(int argc, char **argv)
{
	struct work w = { 0 };

	bench_begin(argc, argv);
	start_echoer();
	w.times = bench_quick() ? 100 : 2000;
	bench_check(weft_run_sync(open_pool, &w) == 0, "a pool");
	measure_hot(&w);
	w.times = bench_quick() ? 160 : 8000;
	measure_burst(&w);
	measure_cold(w);
	bench_check(weft_run_sync(close_pool, &w) == 0, "close");
	measure_starts();
	measure_python();
	stop_echoer();
	weft_shutdown(WEFT_NEVER);
	return bench_end();
}
