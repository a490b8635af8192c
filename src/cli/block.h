/* SPDX-License-Identifier: MIT */
/*
 * block.h - stretches of input that several parts share
 *
 * The reader fills a block and cuts it into slices; each slice holds a
 * reference.  A record that straddles two blocks is copied to the second one,
 * nothing else is copied.
 *
 *   threads    get and put from any; the bytes belong to who was given them.
 *   memory     the pool keeps a few blocks of the usual size for the next read.
 *   errors     get returns NULL when there is no memory.
 */
#ifndef WEFT_CLI_BLOCK_H
#define WEFT_CLI_BLOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What one read asks for, and the longest part: large enough to make a system
 * call and two locks cheap, small enough to stay in the cache between the read
 * and map(). */
#define WEFT__BLOCK_SIZE ((size_t)1 << 20)

struct weft__block_pool;

struct weft__block {
	atomic_uint references;
	size_t capacity;
	struct weft__block_pool *pool;
	struct weft__block *next; /* in the pool */
	char bytes[];		  /* capacity, and one more for the NUL after the last record */
};

struct weft__block_pool {
	pthread_mutex_t lock;
	struct weft__block *free;
	unsigned kept, most;
};

void weft__block_pool_init(struct weft__block_pool *pool, unsigned most);
void weft__block_pool_fini(struct weft__block_pool *pool);

/* A block of at least `capacity` bytes, with one reference. */
struct weft__block *weft__block_get(struct weft__block_pool *pool, size_t capacity);

/* Whether a block larger than usual, of which the caller has the only reference, could be
 * made to hold `capacity` bytes; it may lie elsewhere then. */
bool weft__block_grow(struct weft__block **block, size_t capacity);

void weft__block_ref(struct weft__block *block);
void weft__block_put(struct weft__block *block); /* NULL is fine */

#endif
