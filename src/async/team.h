/* SPDX-License-Identifier: MIT */
/*
 * team.h - what race, gather and map have in common: a group that lives for one call
 *
 * The group is the first member of what the call keeps on its stack, so that a child
 * finds all of that from its own task.
 */
#ifndef WEFT_ASYNC_TEAM_H
#define WEFT_ASYNC_TEAM_H

#include <weft/error.h>

#include "async/config.h"
#include "async/group.h"
#include "async/tree.h"

/* Opens the group; without a time-out of its own it gets that of the configuration
 * (WA-8). */
static inline int weft__team_open(struct weft_group *g, struct weft__strand *s, const char *name,
				  int64_t timeout, int64_t deadline)
{
	struct weft_group_opts opts = {
		.size = sizeof opts,
		.name = name,
		.timeout = timeout ? timeout : weft__config_timeout(s),
		.deadline = deadline,
	};

	return weft_group_open_opt(g, &opts);
}

/* What the strand called returned rc because it was cancelled: it did not happen. */
static inline bool weft__was_cancelled(const struct weft__strand *s, int rc)
{
	return rc == WEFT_ECANCELED && weft__cancel_visible(s->in.node) != 0;
}

/* Joins all and leaves the group.  `complete`: everything was begun.  If it also came to
 * its end, a cancel that arrives now is for the next call to tell of (CO-4). */
static inline int weft__team_close(struct weft_group *group, int rc, bool complete)
{
	const struct weft__group *g = weft__group_of(group);

	rc = weft_group_close(group, rc);
	return rc == WEFT_ECANCELED && complete && !g->cut_off && g->first == 0 ? 0 : rc;
}

/* The group that the strand is a child of, and so the struct that begins with it. */
static inline void *weft__team_of(const struct weft__strand *s)
{
	_Static_assert(offsetof(struct weft__group, scope.node) == 0, "a node is its group");
	return s->node.parent;
}

#endif
