/* SPDX-License-Identifier: MIT */
/*
 * fork_safe_malloc.c - no thread is inside of malloc when another one forks
 *
 * glibc's malloc sees to that by itself.  The one of AddressSanitizer does not
 * (gcc 12, clang 14): a child of fork() that finds a lock of the allocator taken
 * by a thread which it does not have waits for ever.  Criterion forks a process
 * for each test beside a thread of its own that allocates, so one suite in a
 * hundred hung.
 *
 * The executable's malloc comes before the sanitizer's, which is still the one
 * that does the work.  It is called before the sanitizer has begun: so this file
 * is compiled without, and has a lock of its own making.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__interceptor_malloc(size_t size);
extern void *__interceptor_calloc(size_t n, size_t size);
extern void *__interceptor_realloc(void *ptr, size_t size);
extern void __interceptor_free(void *ptr);

static bool held;

static void hold(void)
{
	while (__atomic_exchange_n(&held, true, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void release(void)
{
	__atomic_store_n(&held, false, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void watch(void)
{
	pthread_atfork(hold, release, release);
}

void *malloc(size_t size)
{
	hold();
	void *ptr = __interceptor_malloc(size);
	release();
	return ptr;
}

void *calloc(size_t n, size_t size)
{
	hold();
	void *ptr = __interceptor_calloc(n, size);
	release();
	return ptr;
}

void *realloc(void *ptr, size_t size)
{
	hold();
	void *moved = __interceptor_realloc(ptr, size);
	release();
	return moved;
}

void free(void *ptr)
{
	hold();
	__interceptor_free(ptr);
	release();
}
