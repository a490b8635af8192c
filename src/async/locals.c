/* SPDX-License-Identifier: MIT */
/*
 * locals.c - chains of bindings
 *
 * A chain is never changed, only lengthened at the near end: a snapshot is a pointer.
 * Each binding counts who has it at hand: strands, and the binding made inside it.
 *
 *   O1  the last use of a binding -> its end    the count goes down by full barriers.
 */
#include "async/locals.h"

#include <weft/error.h>

#include "async/offload.h"
#include "deque/alloc.h"
#include "runtime/strand.h"

struct weft_local {
	const struct weft_local *outer;
	const struct weft_key *key;
	void *value;
	uint32_t count;
};

static struct weft_local *mutable(const struct weft_local *l)
{
	return (struct weft_local *)(uintptr_t)l;
}

void weft__locals_ref(const struct weft_local *l)
{
	if (l)
		add_seqcst(&mutable(l)->count, 1);
}

void weft__locals_unref(const struct weft_local *l)
{
	while (l && add_seqcst(&mutable(l)->count, (uint32_t)-1) == 1) { /* O1 */
		const struct weft_local *outer = l->outer;
		if (l->key->drop)
			l->key->drop(l->value);
		weft__free(mutable(l), sizeof *l);
		l = outer;
	}
}

void weft__locals_end(struct weft__ambient *in)
{
	const struct weft_local *l = in->locals;

	in->locals = NULL;
	weft__locals_unref(l);
}

/* Where the caller's bindings begin: a task's, or those of a blocking call; NULL on
 * other threads. */
static const struct weft_local **here(void)
{
	struct weft__strand *s = weft__strand_self();

	return s ? &s->in.locals : weft__host_locals();
}

int weft_with_local(const struct weft_key *key, void *value, weft_fn *fn, void *arg)
{
	const struct weft_local **locals = here();

	if (!key || !fn)
		return WEFT_EINVAL;
	if (!locals)
		return WEFT_ENOTASK;
	struct weft_local *l = weft__alloc(sizeof *l);
	if (!l)
		return WEFT_ENOMEM;
	*l = (struct weft_local){ *locals, key, value, 1 };
	/* The new binding takes over the strand's hold on the outer ones and gives it
	 * back at its end. */
	weft__locals_ref(l->outer);
	*locals = l;
	int rc = fn(arg);
	*locals = l->outer;
	weft__locals_unref(l);
	return rc;
}

void *weft_local(const struct weft_key *key)
{
	const struct weft_local **locals = here();
	const struct weft_local *l = locals ? *locals : NULL;

	while (l && l->key != key)
		l = l->outer;
	return l ? l->value : NULL;
}
