/* SPDX-License-Identifier: MIT */
/*
 * stack.c - the pool behind the workers' caches of stacks
 *
 * Guards are 64 KiB and not one page, because a function with a large frame that
 * was compiled without -fstack-clash-protection moves the stack pointer past a
 * page without touching it.  With it no frame can jump a guard of any size;
 * without it, frames up to the size of the guard cannot.  The pages of a guard
 * are address space and no memory.
 *
 * The distance from one stack to the next is an odd number of pages.  With a
 * power of two, the tops of all stacks would compete for the same few entries of
 * the translation caches; and because they would compete for the same lines of
 * the first-level cache as well, whose index is the place in a page, each head is
 * displaced by the number of its page.  Measured on Zen 5, ns for one switch in a
 * ring of fibers:
 *
 *	fibers                      8     64    512   1024   4096
 *	both                      5.3    5.3    5.3    5.3    7.8
 *	odd distance alone        5.4    5.6    5.8    6.9    8.1
 *	neither                   5.3    5.7    6.3    6.9    7.8
 *
 * What a resting stack holds.  The page faults of a deep call cost more than the
 * call, and no cheap way tells how deep a stack has been: the saved stack pointer
 * knows nothing of calls that have returned, mincore() is a system call like the
 * madvise() that it could save, and reading a mark at some depth would itself
 * bring the page in.  So nothing is decided when a stack is put back, and stacks
 * in a cache stay as they are, while the worker is busy: they are few, and the
 * next user likely goes as deep.  A stack is trimmed to KEEP, without asking, in
 * two places where 0.6 us do no harm: when its worker goes to sleep
 * (weft__stack_cache_trim), and when it flows over into the pool.
 *
 * The pool keeps WARM stacks like that.  More than that are excess: they were needed
 * at once and may be again, so they stay as they are until a worker has nothing to do.
 * It gives all their memory back then (weft__stack_pool_purge), their heads included.
 * A million tasks that end take 0.7 s so, and 2.3 s with a system call for each batch
 * of stacks on the way; filling them anew took 15 s of page faults.  The price: a
 * runtime none of whose workers ever sleeps keeps what it once needed.
 *
 * Who they are is written on a stack that is kept for that, a hoard:
 *
 *	pool.cold -> [ hoard: count, slots[] .. | head ] -> next hoard
 *	                        |
 *	                        v  slots with no memory
 *
 * so that a million stacks, all at rest, hold a page in HOARD_SLOTS.
 *
 * Giving memory back makes every CPU of the process forget what it knew of the pages.
 * A batch of stacks does that once, where the kernel lets a process advise itself of many
 * ranges (Linux 6.13, batched since 6.15): a third of the time.
 */
#include "runtime/stack.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <weft/error.h>

#include "deque/atomic.h"
#include "runtime/stackmap.h"

#define GUARD_PAGES 16 /* at least: one more may make the stride odd */

/* Steps by which heads are displaced.  Together less than half a page, so that
 * a shallow fiber stays within one. */
#define COLOURS	    8
#define COLOUR_SIZE 256

/* What a trimmed stack keeps, from the page of its head downwards. */
#define KEEP ((size_t)64 << 10)

#define WARM 1024

/* Emptied at a time, some 50 us. */
#define PURGED	    32

#define HOARD_SLOTS 255

struct hoard {
	size_t count;
	char *slots[HOARD_SLOTS];
};

static const char *const no_space =
	"no address space for another fiber stack (ulimit -v, vm.overcommit_memory): run fewer "
	"fibers at once, or lower WEFT_STACK_SIZE";
static const char *const no_guard =
	"no mapping left for the guard of another fiber stack: raise vm.max_map_count, or run "
	"fewer fibers at once; WEFT_STACK_SIZE does not matter";
static const char *last_error; /* one of these, or NULL */

const char *weft__stack_error(void)
{
	const char *error = load_relaxed(&last_error);

	return error ? error : "no request for a fiber stack has failed";
}

static size_t page_size(void)
{
	return (size_t)getpagesize();
}

int weft__stack_pool_init(struct weft__stack_pool *pool, size_t size)
{
	size_t page = page_size();
	size_t pages = (size + page - 1) / page;
	size_t guard_pages = GUARD_PAGES + (GUARD_PAGES + pages + 1) % 2;

	*pool = (struct weft__stack_pool){ .size = pages * page, .guard = guard_pages * page };
	pool->stride = pool->size + pool->guard;
	return pthread_mutex_init(&pool->lock, NULL) ? WEFT_ENOMEM : 0;
}

/* The head of the stack in a slot. */
static struct weft__stack *head_of(char *slot, size_t stride)
{
	size_t colour = (uintptr_t)slot / page_size() % COLOURS;

	return (struct weft__stack *)(slot + stride - WEFT__STACK_HEAD - colour * COLOUR_SIZE);
}

WEFT__OF_THREAD static struct weft__stack *head_new(const struct weft__stack_pool *pool, char *slot)
{
	struct weft__stack *stack = head_of(slot, pool->stride);

	stack->low = slot + pool->guard;
	weft__sanitize_new(&stack->sanitizer, stack->low, (char *)stack);
	return stack;
}

static struct hoard *hoard_of(struct weft__stack *stack)
{
	return (struct hoard *)stack - 1;
}

/* Gives back what a stack holds more than KEEP. */
WEFT__OF_THREAD static void trim(struct weft__stack *stack)
{
	uintptr_t low = (uintptr_t)stack->low;
	uintptr_t top = (uintptr_t)stack & ~(page_size() - 1);

	if (stack->sp && top - low > KEEP)
		(void)madvise(stack->low, top - low - KEEP, MADV_DONTNEED);
	stack->sp = NULL;
}

#define PIDFD_OF_SELF (-10000) /* PIDFD_SELF_THREAD_GROUP of Linux 6.14 */

/* Bytes that were given back in one go, which may be none. */
WEFT__OF_THREAD static size_t give_back_many(const struct iovec *ranges, size_t n)
{
	static uint32_t refused;

	if (n < 2 || load_relaxed(&refused))
		return 0;
	ssize_t done =
		syscall(SYS_process_madvise, PIDFD_OF_SELF, ranges, n, (long)MADV_DONTNEED, 0L);
	if (done < 0)
		store_relaxed(&refused, 1);
	return done < 0 ? 0 : (size_t)done;
}

/* Gives back all that the stacks of n slots hold, their heads included. */
WEFT__OF_THREAD static void empty(const struct weft__stack_pool *pool, char *const *slots, size_t n)
{
	struct iovec ranges[PURGED];

	for (size_t i = 0; i < n; i++)
		ranges[i] = (struct iovec){ slots[i] + pool->guard, pool->size };
	for (size_t i = give_back_many(ranges, n) / pool->size; i < n; i++)
		(void)madvise(ranges[i].iov_base, pool->size, MADV_DONTNEED);
}

/* --- the pool, under its lock ------------------------------------------ */

WEFT__OF_THREAD static struct weft__stack *take(struct weft__stack_list *list)
{
	struct weft__stack *stack = list->first;

	if (stack) {
		list->first = stack->next;
		store_relaxed(&list->count, list->count - 1);
	}
	return stack;
}

/* A slot of the first hoard; when that has none, the hoard itself. */
WEFT__OF_THREAD static struct weft__stack *take_cold(struct weft__stack_pool *pool)
{
	struct weft__stack *stack = pool->cold;

	if (!stack)
		return NULL;
	struct hoard *hoard = hoard_of(stack);
	if (hoard->count)
		return head_new(pool, hoard->slots[--hoard->count]);
	pool->cold = stack->next;
	return stack;
}

WEFT__OF_THREAD static void give_cold(struct weft__stack_pool *pool, char *slot)
{
	struct weft__stack *first = pool->cold;

	if (first && hoard_of(first)->count < HOARD_SLOTS) {
		struct hoard *hoard = hoard_of(first);
		hoard->slots[hoard->count++] = slot;
		return;
	}
	struct weft__stack *stack = head_new(pool, slot);
	stack->sp = NULL;
	hoard_of(stack)->count = 0;
	stack->next = first;
	pool->cold = stack;
}

/* A stack out of a slot that was never used. */
WEFT__OF_THREAD static struct weft__stack *carve(struct weft__stack_pool *pool)
{
	if (!pool->fresh_count) {
		pool->fresh =
			weft__stackmap_new(pool, pool->stride, pool->guard, &pool->fresh_count);
		if (!pool->fresh) {
			store_relaxed(&last_error, no_space);
			return NULL;
		}
	}
	char *slot = pool->fresh;
	if (!weft__stackmap_guard(slot, pool->guard)) {
		store_relaxed(&last_error, no_guard);
		return NULL;
	}
	pool->fresh += pool->stride;
	pool->fresh_count--;
	return head_new(pool, slot);
}

/* Emptied stacks are gone already. */
static void all_gone(struct weft__stack *stack)
{
	for (; stack; stack = stack->next)
		weft__sanitize_gone(&stack->sanitizer);
}

void weft__stack_pool_fini(struct weft__stack_pool *pool)
{
	all_gone(pool->excess.first);
	all_gone(pool->warm.first);
	all_gone(pool->cold);
	weft__stackmap_free(pool);
	pthread_mutex_destroy(&pool->lock);
}

void weft__stack_pool_count(struct weft__stack_pool *pool, size_t *in_use, size_t *highest)
{
	size_t cached = 0;

	pthread_mutex_lock(&pool->lock);
	for (struct weft__stack_cache *cache = pool->caches; cache; cache = cache->next)
		cached += load_relaxed(&cache->count);
	/* Less than none in a moment when a stack lies in two caches' counts. */
	*in_use = pool->out > cached ? pool->out - cached : 0;
	*highest = pool->out_highest;
	pthread_mutex_unlock(&pool->lock);
}

/* --- the caches -------------------------------------------------------- */

void weft__stack_cache_init(struct weft__stack_cache *cache, struct weft__stack_pool *pool)
{
	*cache = (struct weft__stack_cache){ .pool = pool };
	pthread_mutex_lock(&pool->lock);
	cache->next = pool->caches;
	pool->caches = cache;
	pthread_mutex_unlock(&pool->lock);
}

WEFT__OF_THREAD struct weft__stack *weft__stack_pool_get(struct weft__stack_pool *pool)
{
	struct weft__stack *stack;

	pthread_mutex_lock(&pool->lock);
	if (!(stack = take(&pool->excess)) && !(stack = take(&pool->warm)) &&
	    !(stack = take_cold(pool)))
		stack = carve(pool);
	if (stack && ++pool->out > pool->out_highest)
		pool->out_highest = pool->out;
	pthread_mutex_unlock(&pool->lock);
	return stack;
}

WEFT__OF_THREAD struct weft__stack *weft__stack_refill(struct weft__stack_cache *cache)
{
	return weft__stack_pool_get(cache->pool);
}

/* What goes to the pool in one go. */
struct parcel {
	struct weft__stack *first, *last;
	size_t count;
};

WEFT__OF_THREAD static void pack(struct parcel *parcel, struct weft__stack *stack)
{
	if (!parcel->first)
		parcel->last = stack;
	stack->next = parcel->first;
	parcel->first = stack;
	parcel->count++;
}

WEFT__OF_THREAD static void deliver(struct weft__stack_list *list, const struct parcel *parcel)
{
	if (!parcel->first)
		return;
	parcel->last->next = list->first;
	list->first = parcel->first;
	store_relaxed(&list->count, list->count + parcel->count);
}

/* A chain of stacks goes to the pool; the system calls are made outside of the lock.
 * How many they were. */
WEFT__OF_THREAD static size_t give(struct weft__stack_pool *pool, struct weft__stack *stack)
{
	struct parcel warm = { 0 }, excess = { 0 };

	while (stack) {
		struct weft__stack *next = stack->next;
		weft__sanitize_rest(&stack->sanitizer);
		if (load_relaxed(&pool->warm.count) + warm.count >= WARM) {
			pack(&excess, stack);
		} else {
			trim(stack);
			pack(&warm, stack);
		}
		stack = next;
	}
	pthread_mutex_lock(&pool->lock);
	deliver(&pool->warm, &warm);
	deliver(&pool->excess, &excess);
	pool->out -= warm.count + excess.count;
	pthread_mutex_unlock(&pool->lock);
	return warm.count + excess.count;
}

WEFT__OF_THREAD void weft__stack_pool_put(struct weft__stack_pool *pool, struct weft__stack *stack)
{
	stack->next = NULL;
	give(pool, stack);
	weft__stack_pool_purge(pool);
}

WEFT__OF_THREAD bool weft__stack_pool_purge(struct weft__stack_pool *pool)
{
	struct weft__stack *stack;
	char *slots[PURGED];
	size_t n = 0;

	if (load_relaxed(&pool->excess.count) == 0)
		return false;
	pthread_mutex_lock(&pool->lock);
	while (n < PURGED && (stack = take(&pool->excess))) {
		weft__sanitize_gone(&stack->sanitizer);
		slots[n++] = stack->low - pool->guard;
	}
	pthread_mutex_unlock(&pool->lock);
	empty(pool, slots, n);
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < n; i++)
		give_cold(pool, slots[i]);
	pthread_mutex_unlock(&pool->lock);
	return n > 0;
}

/* Moves all but the newest `keep` stacks to the pool: the oldest are the coldest. */
WEFT__OF_THREAD static void give_back(struct weft__stack_cache *cache, size_t keep)
{
	struct weft__stack **link = &cache->top;

	for (size_t i = 0; i < keep && *link; i++)
		link = &(*link)->next;
	struct weft__stack *rest = *link;
	*link = NULL;
	weft__stack_cache_count(cache, cache->count - give(cache->pool, rest));
}

WEFT__OF_THREAD void weft__stack_spill(struct weft__stack_cache *cache)
{
	give_back(cache, WEFT__STACK_CACHED / 2);
}

WEFT__OF_THREAD void weft__stack_cache_trim(struct weft__stack_cache *cache)
{
	for (struct weft__stack *stack = cache->top; stack; stack = stack->next)
		trim(stack);
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

/* --- after a fault ------------------------------------------------------ */

struct weft__stack *weft__stack_overflowed(uintptr_t address, uintptr_t sp, size_t *size)
{
	size_t stride, guard;
	char *slot = weft__stackmap_find(address, &stride, &guard);

	if (!slot || address - (uintptr_t)slot >= guard)
		return NULL;
	if (sp - (uintptr_t)slot >= stride) /* below it, that is a large number */
		return NULL;
	*size = stride - guard;
	return head_of(slot, stride);
}
