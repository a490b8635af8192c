/* SPDX-License-Identifier: MIT */
/*
 * idle.h - which workers sleep, which search, and who wakes whom
 */
#ifndef WEFT_RUNTIME_IDLE_H
#define WEFT_RUNTIME_IDLE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/base.h>

#include "deque/atomic.h"

struct weft__worker;
struct weft_runtime;

struct weft__idle {
	alignas(WEFT_CACHELINE) uint32_t searching; /* workers awake and looking for work */
	uint32_t sleeping;			    /* bits set in `asleep` */
	uint64_t *asleep;			    /* one bit per worker */
	unsigned words;
	uint32_t called; /* spare workers that may be woken */
};

int weft__idle_init(struct weft__idle *idle, unsigned workers);
void weft__idle_fini(struct weft__idle *idle);

/* After work was published: wakes one worker if some sleep and none searches.
 * Contains the fence that pairs with the sleeper's.  True when it woke one. */
bool weft__idle_notify(struct weft_runtime *rt);

/* Wakes every sleeper: shutdown. */
void weft__idle_notify_all(struct weft_runtime *rt);

/* A worker without work begins to search; false when enough others do. */
bool weft__idle_search(struct weft__worker *w);

/* The search brought work.  The last searcher wakes another when there is more
 * to be had. */
void weft__idle_found(struct weft__worker *w);

/* Gives up the search and sleeps until woken.  Returns at once when there is
 * work after all or the runtime stops.  The caller looks for work again. */
void weft__idle_sleep(struct weft__worker *w);

/* No worker is awake, or each that is has yet to look for work. */
bool weft__idle_all_asleep(const struct weft_runtime *rt);

/* A worker is held by its task: one spare worker more may run until it is free again.
 * Call wakes it. */
void weft__idle_call_spare(struct weft_runtime *rt);
void weft__idle_dismiss_spare(struct weft_runtime *rt);

/* A worker sleeps that notify would wake. */
bool weft__idle_has_free(const struct weft_runtime *rt);

/* A spare worker that is not called now: it takes no work of others. */
bool weft__idle_is_benched(const struct weft__worker *w);

/* Some worker is awake and looking: a hint. */
static inline bool weft__idle_searching(const struct weft__idle *idle)
{
	return load_relaxed(&idle->searching) != 0;
}

#endif
