/* SPDX-License-Identifier: MIT */
/*
 * weft/fork.h - fork-join: two calls, n calls, loops, reductions, scans
 *
 * A fork is permission to run side by side, not a promise.  While no worker
 * looks for work, weft_both(fa, a, fb, b) is two plain calls that the compiler
 * may inline, and its whole cost is a look at one thread-local byte.  Only when
 * some worker is hungry is the second call offered to it.  So fork wherever it
 * is right: there is no cut-off and no grain to tune.  Two pieces of work that
 * wait for each other do not belong in a fork: the second may start after the
 * first has ended.
 *
 * Everything nests in everything, to any depth.  Outside of a task (see
 * weft_run_sync) all of it works too, serially.
 *
 *   threads    anywhere; in parallel inside a task.
 *   memory     arguments are borrowed until the call returns.  Forking
 *              allocates nothing.
 *   errors     the first negative code that a piece returns stops the rest:
 *              pieces not yet begun are skipped, those under way are waited
 *              for, and the code of the failed piece with the lowest index is
 *              returned.  WEFT_ESHUTDOWN in the child of a fork() for a piece
 *              that was left behind in the parent.
 *   blocking   a call whose piece was taken by another worker suspends its
 *              fiber until that piece is done; the worker goes on with other
 *              work.  The caller may resume on another thread: do not keep
 *              errno, pthread_self() or addresses of thread-locals over a fork.
 *
 * The expert form, for recursion by value: no argument is in memory before
 * somebody is hungry, and compilers inline the recursion as they would without
 * the look.
 *
 *	static long fib_offered(long n)
 *	{
 *		struct fib l = { n - 1 }, r = { n - 2 };
 *		weft_both_offered(fib_task, &l, fib_task, &r);
 *		return l.out + r.out;
 *	}
 *
 *	static long fib(long n)
 *	{
 *		if (n < 2)
 *			return n;
 *		if (weft_hungry())
 *			return fib_offered(n);
 *		return fib(n - 1) + fib(n - 2);
 *	}
 */
#ifndef WEFT_FORK_H
#define WEFT_FORK_H

#include <stdbool.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Private: 1 while some worker wants work of this thread.  A hint: a stale
 * value costs time, never correctness. */
extern WEFT_API __thread unsigned char weft_hungry_byte __attribute__((tls_model("initial-exec")));

/* weft_both, for callers that have just seen weft_hungry(). */
WEFT_API int weft_both_offered(weft_fn *fa, void *a, weft_fn *fb, void *b);

/* True when a fork would be worth offering. */
static inline bool weft_hungry(void)
{
	return WEFT_UNLIKELY(__atomic_load_n(&weft_hungry_byte, __ATOMIC_RELAXED));
}

/* Runs fa(a) and fb(b), perhaps at the same time. */
static inline int weft_both(weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	if (weft_hungry())
		return weft_both_offered(fa, a, fb, b);

	int rc = fa(a);
	if (WEFT_UNLIKELY(rc < 0))
		return rc;
	rc = fb(b);
	return WEFT_UNLIKELY(rc < 0) ? rc : 0;
}

/* One of n different calls. */
struct weft_call {
	weft_fn *fn;
	void *arg;
};

/* A run of indices: begin <= i < end. */
struct weft_range {
	size_t begin, end;
};

/* The body of a loop: does the items of one piece, in any way it likes.
 * When it fails at item i it may leave i in r->begin, so that the caller learns
 * of it; left alone, r->begin names the first item of the piece. */
typedef int weft_range_fn(struct weft_range *r, void *arg);

/* The body of weft_for_each. */
typedef int weft_item_fn(void *item, void *arg);

struct weft_for_opts {
	size_t size;	/* sizeof(struct weft_for_opts) */
	size_t grain;	/* pieces of at least this many items; never needed.  0: measure */
	size_t *failed; /* where to leave the index of the item that failed, or NULL.
			 * Written only when an error is returned. */
};

/* Calls body on pieces that together are begin .. end - 1, each index once.
 * WEFT_EINVAL when begin > end. */
WEFT_API int weft_for_opt(size_t begin, size_t end, weft_range_fn *body, void *arg,
			  const struct weft_for_opts *opts);

/* Calls fn on each of the n elements of `size` bytes at base. */
WEFT_API int weft_for_each_opt(void *base, size_t n, size_t size, weft_item_fn *fn, void *arg,
			       const struct weft_for_opts *opts);

/* Makes all n calls.  opts->failed gets the index of the call that failed. */
WEFT_API int weft_all_opt(const struct weft_call *calls, size_t n,
			  const struct weft_for_opts *opts);

/*
 * A reduction over indices.  The accumulators are `size` bytes each and belong
 * to weft, aligned for any type.  The pieces depend on the range alone, never on
 * who ran what, and are combined in index order: the same input gives the same
 * bits on any number of workers, floating point included.
 */
struct weft_reducer {
	size_t size;			    /* bytes of an accumulator, 1 .. 1 MiB */
	void (*init)(void *acc, void *arg); /* acc = nothing yet */
	int (*fold)(void *acc, struct weft_range *r, void *arg); /* acc = acc + items of r */
	void (*join)(void *acc, const void *right, void *arg);	 /* acc = acc + right */
};

/* *result = the reduction of begin .. end - 1; that of an empty range is what
 * init makes.  *result is untouched on error.  WEFT_EINVAL for begin > end or a
 * reducer that is not whole; WEFT_ENOMEM when accumulators cannot be allocated. */
WEFT_API int weft_reduce_opt(size_t begin, size_t end, const struct weft_reducer *reducer,
			     void *result, void *arg, const struct weft_for_opts *opts);

/*
 * Prefix sums, in two passes over fixed pieces.  `fold` of the reducer reads
 * items; `emit` gets acc = the reduction of everything before r, goes through r
 * once more, updates acc item by item and writes results wherever it wants them
 * (before the update for an exclusive scan, after it for an inclusive one; over
 * the input is fine).
 */
typedef int weft_emit_fn(void *acc, struct weft_range *r, void *arg);

/* Errors as weft_reduce.  total, when not NULL, receives the reduction of the
 * whole range. */
WEFT_API int weft_scan_opt(size_t begin, size_t end, const struct weft_reducer *reducer,
			   weft_emit_fn *emit, void *total, void *arg,
			   const struct weft_for_opts *opts);

/* As qsort_r: n elements of `size` bytes in place, not stable.  less(a, b, arg)
 * tells whether a must come before b.  WEFT_SORT of weft/sort.h makes a typed
 * one, several times faster. */
typedef bool weft_less_fn(const void *a, const void *b, void *arg);
WEFT_API int weft_sort(void *base, size_t n, size_t size, weft_less_fn *less, void *arg);

WEFT_END_DECLS

#ifndef __cplusplus
/* The short forms: weft_for(0, n, body, arg), weft_for(0, n, body, arg, .failed = &i) */
#define WEFT_FOR_OPTS(...) \
	(&(const struct weft_for_opts){ .size = sizeof(struct weft_for_opts), __VA_ARGS__ })
#define weft_for(begin, end, body, arg, ...) \
	weft_for_opt(begin, end, body, arg, WEFT_FOR_OPTS(__VA_ARGS__))
#define weft_for_each(base, n, size, fn, arg, ...) \
	weft_for_each_opt(base, n, size, fn, arg, WEFT_FOR_OPTS(__VA_ARGS__))
#define weft_all(calls, n, ...) weft_all_opt(calls, n, WEFT_FOR_OPTS(__VA_ARGS__))
#define weft_reduce(begin, end, reducer, result, arg, ...) \
	weft_reduce_opt(begin, end, reducer, result, arg, WEFT_FOR_OPTS(__VA_ARGS__))
#define weft_scan(begin, end, reducer, emit, total, arg, ...) \
	weft_scan_opt(begin, end, reducer, emit, total, arg, WEFT_FOR_OPTS(__VA_ARGS__))
#else
/* C++ has no compound literals: the short forms take the options by address. */
static inline int weft_for(size_t begin, size_t end, weft_range_fn *body, void *arg,
			   const struct weft_for_opts *opts = nullptr)
{
	return weft_for_opt(begin, end, body, arg, opts);
}
static inline int weft_for_each(void *base, size_t n, size_t size, weft_item_fn *fn, void *arg,
				const struct weft_for_opts *opts = nullptr)
{
	return weft_for_each_opt(base, n, size, fn, arg, opts);
}
static inline int weft_all(const struct weft_call *calls, size_t n,
			   const struct weft_for_opts *opts = nullptr)
{
	return weft_all_opt(calls, n, opts);
}
static inline int weft_reduce(size_t begin, size_t end, const struct weft_reducer *reducer,
			      void *result, void *arg, const struct weft_for_opts *opts = nullptr)
{
	return weft_reduce_opt(begin, end, reducer, result, arg, opts);
}
static inline int weft_scan(size_t begin, size_t end, const struct weft_reducer *reducer,
			    weft_emit_fn *emit, void *total, void *arg,
			    const struct weft_for_opts *opts = nullptr)
{
	return weft_scan_opt(begin, end, reducer, emit, total, arg, opts);
}
#endif

#endif
