/* SPDX-License-Identifier: MIT */
/*
 * weft/info.h - the machine as weft sees it
 *
 * How many CPUs this process may use and what limits them, what a runtime that
 * starts now would look like, and why.  `weft info` and WEFT_DISPLAY_ENV=1
 * print this.
 *
 *   threads    anywhere.  The CPUs allowed are those of the calling thread:
 *              threads that it starts inherit them.
 *   memory     the caller owns the struct; nothing in it points elsewhere but
 *              to static strings.
 *   errors     0 or a negative code of weft/error.h.
 *   blocking   reads a few files under /proc and /sys.
 */
#ifndef WEFT_INFO_H
#define WEFT_INFO_H

#include <stdbool.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_machine {
	size_t size;	       /* sizeof(struct weft_machine), set by the caller */
	unsigned cpus_online;  /* of the whole machine */
	unsigned cpus_allowed; /* of these, in the affinity mask */
	double quota;	       /* CPUs' worth of time that the cgroups grant; 0: no limit */
	char quota_file[256];  /* the file with the lowest quota; "" when there is none */
	unsigned workers;      /* that the default runtime starts with, unless configured */
	char workers_from[64]; /* "affinity", "quota" or "WEFT_NUM_THREADS=..." */
	size_t stack_size;     /* bytes of address space per fiber, unless configured */
	char stack_from[64];   /* "default" or "WEFT_STACK_SIZE=..." */
	size_t page_size;
	size_t cache_line;     /* bytes; 0 for this and the caches: unknown */
	size_t l1d, l2, l3;    /* bytes, as the first CPU sees them */
	bool guard_pages;      /* stacks are guarded by MADV_GUARD_INSTALL, not by mprotect */
	const char *allocator; /* "jemalloc" or "libc", unless weft_set_allocator named another */
	char cpu_model[64];    /* "" when unknown */
	char kernel[64];       /* release, such as "6.1.0-28-amd64" */
};

/* Fills in what fits in machine->size.  WEFT_EINVAL when that is too small to
 * be any version of the struct. */
WEFT_API int weft_machine(struct weft_machine *machine);

WEFT_END_DECLS

#endif
