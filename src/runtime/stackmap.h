/* SPDX-License-Identifier: MIT */
/*
 * stackmap.h - the mappings that stacks are carved from, and their guards
 *
 * A mapping is a row of equal slots, each a guard and a stack above it.  All of
 * them are written down in one list per process, so that a signal handler can
 * tell whose guard an address lies in.
 *
 *   threads    any.  weft__stackmap_find is async-signal-safe.
 *   memory     mappings belong to their owner, named by its address; the list
 *              itself is never freed.
 */
#ifndef WEFT_RUNTIME_STACKMAP_H
#define WEFT_RUNTIME_STACKMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapping of slots of `stride` bytes, the lowest `guard` of each for a guard,
 * which is not there yet: at least one and else as
 * many as there is room for and the size of the owner suggests.  Returns its
 * address and writes *slots, or NULL when there is no room for one. */
char *weft__stackmap_new(const void *owner, size_t stride, size_t guard, size_t *slots);

/* Unmaps all mappings of the owner. */
void weft__stackmap_free(const void *owner);

/* Makes every access to the `size` bytes at `guard` a SIGSEGV.  False when there
 * are too many mappings, or no memory. */
bool weft__stackmap_guard(char *guard, size_t size);

/* True when guards cost no mapping each. */
bool weft__stackmap_light_guards(void);

/* The slot that holds the address; *stride and *guard are those of its mapping.
 * NULL, and nothing written, for an address in no slot. */
char *weft__stackmap_find(uintptr_t address, size_t *stride, size_t *guard);

#endif
