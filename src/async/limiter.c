/* SPDX-License-Identifier: MIT */
/*
 * limiter.c - tokens of which a borrower has one, and whose number may change
 *
 *   The rules are those of trio's CapacityLimiter (N. J. Smith, 2017).
 *
 * Who has a token, or waits for one, is in a table: open addressing, half empty at the
 * least, so that a hand-off needs no memory; it grows before somebody begins to wait.
 *
 * Invariants
 *
 *   I1  Every borrower and everybody who waits has one entry; `lent` tells which.
 *   I2  The first who waits cannot go on: borrowed >= total.
 */
#include <string.h>

#include <weft/error.h>
#include <weft/sync.h>

#include "async/queue.h"
#include "async/task.h"
#include "deque/alloc.h"

enum { FIRST = 8 }; /* entries in the limiter itself: 4 in use */

/* A borrower.  The record of a task that has ended is that of another one soon, of the
 * next generation. */
struct who {
	const void *key;
	uint32_t generation; /* 0: of what has none */
};

struct entry {
	const void *key; /* NULL: free */
	uint32_t generation;
	bool lent;
};

struct weft__limiter {
	struct weft__queue queue;
	size_t total, borrowed;
	struct entry *table; /* NULL: `first` */
	size_t size, used;   /* of the table: a power of 2; 0: FIRST */
	struct entry first[FIRST];
};

_Static_assert(sizeof(struct weft__limiter) <= sizeof(struct weft_limiter),
	       "struct weft_limiter is too small");

static struct weft__limiter *limiter_of(struct weft_limiter *l)
{
	return (struct weft__limiter *)(void *)l;
}

void weft_limiter_init(struct weft_limiter *l, size_t total)
{
	*limiter_of(l) = (struct weft__limiter){ .total = total };
}

void weft_limiter_fini(struct weft_limiter *limiter)
{
	struct weft__limiter *l = limiter_of(limiter);

	weft__free(l->table, l->size * sizeof *l->table);
	l->table = NULL;
	l->size = 0;
}

/* --- the table ------------------------------------------------------------- */

static size_t size_of(const struct weft__limiter *l)
{
	return l->table ? l->size : FIRST;
}

static size_t home(const void *key, size_t size)
{
	return (size_t)(((uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
	       (size - 1);
}

static bool is_of(const struct entry *e, struct who who)
{
	return e->key == who.key && e->generation == who.generation;
}

static struct who who_of(const struct entry *e)
{
	return (struct who){ e->key, e->generation };
}

/* The entry of the borrower, or the free one where it would be. */
static struct entry *find_in(struct entry *table, size_t size, struct who who)
{
	size_t i = home(who.key, size);

	while (table[i].key && !is_of(&table[i], who))
		i = (i + 1) & (size - 1);
	return &table[i];
}

static struct entry *find(struct weft__limiter *l, struct who who)
{
	return find_in(l->table ? l->table : l->first, size_of(l), who);
}

static void insert(struct weft__limiter *l, struct who who, bool lent)
{
	*find(l, who) = (struct entry){ who.key, who.generation, lent };
	l->used++;
}

/* Closes the gap: what was put further on because of it comes nearer to its home. */
static void erase(struct weft__limiter *l, struct who who)
{
	struct entry *table = l->table ? l->table : l->first;
	size_t mask = size_of(l) - 1;
	size_t gap = (size_t)(find(l, who) - table);

	for (size_t i = (gap + 1) & mask; table[i].key; i = (i + 1) & mask) {
		size_t from_home = (i - home(table[i].key, mask + 1)) & mask;
		if (from_home >= ((i - gap) & mask)) {
			table[gap] = table[i];
			gap = i;
		}
	}
	table[gap].key = NULL;
	l->used--;
}

static bool has_room(const struct weft__limiter *l)
{
	return (l->used + 1) * 2 <= size_of(l);
}

/* With the lock held: `larger` takes the place of the table, which is returned. */
static struct entry *replace(struct weft__limiter *l, struct entry *larger, size_t size)
{
	struct entry *old = l->table;
	const struct entry *from = old ? old : l->first;

	for (size_t i = 0; i < size_of(l); i++)
		if (from[i].key)
			*find_in(larger, size, who_of(&from[i])) = from[i];
	l->table = larger;
	l->size = size;
	return old;
}

/* Makes the table twice as large, in the absence of the lock. */
static int grow(struct weft__limiter *l, size_t was)
{
	size_t bytes = was * sizeof(struct entry);
	struct entry *larger = weft__alloc(bytes * 2);

	if (!larger)
		return WEFT_ENOMEM;
	memset(larger, 0, bytes * 2);
	weft__queue_lock(&l->queue);
	bool still = size_of(l) == was; /* else somebody was faster */
	struct entry *old = still ? replace(l, larger, was * 2) : NULL;
	weft__queue_unlock(&l->queue);
	if (!still)
		weft__free(larger, bytes * 2);
	weft__free(old, bytes);
	return 0;
}

/* Locks, and there is room for one more; an error: it is not locked. */
static int lock_with_room(struct weft__limiter *l)
{
	for (;;) {
		weft__queue_lock(&l->queue);
		if (has_room(l))
			return 0;
		size_t was = size_of(l);
		weft__queue_unlock(&l->queue);
		int rc = grow(l, was);
		if (rc != 0)
			return rc;
	}
}

/* --- borrowing -------------------------------------------------------------- */

static struct who of_key(const void *key)
{
	return (struct who){ key, 0 };
}

static struct who of_caller(const struct weft__strand *s)
{
	struct weft__task *t = s ? s->in.task : NULL;

	return (struct who){ weft__owner_id(s), t && s == &t->strand ? t->generation : 0 };
}

static struct who waiting(const struct weft__waiter *w)
{
	return (struct who){ w->id, (uint32_t)w->want };
}

/* With the lock held, which is free afterwards. */
static void grant_and_unlock(struct weft__limiter *l)
{
	struct weft__wakes wakes = { 0 };
	struct weft__waiter *w;

	while (l->borrowed < l->total && (w = l->queue.first)) {
		struct entry *e = find(l, waiting(w));
		e->lent = true;
		l->borrowed++;
		if (!weft__queue_wake(&l->queue, w, WEFT__GRANTED, &wakes)) {
			e->lent = false; /* it will take the entry away itself */
			l->borrowed--;
		}
	}
	weft__queue_unlock_wake(&l->queue, &wakes);
}

/* With the lock held. */
static int wait_for(struct weft__limiter *l, struct weft__strand *s, struct who who)
{
	struct weft__waiter me = { .id = who.key, .want = who.generation };

	insert(l, who, false);
	int rc = weft__queue_wait(&l->queue, s, &me, WEFT__ABORTABLE, "limiter", l);
	if (rc == 0)
		return 0;
	weft__queue_withdraw(&l->queue, &me);
	erase(l, who);
	weft__queue_unlock(&l->queue);
	return rc;
}

static int acquire(struct weft__limiter *l, struct weft__strand *s, struct who who, bool wait)
{
	int rc = lock_with_room(l);

	if (rc != 0)
		return rc;
	if (find(l, who)->key) {
		rc = WEFT_EDEADLK;
	} else if (l->borrowed < l->total) { /* I2: nobody waits */
		insert(l, who, true);
		l->borrowed++;
	} else if (wait) {
		return wait_for(l, s, who);
	} else {
		rc = WEFT_EAGAIN;
	}
	weft__queue_unlock(&l->queue);
	return rc;
}

static int acquire_here(struct weft_limiter *l, const void *key)
{
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	return rc ? rc : acquire(limiter_of(l), s, key ? of_key(key) : of_caller(s), true);
}

int weft_limiter_acquire(struct weft_limiter *l)
{
	return acquire_here(l, NULL);
}

int weft_limiter_acquire_for(struct weft_limiter *l, const void *key)
{
	return key ? acquire_here(l, key) : WEFT_EINVAL;
}

int weft_limiter_try_acquire_for(struct weft_limiter *l, const void *key)
{
	return key ? acquire(limiter_of(l), NULL, of_key(key), false) : WEFT_EINVAL;
}

int weft_limiter_try_acquire(struct weft_limiter *l)
{
	return acquire(limiter_of(l), NULL, of_caller(weft__strand_self()), false);
}

static int release(struct weft__limiter *l, struct who who)
{
	weft__queue_lock(&l->queue);
	struct entry *e = find(l, who);
	if (!e->key || !e->lent) {
		weft__queue_unlock(&l->queue);
		return WEFT_EPERM;
	}
	erase(l, who);
	l->borrowed--;
	grant_and_unlock(l);
	return 0;
}

int weft_limiter_release_for(struct weft_limiter *l, const void *key)
{
	return key ? release(limiter_of(l), of_key(key)) : WEFT_EINVAL;
}

int weft_limiter_release(struct weft_limiter *l)
{
	return release(limiter_of(l), of_caller(weft__strand_self()));
}

void weft_limiter_set_total(struct weft_limiter *limiter, size_t total)
{
	struct weft__limiter *l = limiter_of(limiter);

	weft__queue_lock(&l->queue);
	l->total = total;
	grant_and_unlock(l);
}

struct weft_limiter_stats weft_limiter_stats(struct weft_limiter *limiter)
{
	struct weft__limiter *l = limiter_of(limiter);

	weft__queue_lock(&l->queue);
	struct weft_limiter_stats stats = { l->total, l->borrowed, l->queue.length };
	weft__queue_unlock(&l->queue);
	return stats;
}
