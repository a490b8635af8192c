/* SPDX-License-Identifier: MIT */
/*
 * sizes.h - calling a function on a stack of another size than the fibers have
 *
 * Fibers have stacks of one size.  A task that needs more runs on its fiber, but on
 * a second stack that lies elsewhere: the fiber's own holds the loop below and waits.
 * The fiber is the same before, meanwhile and after, so nothing else need know.
 *
 * Such stacks come in powers of two, with a pool (stack.h) for each, made when first
 * asked for.
 *
 *   threads    any; call: a fiber.
 *   memory     the pools stay until fini.
 *   errors     NULL when there is no stack; weft__stack_error() says why.
 *   blocking   the pool's lock, for a moment.
 */
#ifndef WEFT_RUNTIME_SIZES_H
#define WEFT_RUNTIME_SIZES_H

#include <pthread.h>
#include <stddef.h>

#include <weft/base.h>

struct weft__stack;
struct weft__stack_pool;

enum {
	WEFT__SIZE_FIRST = 14, /* 16 KiB, the least there is */
	WEFT__SIZES = 17,      /* up to 1 GiB */
};

struct weft__sizes {
	pthread_mutex_t lock; /* of making pools */
	struct weft__stack_pool *pools[WEFT__SIZES];
};

void weft__sizes_init(struct weft__sizes *sizes);
void weft__sizes_fini(struct weft__sizes *sizes);

/* A stack of at least `size` bytes, 16 KiB .. 1 GiB. */
struct weft__stack *weft__sizes_get(struct weft__sizes *sizes, size_t size);
void weft__sizes_put(struct weft__sizes *sizes, struct weft__stack *stack);

/* Calls fn(arg) on the stack; `name` is for the report of an overflow. */
int weft__sizes_call(struct weft__stack *stack, const char *name, weft_fn *fn, void *arg);

#endif
