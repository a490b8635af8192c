/* SPDX-License-Identifier: MIT */
/*
 * retry.c - the same call again, later
 *
 * Everything that counts lies on the stack of the call, so that two that share options
 * do not mix; what callers mean to share is the budget.  The delay grows step by step
 * and stops at its limit: there is no power to overflow.
 *
 *   O1  the count of a budget carries nothing but itself: it goes up and down by
 *       compare-and-swap.
 */
#include "async/retry.h"

#include <weft/error.h>

#include "async/async.h"
#include "async/wait.h"
#include "runtime/runtime.h"
#include "runtime/ticks.h"

/* One call under way. */
struct retry {
	weft_fn *fn;
	void *arg;
	const struct weft_retry_opts *opts;
	struct weft__strand *strand; /* NULL: a plain thread */
	struct weft__rng rng;
	int64_t limit, delay; /* before jitter */
	struct weft_retry_stats stats;
};

/* --- arithmetic ---------------------------------------------------------------- */

int64_t weft__retry_grow(int64_t delay, double backoff, int64_t limit)
{
	double next = (double)delay * backoff;

	/* The limit as a double may be rounded up, over what fits; so it is not converted
	 * back. */
	return next < (double)limit ? (int64_t)next : limit;
}

int64_t weft__retry_jitter(struct weft__rng *rng, enum weft_jitter jitter, int64_t delay)
{
	uint64_t d = (uint64_t)delay;

	switch (jitter) {
	case WEFT_JITTER_FULL:
		return (int64_t)weft__rng_below(rng, d + 1);
	case WEFT_JITTER_EQUAL:
		return (int64_t)(d / 2 + weft__rng_below(rng, d - d / 2 + 1));
	default:
		return delay;
	}
}

static uint64_t price(const struct weft_retry_budget *b)
{
	return b->successes ? b->successes : 10;
}

bool weft__retry_spend(struct weft_retry_budget *b)
{
	for (;;) {
		uint64_t used = load_relaxed(&b->weft__used);

		if (used + price(b) > b->tokens * price(b))
			return false;
		if (cas_seqcst(&b->weft__used, used, used + price(b))) /* O1 */
			return true;
	}
}

void weft__retry_earn(struct weft_retry_budget *b)
{
	uint64_t used;

	do {
		used = load_relaxed(&b->weft__used);
		if (used == 0)
			return;
	} while (!cas_seqcst(&b->weft__used, used, used - 1)); /* O1 */
}

/* A seed for this call.  Of a runtime that has one, or whose clock is virtual: the same
 * in each run. */
static uint64_t seed_of(struct weft__strand *s)
{
	static uint64_t calls;
	const struct weft_runtime *rt = s ? s->runtime : NULL;

	if (!rt || (rt->config.seed == 0 && !rt->async->clock.is_virtual))
		return weft__ticks() ^ add_seqcst(&calls, 1) << 48;
	return rt->config.seed ^ add_seqcst(&rt->async->retries, 1) << 32;
}

/* --- is it worth it? ------------------------------------------------------------- */

static bool is_transient(int rc)
{
	switch (rc) {
	case WEFT_EAGAIN:
	case WEFT_EINTR:
	case WEFT_EBUSY:
	case WEFT_ETIMEDOUT:
	case WEFT_ECRASHED:
	case -ECONNRESET:
	case -ECONNREFUSED:
	case -ECONNABORTED:
	case -EPIPE:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -ENETRESET:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
		return true;
	default:
		return false;
	}
}

static bool is_final(int rc)
{
	return rc == WEFT_EINVAL || rc == WEFT_ENOMEM || rc == WEFT_ESHUTDOWN;
}

/* Whatever the predicate says, a cancel from outside ends it (RE-2). */
static bool is_retryable(const struct retry *r, int rc)
{
	if (is_final(rc) || (r->strand && weft__strand_check(r->strand) != 0))
		return false;
	return r->opts->retryable ? r->opts->retryable(rc, r->arg) : is_transient(rc);
}

/* --- trying and waiting ----------------------------------------------------------- */

static int attempt(struct retry *r)
{
	struct weft_scope scope;
	int rc;

	r->stats.attempts++;
	if (r->opts->per_attempt == 0)
		return r->fn(r->arg);
	rc = weft_scope_enter(&scope, .timeout = r->opts->per_attempt);
	return rc ? rc : weft_scope_leave(&scope, r->fn(r->arg));
}

/* Before the next attempt, which comes after delay * backoff^(k - 1) (RE-1). */
static int64_t next_delay(struct retry *r, int rc)
{
	const struct weft_retry_opts *o = r->opts;

	if (r->stats.attempts > 1)
		r->delay = weft__retry_grow(r->delay, o->backoff ? o->backoff : 1, r->limit);
	int64_t delay = weft__retry_jitter(&r->rng, o->jitter, r->delay);
	int64_t least = o->retry_after ? o->retry_after(rc, r->arg) : 0;
	return delay > least ? delay : least;
}

/* A sleep that the deadline would cut off is no use (RE-4). */
static bool is_too_long(int64_t delay)
{
	int64_t deadline = weft_effective_deadline();

	return deadline != WEFT_NEVER && weft_after(delay) >= deadline;
}

/* 0: try again.  Else what to return. */
static int wait_for_next(struct retry *r, int rc)
{
	const struct weft_retry_opts *o = r->opts;
	int64_t delay = next_delay(r, rc);

	if (is_too_long(delay) || (o->budget && !weft__retry_spend(o->budget)))
		return rc;
	r->stats.next = delay;
	if (o->before_sleep)
		o->before_sleep(&r->stats, r->arg);
	int64_t began = weft_now();
	int error = weft_sleep(delay);
	r->stats.slept += weft_now() - began;
	return error;
}

static int try_all(struct retry *r)
{
	const struct weft_retry_opts *o = r->opts;

	for (;;) {
		int rc = attempt(r);

		r->stats.last_rc = rc;
		if (o->after_attempt)
			o->after_attempt(&r->stats, r->arg);
		if (rc >= 0 && o->budget)
			weft__retry_earn(o->budget);
		if (rc >= 0 || r->stats.attempts == o->attempts || !is_retryable(r, rc))
			return rc;
		rc = wait_for_next(r, rc);
		if (rc != 0)
			return rc;
	}
}

static bool opts_ok(const struct weft_retry_opts *o)
{
	return o && o->size >= sizeof *o && o->attempts > 0 && o->delay >= 0 && o->max_delay >= 0 &&
	       o->per_attempt >= 0 && (o->backoff == 0 || o->backoff >= 1);
}

int weft_retry_opt(weft_fn *fn, void *arg, const struct weft_retry_opts *o)
{
	struct weft__strand *s = weft__strand_self();

	if (!fn || !opts_ok(o))
		return WEFT_EINVAL;
	if (!s && o->per_attempt != 0)
		return WEFT_ENOTASK;
	int rc = s ? weft__point(s) : 0;
	if (rc != 0)
		return rc;

	struct retry r = { .fn = fn, .arg = arg, .opts = o, .strand = s };
	r.limit = o->max_delay ? o->max_delay : WEFT_NEVER;
	r.delay = o->delay < r.limit ? o->delay : r.limit;
	weft__rng_init(&r.rng, seed_of(s));
	rc = try_all(&r);
	if (o->stats)
		*o->stats = r.stats;
	return rc;
}
