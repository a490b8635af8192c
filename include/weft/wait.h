/* SPDX-License-Identifier: MIT */
/*
 * weft/wait.h - several calls at once: race, gather, map, retry
 *
 * Each of these starts tasks, waits for what it promises, and has ended all it started
 * when it returns, in every case: what is cut off is cancelled and joined.  So arguments
 * and results may lie on the caller's stack.
 *
 *	rc = weft_race(WEFT_CALLS(WEFT_CALL(ask, &a), WEFT_CALL(look_up, &b)), 2, &winner,
 *		       .timeout = WEFT_SEC(5));
 *
 *	                     decided by                  the others
 *	weft_race            the first that ends         are cut off
 *	weft_first_success   the first that succeeds     are cut off
 *	weft_gather          all, or the first error     are cut off by an error
 *	weft_map             the same, `limit` at a time
 *	weft_retry           one call, again and again
 *
 *	rc                  what it means
 *	0 or more           it was done
 *	WEFT_ETIMEDOUT      the time that was given here is over
 *	WEFT_ECANCELED      a cancel from outside: hand it on
 *	other               the error of a call, or WEFT_EINVAL, WEFT_ENOMEM
 *
 * An error of a call counts more than a cancel, and what was completed in spite of a
 * cancel counts: then the next call that can wait tells of it.
 *
 *   threads    from a task; WEFT_ENOTASK elsewhere, but for weft_retry.
 *   memory     nothing is allocated; a started call takes a record of the runtime.
 *              Calls, options and arguments are borrowed until the call returns.
 *   errors     WEFT_ECANCELED, with nothing begun, when the caller is cancelled already.
 *   blocking   all suspend the task, and a cancel ends them.
 */
#ifndef WEFT_WAIT_H
#define WEFT_WAIT_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/fork.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* As a .timeout: none, whatever weft_configure says. */
#define WEFT_NO_TIMEOUT WEFT_NEVER

struct weft_wait_opts {
	size_t size;	  /* sizeof(struct weft_wait_opts) */
	const char *name; /* for reports; borrowed */
	int64_t timeout;  /* duration; 0: .default_timeout of weft_configure, at first none;
			   * negative: over already */
	int64_t deadline; /* the same as a point in time; 0: none */

	/* Of race and first_success: a call starts when the one before it has run for so
	 * long, or at once when one has failed.  0: all start together. */
	int64_t stagger;

	/* Of race and first_success: gets the argument of a call that succeeded and did not
	 * win, once, perhaps on another thread; drops[i], if there are drops and it is not
	 * NULL, in place of drop. */
	void (*drop)(void *arg);
	void (*const *drops)(void *arg);

	/* Of gather and map: where to leave the index of the call whose error is returned.
	 * Written only then. */
	size_t *failed_index;
};

/* Makes n calls; the first that ends, well or not, decides: *winner is its index and
 * its code is returned.  Of those that have ended by the time the caller wakes the one
 * with the lowest index wins.  A call that was cancelled has not ended in this sense.
 * WEFT_EINVAL for no calls. */
WEFT_API int weft_race_opt(const struct weft_call *calls, size_t n, size_t *winner,
			   const struct weft_wait_opts *opts);

/* The same, decided by the first that succeeds.  When all have failed: the first error.
 * rcs, if not NULL, gets what each call returned, and WEFT_ECANCELED for one that was cut
 * off, never began, or succeeded too late; so the winner is the only one that is not an
 * error. */
WEFT_API int weft_first_success_opt(const struct weft_call *calls, size_t n, size_t *winner,
				    int *rcs, const struct weft_wait_opts *opts);

/* Makes n calls at once and waits for all.  Without rcs the first error cancels the
 * others and is returned.  With rcs an error is left there, with what the other calls
 * returned, and cancels nobody; WEFT_ECANCELED for those that a cancel or the time-out
 * cut off. */
WEFT_API int weft_gather_opt(const struct weft_call *calls, size_t n, int *rcs,
			     const struct weft_wait_opts *opts);

/* --- map ------------------------------------------------------------------ */

struct weft_map_opts {
	size_t size;	  /* sizeof(struct weft_map_opts) */
	const char *name; /* as above */
	int64_t timeout;
	int64_t deadline;
	size_t limit; /* items at one time; 0: .default_pool_size of weft_configure, at first
		       * one a worker; SIZE_MAX: all */
	size_t *failed_index; /* as above */
	int *rcs; /* room for n codes: an error is left there and stops nobody.  NULL: the
		   * first error cancels the rest, and no other item starts */
};

/* Calls fn(item, ctx) on each of n elements of `item_size` bytes at base.  Items start in
 * the order of the array, `limit` at a time; results go into the items.  The caller's own
 * task does its share.  It takes at most `limit` tasks, however many items there are.
 * For short items that only compute weft_for_each is better. */
WEFT_API int weft_map_opt(weft_item_fn *fn, void *base, size_t n, size_t item_size, void *ctx,
			  const struct weft_map_opts *opts);

/*
 * The items one by one, as they are completed:
 *
 *	struct weft_map_iter it;
 *	int rc = weft_map_open(&it, fetch, v, n, NULL, .limit = 10);
 *	if (rc != 0)
 *		return rc;
 *	while ((rc = weft_map_next(&it, &i, &code)) > 0)
 *		use(&v[i], code);
 *	return weft_map_close(&it, rc);
 *
 * Between open and close the caller is inside of a group (weft/task.h): open and close
 * nest like its.  An item that nobody has taken yet holds its place among the `limit`, so
 * fast items do not run ahead of a slow reader.
 */
struct weft_map_iter {
	unsigned char weft__private[832] __attribute__((aligned(16)));
};

WEFT_API int weft_map_open_opt(struct weft_map_iter *it, weft_item_fn *fn, void *base, size_t n,
			       size_t item_size, void *ctx, const struct weft_map_opts *opts);

/* Waits for the next item: 1, its index and what fn returned; an error of an item stops
 * nothing.  0 when all have been taken, WEFT_ECANCELED when the time is over or the caller
 * cancelled. */
WEFT_API int weft_map_next(struct weft_map_iter *it, size_t *index, int *rc);

/* Cancels what still runs and joins it.  `rc` is how the loop ended; the result is as of
 * weft_group_close.  With .rcs, codes of 0 or more there say which items were completed,
 * taken or not. */
WEFT_API int weft_map_close(struct weft_map_iter *it, int rc);

/* --- tasks that are there already ------------------------------------------ */

/* Waits until one of the tasks has ended: its index, the lowest if there are more, and
 * what it returned.  Tasks go on when the caller is cancelled.  WEFT_EINVAL for no tasks,
 * or for a handle that leads to none (any more); WEFT_EDEADLK for a wait for oneself;
 * WEFT_ENOMEM with more than 16 tasks. */
WEFT_API int weft_wait_any(const struct weft_task *tasks, size_t n, size_t *which, int *rc);

/* Waits until all have ended; rcs, if not NULL, gets what they returned.  Errors as
 * above; no tasks: 0. */
WEFT_API int weft_wait_all(const struct weft_task *tasks, size_t n, int *rcs);

/* --- retry ------------------------------------------------------------------ */

enum weft_jitter {
	WEFT_JITTER_NONE,
	WEFT_JITTER_FULL,  /* anything from 0 to the delay */
	WEFT_JITTER_EQUAL, /* from half of the delay to all of it */
};

/* What has become of a call of weft_retry so far. */
struct weft_retry_stats {
	unsigned attempts; /* begun */
	int last_rc;	   /* of the last attempt */
	int64_t slept;	   /* between attempts, in total */
	int64_t next;	   /* the delay that comes now (.before_sleep) */
};

/* What many callers share so that a service that is down is not asked by all of them again
 * and again: each retry takes a token, each so many calls that succeed bring one back.
 * static struct weft_retry_budget budget = { .tokens = 100 }; */
struct weft_retry_budget {
	uint32_t tokens;     /* there are at first, and at most */
	uint32_t successes;  /* for a token more; 0: 10 */
	uint64_t weft__used; /* private; begins with 0 */
};

struct weft_retry_opts {
	size_t size;	   /* sizeof(struct weft_retry_opts) */
	unsigned attempts; /* in total, 1 or more */

	/* Before attempt k + 1: delay * backoff^(k - 1), at most max_delay. */
	int64_t delay;
	double backoff;	   /* 1 or more; 0: 1 */
	int64_t max_delay; /* 0: no limit */
	enum weft_jitter jitter;

	int64_t per_attempt; /* time for each attempt; over is WEFT_ETIMEDOUT.  0: no limit */

	/* Is it worth another try?  NULL: when the error is a passing one, WEFT_EAGAIN,
	 * WEFT_ETIMEDOUT, WEFT_EINTR, WEFT_EBUSY, WEFT_ECRASHED or one of the network.
	 * Never asked about WEFT_EINVAL, WEFT_ENOMEM, WEFT_ESHUTDOWN, and a cancel from
	 * outside: these are final. */
	bool (*retryable)(int rc, void *arg);

	/* The least time to wait now, for callees that were told one (Retry-After). */
	int64_t (*retry_after)(int rc, void *arg);

	struct weft_retry_budget *budget;
	void (*after_attempt)(const struct weft_retry_stats *stats, void *arg);
	void (*before_sleep)(const struct weft_retry_stats *stats, void *arg);
	struct weft_retry_stats *stats; /* filled in at the end, or NULL */
};

/* Calls fn(arg) until it succeeds or it is no use: what it returned last.  That error is
 * also returned at once when the next delay would pass the deadline of a scope around
 * (weft_effective_deadline), or the budget is used up.  WEFT_ECANCELED when cancelled
 * during a delay.  Works in a plain thread, without per_attempt.  WEFT_EINVAL for
 * attempts = 0, a backoff under 1, a negative time. */
WEFT_API int weft_retry_opt(weft_fn *fn, void *arg, const struct weft_retry_opts *opts);

WEFT_END_DECLS

#define WEFT_CALL(fn, arg)  \
	{                   \
		(fn), (arg) \
	}

#ifndef __cplusplus
/* An array of calls: WEFT_CALLS(WEFT_CALL(f, x), WEFT_CALL(g, y)) */
#define WEFT_CALLS(...) ((const struct weft_call[]){ __VA_ARGS__ })

#define WEFT_WAIT_OPTS(...) \
	(&(const struct weft_wait_opts){ .size = sizeof(struct weft_wait_opts), __VA_ARGS__ })
#define WEFT_MAP_OPTS(...) \
	(&(const struct weft_map_opts){ .size = sizeof(struct weft_map_opts), __VA_ARGS__ })
#define WEFT_RETRY_OPTS(...) \
	(&(const struct weft_retry_opts){ .size = sizeof(struct weft_retry_opts), __VA_ARGS__ })

#define weft_race(calls, n, winner, ...) \
	weft_race_opt(calls, n, winner, WEFT_WAIT_OPTS(__VA_ARGS__))
#define weft_first_success(calls, n, winner, rcs, ...) \
	weft_first_success_opt(calls, n, winner, rcs, WEFT_WAIT_OPTS(__VA_ARGS__))
#define weft_gather(calls, n, rcs, ...) weft_gather_opt(calls, n, rcs, WEFT_WAIT_OPTS(__VA_ARGS__))
#define weft_map(fn, array, n, ctx, ...) \
	weft_map_opt(fn, array, n, sizeof *(array), ctx, WEFT_MAP_OPTS(__VA_ARGS__))
#define weft_map_open(it, fn, array, n, ctx, ...) \
	weft_map_open_opt(it, fn, array, n, sizeof *(array), ctx, WEFT_MAP_OPTS(__VA_ARGS__))
#define weft_retry(fn, arg, ...) weft_retry_opt(fn, arg, WEFT_RETRY_OPTS(__VA_ARGS__))
#endif

#endif
