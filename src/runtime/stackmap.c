/* SPDX-License-Identifier: MIT */
/*
 * stackmap.c - the mappings that stacks are carved from, and their guards
 *
 * Guards.  MADV_GUARD_INSTALL (Linux 6.13) marks pages in the page table: a
 * mapping with a thousand guards is still one mapping.  Where the kernel does
 * not have it, mprotect() does the same at the price of two mappings a stack, so
 * that a process ends near 32,000 fibers with the usual vm.max_map_count.  The
 * environment can ask for that too: WEFT_STACK_GUARD=mprotect.
 *
 * Transparent huge pages are refused: the first touch of a stack would cost 2
 * MiB.
 *
 * The list.  Mappings are few (they double in size), never move, and are looked
 * up only after a fault; so the list is an array of entries, in blocks that are
 * added and never taken away, and finding is a walk over all of it.
 *
 *   I1  Entries and links between blocks are written under the lock.
 *   I2  base is 0 in a free entry; the other fields of an entry with base != 0
 *       do not change.
 *
 *   O1  entry -> finder   release base (publish)  => acquire base (find)
 *       Who sees a base sees the fields that go with it.
 *   O2  block -> finder   release next (entry_free) => acquire next (find)
 *       A new block is zero before it is linked.
 *
 * A finder that is overtaken by a free and a reuse of the same entry reads the
 * base a second time and lets go; it cannot then have been the mapping of a
 * stack that its own thread runs on, and no other is worth finding.
 */
#include "runtime/stackmap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deque/atomic.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Slots of the first mapping of an owner; the next is as large as all before. */
#define FIRST_SLOTS 64

/* No mapping is larger, so that one failure does not cost half of what is left
 * of the address space. */
#define MAPPING_MAX ((size_t)64 << 30)

struct entry {
	uintptr_t base; /* O1 */
	size_t bytes;
	size_t stride, guard;
	const void *owner;
};

#define BLOCK_ENTRIES 101

struct block {
	struct block *next; /* O2 */
	struct entry entries[BLOCK_ENTRIES];
};

static struct block first_block;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *map(size_t bytes)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

/* A free entry, in a new block if need be.  NULL when there is no memory. */
static struct entry *entry_free(void)
{
	struct block *block = &first_block;

	for (;;) {
		for (size_t i = 0; i < BLOCK_ENTRIES; i++)
			if (!block->entries[i].base)
				return &block->entries[i];
		if (!block->next)
			break;
		block = block->next;
	}
	struct block *added = map(sizeof(*added));
	if (!added)
		return NULL;
	store_release(&block->next, added); /* O2 */
	return &added->entries[0];
}

/* What the owner has already; the same again keeps the list short. */
static size_t slots_wanted(const void *owner, size_t stride)
{
	size_t bytes = 0;

	for (struct block *block = &first_block; block; block = block->next)
		for (size_t i = 0; i < BLOCK_ENTRIES; i++)
			if (block->entries[i].base && block->entries[i].owner == owner)
				bytes += block->entries[i].bytes;
	size_t slots = (bytes < MAPPING_MAX ? bytes : MAPPING_MAX) / stride;
	return slots > FIRST_SLOTS ? slots : FIRST_SLOTS;
}

/* As many slots as there is room for, trying halves. */
static char *map_slots(size_t stride, size_t *slots)
{
	for (size_t n = *slots; n; n /= 2) {
		char *base = map(n * stride);
		if (base) {
			/* Fails on a kernel without huge pages, and then needs not. */
			(void)madvise(base, n * stride, MADV_NOHUGEPAGE);
			*slots = n;
			return base;
		}
	}
	return NULL;
}

char *weft__stackmap_new(const void *owner, size_t stride, size_t guard, size_t *slots)
{
	char *base = NULL;

	pthread_mutex_lock(&lock);
	struct entry *entry = entry_free();
	size_t n = slots_wanted(owner, stride);
	if (entry)
		base = map_slots(stride, &n);
	if (base) {
		store_relaxed(&entry->bytes, n * stride); /* I2 */
		store_relaxed(&entry->stride, stride);	  /* I2 */
		store_relaxed(&entry->guard, guard);	  /* I2 */
		entry->owner = owner;
		store_release(&entry->base, (uintptr_t)base); /* O1 */
		*slots = n;
	}
	pthread_mutex_unlock(&lock);
	return base;
}

void weft__stackmap_free(const void *owner)
{
	pthread_mutex_lock(&lock);
	for (struct block *block = &first_block; block; block = block->next)
		for (size_t i = 0; i < BLOCK_ENTRIES; i++) {
			struct entry *entry = &block->entries[i];
			uintptr_t base = entry->base;
			if (!base || entry->owner != owner)
				continue;
			store_release(&entry->base, (uintptr_t)0); /* O1 */
			munmap((void *)base, entry->bytes);
		}
	pthread_mutex_unlock(&lock);
}

static char *slot_in(struct entry *entry, uintptr_t address, size_t *stride, size_t *guard)
{
	uintptr_t base = load_acquire(&entry->base); /* O1 */
	size_t bytes = load_relaxed(&entry->bytes);  /* I2 */
	size_t step = load_relaxed(&entry->stride);  /* I2 */
	size_t low = load_relaxed(&entry->guard);    /* I2 */

	if (!base || address < base || address - base >= bytes)
		return NULL;
	if (base != load_acquire(&entry->base)) /* O1 */
		return NULL;
	*stride = step;
	*guard = low;
	return (char *)(base + (address - base) / step * step);
}

char *weft__stackmap_find(uintptr_t address, size_t *stride, size_t *guard)
{
	char *slot = NULL;

	for (struct block *block = &first_block; block; block = load_acquire(&block->next)) /* O2 */
		for (size_t i = 0; i < BLOCK_ENTRIES && !slot; i++)
			slot = slot_in(&block->entries[i], address, stride, guard);
	return slot;
}

/* Tries a guard on a page of its own: a kernel may not know the advice, and an
 * emulator may swallow it, but reading a page in fails only if it is guarded. */
static bool light_guards_work(void)
{
	const char *wish = secure_getenv("WEFT_STACK_GUARD");
	if (wish && !strcmp(wish, "mprotect"))
		return false;

	size_t page = (size_t)getpagesize();
	void *probe = map(page);
	if (!probe)
		return false;
	bool work = !madvise(probe, page, MADV_GUARD_INSTALL) &&
		    madvise(probe, page, MADV_POPULATE_READ);
	munmap(probe, page);
	return work;
}

bool weft__stackmap_light_guards(void)
{
	enum { UNKNOWN, LIGHT, HEAVY };
	static uint32_t known;
	uint32_t how = load_relaxed(&known); /* the same whoever finds it out */

	if (how == UNKNOWN) {
		how = light_guards_work() ? LIGHT : HEAVY;
		store_relaxed(&known, how);
	}
	return how == LIGHT;
}

bool weft__stackmap_guard(char *guard, size_t size)
{
	/* Locked memory (mlockall) takes no light guard: hence the second try. */
	if (weft__stackmap_light_guards() && !madvise(guard, size, MADV_GUARD_INSTALL))
		return true;
	return !mprotect(guard, size, PROT_NONE);
}
