/* SPDX-License-Identifier: MIT */
/*
 * lock.h - a lock from inside, for what is made of one
 */
#ifndef WEFT_ASYNC_LOCK_H
#define WEFT_ASYNC_LOCK_H

#include <weft/sync.h>

#include "async/held.h"
#include "async/queue.h"

/* In the place of an owner: it ended and still held the lock. */
#define WEFT__OWNER_BROKEN ((const void *)1)

struct weft__lock {
	struct weft__queue queue;
	const void *owner; /* weft__owner_id, NULL, or BROKEN; written under the queue's lock */
	struct weft__held held;
	uint64_t acquires, contended;
};

static inline struct weft__lock *weft__lock_of(struct weft_lock *l)
{
	return (struct weft__lock *)(void *)l;
}

/* As far as the caller is concerned: nobody else makes it the owner, or takes that from
 * it, so no lock is needed to look. */
static inline bool weft__lock_is_owner(const struct weft__lock *l, const void *id)
{
	return load_relaxed(&l->owner) == id;
}

/* After the entry check; EDEADLK when the caller owns it. */
int weft__lock_acquire(struct weft__lock *l, struct weft__here me);
int weft__lock_try_acquire(struct weft__lock *l, struct weft__here me);

/* Not to be cancelled, and again if there is no stack: 0 or WEFT_EBROKEN. */
int weft__lock_acquire_shielded(struct weft__lock *l, struct weft__strand *s);

/* The caller, who is the owner, lets go. */
void weft__lock_release(struct weft__lock *l, struct weft__here me);

#endif
