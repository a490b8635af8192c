/* SPDX-License-Identifier: MIT */
/*
 * start.c - starting a child and waiting until it says that it is ready
 *
 *	WAITING --weft_ready--> READY        the starter goes on with the value
 *	   |  '----the child ends--> ENDED   the starter gets its error
 *	   '--the starter is cancelled--> GIVEN_UP --the child ends--> ENDED
 *
 * The state lies on the starter's stack, under its lock.  The starter does not return
 * before READY or ENDED, and the child touches it for the last time in that step.
 */
#include "async/start.h"

#include <weft/error.h>

#include "async/group.h"
#include "async/tree.h"
#include "async/wait.h"

enum state { WAITING, GIVEN_UP, READY, ENDED };

struct weft__start {
	struct weft__spin lock;
	enum state state;
	struct weft__strand *starter;
	uint64_t ticket;
	void *value;
	int rc;
};

/* The child's last touch: the step, and the starter goes on.  What the state was. */
static enum state finish(struct weft__start *st, enum state state, void *value, int rc)
{
	struct weft__strand *starter = st->starter;

	weft__spin_lock(&st->lock);
	enum state was = st->state;
	if (was == GIVEN_UP && state == READY) {
		weft__spin_unlock(&st->lock);
		return was;
	}
	st->state = state;
	st->value = value;
	st->rc = rc;
	enum weft__claim claim = weft__claim(starter, st->ticket, WEFT__GRANTED);
	weft__spin_unlock(&st->lock);
	if (claim == WEFT__CLAIM_PARKED)
		weft__resume(starter);
	return was;
}

int weft__start_ended(struct weft__task *t, int rc)
{
	struct weft__start *st = t->start;

	t->start = NULL;
	if (rc >= 0)
		rc = weft__cancel_visible(&t->strand.node) ? WEFT_ECANCELED : WEFT_EINVAL;
	finish(st, ENDED, NULL, rc);
	return 0;
}

int weft_ready(void *value)
{
	struct weft__strand *s = weft__strand_self();
	struct weft__task *t = s ? s->in.task : NULL;

	if (!s)
		return WEFT_ENOTASK;
	if (!t || !t->start || &t->strand != s)
		return WEFT_EINVAL;
	if (finish(t->start, READY, value, 0) == GIVEN_UP)
		return WEFT_ECANCELED;
	t->start = NULL;
	return 0;
}

/* The starter is cancelled: the child is, too.  It cannot end before the lock is
 * free, and so its node is there. */
static bool give_up(struct weft__start *st, struct weft__task *child)
{
	weft__spin_lock(&st->lock);
	bool gave_up = st->state == WAITING;
	if (gave_up) {
		st->state = GIVEN_UP;
		weft__node_mark(&child->strand.node, WEFT__NODE_CANCELLED);
		weft__walk_queue(st->starter->runtime, &child->strand.node);
	}
	weft__spin_unlock(&st->lock);
	if (gave_up)
		weft__walk_all(st->starter->runtime);
	return gave_up;
}

/* READY or ENDED.  A wait that has begun is told of it, or sees it here. */
static bool is_over(struct weft__start *st, struct weft__strand *s)
{
	weft__spin_lock(&st->lock);
	st->ticket = weft__wait_ticket(s);
	bool over = st->state == READY || st->state == ENDED;
	weft__spin_unlock(&st->lock);
	return over;
}

static unsigned wait_once(struct weft__start *st, struct weft__strand *s, unsigned flags)
{
	if (weft__wait_begin(s, flags) != 0)
		return WEFT__CANCELLED;
	if (is_over(st, s))
		return weft__wait_end(s);
	return weft__wait_park(s, "a child to be ready", st);
}

/* Waits for READY or ENDED; the child is cancelled when the starter is. */
static void await(struct weft__start *st, struct weft__strand *s, struct weft__task *child)
{
	unsigned flags = WEFT__ABORTABLE;

	for (;;) {
		unsigned code = wait_once(st, s, flags);
		if (code == WEFT__NO_STACK)
			weft__wait_without_stack();
		if (is_over(st, s))
			return;
		if (code == WEFT__CANCELLED && give_up(st, child))
			flags = 0;
	}
}

int weft_start_opt(struct weft_group *group, weft_fn *fn, void *arg, void **out,
		   const struct weft_spawn_opts *opts)
{
	struct weft__group *g = weft__group_of(group);
	struct weft__strand *s = weft__strand_self();
	struct weft__start st = { .state = WAITING, .starter = s };
	struct weft__task *child = NULL;

	if (!g || !fn || (opts && !weft__spawn_opts_ok(opts)))
		return WEFT_EINVAL;
	int rc = s ? weft__point(s) : WEFT_ENOTASK;
	if (rc == 0)
		rc = weft__group_spawn(g, fn, arg, opts, &st, &child);
	if (rc != 0) {
		if (opts && opts->drop)
			opts->drop(arg);
		return rc;
	}
	await(&st, s, child);
	if (st.state == READY && out)
		*out = st.value;
	return st.state == READY ? 0 : st.rc;
}
