/* SPDX-License-Identifier: MIT */
/*
 * test_alloc.c - what deque/alloc.h and weft/alloc.h promise, one promise a test
 *
 * Each test is a process of its own, in which weft has allocated nothing yet.
 */
#include "deque/alloc.h"
#include "support/assert.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <string.h>

#include <weft/alloc.h>
#include <weft/error.h>

TestSuite(alloc, .timeout = 60);

static bool is_aligned(void *ptr, size_t align)
{
	return ((uintptr_t)ptr & (align - 1)) == 0;
}

Test(alloc, memory_can_be_written_and_is_aligned_for_any_type)
{
	for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
		void *ptr = weft__alloc(size);

		cr_assert(ne(ptr, ptr, NULL));
		cr_expect(is_aligned(ptr, alignof(max_align_t)));
		memset(ptr, 0xa5, size);
		weft__free(ptr, size);
	}
}

Test(alloc, alignment_is_what_was_asked_for)
{
	for (size_t align = 1; align <= 1 << 16; align *= 2) {
		void *ptr = weft__alloc_aligned(align, 3 * align / 2 + 1);

		cr_assert(ne(ptr, ptr, NULL));
		cr_expect(is_aligned(ptr, align), "align %zu", align);
		memset(ptr, 0xa5, 3 * align / 2 + 1);
		weft__free(ptr, 3 * align / 2 + 1);
	}
}

Test(alloc, a_size_that_overflows_is_refused)
{
	volatile size_t huge = SIZE_MAX - 10;

	cr_expect(eq(ptr, weft__alloc_aligned(4096, huge), NULL));
}

Test(alloc, free_of_null_does_nothing)
{
	weft__free(NULL, 10);
}

Test(alloc, the_nth_allocation_fails)
{
	weft__alloc_fail_at(3);
	for (int i = 1; i <= 5; i++) {
		void *ptr = weft__alloc(16);

		cr_expect(eq(int, ptr == NULL, i == 3), "allocation %d", i);
		weft__free(ptr, 16);
	}
	cr_expect(eq(u64, weft__alloc_failures(), 1));
}

Test(alloc, all_from_the_nth_fail)
{
	weft__alloc_fail_from(2);
	for (int i = 1; i <= 5; i++) {
		void *ptr = weft__alloc(16);

		cr_expect(eq(int, ptr == NULL, i >= 2), "allocation %d", i);
		weft__free(ptr, 16);
	}
	cr_expect(eq(u64, weft__alloc_failures(), 4));
	weft__alloc_fail_from(0);
	void *ptr = weft__alloc(16);
	cr_expect(ne(ptr, ptr, NULL));
	weft__free(ptr, 16);
}

Test(alloc, live_counts_bytes)
{
	int64_t before = weft__alloc_live();

	if (before < 0)
		cr_skip_test("this build does not count");
	void *a = weft__alloc(100), *b = weft__alloc_aligned(64, 28);
	cr_expect(eq(i64, weft__alloc_live(), before + 128));
	weft__free(a, 100);
	weft__free(b, 28);
	cr_expect(eq(i64, weft__alloc_live(), before));
}

/* An allocator of the application: one static block, and notes. */
static alignas(64) char block[256];
static struct {
	size_t size, align, freed;
	int allocs, frees;
	void *ctx;
} note;

static void *noting_alloc(size_t size, size_t align, void *ctx)
{
	note.size = size;
	note.align = align;
	note.ctx = ctx;
	note.allocs++;
	return size <= sizeof(block) ? block : NULL;
}

static void noting_free(void *ptr, size_t size, void *ctx)
{
	cr_expect(eq(ptr, ptr, &block[0]));
	cr_expect(eq(ptr, ctx, note.ctx));
	note.freed = size;
	note.frees++;
}

static struct weft_allocator noting = {
	.size = sizeof(struct weft_allocator),
	.alloc = noting_alloc,
	.free = noting_free,
	.ctx = &note,
};

Test(alloc, the_applications_allocator_is_used)
{
	cr_assert(eq(int, weft_set_allocator(&noting), 0));

	/* That it is the block is seen in noting_free: here the compiler takes
	 * for granted that what is allocated is nothing that one could name. */
	void *ptr = weft__alloc_aligned(64, 100);
	cr_expect(note.size == 100 && note.align == 64 && note.ctx == &note);
	weft__free(ptr, 100);
	cr_expect(note.frees == 1 && note.freed == 100);
}

Test(alloc, the_allocator_is_asked_for_no_less_than_the_largest_type_needs)
{
	cr_assert(eq(int, weft_set_allocator(&noting), 0));

	void *ptr = weft__alloc_aligned(1, 10);
	cr_expect(eq(sz, note.align, alignof(max_align_t)));
	weft__free(ptr, 10);
}

Test(alloc, what_the_allocator_refuses_is_refused)
{
	cr_assert(eq(int, weft_set_allocator(&noting), 0));
	cr_expect(eq(ptr, weft__alloc(1000), NULL));
}

Test(alloc, the_table_is_copied)
{
	struct weft_allocator mine = noting;

	cr_assert(eq(int, weft_set_allocator(&mine), 0));
	memset(&mine, 0, sizeof(mine));
	weft__free(weft__alloc(10), 10);
	cr_expect(eq(int, note.frees, 1));
}

Test(alloc, the_allocator_can_be_named_again_and_taken_back)
{
	cr_assert(eq(int, weft_set_allocator(&noting), 0));
	cr_assert(eq(int, weft_set_allocator(&noting), 0));
	cr_assert(eq(int, weft_set_allocator(NULL), 0));
	weft__free(weft__alloc(10), 10);
	cr_expect(eq(int, note.allocs, 0));
}

Test(alloc, after_the_first_use_it_is_too_late)
{
	void *ptr = weft__alloc(10);

	cr_expect(eq(int, weft_set_allocator(&noting), WEFT_EPERM));
	cr_expect(eq(int, weft_set_allocator(NULL), WEFT_EPERM));
	weft__free(ptr, 10);
	cr_expect(eq(int, weft_set_allocator(&noting), WEFT_EPERM), "all free again or not");
	cr_expect(eq(int, note.allocs, 0));
}

Test(alloc, a_table_that_is_not_whole_is_refused)
{
	struct weft_allocator bad = noting;

	bad.alloc = NULL;
	cr_expect(eq(int, weft_set_allocator(&bad), WEFT_EINVAL));
	bad = noting;
	bad.free = NULL;
	cr_expect(eq(int, weft_set_allocator(&bad), WEFT_EINVAL));
	bad = noting;
	bad.size = 0;
	cr_expect(eq(int, weft_set_allocator(&bad), WEFT_EINVAL));
	weft__free(weft__alloc(10), 10);
	cr_expect(eq(int, note.allocs, 0));
}
