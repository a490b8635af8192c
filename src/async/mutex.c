/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - a lock that whoever comes may take, past those who wait
 *
 *	word   [ WAITERS | LOCKED ]
 *
 * Invariants
 *
 *   I1  WAITERS is set while somebody is in the queue; it changes under the lock of the
 *       queue only, and who sets it sees LOCKED set, in one step.
 *   I2  Who holds the mutex is the only one to clear LOCKED, and when somebody waits it does
 *       that under the lock of the queue, and wakes one.
 *   I3  When nobody waits, clearing LOCKED is the last touch: the next holder may free the
 *       mutex.  Who was woken is in its call until the lock of the queue is free (queue.h).
 *
 *   O1  holder -> next holder     release of the word => acquire half of the CAS that
 *       sets LOCKED.
 *
 * A woken waiter has nothing but another try.  If it is cancelled before that, the mutex
 * is free, and nobody waits for it for no reason; or somebody else has it, and will wake
 * the next.
 */
#include <weft/error.h>
#include <weft/sync.h>

#include "async/queue.h"
#include "runtime/runtime.h"

enum {
	LOCKED = 1,
	WAITERS = 2,
	TRIES = 60, /* of spinning: a microsecond or two, a section and a cache miss */
};

struct weft__mutex {
	struct weft__queue queue;
	uint32_t word;
};

_Static_assert(sizeof(struct weft__mutex) <= sizeof(struct weft_mutex),
	       "struct weft_mutex is too small");

static struct weft__mutex *mutex_of(struct weft_mutex *m)
{
	return (struct weft__mutex *)(void *)m;
}

void weft_mutex_init(struct weft_mutex *mutex)
{
	*mutex_of(mutex) = (struct weft__mutex){ 0 };
}

static inline bool try_lock(struct weft__mutex *m)
{
	uint32_t word = load_relaxed(&m->word);

	return !(word & LOCKED) && cas_seqcst(&m->word, word, word | LOCKED); /* O1 */
}

/* Nobody else runs when there is one worker. */
static bool spin(struct weft__mutex *m, const struct weft__strand *s)
{
	if (s && s->runtime->worker_count == 1)
		return false;
	for (int i = 0; i < TRIES; i++) {
		if (try_lock(m))
			return true;
		cpu_relax();
	}
	return false;
}

/* With the lock of the queue held: true when the mutex was free and is taken, false when
 * its holder knows that somebody waits. */
static bool lock_or_announce(struct weft__mutex *m)
{
	for (;;) {
		uint32_t word = load_relaxed(&m->word);

		if (!(word & LOCKED)) {
			if (cas_seqcst(&m->word, word, word | LOCKED)) /* O1 */
				return true;
		} else if (cas_seqcst(&m->word, word, word | WAITERS)) { /* I1 */
			return false;
		}
	}
}

/* With the lock of the queue held: a waiter went away. */
static void forget_waiters(struct weft__mutex *m)
{
	uint32_t word;

	if (!weft__queue_is_empty(&m->queue))
		return;
	do
		word = load_relaxed(&m->word);
	while (!cas_seqcst(&m->word, word, word & ~(uint32_t)WAITERS));
}

static __attribute__((noinline)) int acquire_slowly(struct weft__mutex *m, struct weft__strand *s)
{
	struct weft__waiter me;

	if (spin(m, s))
		return 0;
	for (;;) {
		weft__queue_lock(&m->queue);
		if (lock_or_announce(m)) {
			weft__queue_unlock(&m->queue);
			return 0;
		}
		int rc = weft__queue_wait(&m->queue, s, &me, WEFT__ABORTABLE, "mutex", m);
		if (rc != 0) {
			weft__queue_withdraw(&m->queue, &me);
			forget_waiters(m);
			weft__queue_unlock(&m->queue);
			return rc;
		}
	}
}

int weft_mutex_acquire(struct weft_mutex *mutex)
{
	struct weft__mutex *m = mutex_of(mutex);
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	return WEFT_LIKELY(cas_seqcst(&m->word, 0, LOCKED)) ? 0 : acquire_slowly(m, s); /* O1 */
}

int weft_mutex_try_acquire(struct weft_mutex *mutex)
{
	return try_lock(mutex_of(mutex)) ? 0 : WEFT_EAGAIN;
}

/* With the lock of the queue held, and by the holder: lets go of both if somebody waits. */
static bool wake_one(struct weft__mutex *m)
{
	struct weft__wakes wakes = { 0 };
	struct weft__waiter *w;
	bool woke = false;

	while (!woke && (w = m->queue.first))
		woke = weft__queue_wake(&m->queue, w, WEFT__GRANTED, &wakes);
	if (!woke)
		return false;
	store_release(&m->word, weft__queue_is_empty(&m->queue) ? 0 : (uint32_t)WAITERS); /* O1 */
	weft__queue_unlock_wake(&m->queue, &wakes);
	return true;
}

/* Somebody waits, or did a moment ago; or it is not locked at all. */
static __attribute__((noinline)) int release_slowly(struct weft__mutex *m)
{
	do {
		weft__queue_lock(&m->queue);
		if (!(load_relaxed(&m->word) & LOCKED)) {
			weft__queue_unlock(&m->queue);
			return WEFT_EPERM;
		}
		if (wake_one(m))
			return 0;
		forget_waiters(m);
		weft__queue_unlock(&m->queue);
	} while (!cas_seqcst(&m->word, LOCKED, 0)); /* O1, I3 */
	return 0;
}

int weft_mutex_release(struct weft_mutex *mutex)
{
	struct weft__mutex *m = mutex_of(mutex);

	return WEFT_LIKELY(cas_seqcst(&m->word, LOCKED, 0)) ? 0 : release_slowly(m); /* O1 */
}
