/* SPDX-License-Identifier: MIT */
/* block.c - reference counts, and a short list of blocks to use again */
#include "block.h"

#include <stdbool.h>
#include <stdlib.h>

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
		free(block);
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
		block = malloc(sizeof *block + capacity + 1);
		if (!block)
			return NULL;
		block->capacity = capacity;
		block->pool = pool;
	}
	atomic_init(&block->references, 1);
	return block;
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
		free(block);
}
