/* SPDX-License-Identifier: MIT */
/*
 * gather.c - several calls at once, all of which count
 *
 * Without room for codes this is a group whose children are the calls; what it adds is
 * the index of the one that failed.  With room for codes an error is the caller's affair
 * and the group never hears of it.
 */
#include <weft/error.h>
#include <weft/wait.h>

#include "async/team.h"
#include "async/wait.h"

struct gather {
	struct weft_group group; /* first */
	const struct weft_call *calls;
	int *rcs; /* or NULL */

	struct weft__spin lock; /* all below */
	int rc;			/* the first error, 0: none */
	size_t failed;
};

/* The group has a first error of its own; two that come together may meet its lock and
 * this one in different orders, and the index must be that of the code. */
static void fail(struct gather *g, size_t i, int rc)
{
	weft__spin_lock(&g->lock);
	if (g->rc == 0) {
		g->rc = rc;
		g->failed = i;
	}
	weft__spin_unlock(&g->lock);
}

static int member(void *arg)
{
	const struct weft_call *call = arg;
	struct weft__strand *s = weft__strand_self();
	struct gather *g = weft__team_of(s);
	size_t i = (size_t)(call - g->calls);
	int rc = call->fn(call->arg);
	bool cancelled = weft__was_cancelled(s, rc);

	if (g->rcs) {
		g->rcs[i] = rc;
		return cancelled ? rc : 0;
	}
	if (rc < 0 && !cancelled)
		fail(g, i, rc);
	return rc;
}

/* Starts the calls, up to the first that must not or cannot start. */
static size_t start(struct gather *g, struct weft__strand *s, size_t n, int *rc)
{
	size_t i = 0;

	for (; i < n; i++) {
		void *arg = (void *)(uintptr_t)&g->calls[i];

		*rc = weft__strand_check(s); /* also the cancel by one that failed */
		if (*rc == 0)
			*rc = weft__group_spawn(weft__group_of(&g->group), member, arg, NULL, NULL,
						NULL);
		if (*rc != 0)
			break;
	}
	return i;
}

int weft_gather_opt(const struct weft_call *calls, size_t n, int *rcs,
		    const struct weft_wait_opts *opts)
{
	static const struct weft_wait_opts none = { .size = sizeof none };
	const struct weft_wait_opts *o = opts ? opts : &none;
	struct weft__strand *s = weft__strand_self();
	struct gather g;

	if ((!calls && n > 0) || o->size < sizeof *o)
		return WEFT_EINVAL;
	int rc = s ? weft__team_open(&g.group, s, o->name, o->timeout, o->deadline) : WEFT_ENOTASK;
	if (rc != 0)
		return rc;
	g.calls = calls;
	g.rcs = rcs;
	weft__spin_init(&g.lock);
	g.rc = 0;
	g.failed = 0;

	size_t started = start(&g, s, n, &rc);
	rc = weft__team_close(&g.group, rc, started == n);
	for (size_t i = started; rcs && i < n; i++)
		rcs[i] = WEFT_ECANCELED;
	if (g.rc == 0)
		return rc;
	if (o->failed_index)
		*o->failed_index = g.failed;
	return g.rc;
}
