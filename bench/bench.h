/* SPDX-License-Identifier: MIT */
/*
 * bench.h - measure weft beside serial code and its peers, and judge by ratios
 *
 * A benchmark is a program that measures rows.  A row is one piece of work done
 * by several sides: serial code, weft with one worker, weft with all, peers.
 * The sides run in turn, round after round (A B C, B C A, ...), so that a change
 * of the machine's speed hits them all; a bar is judged by the median of the
 * ratios of the rounds.
 *
 *	static int tree(void *arg) { ... weft_both(...) ... }
 *
 *	int main(int argc, char **argv)
 *	{
 *		bench_begin(argc, argv);
 *		struct job job = { .n = bench_quick() ? 25 : 38 };
 *		struct bench_row row = { .what = "fib(38)", .items = calls(job.n) };
 *		bench_plain(&row, "serial", serial_fib, &job);
 *		bench_weft(&row, "weft 1", 1, tree, &job);
 *		bench_weft(&row, "weft N", 0, tree, &job);
 *		bench_peers(&row, "fib", &job);
 *		bench_bar(&row, "P1", "weft 1", "serial", BENCH_AT_MOST, 1.20);
 *		bench_bar(&row, "P2", "weft 1", "weft N", BENCH_AT_LEAST, 1.9);
 *		bench_run(&row);
 *		return bench_end();
 *	}
 *
 * Peers lie beside the benchmark: bench/fib_tbb.cpp (oneTBB), bench/fib_omp.c
 * (OpenMP, compiled by gcc and by clang), bench/fib_cpp.cpp (other C++).  Each
 * becomes a module of its own that is loaded when it is there, so that no two
 * OpenMP runtimes meet in one namespace.  A peer file defines, for the `symbol`
 * of bench_peers() above,
 *
 *	BENCH_PEER void peer_fib(void *job, unsigned threads)
 *
 * Command line: [--quick] [--json] [--rounds N] [--no-banner].
 */
#ifndef WEFT_BENCH_H
#define WEFT_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define BENCH_PEER extern "C" __attribute__((visibility("default")))
extern "C" {
#else
#define BENCH_PEER __attribute__((visibility("default")))
#endif

enum {
	BENCH_SIDES_MAX = 10,
	BENCH_BARS_MAX = 10,
	BENCH_ROUNDS_MAX = 101,
};

enum bench_op {
	BENCH_AT_MOST,
	BENCH_AT_LEAST,
};

typedef void bench_fn(void *arg);
typedef int bench_task_fn(void *arg); /* as weft_fn: runs inside a runtime */
typedef void bench_peer_fn(void *arg, unsigned threads);

/* What one side took in each round, in seconds. */
struct bench_side {
	const char *name;
	bench_fn *plain;
	bench_task_fn *task;
	bench_peer_fn *peer;
	void *arg;
	unsigned threads; /* of weft or of the peer */
	double wall[BENCH_ROUNDS_MAX];
	double cpu[BENCH_ROUNDS_MAX];
};

/* `side` / `over` against `limit`; without `over`: nanoseconds an item. */
struct bench_bar {
	const char *id, *side, *over;
	enum bench_op op;
	bool cpu; /* judge CPU time instead of wall time */
	double limit;
};

/* Make it with designated initializers or zeroed; names are borrowed until
 * bench_end(). */
struct bench_row {
	const char *what;
	double items;	  /* a run does so many: times are shown for one.  0: for the run */
	bench_fn *before; /* called before each run, untimed, or NULL */
	void *before_arg;
	const double *paused; /* seconds of a run that do not count, or NULL */
	struct bench_side sides[BENCH_SIDES_MAX];
	struct bench_bar bars[BENCH_BARS_MAX];
	unsigned side_count, bar_count;
};

/* Reads the command line; prints machine, compiler, flags and load. */
void bench_begin(int argc, char **argv);

/* True for one short round that shows that the benchmark works: use small
 * sizes, and know that no bar is judged. */
bool bench_quick(void);

/* Threads that "all" means here: what weft would start. */
unsigned bench_threads(void);

/* Add a side.  bench_plain runs on the main thread.  bench_weft runs as a task
 * of a runtime with so many workers (0: all) that exists since before the first
 * round.  bench_peers adds "tbb", "gomp", "libomp" and "cpp", those that were
 * built, each with all threads. */
void bench_plain(struct bench_row *row, const char *name, bench_fn *fn, void *arg);
void bench_weft(struct bench_row *row, const char *name, unsigned workers, bench_task_fn *fn,
		void *arg);
void bench_peers(struct bench_row *row, const char *symbol, void *arg);

/* As bench_peers: one peer, with so many threads (0: all).  False when it is
 * not there. */
bool bench_peer(struct bench_row *row, const char *name, const char *module, const char *symbol,
		unsigned threads, void *arg);

/* `over` may be NULL: then `limit` is nanoseconds an item.  A bar that names a
 * side that is not there is left out. */
void bench_bar(struct bench_row *row, const char *id, const char *side, const char *over,
	       enum bench_op op, double limit);
void bench_bar_cpu(struct bench_row *row, const char *id, const char *side, const char *over,
		   enum bench_op op, double limit);

/* Measures the row and prints it. */
void bench_run(struct bench_row *row);

/* A number that was measured in another way, in the same table. */
void bench_value(const char *id, const char *what, double value, const char *unit, enum bench_op op,
		 double limit);

/* Ends the program when a result is wrong: a fast wrong answer is no answer. */
void bench_check(bool right, const char *what);

/* Seconds: of CLOCK_MONOTONIC, and of CPU that this process has used. */
double bench_now(void);
double bench_cpu(void);

/* The median of n numbers; it sorts them. */
double bench_median(double *values, size_t n);

/* Keeps the compiler from computing `value` at compile time or dropping it. */
static inline void bench_keep(const void *value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* The exit code: 0.  A missed bar is a finding and no error. */
int bench_end(void);

#ifdef __cplusplus
}
#endif

#endif
