/* SPDX-License-Identifier: MIT */
/*
 * stack.c - the pool behind the workers' caches of stacks
 */
#include "runtime/stack.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft/error.h>

#include "deque/atomic.h"
#include "runtime/stackmap.h"

/* Pages of a guard: 64 KiB and then some to make the stride odd. */
#define GUARD_PAGES 16

/* Steps by which the heads of neighbouring stacks are displaced. */
#define COLOURS	    8
#define COLOUR_SIZE 256

/* What a trimmed stack keeps. */
#define KEEP ((size_t)64 << 10)

static const char *const no_error = "no request for a stack has failed";
static const char *const no_space =
	"no address space for another fiber stack (ulimit -v, vm.overcommit_memory): "
	"run fewer fibers at once, or lower WEFT_STACK_SIZE";
static const char *const no_guard =
	"no memory mapping left for the guard of another fiber stack: raise vm.max_map_count, or "
	"run fewer fibers at once (lowering WEFT_STACK_SIZE does not help)";
static const char *last_error; /* one of these; NULL is no_error */

const char *weft__stack_error(void)
{
	const char *error = load_relaxed(&last_error);

	return error ? error : no_error;
}

int weft__stack_pool_init(struct weft__stack_pool *pool, size_t size)
{
	size_t page = (size_t)getpagesize();
	size_t pages = (size + page - 1) / page;
	size_t guard_pages = GUARD_PAGES + ((GUARD_PAGES + pages) % 2 ? 0 : 1);

	*pool = (struct weft__stack_pool){ .size = pages * page, .guard = guard_pages * page };
	pool->stride = pool->size + pool->guard;
	return pthread_mutex_init(&pool->lock, NULL) ? WEFT_ENOMEM : 0;
}

void weft__stack_pool_fini(struct weft__stack_pool *pool)
{
	weft__stackmap_free(pool);
	pthread_mutex_destroy(&pool->lock);
}

/* The head of the stack in a slot, displaced by the slot's place in memory. */
static struct weft__stack *head_of(char *slot, size_t stride)
{
	size_t colour = (uintptr_t)slot / (size_t)getpagesize() % COLOURS;

	return (struct weft__stack *)(slot + stride - WEFT__STACK_HEAD - colour * COLOUR_SIZE);
}

static struct weft__stack *carve(struct weft__stack_pool *pool)
{
	if (!pool->fresh_count) {
		pool->fresh =
			weft__stackmap_new(pool, pool->stride, pool->guard, &pool->fresh_count);
		if (!pool->fresh) {
			store_relaxed(&last_error, no_space);
			return NULL;
		}
		pool->mapped += pool->fresh_count;
	}
	char *slot = pool->fresh;
	if (!weft__stackmap_guard(slot, pool->guard)) {
		store_relaxed(&last_error, no_guard);
		return NULL;
	}
	pool->fresh += pool->stride;
	pool->fresh_count--;
	struct weft__stack *stack = head_of(slot, pool->stride);
	stack->low = slot + pool->guard;
	return stack;
}

struct weft__stack *weft__stack_refill(struct weft__stack_cache *cache)
{
	struct weft__stack_pool *pool = cache->pool;

	pthread_mutex_lock(&pool->lock);
	struct weft__stack *stack = pool->free;
	if (stack)
		pool->free = stack->next;
	else
		stack = carve(pool);
	if (stack && ++pool->out > pool->out_highest)
		pool->out_highest = pool->out;
	pthread_mutex_unlock(&pool->lock);
	return stack;
}

static void trim(struct weft__stack *stack)
{
	uintptr_t top = (uintptr_t)(stack + 1) & ~((uintptr_t)getpagesize() - 1);

	if (top - (uintptr_t)stack->low > KEEP)
		(void)madvise(stack->low, top - (uintptr_t)stack->low - KEEP, MADV_DONTNEED);
}

/* Moves all but the newest `keep` stacks of the cache to the pool. */
static void give_back(struct weft__stack_cache *cache, size_t keep)
{
	struct weft__stack_pool *pool = cache->pool;
	struct weft__stack **link = &cache->top, *oldest = NULL;
	size_t n = 0;

	for (size_t i = 0; i < keep && *link; i++)
		link = &(*link)->next;
	struct weft__stack *stack = *link;
	*link = NULL;
	for (struct weft__stack *s = stack; s; s = s->next, n++) {
		trim(s);
		oldest = s;
	}
	weft__stack_cache_count(cache, cache->count - n);
	if (!n)
		return;
	pthread_mutex_lock(&pool->lock);
	oldest->next = pool->free;
	pool->free = stack;
	pool->out -= n;
	pthread_mutex_unlock(&pool->lock);
}

void weft__stack_spill(struct weft__stack_cache *cache)
{
	give_back(cache, WEFT__STACK_CACHED / 2);
}

void weft__stack_cache_trim(struct weft__stack_cache *cache)
{
	for (struct weft__stack *s = cache->top; s; s = s->next)
		trim(s);
}

void weft__stack_cache_init(struct weft__stack_cache *cache, struct weft__stack_pool *pool)
{
	*cache = (struct weft__stack_cache){ .pool = pool };
	pthread_mutex_lock(&pool->lock);
	cache->next = pool->caches;
	pool->caches = cache;
	pthread_mutex_unlock(&pool->lock);
}

void weft__stack_cache_fini(struct weft__stack_cache *cache)
{
	struct weft__stack_pool *pool = cache->pool;

	give_back(cache, 0);
	pthread_mutex_lock(&pool->lock);
	struct weft__stack_cache **link = &pool->caches;
	while (*link != cache)
		link = &(*link)->next;
	*link = cache->next;
	pthread_mutex_unlock(&pool->lock);
}

void weft__stack_pool_count(struct weft__stack_pool *pool, size_t *in_use, size_t *highest)
{
	size_t cached = 0;

	pthread_mutex_lock(&pool->lock);
	for (struct weft__stack_cache *cache = pool->caches; cache; cache = cache->next)
		cached += load_relaxed(&cache->count);
	*in_use = pool->out > cached ? pool->out - cached : 0;
	*highest = pool->out_highest;
	pthread_mutex_unlock(&pool->lock);
}

struct weft__stack *weft__stack_overflowed(uintptr_t address, uintptr_t sp, size_t *size)
{
	size_t stride, guard;
	char *slot = weft__stackmap_find(address, &stride, &guard);

	if (!slot || address - (uintptr_t)slot >= guard)
		return NULL;
	if (sp < (uintptr_t)slot || sp - (uintptr_t)slot >= stride)
		return NULL;
	*size = stride - guard;
	return head_of(slot, stride);
}
