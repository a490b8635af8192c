/* SPDX-License-Identifier: MIT */
/*
 * sem.c - permits, handed out in the order of arrival
 *
 *   A waiter that wants many is not passed by later ones that want few: golang.org/x/
 *   sync/semaphore (S. Kriplani and others, 2017), with its bugs' fixes.
 *
 * Invariant
 *
 *   I1  The first who waits wants more than there is.  So after every release, and when
 *       a waiter goes away, grant() runs: behind a large request there may be small ones.
 */
#include <weft/error.h>

#include "async/queue.h"
#include <weft/sync.h>

struct weft__sem {
	struct weft__queue queue;
	size_t value, max; /* max 0: none */
};

_Static_assert(sizeof(struct weft__sem) <= sizeof(struct weft_sem), "struct weft_sem is too small");

static struct weft__sem *sem_of(struct weft_sem *s)
{
	return (struct weft__sem *)(void *)s;
}

int weft_sem_init(struct weft_sem *sem, size_t initial, size_t max)
{
	if (max != 0 && initial > max)
		return WEFT_EINVAL;
	*sem_of(sem) = (struct weft__sem){ .value = initial, .max = max };
	return 0;
}

/* With the lock of the queue held, which is free afterwards. */
static __attribute__((noinline)) void grant_and_unlock(struct weft__sem *sem)
{
	struct weft__wakes wakes = { 0 };
	struct weft__waiter *w;

	while ((w = sem->queue.first) && w->want <= sem->value) {
		size_t n = w->want;
		sem->value -= n;
		if (!weft__queue_wake(&sem->queue, w, WEFT__GRANTED, &wakes))
			sem->value += n;
	}
	weft__queue_unlock_wake(&sem->queue, &wakes);
}

/* With the lock of the queue held. */
static __attribute__((noinline)) int wait_for(struct weft__sem *sem, struct weft__strand *s,
					      size_t n)
{
	struct weft__waiter me = { .want = n };
	int rc = weft__queue_wait(&sem->queue, s, &me, WEFT__ABORTABLE, "semaphore", sem);

	if (rc == 0)
		return 0;
	weft__queue_withdraw(&sem->queue, &me);
	grant_and_unlock(sem); /* I1 */
	return rc;
}

/* True when the permits were taken; the lock of the queue is held. */
static inline bool take(struct weft__sem *sem, size_t n)
{
	bool enough = n <= sem->value && weft__queue_is_empty(&sem->queue);

	if (WEFT_LIKELY(enough))
		sem->value -= n;
	return enough;
}

static inline bool makes_sense(const struct weft__sem *sem, size_t n)
{
	return n != 0 && (sem->max == 0 || n <= sem->max);
}

static inline int acquire(struct weft__sem *sem, size_t n)
{
	struct weft__here me;
	int rc = weft__point_me(&me);

	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	weft__queue_lock_as(&sem->queue, me.worker);
	if (WEFT_UNLIKELY(!take(sem, n)))
		return wait_for(sem, me.strand, n);
	weft__queue_unlock(&sem->queue);
	return 0;
}

int weft_sem_acquire(struct weft_sem *sem)
{
	return acquire(sem_of(sem), 1);
}

int weft_sem_acquire_n(struct weft_sem *sem, size_t n)
{
	return makes_sense(sem_of(sem), n) ? acquire(sem_of(sem), n) : WEFT_EINVAL;
}

int weft_sem_try_acquire_n(struct weft_sem *s, size_t n)
{
	struct weft__sem *sem = sem_of(s);

	if (!makes_sense(sem, n))
		return WEFT_EINVAL;
	weft__queue_lock_as(&sem->queue, weft__here().worker);
	bool taken = take(sem, n);
	weft__queue_unlock(&sem->queue);
	return taken ? 0 : WEFT_EAGAIN;
}

int weft_sem_try_acquire(struct weft_sem *sem)
{
	return weft_sem_try_acquire_n(sem, 1);
}

static inline int release(struct weft__sem *sem, size_t n)
{
	size_t max = sem->max ? sem->max : SIZE_MAX;
	int rc = 0;

	weft__queue_lock_as(&sem->queue, weft__here().worker);
	if (WEFT_LIKELY(n <= max && sem->value <= max - n))
		sem->value += n;
	else
		rc = WEFT_EINVAL;
	if (WEFT_LIKELY(weft__queue_is_empty(&sem->queue)))
		weft__queue_unlock(&sem->queue);
	else
		grant_and_unlock(sem);
	return rc;
}

int weft_sem_release(struct weft_sem *sem)
{
	return release(sem_of(sem), 1);
}

int weft_sem_release_n(struct weft_sem *sem, size_t n)
{
	return release(sem_of(sem), n);
}

size_t weft_sem_value(struct weft_sem *s)
{
	struct weft__sem *sem = sem_of(s);

	weft__queue_lock_as(&sem->queue, weft__here().worker);
	size_t value = sem->value;
	weft__queue_unlock(&sem->queue);
	return value;
}

size_t weft_sem_waiters(struct weft_sem *s)
{
	struct weft__sem *sem = sem_of(s);

	weft__queue_lock_as(&sem->queue, weft__here().worker);
	size_t waiters = sem->queue.length;
	weft__queue_unlock(&sem->queue);
	return waiters;
}
