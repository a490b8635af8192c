/* SPDX-License-Identifier: MIT */
/*
 * rlock.c - a lock that its owner may take again
 */
#include <weft/error.h>

#include "async/lock.h"

struct weft__rlock {
	struct weft__lock lock;
	size_t depth; /* the owner's */
};

_Static_assert(sizeof(struct weft__rlock) <= sizeof(struct weft_rlock),
	       "struct weft_rlock is too small");

static struct weft__rlock *rlock_of(struct weft_rlock *l)
{
	return (struct weft__rlock *)(void *)l;
}

void weft_rlock_init(struct weft_rlock *lock)
{
	*rlock_of(lock) = (struct weft__rlock){ 0 };
}

/* What the lock said, the owner's second time being as good as the first. */
static int deepen(struct weft__rlock *l, int rc)
{
	if (rc == WEFT_EDEADLK)
		l->depth++;
	else if (rc == 0)
		l->depth = 1;
	return rc == WEFT_EDEADLK ? 0 : rc;
}

int weft_rlock_acquire(struct weft_rlock *lock)
{
	struct weft__rlock *l = rlock_of(lock);
	struct weft__here me;
	int rc = weft__point_me(&me);

	return rc ? rc : deepen(l, weft__lock_acquire(&l->lock, me));
}

int weft_rlock_try_acquire(struct weft_rlock *lock)
{
	struct weft__rlock *l = rlock_of(lock);

	return deepen(l, weft__lock_try_acquire(&l->lock, weft__here()));
}

int weft_rlock_release(struct weft_rlock *lock)
{
	struct weft__rlock *l = rlock_of(lock);
	struct weft__here me = weft__here();

	if (!weft__lock_is_owner(&l->lock, weft__owner_id(me.strand)))
		return WEFT_EPERM;
	if (--l->depth == 0)
		weft__lock_release(&l->lock, me);
	return 0;
}
