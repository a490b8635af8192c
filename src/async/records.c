/* SPDX-License-Identifier: MIT */
/*
 * records.c - lists of free records
 *
 * A worker's list is touched by its worker alone, whatever fiber runs on it, with no
 * lock.  Tasks that one worker starts and another ends travel in the other direction
 * through the common list, a batch at a time.
 */
#include "async/records.h"

#include <weft/error.h>

#include "async/async.h"
#include "deque/alloc.h"
#include "deque/sanitizer.h"
#include "runtime/runtime.h"
#include "runtime/sanitize.h"
#include "runtime/worker.h"

enum { BATCH = 128 };

/* A handle of one runtime names no task of another, nor of the next: their generations
 * begin far from each other (multiplicative hashing: D. Knuth, The Art of Computer
 * Programming, vol. 3, 6.4). */
static uint32_t first_generation(void)
{
	static uint32_t runtimes;
	uint32_t first = (add_seqcst(&runtimes, 1) + 1) * UINT32_C(0x9e3779b9);

	return first ? first : 1; /* 0 is nobody's */
}

int weft__records_init(struct weft__records *r, unsigned workers)
{
	/* Of `block`, 128 KiB, only what `blocks` counts is ever looked at. */
	weft__spin_init(&r->lock);
	r->common = (struct weft__record_list){ 0 };
	r->blocks = 0;
	r->first_generation = first_generation();
	r->lists = weft__alloc_aligned(WEFT_CACHELINE, workers * sizeof *r->lists);
	if (!r->lists)
		return WEFT_ENOMEM;
	for (unsigned i = 0; i < workers; i++)
		r->lists[i] = (struct weft__record_list){ 0 };
	for (unsigned i = 0; i < WEFT__HANDLE_LOCKS; i++) {
		weft__spin_init(&r->watches[i].lock);
		weft__list_init(&r->watches[i].waiters);
	}
	return 0;
}

void weft__records_fini(struct weft__records *r, unsigned workers)
{
	for (uint32_t i = 0; i < r->blocks; i++)
		weft__free(r->block[i], WEFT__RECORD_BLOCK * sizeof(struct weft__task));
	weft__free(r->lists, workers * sizeof *r->lists);
}

WEFT__OF_THREAD static void push(struct weft__record_list *list, struct weft__task *t)
{
	t->job.next = list->top ? &list->top->job : NULL;
	list->top = t;
	list->count++;
}

/* All of the record will be written, and the next one is likely to be after it: many
 * tasks together are more than the first cache holds. */
static void prefetch(const struct weft__task *t)
{
	const char *p = (const char *)t;

	for (size_t i = 0; i < sizeof *t; i += 64)
		__builtin_prefetch(p + i, 1);
}

WEFT__OF_THREAD static struct weft__task *pop(struct weft__record_list *list)
{
	struct weft__task *t = list->top;

	if (!t)
		return NULL;
	list->top = (struct weft__task *)t->job.next;
	list->count--;
	prefetch(list->top);
	return t;
}

/* With the lock held: a block more for the common list. */
static void grow(struct weft__records *r)
{
	uint32_t n = r->blocks;
	uint32_t first = r->first_generation;
	struct weft__task *block;

	if (n == WEFT__RECORD_BLOCKS ||
	    !(block = weft__alloc_aligned(64, WEFT__RECORD_BLOCK * sizeof *block)))
		return;
	for (uint32_t i = WEFT__RECORD_BLOCK; i-- > 0;) {
		block[i] = (struct weft__task){ .slot = n * WEFT__RECORD_BLOCK + i,
						.generation = first };
		push(&r->common, &block[i]);
	}
	r->block[n] = block;
	store_release(&r->blocks, n + 1);
}

/* Moves up to a batch.  The lock guards one of the two, the thread the other. */
static void move(struct weft__record_list *from, struct weft__record_list *to)
{
	for (int i = 0; i < BATCH; i++) {
		struct weft__task *t = pop(from);
		if (!t)
			return;
		push(to, t);
	}
}

WEFT__OF_THREAD static struct weft__record_list *list_here(struct weft_runtime *rt)
{
	struct weft__worker *w = weft__worker_self();
	return w && w->runtime == rt ? &rt->async->records.lists[w->index] : NULL;
}

static struct weft__task *refill(struct weft__records *r, struct weft__record_list *mine)
{
	weft__spin_lock(&r->lock);
	if (!r->common.top)
		grow(r);
	struct weft__task *t = pop(&r->common);
	if (mine)
		move(&r->common, mine);
	weft__spin_unlock(&r->lock);
	return t;
}

struct weft__task *weft__record_get(struct weft_runtime *rt)
{
	struct weft__record_list *mine = list_here(rt);
	struct weft__task *t = mine ? pop(mine) : NULL;

	if (WEFT_UNLIKELY(!t))
		t = refill(&rt->async->records, mine);
	if (t)
		weft__tsan_acquire(t);
	return t;
}

static void spill(struct weft__records *r, struct weft__record_list *mine)
{
	weft__spin_lock(&r->lock);
	move(mine, &r->common);
	weft__spin_unlock(&r->lock);
}

WEFT__OF_THREAD static size_t count_of(const struct weft__record_list *list)
{
	return list->count;
}

void weft__record_put(struct weft_runtime *rt, struct weft__task *t)
{
	struct weft__records *r = &rt->async->records;
	struct weft__record_list *mine = list_here(rt);

	store_relaxed(&t->generation, t->generation + 1 ? t->generation + 1 : 1);
	store_relaxed(&t->state, (uint8_t)WEFT_TASK_UNKNOWN);
	weft__tsan_release(t);
	if (mine) {
		push(mine, t);
		if (WEFT_UNLIKELY(count_of(mine) > 2 * BATCH))
			spill(r, mine);
		return;
	}
	weft__spin_lock(&r->lock);
	push(&r->common, t);
	weft__spin_unlock(&r->lock);
}

struct weft__task *weft__record_at(struct weft_runtime *rt, uint32_t slot)
{
	struct weft__records *r = &rt->async->records;
	uint32_t block = slot / WEFT__RECORD_BLOCK;

	if (block >= load_acquire(&r->blocks))
		return NULL;
	return &r->block[block][slot % WEFT__RECORD_BLOCK];
}

struct weft__watch *weft__record_watch(struct weft_runtime *rt, uint32_t slot)
{
	return &rt->async->records.watches[slot % WEFT__HANDLE_LOCKS];
}
