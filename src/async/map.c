/* SPDX-License-Identifier: MIT */
/*
 * map.c - many items, some at a time
 *
 * Runners take indices from one counter.  The caller is the first; each runner starts the
 * next one when it takes its first item and there are more, so there come to be as many
 * as the limit allows only if items wait or workers are free: a map of short items on one
 * worker is a loop.  Memory does not depend on the number of items.
 *
 *	caller: item 0, item 2, ...
 *	   '-- runner: item 1, item 4, ...
 *	          '-- runner: item 3, ...
 *
 * Invariants
 *
 *   I1  Item i is run by who took i from `next`, so each is run once and they start in
 *       order.
 *   I2  `runners` is touched by the last runner of the chain alone; starting the next one
 *       hands it on.
 *   I3  With an iterator: `alive` runners have not told that they end.  A finished item
 *       is in `done`, on the stack of its runner, which waits until it is taken.
 *
 * Rejected: taking several indices at once.  The second of a pair must not wait for the
 * first, which may wait for it.
 */
#include <weft/error.h>
#include <weft/wait.h>

#include "async/team.h"
#include "async/wait.h"

struct map {
	struct weft_group group; /* first */
	weft_item_fn *fn;
	char *base;
	size_t n, item_size;
	void *ctx;
	int *rcs; /* or NULL */
	size_t limit;
	size_t runners; /* started */
	bool one_by_one;
	uint64_t next;

	struct weft__spin lock; /* all below */
	int rc;			/* the first error, 0: none */
	size_t failed;

	/* Of an iterator. */
	size_t alive, taken;
	struct weft__list done; /* struct finished, oldest first */
	struct weft__strand *reader;
	uint64_t ticket;
	bool reader_waits;
};

_Static_assert(sizeof(struct map) <= sizeof(struct weft_map_iter),
	       "struct weft_map_iter is too small");

/* An item that waits to be taken. */
struct finished {
	struct weft__list link;
	struct weft__strand *runner;
	uint64_t ticket;
	size_t index;
	int rc;
};

/* --- runners ----------------------------------------------------------------- */

/* With the lock held. */
static void wake_reader(struct map *m)
{
	if (!m->reader_waits)
		return;
	m->reader_waits = false;
	weft__wake(m->reader, m->ticket, WEFT__GRANTED);
}

static void fail(struct map *m, size_t i, int rc)
{
	weft__spin_lock(&m->lock);
	if (m->rc == 0) {
		m->rc = rc;
		m->failed = i;
	}
	weft__spin_unlock(&m->lock);
}

/* Waits until the reader has taken the item. */
static int hand_over(struct map *m, struct weft__strand *s, size_t i, int rc)
{
	struct finished f = { .runner = s, .index = i, .rc = rc };
	int error = weft__wait_begin(s, WEFT__ABORTABLE);

	if (error != 0)
		return error;
	f.ticket = weft__wait_ticket(s);
	weft__spin_lock(&m->lock);
	weft__list_push_back(&m->done, &f.link);
	wake_reader(m);
	weft__spin_unlock(&m->lock);
	unsigned code = weft__wait_park(s, "the reader of a map", m);
	weft__spin_lock(&m->lock);
	weft__list_remove(&f.link);
	weft__spin_unlock(&m->lock);
	return weft__code_error(code);
}

static int run_item(struct map *m, struct weft__strand *s, size_t i)
{
	int rc = m->fn(m->base + i * m->item_size, m->ctx);

	if (m->rcs)
		m->rcs[i] = rc;
	if (weft__was_cancelled(s, rc))
		return rc;
	if (m->one_by_one)
		return hand_over(m, s, i, rc);
	if (rc >= 0 || m->rcs)
		return 0;
	fail(m, i, rc);
	return rc;
}

static int runner(void *arg);

/* One more runner.  Without memory those that are there do the work. */
static bool start_runner(struct map *m)
{
	if (m->one_by_one) {
		weft__spin_lock(&m->lock);
		m->alive++;
		weft__spin_unlock(&m->lock);
	}
	m->runners++;
	if (weft__group_spawn(weft__group_of(&m->group), runner, m, NULL, NULL, NULL) == 0)
		return true;
	m->runners--;
	if (m->one_by_one) {
		weft__spin_lock(&m->lock);
		m->alive--;
		weft__spin_unlock(&m->lock);
	}
	return false;
}

static bool is_exhausted(const struct map *m)
{
	return load_relaxed(&m->next) >= m->n;
}

static int run(struct map *m, struct weft__strand *s)
{
	bool last = true; /* of the chain (I2) */
	int rc = 0;

	/* No point behind the last item: it was done, whatever comes (CO-4). */
	while (rc == 0 && !is_exhausted(m) && (rc = weft__point(s)) == 0) {
		uint64_t i = add_seqcst(&m->next, 1); /* I1 */

		if (i >= m->n)
			break;
		if (last && m->runners < m->limit && i + 1 < m->n)
			last = !start_runner(m);
		rc = run_item(m, s, i);
	}
	return rc;
}

static int runner(void *arg)
{
	struct map *m = arg;
	int rc = run(m, weft__strand_self());

	if (m->one_by_one) {
		weft__spin_lock(&m->lock);
		if (--m->alive == 0)
			wake_reader(m);
		weft__spin_unlock(&m->lock);
	}
	return rc;
}

/* --- all at once -------------------------------------------------------------- */

static int open_map(struct map *m, struct weft__strand *s, const struct weft_map_opts *o,
		    weft_item_fn *fn, void *base, size_t n, size_t item_size, void *ctx)
{
	if (!fn || (!base && n > 0) || (o && o->size < sizeof *o))
		return WEFT_EINVAL;
	if (!s)
		return WEFT_ENOTASK;
	int rc = weft__team_open(&m->group, s, o ? o->name : NULL, o ? o->timeout : 0,
				 o ? o->deadline : 0);
	if (rc != 0)
		return rc;
	m->fn = fn;
	m->base = base;
	m->n = n;
	m->item_size = item_size;
	m->ctx = ctx;
	m->rcs = o ? o->rcs : NULL;
	m->limit = o && o->limit ? o->limit : weft__config_pool_size(s);
	m->one_by_one = false;
	m->next = 0;
	weft__spin_init(&m->lock);
	m->rc = 0;
	m->failed = 0;
	return 0;
}

/* The items that never began; all before have left a code. */
static void mark_rest(const struct map *m)
{
	for (size_t i = load_relaxed(&m->next); m->rcs && i < m->n; i++)
		m->rcs[i] = WEFT_ECANCELED;
}

int weft_map_opt(weft_item_fn *fn, void *base, size_t n, size_t item_size, void *ctx,
		 const struct weft_map_opts *o)
{
	struct weft__strand *s = weft__strand_self();
	struct map m;
	int rc = open_map(&m, s, o, fn, base, n, item_size, ctx);

	if (rc != 0)
		return rc;
	m.runners = 1;
	rc = run(&m, s);
	rc = weft__team_close(&m.group, rc, true);
	mark_rest(&m);
	if (m.rc != 0 && o && o->failed_index)
		*o->failed_index = m.failed;
	if (m.rc != 0)
		return m.rc;
	/* A runner that was cancelled by itself leaves a gap. */
	return rc == 0 && !is_exhausted(&m) ? WEFT_ECANCELED : rc;
}

/* --- one by one ---------------------------------------------------------------- */

static struct map *map_of(struct weft_map_iter *it)
{
	return (struct map *)(void *)it;
}

static bool is_open(struct map *m)
{
	return weft__group_of(&m->group)->scope.state == WEFT__SCOPE_ENTERED;
}

int weft_map_open_opt(struct weft_map_iter *it, weft_item_fn *fn, void *base, size_t n,
		      size_t item_size, void *ctx, const struct weft_map_opts *o)
{
	struct weft__strand *s = weft__strand_self();
	struct map *m = map_of(it);
	int rc = it ? open_map(m, s, o, fn, base, n, item_size, ctx) : WEFT_EINVAL;

	if (rc != 0)
		return rc;
	m->one_by_one = true;
	m->runners = 0;
	m->alive = m->taken = 0;
	weft__list_init(&m->done);
	m->reader = s;
	m->ticket = 0;
	m->reader_waits = false;
	if (n == 0 || start_runner(m))
		return 0;
	return weft_group_close(&m->group, WEFT_ENOMEM);
}

/* With the lock held: the oldest finished item whose runner still waits. */
static bool take(struct map *m, size_t *index, int *rc)
{
	struct weft__list *link;

	while ((link = weft__list_pop_front(&m->done))) {
		const struct finished *f = WEFT__CONTAINER(link, struct finished, link);
		struct weft__strand *s = f->runner;
		enum weft__claim claim = weft__claim(s, f->ticket, WEFT__GRANTED);

		if (claim == WEFT__CLAIM_LOST)
			continue; /* cancelled */
		if (index)
			*index = f->index;
		if (rc)
			*rc = f->rc;
		m->taken++;
		if (claim == WEFT__CLAIM_PARKED)
			weft__resume(s);
		return true;
	}
	return false;
}

static int await_item(struct map *m, struct weft__strand *s)
{
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	weft__spin_lock(&m->lock);
	m->ticket = weft__wait_ticket(s);
	m->reader_waits = weft__list_is_empty(&m->done) && m->alive > 0;
	bool wait = m->reader_waits;
	weft__spin_unlock(&m->lock);
	unsigned code = wait ? weft__wait_park(s, "an item", m) : weft__wait_end(s);
	weft__spin_lock(&m->lock);
	m->reader_waits = false;
	weft__spin_unlock(&m->lock);
	return weft__code_error(code);
}

int weft_map_next(struct weft_map_iter *it, size_t *index, int *rc)
{
	struct weft__strand *s = weft__strand_self();
	struct map *m = map_of(it);

	if (!it || !is_open(m))
		return WEFT_EINVAL;
	if (m->reader != s)
		return WEFT_EPERM;
	int error = weft__point(s);
	while (error == 0) {
		weft__spin_lock(&m->lock);
		bool got = take(m, index, rc);
		bool more = m->alive > 0;
		weft__spin_unlock(&m->lock);
		if (got)
			return 1;
		if (!more)
			return m->taken == m->n ? 0 : WEFT_ECANCELED;
		error = await_item(m, s);
	}
	return error;
}

/* Leaving early is no error: what still runs is cut off. */
int weft_map_close(struct weft_map_iter *it, int rc)
{
	struct map *m = map_of(it);
	struct weft_reason reason = { .kind = WEFT_REASON_EXPLICIT, .code = WEFT_ECANCELED };

	if (!it || !is_open(m))
		return WEFT_EINVAL;
	if (m->reader != weft__strand_self())
		return WEFT_EPERM;
	weft__spin_lock(&m->lock);
	bool some = m->alive > 0;
	weft__spin_unlock(&m->lock);
	bool not_ours =
		rc == WEFT_ECANCELED && !weft_scope_cancel_called(weft_group_scope(&m->group));
	if (some)
		weft__scope_cancel(&weft__group_of(&m->group)->scope, reason);
	rc = weft_group_close(&m->group, rc);
	mark_rest(m);
	return rc == 0 && not_ours ? WEFT_ECANCELED : rc;
}
