/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - all memory of weft that is not a fiber's stack
 *
 *   threads    any.
 *   errors     NULL when there is no memory; errno may have been set by the
 *              allocator below and means nothing.
 *
 * The application may have named an allocator (weft/alloc.h).  Tests make
 * allocations fail by number.
 */
#ifndef WEFT_DEQUE_ALLOC_H
#define WEFT_DEQUE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* Uninitialised memory, aligned for any type.  size >= 1. */
void *weft__alloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* Uninitialised memory, aligned to `align`, a power of two. */
void *weft__alloc_aligned(size_t align, size_t size)
	__attribute__((malloc, alloc_align(1), alloc_size(2)));

/* Returns what either of the two gave; `size` as it was asked for.  NULL is
 * allowed. */
void weft__free(void *ptr, size_t size);

/* For tests.  The n-th allocation from now fails (n = 1: the next one); with
 * fail_from, all after it too.  0 ends either.  failures: how many were made to
 * fail since; a sweep over n is over when it stays 0. */
void weft__alloc_fail_at(uint64_t n);
void weft__alloc_fail_from(uint64_t n);
uint64_t weft__alloc_failures(void);

/* Bytes allocated and not yet freed, or -1 in builds that do not count (those
 * without weft__assert). */
int64_t weft__alloc_live(void);

#endif
