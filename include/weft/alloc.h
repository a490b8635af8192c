/* SPDX-License-Identifier: MIT */
/*
 * weft/alloc.h - where weft gets its memory from
 *
 * Left alone, weft uses jemalloc when the process has it (through mallocx, found
 * at load time; weft links no allocator) and the C library otherwise.  A
 * program that wants another allocator names it here, before it does anything
 * else with weft.  Stacks of fibers are not from here: they are mapped.
 *
 *   threads    weft_set_allocator: any thread, but see below.  The functions of
 *              the table are called from any thread, several at a time.
 *   memory     the table is copied; what its ctx points to must outlive the last
 *              use of weft.
 *   errors     0, WEFT_EINVAL, WEFT_EPERM.
 *   blocking   no.
 */
#ifndef WEFT_ALLOC_H
#define WEFT_ALLOC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_allocator {
	size_t size; /* sizeof(struct weft_allocator) */

	/* `size` bytes, at least 1, aligned to `align`, a power of two of at
	 * least _Alignof(max_align_t).  NULL when there is no memory. */
	void *(*alloc)(size_t size, size_t align, void *ctx);

	/* What alloc returned, never NULL, and the size that was asked for.  The
	 * alignment is not repeated. */
	void (*free)(void *ptr, size_t size, void *ctx);

	void *ctx;
};

/* Takes all memory from `allocator` from now on; NULL goes back to the default.
 * Only before weft has allocated anything: WEFT_EPERM afterwards, for there is
 * no telling which allocator a block came from.  WEFT_EINVAL when a function is
 * missing or the size is not that of a known version of the struct. */
WEFT_API int weft_set_allocator(const struct weft_allocator *allocator);

WEFT_END_DECLS

#endif
