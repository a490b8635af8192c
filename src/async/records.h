/* SPDX-License-Identifier: MIT */
/*
 * records.h - where the records of tasks come from, and handles lead
 *
 * Records lie in blocks that stay until the runtime ends, so a stale handle leads to
 * a record of another generation and never to freed memory.  Each worker has a list
 * of free records, with one list behind for all.
 *
 *   threads    get, put: a worker, or any thread (through the common list).
 *   memory     blocks of 1024 records; kept.
 *   errors     NULL when there is no memory.
 *   blocking   none.
 */
#ifndef WEFT_ASYNC_RECORDS_H
#define WEFT_ASYNC_RECORDS_H

#include <stdalign.h>

#include <weft/base.h>

#include "async/task.h"
#include "deque/list.h"
#include "deque/spin.h"

enum {
	WEFT__RECORD_BLOCK = 1024,
	WEFT__RECORD_BLOCKS = 16384, /* 16 million tasks at once */
	WEFT__HANDLE_LOCKS = 64,
};

/* Guards what handles see of the records that fall on it, and who waits for them. */
struct weft__watch {
	alignas(WEFT_CACHELINE) struct weft__spin lock;
	struct weft__list waiters;
};

struct weft__record_list {
	alignas(WEFT_CACHELINE) struct weft__task *top;
	size_t count;
};

struct weft__records {
	struct weft__record_list *lists; /* one a worker */
	struct weft__spin lock;
	struct weft__record_list common; /* under lock */
	uint32_t blocks;		 /* likewise; grows */
	uint32_t first_generation;
	struct weft__task *block[WEFT__RECORD_BLOCKS];
	struct weft__watch watches[WEFT__HANDLE_LOCKS];
};

int weft__records_init(struct weft__records *r, unsigned workers);
void weft__records_fini(struct weft__records *r, unsigned workers);

/* A record with slot and generation set; the rest is as the last task left it. */
struct weft__task *weft__record_get(struct weft_runtime *rt);

/* The record's handles are stale from here on. */
void weft__record_put(struct weft_runtime *rt, struct weft__task *t);

/* The record that the slot names, of whatever generation; NULL: there is none. */
struct weft__task *weft__record_at(struct weft_runtime *rt, uint32_t slot);

struct weft__watch *weft__record_watch(struct weft_runtime *rt, uint32_t slot);

#endif
