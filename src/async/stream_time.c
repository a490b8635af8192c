/* SPDX-License-Identifier: MIT */
/*
 * stream_time.c - stages that know what time it is
 *
 * None has a task: weft_next can be cut off and loses nothing, so to wait for an item no
 * longer than until a deadline is to read in a scope with that deadline.
 */
#include <weft/scope.h>

#include "async/rate.h"
#include "async/stream_time.h"

/* An item that comes at the deadline wins over it: the scope ends just after. */
int weft__next_until(struct weft_stream *source, void *item, int64_t deadline, bool *late)
{
	struct weft_scope scope;
	int rc = weft_scope_enter(&scope, .deadline = weft__later(deadline, 1));

	if (rc == 0)
		rc = weft_scope_leave(&scope, weft__next(source, item));
	*late = rc == WEFT_ETIMEDOUT && weft_scope_cancelled_caught(&scope);
	return rc;
}

/* --- interval ---------------------------------------------------------------- */

struct interval {
	int64_t period, at; /* at: of the next one */
	uint64_t count;
	enum weft_late late;
};

/* Of a reader that comes at `now`, after the time of the next one. */
static void catch_up(struct interval *i, int64_t now)
{
	int64_t missed = (now - i->at) / i->period;

	if (i->late == WEFT_LATE_DELAY) {
		i->at = now;
	} else if (i->late == WEFT_LATE_SKIP) {
		i->at += missed * i->period;
		i->count += (uint64_t)missed;
	}
}

static int interval_next(void *state, void *item)
{
	struct interval *i = state;
	int64_t now = weft_now();
	int rc = i->at > now ? weft_sleep_until(i->at) : weft_checkpoint();

	if (rc != 0)
		return rc;
	if (i->at < now)
		catch_up(i, now);
	memcpy(item, &i->count, sizeof i->count);
	i->count++;
	i->at = i->at > WEFT_NEVER - i->period ? WEFT_NEVER : i->at + i->period;
	return 1;
}

struct weft_stream *weft_interval(int64_t period, enum weft_late late)
{
	static const struct weft_stream_ops ops = { .next = interval_next, .name = "interval" };
	void *state;

	if (period <= 0)
		return weft_from_error(WEFT_EINVAL, sizeof(uint64_t));
	struct weft_stream *s =
		weft__stream_new(&ops, sizeof(uint64_t), sizeof(struct interval), &state, NULL, 0);
	if (s)
		*(struct interval *)state =
			(struct interval){ period, weft_after(period), 0, late };
	return s;
}

/* --- stages that hold one item -------------------------------------------------- */

/* What all of them begin with. */
struct held {
	struct weft_stream *self, *source;
	bool has;
	char *item;
};

static void held_close(void *state)
{
	struct held *h = state;

	if (h->has)
		weft__stream_drop(h->self, h->item);
	h->has = false;
}

static int release(struct held *h, void *item)
{
	weft__copy_item(item, h->item, h->self->item_size);
	h->has = false;
	return 1;
}

static struct weft_stream *held(const struct weft_stream_ops *ops, struct weft_stream *source,
				size_t state_size, void *state)
{
	size_t head = weft__aligned(state_size);
	struct weft_stream *s =
		weft__passage(ops, head + weft_stream_item_size(source), state, source);
	struct held *h;

	if (!s)
		return NULL;
	h = s->state;
	h->self = s;
	h->source = source;
	h->item = (char *)h + head;
	return s;
}

/* --- throttle --------------------------------------------------------------------- */

struct throttle {
	struct held held;
	struct weft__gcra gcra;
};

/* The slot is taken with the item going out, so a wait that is cut off has taken none. */
static int throttle_next(void *state, void *item)
{
	struct throttle *t = state;
	int rc = t->held.has ? 1 : weft__next(t->held.source, t->held.item);

	if (rc <= 0)
		return rc;
	t->held.has = true;
	int64_t now = weft_now(), at = weft__gcra_when(&t->gcra, 1, now);
	rc = at > now ? weft_sleep_until(at) : 0;
	if (rc != 0)
		return rc;
	weft__gcra_take(&t->gcra, 1, now);
	return release(&t->held, item);
}

struct weft_stream *weft_throttle_opt(struct weft_stream *source,
				      const struct weft_throttle_opts *o)
{
	static const struct weft_stream_ops ops = { .next = throttle_next,
						    .close = held_close,
						    .name = "throttle" };
	struct weft__gcra gcra;
	void *state;

	if (!o || o->size < sizeof *o ||
	    !weft__gcra_init(&gcra, o->rate, o->per ? o->per : WEFT_SEC(1),
			     o->burst ? o->burst : 1))
		return weft__refuse(source, WEFT_EINVAL, weft_stream_item_size(source));
	struct weft_stream *s = held(&ops, source, sizeof(struct throttle), &state);
	if (s)
		((struct throttle *)state)->gcra = gcra;
	return s;
}

/* --- timeout for each ---------------------------------------------------------------- */

struct timeout {
	struct weft_stream *self, *source;
	int64_t timeout;
	int64_t left; /* of it, for the item that comes next */
};

/* While nobody reads no time passes. */
static int timeout_next(void *state, void *item)
{
	struct timeout *t = state;
	bool late = false;

	int64_t deadline = weft_after(t->left);

	int rc = weft__next_until(t->source, item, deadline, &late);
	if (rc > 0)
		t->left = t->timeout;
	else if (late)
		t->left = WEFT_NEVER;	/* once for each gap */
	else if (t->left != WEFT_NEVER) /* cut off */
		t->left = deadline > weft_now() ? deadline - weft_now() : 1;
	return rc;
}

struct weft_stream *weft_timeout_each(struct weft_stream *source, int64_t timeout)
{
	static const struct weft_stream_ops ops = { .next = timeout_next, .name = "timeout_each" };
	void *state;

	if (timeout <= 0)
		return weft__refuse(source, WEFT_EINVAL, weft_stream_item_size(source));
	struct weft_stream *s = weft__passage(&ops, sizeof(struct timeout), &state, source);
	if (s) {
		*(struct timeout *)state = (struct timeout){ s, source, timeout, timeout };
		s->goes_on = WEFT_ETIMEDOUT;
	}
	return s;
}

/* --- debounce, sample ------------------------------------------------------------------- */

struct latest {
	struct held held;
	int64_t time;
	int64_t deadline; /* 0: none yet */
	char *fresh;	  /* room for the item that comes next */
};

/* The item in `fresh` takes the place of the one that is held. */
static void replace(struct latest *l)
{
	char *old = l->held.item;

	if (l->held.has)
		weft__stream_drop(l->held.self, old);
	l->held.item = l->fresh;
	l->held.has = true;
	l->fresh = old;
}

static int debounce_next(void *state, void *item)
{
	struct latest *l = state;
	bool late = false;
	int rc;

	while (!late) {
		if (l->held.has)
			rc = weft__next_until(l->held.source, l->fresh, l->deadline, &late);
		else
			rc = weft__next(l->held.source, l->fresh);
		if (rc == WEFT_ECANCELED || (rc <= 0 && !l->held.has))
			return rc;
		if (rc <= 0)
			break; /* the end, or an error, which comes next again */
		replace(l);
		l->deadline = weft_after(l->time);
	}
	return release(&l->held, item);
}

/* The first period that has not ended yet. */
static void next_period(struct latest *l)
{
	int64_t now = weft_now();

	if (l->deadline == 0)
		l->deadline = now;
	if (l->deadline <= now) {
		int64_t passed = (now - l->deadline) / l->time * l->time;
		l->deadline = weft__later(l->deadline + passed, l->time);
	}
}

static int sample_next(void *state, void *item)
{
	struct latest *l = state;
	int rc;

	if (l->deadline == 0)
		next_period(l);
	for (;;) {
		bool late = false;
		rc = weft__next_until(l->held.source, l->fresh, l->deadline, &late);
		if (rc > 0) {
			replace(l);
			continue;
		}
		if (rc == WEFT_ECANCELED || (!late && !l->held.has))
			return rc;
		next_period(l);
		if (l->held.has)
			return release(&l->held, item);
	}
}

static struct weft_stream *latest(const struct weft_stream_ops *ops, struct weft_stream *source,
				  int64_t time)
{
	size_t size = weft_stream_item_size(source);
	void *state;

	if (time <= 0)
		return weft__refuse(source, WEFT_EINVAL, size);
	struct weft_stream *s =
		held(ops, source, sizeof(struct latest) + weft__aligned(size), &state);
	if (s) {
		struct latest *l = state;
		l->time = time;
		l->fresh = weft__behind(l + 1);
	}
	return s;
}

struct weft_stream *weft_debounce(struct weft_stream *source, int64_t quiet)
{
	static const struct weft_stream_ops ops = { .next = debounce_next,
						    .close = held_close,
						    .name = "debounce" };
	return latest(&ops, source, quiet);
}

struct weft_stream *weft_sample(struct weft_stream *source, int64_t period)
{
	static const struct weft_stream_ops ops = { .next = sample_next,
						    .close = held_close,
						    .name = "sample" };
	return latest(&ops, source, period);
}
