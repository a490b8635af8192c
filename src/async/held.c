/* SPDX-License-Identifier: MIT */
/*
 * held.c - locks let go out of order, and locks never let go
 */
#include "async/held.h"

#include <stdio.h>

#include "async/scope.h"
#include "deque/check.h"

void weft__held_search(struct weft__strand *s, struct weft__held *held)
{
	struct weft__held **at = &s->held;

	while (*at && *at != held)
		at = &(*at)->next;
	if (*at)
		*at = held->next;
}

/* Debug builds name the culprit (SY-3). */
static void complain(const struct weft__strand *s)
{
#ifdef WEFT_DEBUG
	const char *name = weft__strand_name(s);

	fprintf(stderr, "weft: %s%s ended and still holds a lock, which is broken now\n",
		name ? "task " : "a task", name ? name : "");
#else
	(void)s;
#endif
}

void weft__held_abandon(struct weft__strand *s)
{
	struct weft__held *held;

	while ((held = s->held)) {
		s->held = held->next;
		complain(s);
		held->abandon(held);
	}
}
