/* SPDX-License-Identifier: MIT */
/*
 * test_alloc_jemalloc.c - jemalloc is used when the process has it
 *
 * The two functions that alloc.c looks for are here, and take notes: whether the
 * real jemalloc is installed does not matter.
 */
#include "deque/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "deque/sanitizer.h"
#include "support/assert.h"

void *mallocx(size_t size, int flags);
void dallocx(void *ptr, int flags);

static int allocs, frees, alloc_flags, free_flags;

void *mallocx(size_t size, int flags)
{
	allocs++;
	alloc_flags = flags;
	return aligned_alloc((size_t)1 << flags, size);
}

void dallocx(void *ptr, int flags)
{
	frees++;
	free_flags = flags;
	free(ptr);
}

TestSuite(alloc_jemalloc, .timeout = 60);

Test(alloc_jemalloc, it_is_used_but_not_under_a_sanitizer)
{
	int expected = WEFT__SANITIZED ? 0 : 1;

	weft__free(weft__alloc(64), 64);
	cr_expect(eq(int, allocs, expected));
	cr_expect(eq(int, frees, expected));
}

#if !WEFT__SANITIZED
Test(alloc_jemalloc, the_flags_are_the_logarithm_of_the_alignment)
{
	weft__free(weft__alloc_aligned(128, 256), 256);
	cr_expect(eq(int, alloc_flags, 7));
	cr_expect(eq(int, free_flags, 0));
}
#endif
