/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - many readers or one writer, in the order in which they came
 *
 * Invariants
 *
 *   I1  readers is 0 or writer is NULL.
 *   I2  The first who waits could not go on now.  So after every release, and when a
 *       waiter goes away (the first may be a writer with readers behind it), admit()
 *       runs.
 *
 * Rejected: a link in the list of its strand (held.h) for each reader, to notice one that
 * ends.  There is no memory for it: the lock has room for one owner, and a reader brings
 * none.
 */
#include <weft/error.h>

#include "async/lock.h"

struct weft__rwlock {
	struct weft__queue queue;
	const void *writer; /* as the owner of a lock */
	size_t readers;
	struct weft__held held; /* of the writer */
};

_Static_assert(sizeof(struct weft__rwlock) <= sizeof(struct weft_rwlock),
	       "struct weft_rwlock is too small");

enum mode { READ, WRITE }; /* what a waiter wants */

static struct weft__rwlock *rwlock_of(struct weft_rwlock *l)
{
	return (struct weft__rwlock *)(void *)l;
}

void weft_rwlock_init(struct weft_rwlock *lock)
{
	*rwlock_of(lock) = (struct weft__rwlock){ 0 };
}

static bool is_free(const struct weft__rwlock *l, enum mode mode)
{
	return load_relaxed(&l->writer) == NULL && (mode == READ || l->readers == 0);
}

static void enter(struct weft__rwlock *l, enum mode mode, const void *id)
{
	if (mode == READ)
		l->readers++;
	else
		store_relaxed(&l->writer, id);
}

static void leave(struct weft__rwlock *l, enum mode mode)
{
	if (mode == READ)
		l->readers--;
	else
		store_relaxed(&l->writer, (const void *)NULL);
}

/* With the lock of the queue held: as many as can go on (I2). */
static void admit(struct weft__rwlock *l, struct weft__wakes *wakes)
{
	struct weft__waiter *w;

	while ((w = l->queue.first) && is_free(l, (enum mode)w->want)) {
		enum mode mode = (enum mode)w->want;
		enter(l, mode, w->id);
		if (!weft__queue_wake(&l->queue, w, WEFT__GRANTED, wakes))
			leave(l, mode);
	}
}

static void admit_and_unlock(struct weft__rwlock *l)
{
	struct weft__wakes wakes = { 0 };

	admit(l, &wakes);
	weft__queue_unlock_wake(&l->queue, &wakes);
}

static void abandon(struct weft__held *held)
{
	struct weft__rwlock *l = WEFT__CONTAINER(held, struct weft__rwlock, held);
	struct weft__wakes wakes = { 0 };

	weft__queue_lock(&l->queue);
	store_relaxed(&l->writer, WEFT__OWNER_BROKEN);
	weft__queue_wake_all(&l->queue, WEFT__BROKEN, &wakes);
	weft__queue_unlock_wake(&l->queue, &wakes);
}

static void own(struct weft__rwlock *l, struct weft__strand *s, enum mode mode)
{
	if (mode == READ)
		return;
	l->held.abandon = abandon;
	weft__held_push(s, &l->held);
}

/* 0, or what is in the way; with the lock of the queue held. */
static int take(struct weft__rwlock *l, const void *id, enum mode mode)
{
	if (load_relaxed(&l->writer) == WEFT__OWNER_BROKEN)
		return WEFT_EBROKEN;
	if (load_relaxed(&l->writer) == id)
		return WEFT_EDEADLK;
	if (!is_free(l, mode) || !weft__queue_is_empty(&l->queue))
		return WEFT_EAGAIN;
	enter(l, mode, id);
	return 0;
}

static __attribute__((noinline)) int wait_for(struct weft__rwlock *l, struct weft__strand *s,
					      enum mode mode)
{
	struct weft__waiter me = { .id = weft__owner_id(s), .want = mode };
	int rc = weft__queue_wait(&l->queue, s, &me, WEFT__ABORTABLE,
				  mode == READ ? "lock, to read" : "lock, to write", l);

	if (rc == 0)
		return 0;
	weft__queue_withdraw(&l->queue, &me);
	admit_and_unlock(l); /* I2 */
	return rc;
}

static int acquire(struct weft__rwlock *l, struct weft__strand *s, enum mode mode, bool wait)
{
	weft__queue_lock(&l->queue);
	int rc = take(l, weft__owner_id(s), mode);
	if (rc == WEFT_EAGAIN && wait)
		rc = wait_for(l, s, mode);
	else
		weft__queue_unlock(&l->queue);
	if (rc == 0)
		own(l, s, mode);
	return rc;
}

static int acquire_here(struct weft_rwlock *lock, enum mode mode)
{
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	return rc ? rc : acquire(rwlock_of(lock), s, mode, true);
}

int weft_rwlock_acquire_read(struct weft_rwlock *lock)
{
	return acquire_here(lock, READ);
}

int weft_rwlock_acquire_write(struct weft_rwlock *lock)
{
	return acquire_here(lock, WRITE);
}

int weft_rwlock_try_acquire_read(struct weft_rwlock *lock)
{
	return acquire(rwlock_of(lock), weft__strand_self(), READ, false);
}

int weft_rwlock_try_acquire_write(struct weft_rwlock *lock)
{
	return acquire(rwlock_of(lock), weft__strand_self(), WRITE, false);
}

int weft_rwlock_release_read(struct weft_rwlock *lock)
{
	struct weft__rwlock *l = rwlock_of(lock);

	weft__queue_lock(&l->queue);
	if (l->readers == 0) {
		weft__queue_unlock(&l->queue);
		return WEFT_EPERM;
	}
	leave(l, READ);
	admit_and_unlock(l);
	return 0;
}

int weft_rwlock_release_write(struct weft_rwlock *lock)
{
	struct weft__rwlock *l = rwlock_of(lock);
	struct weft__strand *s = weft__strand_self();

	if (load_relaxed(&l->writer) != weft__owner_id(s))
		return WEFT_EPERM;
	weft__held_remove(s, &l->held);
	weft__queue_lock(&l->queue);
	leave(l, WRITE);
	admit_and_unlock(l);
	return 0;
}
