/* SPDX-License-Identifier: MIT */
/* block.c - reference counts, and a short list of blocks to use again */
#include "block.h"

#include <stdlib.h>
#include <sys/mman.h>

static size_t bytes_of(size_t capacity)
{
	return sizeof(struct weft__block) + capacity + 1;
}

/* What is larger than usual comes from the kernel, which can make it larger still
 * without a copy: the first touch of a page costs more than to copy it. */
static struct weft__block *allocate(size_t capacity)
{
	if (capacity <= WEFT__BLOCK_SIZE)
		return malloc(bytes_of(capacity));
	void *memory = mmap(NULL, bytes_of(capacity), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, bytes_of(capacity), MADV_HUGEPAGE);
	return memory;
}

static void release(struct weft__block *block)
{
	if (block->capacity <= WEFT__BLOCK_SIZE)
		free(block);
	else
		munmap(block, bytes_of(block->capacity));
}

void weft__block_pool_init(struct weft__block_pool *pool, unsigned most)
{
	*pool = (struct weft__block_pool){ .most = most };
	pthread_mutex_init(&pool->lock, NULL);
}

void weft__block_pool_fini(struct weft__block_pool *pool)
{
	while (pool->free) {
		struct weft__block *block = pool->free;
		pool->free = block->next;
		release(block);
	}
	pthread_mutex_destroy(&pool->lock);
}

static struct weft__block *take(struct weft__block_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct weft__block *block = pool->free;
	if (block) {
		pool->free = block->next;
		pool->kept--;
	}
	pthread_mutex_unlock(&pool->lock);
	return block;
}

/* False when the pool has enough. */
static bool keep(struct weft__block_pool *pool, struct weft__block *block)
{
	pthread_mutex_lock(&pool->lock);
	bool room = pool->kept < pool->most;
	if (room) {
		block->next = pool->free;
		pool->free = block;
		pool->kept++;
	}
	pthread_mutex_unlock(&pool->lock);
	return room;
}

struct weft__block *weft__block_get(struct weft__block_pool *pool, size_t capacity)
{
	struct weft__block *block = NULL;

	if (capacity <= WEFT__BLOCK_SIZE) {
		capacity = WEFT__BLOCK_SIZE;
		block = take(pool);
	}
	if (!block) {
		block = allocate(capacity);
		if (!block)
			return NULL;
		block->capacity = capacity;
		block->pool = pool;
	}
	atomic_init(&block->references, 1);
	return block;
}

bool weft__block_grow(struct weft__block **block, size_t capacity)
{
	struct weft__block *old = *block;

	if (!old || old->capacity <= WEFT__BLOCK_SIZE ||
	    atomic_load_explicit(&old->references, memory_order_acquire) != 1)
		return false;
	struct weft__block *grown =
		mremap(old, bytes_of(old->capacity), bytes_of(capacity), MREMAP_MAYMOVE);
	if (grown == MAP_FAILED)
		return false;
	grown->capacity = capacity;
	*block = grown;
	return true;
}

void weft__block_ref(struct weft__block *block)
{
	/* Relaxed: the caller holds a reference already. */
	atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
}

void weft__block_put(struct weft__block *block)
{
	/* Release what this thread did to the bytes, acquire what others did. */
	if (!block || atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1)
		return;
	if (block->capacity != WEFT__BLOCK_SIZE || !keep(block->pool, block))
		release(block);
}
