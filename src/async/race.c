/* SPDX-License-Identifier: MIT */
/*
 * race.c - several calls of which one decides: race and first_success
 *
 * The contestants are children of a group on the racer's stack.  Each tells at its end,
 * under a lock, what it returned, and wakes the racer when that is news.  The racer
 * starts the next contestant, or takes the decision, cancels those that still run, and
 * joins all.
 *
 * Invariants
 *
 *   I1  `winner` is the lowest index of those that counted before the decision was closed;
 *       every other call that succeeded has been handed to `drop`, by whichever
 *       contestant found that it had lost.
 *   I2  The decision is closed when the racer sees a winner.  While it sees none it stays
 *       open, also over a cancel, until all are joined: a call that succeeds in spite of
 *       the cancel has happened (CO-4), and its result is not thrown away.
 *   I3  `ticket` and `waits` are the racer's, written under the lock.
 *
 * Rejected: the winner by time alone, since two that are ready at the same instant
 * finish in the order in which workers come by; a cancel by the first contestant itself,
 * which would cut off one that has ended but not said so.
 */
#include <weft/error.h>
#include <weft/wait.h>

#include "async/async.h"
#include "async/team.h"
#include "async/wait.h"
#include "runtime/worker.h"

#define NOBODY SIZE_MAX

struct race {
	struct weft_group group; /* first */
	const struct weft_call *calls;
	const struct weft_wait_opts *opts;
	size_t n;
	bool success;	/* only that counts */
	int *rcs;	/* or NULL */
	size_t started; /* the racer's */
	struct weft__strand *racer;

	struct weft__spin lock; /* all below */
	uint64_t ticket;
	bool waits, closed;
	bool eager;		    /* a failure is news: there are calls to start */
	size_t ended, failed, seen; /* failures that the racer knows of */
	size_t winner;		    /* also read without */
	int rc, first_error;
};

/* --- the contestants' side ------------------------------------------------- */

static void drop(const struct race *r, size_t i)
{
	const struct weft_wait_opts *o = r->opts;

	if (o->drops && o->drops[i])
		o->drops[i](r->calls[i].arg);
	else if (o->drop)
		o->drop(r->calls[i].arg);
}

/* With the lock held: has the racer something to do? */
static bool has_news(const struct race *r)
{
	return r->winner != NOBODY || r->ended == r->started || (r->eager && r->failed > r->seen);
}

/* With the lock held: call i counts.  Who has lost by that and had succeeded, or NOBODY. */
static size_t enter(struct race *r, size_t i, int rc)
{
	size_t loser = i;
	int loser_rc = rc;

	if (!r->closed && i < r->winner) { /* I1 */
		loser = r->winner;
		loser_rc = r->rc;
		store_relaxed(&r->winner, i);
		r->rc = rc;
	}
	if (loser == NOBODY || loser_rc < 0)
		return NOBODY;
	if (r->rcs)
		r->rcs[loser] = WEFT_ECANCELED;
	return loser;
}

/* With the lock held.  As enter(). */
static size_t record(struct race *r, size_t i, int rc, bool cancelled)
{
	r->ended++;
	if (r->rcs)
		r->rcs[i] = rc;
	if (cancelled)
		return NOBODY;
	if (rc < 0) {
		r->failed++;
		r->first_error = r->first_error ? r->first_error : rc;
	}
	return r->success && rc < 0 ? NOBODY : enter(r, i, rc);
}

static void finish(struct race *r, size_t i, int rc, bool cancelled)
{
	struct weft__strand *racer = r->racer;
	enum weft__claim claim = WEFT__CLAIM_LOST;

	weft__spin_lock(&r->lock);
	size_t loser = record(r, i, rc, cancelled);
	if (r->waits && has_news(r)) {
		r->waits = false;
		claim = weft__claim(racer, r->ticket, WEFT__GRANTED);
	}
	weft__spin_unlock(&r->lock);
	if (claim == WEFT__CLAIM_PARKED)
		weft__resume(racer);
	if (loser != NOBODY)
		drop(r, loser);
}

static int contestant(void *arg)
{
	const struct weft_call *call = arg;
	struct weft__strand *s = weft__strand_self();
	struct race *r = weft__team_of(s);
	int rc = call->fn(call->arg);

	finish(r, (size_t)(call - r->calls), rc, weft__was_cancelled(s, rc));
	return 0;
}

/* --- the racer's side ------------------------------------------------------ */

struct alarm {
	struct weft__timer timer;
	struct race *race;
};

static bool claim_alarm(struct weft__timer *t)
{
	const struct race *r = WEFT__CONTAINER(t, struct alarm, timer)->race;

	return weft__claim(r->racer, r->ticket, WEFT__TIMED_OUT) == WEFT__CLAIM_PARKED;
}

static void ring(struct weft__timer *t)
{
	weft__resume_quietly(WEFT__CONTAINER(t, struct alarm, timer)->race->racer);
}

/* With a wait begun: true when there is nothing to wait for. */
static bool announce(struct race *r)
{
	weft__spin_lock(&r->lock);
	r->ticket = weft__wait_ticket(r->racer);
	r->eager = r->started < r->n;
	r->waits = !has_news(r);
	bool news = !r->waits;
	weft__spin_unlock(&r->lock);
	return news;
}

/* Waits for news, for the time to come, or for a cancel: enum weft__code. */
static unsigned await(struct race *r, int64_t until)
{
	struct weft__strand *s = r->racer;
	struct alarm alarm = { .timer = { .claim = claim_alarm, .done = ring }, .race = r };
	unsigned code = WEFT__GRANTED;

	if (weft__wait_begin(s, WEFT__ABORTABLE) != 0)
		return WEFT__CANCELLED;
	if (announce(r)) {
		weft__wait_end(s);
	} else {
		/* Without a thread to keep the time: nobody starts before news. */
		weft__timer_arm(s->runtime, &alarm.timer, until);
		code = weft__wait_park(s, "contestants", r);
		weft__timer_disarm(&alarm.timer);
	}
	weft__spin_lock(&r->lock);
	r->waits = false;
	r->seen = r->failed;
	weft__spin_unlock(&r->lock);
	return code;
}

static bool has_winner(const struct race *r)
{
	return load_relaxed(&r->winner) != NOBODY;
}

static bool is_over(struct race *r)
{
	weft__spin_lock(&r->lock);
	bool over = r->winner != NOBODY || r->ended == r->started;
	weft__spin_unlock(&r->lock);
	return over;
}

static int start_next(struct race *r)
{
	const struct weft_call *call = &r->calls[r->started++];
	void *arg = (void *)(uintptr_t)call;
	int rc = weft__group_spawn(weft__group_of(&r->group), contestant, arg, NULL, NULL, NULL);

	if (rc != 0)
		r->started--;
	return rc;
}

/* The time of the next start has come, or news.  What ran into the same instant, and is
 * only waiting for its turn, goes first: it may make that start needless (WA-7). */
static int await_turn(struct race *r)
{
	unsigned code = await(r, weft_after(r->opts->stagger));

	if (code == WEFT__TIMED_OUT)
		weft_yield();
	return code == WEFT__TIMED_OUT ? 0 : weft__code_error(code);
}

static int start_all(struct race *r)
{
	int rc = 0;

	while (rc == 0 && r->started < r->n) {
		rc = start_next(r);
		if (rc == 0 && r->opts->stagger > 0 && r->started < r->n)
			rc = await_turn(r);
		if (has_winner(r))
			return 0;
	}
	return rc;
}

static int await_winner(struct race *r)
{
	int rc = 0;

	while (rc == 0 && !is_over(r))
		rc = weft__code_error(await(r, WEFT_NEVER));
	return rc;
}

/* Closes the decision if there is one (I2) and cancels those that still run. */
static bool decide(struct race *r)
{
	struct weft_reason reason = { .kind = WEFT_REASON_RACE, .code = WEFT_ECANCELED };

	weft__spin_lock(&r->lock);
	r->closed = r->winner != NOBODY;
	bool some = r->ended < r->started;
	weft__spin_unlock(&r->lock);
	if (r->closed && some)
		weft__scope_cancel(&weft__group_of(&r->group)->scope, reason);
	return r->closed;
}

/* Nobody won, and all are joined; `rc` is what the group says. */
static int without_winner(const struct race *r, int rc)
{
	if (rc != 0 && !(r->success && r->failed == r->n))
		return rc;
	return r->success && r->first_error ? r->first_error : WEFT_ECANCELED;
}

static int compete(struct race *r, size_t *winner)
{
	int rc = start_all(r);

	if (rc == 0)
		rc = await_winner(r);
	rc = weft_group_close(&r->group, decide(r) ? 0 : rc);
	if (r->winner == NOBODY)
		return without_winner(r, rc);
	if (winner)
		*winner = r->winner;
	return r->rc;
}

static int race(const struct weft_call *calls, size_t n, size_t *winner, int *rcs, bool success,
		const struct weft_wait_opts *opts)
{
	static const struct weft_wait_opts none = { .size = sizeof none };
	const struct weft_wait_opts *o = opts ? opts : &none;
	struct race r;

	if (!calls || n == 0 || o->size < sizeof *o || o->stagger < 0)
		return WEFT_EINVAL;
	struct weft__strand *s = weft__strand_self();
	int rc = s ? weft__team_open(&r.group, s, o->name, o->timeout, o->deadline) : WEFT_ENOTASK;
	if (rc != 0)
		return rc;

	r.calls = calls;
	r.opts = o;
	r.n = n;
	r.success = success;
	r.rcs = rcs;
	r.started = r.ended = r.failed = r.seen = 0;
	r.racer = s;
	weft__spin_init(&r.lock);
	r.waits = r.closed = r.eager = false;
	r.winner = NOBODY;
	r.rc = r.first_error = 0;
	for (size_t i = 0; rcs && i < n; i++)
		rcs[i] = WEFT_ECANCELED;
	return compete(&r, winner);
}

int weft_race_opt(const struct weft_call *calls, size_t n, size_t *winner,
		  const struct weft_wait_opts *opts)
{
	return race(calls, n, winner, NULL, false, opts);
}

int weft_first_success_opt(const struct weft_call *calls, size_t n, size_t *winner, int *rcs,
			   const struct weft_wait_opts *opts)
{
	return race(calls, n, winner, rcs, true, opts);
}
