/* SPDX-License-Identifier: MIT */
/*
 * sizes.c - calling a function on a stack of another size than the fibers have
 *
 * The head of such a stack is a fiber that never runs: the report of an overflow
 * (overflow.c) finds the head of whatever stack it was, and takes the name from it.
 */
#include "runtime/sizes.h"

#include "deque/alloc.h"
#include "deque/atomic.h"
#include "runtime/fiber.h"
#include "runtime/worker.h"

void weft__sizes_init(struct weft__sizes *sizes)
{
	*sizes = (struct weft__sizes){ 0 };
	pthread_mutex_init(&sizes->lock, NULL);
}

void weft__sizes_fini(struct weft__sizes *sizes)
{
	for (unsigned i = 0; i < WEFT__SIZES; i++) {
		if (!sizes->pools[i])
			continue;
		weft__stack_pool_fini(sizes->pools[i]);
		weft__free(sizes->pools[i], sizeof *sizes->pools[i]);
	}
	pthread_mutex_destroy(&sizes->lock);
}

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while (((size_t)1 << (WEFT__SIZE_FIRST + class)) < size)
		class ++;
	return class;
}

/* With the lock held. */
static struct weft__stack_pool *pool_new(unsigned class)
{
	struct weft__stack_pool *pool = weft__alloc(sizeof *pool);

	if (pool && weft__stack_pool_init(pool, (size_t)1 << (WEFT__SIZE_FIRST + class)) != 0) {
		weft__free(pool, sizeof *pool);
		pool = NULL;
	}
	return pool;
}

static struct weft__stack_pool *pool_of(struct weft__sizes *sizes, unsigned class)
{
	pthread_mutex_lock(&sizes->lock);
	if (!sizes->pools[class])
		sizes->pools[class] = pool_new(class);
	struct weft__stack_pool *pool = sizes->pools[class];
	pthread_mutex_unlock(&sizes->lock);
	return pool;
}

/* The fiber that never runs, and where its stack came from. */
struct head {
	struct weft__fiber fiber;
	struct weft__stack_pool *pool;
};

_Static_assert(sizeof(struct head) <= WEFT__STACK_HEAD, "the head of a stack is too small");

static struct head *head_of(struct weft__stack *stack)
{
	return (struct head *)stack;
}

struct weft__stack *weft__sizes_get(struct weft__sizes *sizes, size_t size)
{
	struct weft__stack_pool *pool = pool_of(sizes, class_of(size));
	struct weft__stack *stack = pool ? weft__stack_pool_get(pool) : NULL;

	if (stack) {
		head_of(stack)->pool = pool;
		head_of(stack)->fiber.name = NULL;
	}
	return stack;
}

void weft__sizes_put(struct weft__sizes *sizes, struct weft__stack *stack)
{
	struct weft__stack_pool *pool = head_of(stack)->pool;

	(void)sizes;
	stack->sp = stack; /* it was used, and is to be trimmed */
	weft__stack_pool_put(pool, stack);
}

struct call {
	weft_fn *fn;
	void *arg;
	struct weft__fiber *fiber;
	struct weft__sanitize_call sanitize;
};

/* The first frame on the second stack. */
static int enter(void *arg)
{
	struct call *call = arg;

	weft__sanitize_called();
	int rc = call->fn(call->arg);
	weft__sanitize_return(&call->sanitize, &call->fiber->stack.sanitizer);
	return rc;
}

int weft__sizes_call(struct weft__stack *stack, const char *name, weft_fn *fn, void *arg)
{
	struct weft__fiber *fiber = weft__worker_fiber(weft__worker_self());
	struct call call = { .fn = fn, .arg = arg, .fiber = fiber };

	head_of(stack)->fiber.name = name;
	weft__sanitize_call(&call.sanitize, &fiber->stack.sanitizer, &stack->sanitizer);
	int rc = weft__call_on(stack, enter, &call);
	weft__sanitize_returned(&call.sanitize);
	return rc;
}
