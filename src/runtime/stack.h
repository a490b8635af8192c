/* SPDX-License-Identifier: MIT */
/*
 * stack.h - where the stacks of fibers come from
 *
 * A runtime has one pool of stacks, all of one size; each worker has a cache in
 * front of it, newest first, because a stack that was just used is warm.  Taking
 * a stack from a cache that has one, and giving it back, is a handful of
 * instructions.
 *
 *	low                                          top of the slot
 *	 v                                               v
 *	[guard][ grows down . . . . . . . . <- sp ][head]
 *
 * The head is the first thing on the stack, so a stack is named by its head and
 * nothing is allocated beside it.  The fiber's control block begins with it.
 *
 *   threads    a cache belongs to its worker; a stack may be taken by one worker
 *              and given back by another.  The pool is for all.
 *   memory     pages are committed when first touched, and given back when a
 *              stack rests: stack.c says when, and how much is kept.
 *   errors     NULL, and weft__stack_error() says why.
 *   blocking   only the pool's lock, and that only when a cache is empty or full.
 */
#ifndef WEFT_RUNTIME_STACK_H
#define WEFT_RUNTIME_STACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

#include "runtime/sanitize.h"

/* Bytes at the top of a stack that are the head's, a cache line's multiple. */
#define WEFT__STACK_HEAD 128

/* Stacks that a cache keeps to itself. */
#define WEFT__STACK_CACHED 128

struct weft__stack {
	struct weft__stack *next; /* in a cache or in the pool */
	char *low;		  /* the lowest byte that is not guard */
	void *sp;		  /* the user's, while it does not run.  NULL: free, and trimmed */
	struct weft__sanitizer sanitizer;
};

struct weft__stack_cache {
	struct weft__stack *top;
	size_t count;
	struct weft__stack_pool *pool;
	struct weft__stack_cache *next; /* all caches of the pool */
};

struct weft__stack_list {
	struct weft__stack *first;
	size_t count; /* also read without the lock, as a hint */
};

struct weft__stack_pool {
	size_t size;   /* from low to the top of the slot, whole pages */
	size_t guard;  /* below that, whole pages */
	size_t stride; /* size + guard, an odd number of pages: see stack.c */

	pthread_mutex_t lock;		/* all below is under it */
	struct weft__stack_list warm;	/* trimmed, to be kept */
	struct weft__stack_list excess; /* as they were left, until a worker is idle */
	struct weft__stack *cold;	/* the rest, emptied: see stack.c */
	char *fresh;			/* the next slot never used ... */
	size_t fresh_count;		/* ... and how many there are */
	size_t out;			/* stacks that left the pool: in use, or in a cache */
	size_t out_highest;
	struct weft__stack_cache *caches;
};

/* `size` is rounded up to whole pages.  WEFT_ENOMEM when there is no lock. */
int weft__stack_pool_init(struct weft__stack_pool *pool, size_t size);

/* Unmaps all stacks.  Nobody runs on one, and every cache is gone. */
void weft__stack_pool_fini(struct weft__stack_pool *pool);

void weft__stack_cache_init(struct weft__stack_cache *cache, struct weft__stack_pool *pool);

/* Gives its stacks back to the pool. */
void weft__stack_cache_fini(struct weft__stack_cache *cache);

/* Gives back the memory that the stacks in the cache hold beyond what a shallow
 * fiber needs.  For a worker that has nothing else to do: a system call for each
 * stack that was used since the last time. */
void weft__stack_cache_trim(struct weft__stack_cache *cache);

/* Gives back all memory of some of the stacks that were more than the pool keeps; false
 * when there were none.  For a worker that has nothing else to do: some 50 us. */
bool weft__stack_pool_purge(struct weft__stack_pool *pool);

/* One stack, past all caches, for those who need one seldom; put it back in the same
 * way, with its sp set. */
struct weft__stack *weft__stack_pool_get(struct weft__stack_pool *pool);
void weft__stack_pool_put(struct weft__stack_pool *pool, struct weft__stack *stack);

/* Stacks in use now, and the most there ever were (too high by up to
 * WEFT__STACK_CACHED for each other worker's cache).  Exact when all is idle. */
void weft__stack_pool_count(struct weft__stack_pool *pool, size_t *in_use, size_t *highest);

/* Why the last request for a stack failed, in any thread: a sentence that names
 * the limit and the setting.  Static; never NULL. */
const char *weft__stack_error(void);

/* The stack that overflowed, when a thread with this stack pointer faults at this
 * address: sp lies in the stack or its guard, and the address in the guard.  NULL
 * for any other fault, a stray pointer into a guard among them.  *size is the
 * size of the stack.  Async-signal-safe. */
struct weft__stack *weft__stack_overflowed(uintptr_t address, uintptr_t sp, size_t *size);

/* The slow halves of get and put. */
struct weft__stack *weft__stack_refill(struct weft__stack_cache *cache);
void weft__stack_spill(struct weft__stack_cache *cache);

/* The count is written by the owner alone and read by weft__stack_pool_count. */
static inline void weft__stack_cache_count(struct weft__stack_cache *cache, size_t count)
{
	__atomic_store_n(&cache->count, count, __ATOMIC_RELAXED);
}

/* A stack whose contents are whatever the last user left, or NULL. */
WEFT__OF_THREAD
static inline struct weft__stack *weft__stack_get(struct weft__stack_cache *cache)
{
	struct weft__stack *stack = cache->top;

	if (WEFT_UNLIKELY(!stack))
		return weft__stack_refill(cache);
	cache->top = stack->next;
	weft__stack_cache_count(cache, cache->count - 1);
	return stack;
}

WEFT__OF_THREAD
static inline void weft__stack_put(struct weft__stack_cache *cache, struct weft__stack *stack)
{
	stack->next = cache->top;
	cache->top = stack;
	weft__stack_cache_count(cache, cache->count + 1);
	if (WEFT_UNLIKELY(cache->count > WEFT__STACK_CACHED))
		weft__stack_spill(cache);
}

#endif
