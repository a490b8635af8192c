/* SPDX-License-Identifier: MIT */
/*
 * weft/sync.h - locks, semaphores, events and the like for tasks
 *
 * Whoever waits here suspends its task; the worker goes on with others.  A wait ends
 * early when the task is cancelled, and deadlines are those of the scopes around it
 * (weft/scope.h): no call takes one.
 *
 *	static struct weft_lock lk;
 *
 *	int rc;
 *	WEFT_WITH_LOCK(&lk, rc)
 *		modify_shared();
 *	return rc;
 *
 * First come, first served: a release hands what it releases to the one that has
 * waited longest, so nobody who comes later gets past.  The one exception is
 * struct weft_mutex, for short sections.
 *
 * WEFT_ECANCELED means that it did not happen: the lock was not taken, the permit is
 * still there.  What was handed over in the same moment was taken, and the call returns
 * 0; the next one tells of the cancel.  A cancel never releases what a task holds, and
 * no release waits or fails because of one.
 *
 *   threads    all of it may be used by tasks of any runtime and by plain threads,
 *              mixed.  A plain thread sleeps while it waits, and nothing cancels it.
 *              What has an owner belongs to the task or thread that took it; a piece
 *              of weft_for or weft_both that another worker runs is a task of its own
 *              in this respect, so do not fork with a lock held that the pieces want.
 *   memory     the caller's structs, all fields private.  Zeros are an object that is
 *              free, empty or unset, so `static struct weft_lock lk;` needs no init; a
 *              barrier needs one.  The memory may go when nobody waits and the last
 *              call has returned; a waiter whose wait has returned need not care for
 *              the call that ended it.  Nothing is allocated but by a limiter, which
 *              says so.
 *   errors     0 or a negative code, and nothing is changed then.  Every call that can
 *              wait may return WEFT_ECANCELED, and WEFT_ENOMEM when there is no stack
 *              for the worker to go on with meanwhile.
 *   blocking   acquire, wait, weft_once.  Each of these is a cancellation point: under
 *              a cancel it does nothing, even if it would not have waited.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stdbool.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* --- lock ---------------------------------------------------------------- */

/* One owner at a time. */
struct weft_lock {
	unsigned char weft__private[96] __attribute__((aligned(16)));
};

/* For memory that is not zero, and to repair a broken lock; nobody may hold it or wait
 * for it. */
WEFT_API void weft_lock_init(struct weft_lock *l);

/* WEFT_EDEADLK when the caller owns it already.  WEFT_EBROKEN when a task ended and
 * still owned it: what it protects may be half done.  (A plain thread that ends so is
 * not noticed.) */
WEFT_API int weft_lock_acquire(struct weft_lock *l);

/* The same without waiting: WEFT_EAGAIN. */
WEFT_API int weft_lock_try_acquire(struct weft_lock *l);

/* WEFT_EPERM when the caller does not own it. */
WEFT_API int weft_lock_release(struct weft_lock *l);

/* Somebody owns it; the caller does. */
WEFT_API bool weft_lock_is_held(struct weft_lock *l);
WEFT_API bool weft_lock_is_mine(struct weft_lock *l);

struct weft_lock_stats {
	uint64_t acquires;  /* that succeeded */
	uint64_t contended; /* that had to wait, whether or not they succeeded */
	size_t waiters;	    /* now */
};

WEFT_API struct weft_lock_stats weft_lock_stats(struct weft_lock *l);

/* Runs the statement behind it with the lock held, once, and releases it however the
 * statement is left: at its end, by break, goto or return.  `rc` is what acquire
 * returned; the statement does not run when that is not 0. */
#define WEFT_WITH_LOCK(lock, rc) WEFT__WITH_LOCK(lock, rc, __LINE__)

/* Has an owner who may take it again; as many releases as acquires let it go.  Errors as
 * of a lock but for WEFT_EDEADLK. */
struct weft_rlock {
	unsigned char weft__private[112] __attribute__((aligned(16)));
};

WEFT_API void weft_rlock_init(struct weft_rlock *l);
WEFT_API int weft_rlock_acquire(struct weft_rlock *l);
WEFT_API int weft_rlock_try_acquire(struct weft_rlock *l);
WEFT_API int weft_rlock_release(struct weft_rlock *l);

/* --- readers and writers -------------------------------------------------- */

/* Any number of readers, or one writer.  In the order in which they came: a reader that
 * comes after a waiting writer waits, too, so neither side starves.  A task that reads
 * must not acquire again, for a writer may have come in between; readers are counted and
 * not known, so this is not noticed.  Nor is a reader that ends and still reads: writers
 * wait for it for ever, until they are cancelled. */
struct weft_rwlock {
	unsigned char weft__private[96] __attribute__((aligned(16)));
};

WEFT_API void weft_rwlock_init(struct weft_rwlock *l);

/* WEFT_EDEADLK when the caller is the writer; WEFT_EBROKEN as of a lock, when a writer
 * ended and still wrote. */
WEFT_API int weft_rwlock_acquire_read(struct weft_rwlock *l);
WEFT_API int weft_rwlock_acquire_write(struct weft_rwlock *l);
WEFT_API int weft_rwlock_try_acquire_read(struct weft_rwlock *l);
WEFT_API int weft_rwlock_try_acquire_write(struct weft_rwlock *l);

/* WEFT_EPERM when nobody reads; when the caller is not the writer. */
WEFT_API int weft_rwlock_release_read(struct weft_rwlock *l);
WEFT_API int weft_rwlock_release_write(struct weft_rwlock *l);

/* --- semaphore ------------------------------------------------------------ */

/* A number of permits; acquire takes some, release gives some.  Nobody owns them.  One
 * who wants many is not passed by those who want few. */
struct weft_sem {
	unsigned char weft__private[64] __attribute__((aligned(16)));
};

/* `max` is the most permits there may be; 0: no such limit.  WEFT_EINVAL when `initial`
 * is more than that. */
WEFT_API int weft_sem_init(struct weft_sem *s, size_t initial, size_t max);

/* WEFT_EINVAL at once for 0 permits and for more than max. */
WEFT_API int weft_sem_acquire(struct weft_sem *s);
WEFT_API int weft_sem_acquire_n(struct weft_sem *s, size_t n);

/* WEFT_EAGAIN when there are not so many, or others wait. */
WEFT_API int weft_sem_try_acquire(struct weft_sem *s);
WEFT_API int weft_sem_try_acquire_n(struct weft_sem *s, size_t n);

/* WEFT_EINVAL when there would be more than max. */
WEFT_API int weft_sem_release(struct weft_sem *s);
WEFT_API int weft_sem_release_n(struct weft_sem *s, size_t n);

/* Permits that are free, and who waits for some. */
WEFT_API size_t weft_sem_value(struct weft_sem *s);
WEFT_API size_t weft_sem_waiters(struct weft_sem *s);

/* --- capacity limiter ------------------------------------------------------ */

/* A number of tokens, of which a borrower has one or none, and which may be changed at
 * any time.  A borrower is the calling task or thread, or, with the _for calls, a key:
 * any address but NULL that stands for whom the token is for.  Who ends without giving
 * its token back leaves it lent.  A task that comes later is another borrower; a thread,
 * a root (weft_run_sync) or a piece of weft_for may be taken for one that has ended.
 *
 * It remembers its borrowers: up to 4 at a time, waiting ones included, in itself, and
 * in memory it allocates when there are more. */
struct weft_limiter {
	unsigned char weft__private[224] __attribute__((aligned(16)));
};

/* 0 tokens are allowed, and that is what zeroed memory has.  fini gives back what was
 * allocated; nobody may wait. */
WEFT_API void weft_limiter_init(struct weft_limiter *l, size_t total);
WEFT_API void weft_limiter_fini(struct weft_limiter *l);

/* WEFT_EDEADLK when the borrower has a token or waits for one already; WEFT_ENOMEM;
 * WEFT_EINVAL for a key that is NULL. */
WEFT_API int weft_limiter_acquire(struct weft_limiter *l);
WEFT_API int weft_limiter_acquire_for(struct weft_limiter *l, const void *key);

/* WEFT_EAGAIN when all are lent, or others wait. */
WEFT_API int weft_limiter_try_acquire(struct weft_limiter *l);
WEFT_API int weft_limiter_try_acquire_for(struct weft_limiter *l, const void *key);

/* WEFT_EPERM when the borrower has none. */
WEFT_API int weft_limiter_release(struct weft_limiter *l);
WEFT_API int weft_limiter_release_for(struct weft_limiter *l, const void *key);

/* More: those who wait go on at once.  Fewer than are lent: legal, and none is lent until
 * enough have come back. */
WEFT_API void weft_limiter_set_total(struct weft_limiter *l, size_t total);

struct weft_limiter_stats {
	size_t total, borrowed, waiters;
};

WEFT_API struct weft_limiter_stats weft_limiter_stats(struct weft_limiter *l);

/* --- event ----------------------------------------------------------------- */

/* Something that has happened, or not yet. */
struct weft_event {
	unsigned char weft__private[64] __attribute__((aligned(16)));
};

WEFT_API void weft_event_init(struct weft_event *e);

/* Wakes all who wait now; they return 0, whatever comes after. */
WEFT_API void weft_event_set(struct weft_event *e);

/* Who waits from now on waits for the next set. */
WEFT_API void weft_event_clear(struct weft_event *e);
WEFT_API bool weft_event_is_set(const struct weft_event *e);
WEFT_API int weft_event_wait(struct weft_event *e);

/* --- condition ------------------------------------------------------------- */

/* Waiting for a change of what a lock protects. */
struct weft_cond {
	unsigned char weft__private[48] __attribute__((aligned(16)));
};

WEFT_API void weft_cond_init(struct weft_cond *c);

/* Releases the lock, waits for a notify, and takes the lock again before it returns,
 * cancelled or not; so the caller holds it whatever the result is, but for WEFT_EBROKEN:
 * meanwhile a task ended and still owned it.  WEFT_EPERM when the caller does not own the
 * lock.  Look again at what you wait for: others may have been there first. */
WEFT_API int weft_cond_wait(struct weft_cond *c, struct weft_lock *l);

/* Wakes up to n, those who have waited longest; a waiter that is being cancelled does not
 * count.  With or without the lock. */
WEFT_API void weft_cond_notify(struct weft_cond *c, size_t n);
WEFT_API void weft_cond_notify_all(struct weft_cond *c);

/* --- barrier --------------------------------------------------------------- */

/* Parties wait until all have come, again and again. */
struct weft_barrier {
	unsigned char weft__private[80] __attribute__((aligned(16)));
};

struct weft_barrier_opts {
	size_t size;	      /* sizeof(struct weft_barrier_opts) */
	bool break_on_cancel; /* one that is cancelled breaks it, instead of being withdrawn */
};

/* WEFT_EINVAL for 0 parties. */
WEFT_API int weft_barrier_init_opt(struct weft_barrier *b, unsigned parties,
				   const struct weft_barrier_opts *opts);

/* *index (may be NULL) is 0 .. parties - 1, another for each: 0 is the leader.  One that
 * is cancelled is withdrawn, and the others go on waiting for their number.  The next
 * round begins when all of this one have left.  WEFT_EBROKEN when the barrier is. */
WEFT_API int weft_barrier_wait(struct weft_barrier *b, unsigned *index);

/* Breaks it: who waits, and comes later, gets WEFT_EBROKEN, until reset.  reset breaks it
 * for those who wait, and mends it for those who come. */
WEFT_API void weft_barrier_abort(struct weft_barrier *b);
WEFT_API void weft_barrier_reset(struct weft_barrier *b);

WEFT_API bool weft_barrier_is_broken(struct weft_barrier *b);
WEFT_API unsigned weft_barrier_waiters(struct weft_barrier *b);

/* --- once ------------------------------------------------------------------ */

/* Something that is done once. */
struct weft_once {
	unsigned char weft__private[64] __attribute__((aligned(16)));
};

/* Runs fn(arg) unless a call before did, and returned 0 or more.  Others wait meanwhile.
 * When fn fails, or is cancelled, that caller gets its error, and the next who waits
 * tries.  WEFT_EDEADLK from inside of fn. */
WEFT_API int weft_once(struct weft_once *o, weft_fn *fn, void *arg);
WEFT_API bool weft_once_is_done(const struct weft_once *o);

/* --- mutex ------------------------------------------------------------------ */

/* For sections of a few hundred instructions: whoever comes while it is free takes it,
 * past those who wait, which saves a switch at each release; who finds it taken spins a
 * little before it waits.  No owner is known: nothing notices one that ends, or takes it
 * twice. */
struct weft_mutex {
	unsigned char weft__private[64] __attribute__((aligned(16)));
};

WEFT_API void weft_mutex_init(struct weft_mutex *m);
WEFT_API int weft_mutex_acquire(struct weft_mutex *m);
WEFT_API int weft_mutex_try_acquire(struct weft_mutex *m); /* WEFT_EAGAIN */
WEFT_API int weft_mutex_release(struct weft_mutex *m);	   /* WEFT_EPERM: it was free */

WEFT_END_DECLS

#ifndef __cplusplus
/* weft_barrier_init(&b, 3); weft_barrier_init(&b, 3, .break_on_cancel = true); */
#define weft_barrier_init(b, parties, ...)                       \
	weft_barrier_init_opt(b, parties,                        \
			      &(const struct weft_barrier_opts){ \
				      .size = sizeof(struct weft_barrier_opts), __VA_ARGS__ })
#endif

/* What WEFT_WITH_LOCK is made of. */
struct weft__with_lock {
	struct weft_lock *lock; /* NULL: not taken */
	int rounds;
};

static inline struct weft__with_lock weft__with_lock_enter(struct weft_lock *l, int *rc)
{
	struct weft__with_lock w;

	*rc = weft_lock_acquire(l);
	w.lock = *rc == 0 ? l : NULL;
	w.rounds = *rc == 0;
	return w;
}

static inline void weft__with_lock_leave(struct weft__with_lock *w)
{
	if (w->lock)
		weft_lock_release(w->lock);
}

#define WEFT__WITH_LOCK(lock, rc, line) WEFT__WITH_LOCK_2(lock, rc, line)
#define WEFT__WITH_LOCK_2(lock, rc, line)                                                          \
	for (struct weft__with_lock weft__with_##line                                              \
	     __attribute__((cleanup(weft__with_lock_leave))) = weft__with_lock_enter(lock, &(rc)); \
	     weft__with_##line.rounds > 0; weft__with_##line.rounds--)

#endif
