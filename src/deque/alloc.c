/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - one door to whichever allocator the process has
 *
 *	weft_set_allocator's table    if one was named before the first use
 *	mallocx, dallocx              if the process has jemalloc
 *	aligned_alloc, malloc, free   otherwise, and always under a sanitizer
 *
 * jemalloc is met through weak symbols.  Linking it to the library would replace
 * no malloc of the application, and would make the library impossible to dlopen:
 * the distribution's jemalloc keeps its thread data in static TLS.
 *
 * dallocx and not sdallocx: the sized form wants the alignment again, which
 * weft__free does not know, and what it saves is a look-up of a few ns on paths
 * that are not hot (forks, wakes and locks allocate nothing).
 *
 * Which table is in use moves UNUSED -> USED, once, at the first allocation, and
 * UNUSED -> SETTING -> UNUSED while weft_set_allocator copies one.
 *
 *   O1  table -> user    release state (set) => acquire or CAS of state (in_use)
 */
#include "deque/alloc.h"

#include <stdalign.h>
#include <stdlib.h>

#include <weft/alloc.h>
#include <weft/error.h>

#include "deque/atomic.h"
#include "deque/check.h"

#if !WEFT__SANITIZED
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void dallocx(void *ptr, int flags) __attribute__((weak));
#endif

#define ALIGN_ANY alignof(max_align_t)

enum state { UNUSED, SETTING, USED };

static uint32_t state;		     /* enum state */
static struct weft_allocator chosen; /* chosen.alloc == NULL: none */

/* From here on the table does not change. */
static void use_slowly(void)
{
	while (load_acquire(&state) != USED) {	       /* O1 */
		if (!cas_seqcst(&state, UNUSED, USED)) /* O1 */
			cpu_relax();
	}
}

static inline void use(void)
{
	if (WEFT_UNLIKELY(load_acquire(&state) != USED)) /* O1 */
		use_slowly();
}

static int set(const struct weft_allocator *allocator)
{
	while (!cas_seqcst(&state, UNUSED, SETTING)) {
		if (load_relaxed(&state) == USED)
			return WEFT_EPERM;
		cpu_relax();
	}
	chosen = allocator ? *allocator : (struct weft_allocator){ 0 };
	store_release(&state, UNUSED); /* O1 */
	return 0;
}

int weft_set_allocator(const struct weft_allocator *allocator)
{
	if (allocator &&
	    (allocator->size != sizeof(*allocator) || !allocator->alloc || !allocator->free))
		return WEFT_EINVAL;
	return set(allocator);
}

/* Failures on demand: while fail_number is not 0, allocations are counted and
 * the one with that number fails.  Tests that use it know which threads
 * allocate, so the order between these variables is of no interest. */
static uint64_t fail_number, attempts, failures;
static uint32_t fail_forever;

static void fail_set(uint64_t n, uint32_t forever)
{
	store_relaxed(&fail_number, 0);
	store_relaxed(&attempts, 0);
	store_relaxed(&failures, 0);
	store_relaxed(&fail_forever, forever);
	store_relaxed(&fail_number, n);
}

void weft__alloc_fail_at(uint64_t n)
{
	fail_set(n, 0);
}

void weft__alloc_fail_from(uint64_t n)
{
	fail_set(n, 1);
}

uint64_t weft__alloc_failures(void)
{
	return load_relaxed(&failures);
}

static bool must_fail_slowly(void)
{
	uint64_t number = load_relaxed(&fail_number);
	uint64_t n = add_seqcst(&attempts, 1) + 1;

	if (n != number && !(n > number && load_relaxed(&fail_forever)))
		return false;
	(void)add_seqcst(&failures, 1);
	return true;
}

static inline bool must_fail(void)
{
	return WEFT_UNLIKELY(load_relaxed(&fail_number) != 0) && must_fail_slowly();
}

/* Bytes live: for the builds that check. */
#ifdef WEFT_DEBUG
static int64_t live;

static void count(int64_t bytes)
{
	(void)add_seqcst(&live, bytes);
}

int64_t weft__alloc_live(void)
{
	return load_relaxed(&live);
}
#else
static void count(int64_t bytes)
{
	(void)bytes;
}

int64_t weft__alloc_live(void)
{
	return -1;
}
#endif

#if WEFT__SANITIZED
static bool have_jemalloc(void)
{
	return false;
}

static void *jemalloc_alloc(size_t align, size_t size)
{
	(void)align;
	(void)size;
	return NULL;
}

static void jemalloc_free(void *ptr)
{
	(void)ptr;
}
#else
static bool have_jemalloc(void)
{
	return mallocx && dallocx;
}

static void *jemalloc_alloc(size_t align, size_t size)
{
	/* MALLOCX_LG_ALIGN */
	return mallocx(size, __builtin_ctzl(align));
}

static void jemalloc_free(void *ptr)
{
	dallocx(ptr, 0);
}
#endif

/* aligned_alloc wants a multiple of the alignment. */
static void *libc_alloc(size_t align, size_t size)
{
	if (align <= ALIGN_ANY)
		return malloc(size);
	if (size > SIZE_MAX - align)
		return NULL;
	return aligned_alloc(align, (size + align - 1) & ~(align - 1));
}

static void *alloc_from_below(size_t align, size_t size)
{
	if (chosen.alloc)
		return chosen.alloc(size, align, chosen.ctx);
	if (have_jemalloc())
		return jemalloc_alloc(align, size);
	return libc_alloc(align, size);
}

void *weft__alloc_aligned(size_t align, size_t size)
{
	weft__assert(size > 0 && align > 0 && (align & (align - 1)) == 0);
	use();
	if (must_fail())
		return NULL;

	void *ptr = alloc_from_below(align < ALIGN_ANY ? ALIGN_ANY : align, size);

	if (ptr)
		count((int64_t)size);
	return ptr;
}

void *weft__alloc(size_t size)
{
	return weft__alloc_aligned(ALIGN_ANY, size);
}

void weft__free(void *ptr, size_t size)
{
	if (!ptr)
		return;
	count(-(int64_t)size);
	if (chosen.alloc)
		chosen.free(ptr, size, chosen.ctx);
	else if (have_jemalloc())
		jemalloc_free(ptr);
	else
		free(ptr);
}
