/* SPDX-License-Identifier: MIT */
/*
 * crew.c - tasks beside the reader of a stream, and how they wait for each other
 */
#include "async/crew.h"

#include <weft/error.h>

int weft__crew_open(struct weft__crew *c)
{
	struct weft__strand *s = weft__strand_self();

	if (!s)
		return WEFT_ENOTASK;
	weft__group_open_aside(&c->group, s);
	return 0;
}

int weft__crew_start(struct weft__crew *c, weft_fn *fn, void *arg, const char *name)
{
	return weft__group_start_aside(&c->group, fn, arg, name);
}

void weft__crew_cancel(struct weft__crew *c)
{
	weft__group_cancel_aside(&c->group);
}

void weft__crew_close(struct weft__crew *c)
{
	if (c->group.scope.state == WEFT__SCOPE_ENTERED)
		weft__group_close_aside(&c->group);
}

int weft__bell_wait(struct weft__bell *b, struct weft__spin *lock, const char *what, const void *on)
{
	struct weft__thread_strand local;
	struct weft__strand *s = weft__strand_here(&local);
	int rc = weft__wait_begin(s, WEFT__ABORTABLE);

	if (rc != 0)
		return rc;
	b->strand = s;
	b->ticket = weft__wait_ticket(s);
	weft__spin_unlock(lock);
	unsigned code = weft__wait_park(s, what, on);
	weft__spin_lock(lock);
	if (b->strand == s)
		b->strand = NULL;
	return weft__code_error(code);
}
