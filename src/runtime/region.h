/* SPDX-License-Identifier: MIT */
/*
 * region.h - is this parallel region worth waking somebody for?
 *
 * Waking a sleeping worker takes 15 to 50 us, and the waker pays some 6 of
 * them.  A region, that is the outermost fork or loop of a task, that is over
 * sooner must not pay it, or parallel code would be slower than serial code on
 * small inputs.  Nobody knows the length of a region beforehand; two things
 * come close:
 *
 *   - how long a region of the same function took last time; of a loop, how
 *     long an item took.  A long region wakes at once, and so does one never
 *     seen before: two calls of 10 ms have no fork inside at which a clock
 *     could be looked at.
 *   - how long it has lasted already.  A region that begins young grows old
 *     after about the price of a wake-up, noticed at the forks inside: whatever
 *     it still has to do, it then has paid at most twice what was needed.
 *
 * A young region offers work only to workers that are awake and searching, and
 * only when it is known to be longer than the hand-over of a frame.
 */
#ifndef WEFT_RUNTIME_REGION_H
#define WEFT_RUNTIME_REGION_H

#include <stdbool.h>
#include <stdint.h>

enum weft__region_state {
	WEFT__REGION_NONE, /* the next fork is an outermost one */
	WEFT__REGION_YOUNG,
	WEFT__REGION_OLD,
};

/* Microseconds, all of them tuned on the benches (bench/small.c). */
enum {
	WEFT__SHARE_US = 2,  /* shorter regions are not offered at all */
	WEFT__RIPEN_US = 20, /* a young region this long is old */
	WEFT__WAKE_US = 80,  /* regions known to last this long are born old */
	WEFT__CHUNK_US = 10, /* what a chunk of a loop should take */
};

/* What is remembered of a function that forks or of a loop's body. */
struct weft__memory {
	const void *key;
	unsigned unmeasured; /* short regions since the last measured one */
	uint64_t duration;   /* ticks of the last region of forks, 0: never measured */
	uint64_t item_cost;  /* of a loop, in 1/WEFT__COST_UNIT ticks, 0: never measured */
};

enum { WEFT__MEMORIES = 32, WEFT__COST_UNIT = 256 };

struct weft__region {
	uint32_t state; /* enum weft__region_state */
	bool shared;	/* known to be longer than WEFT__SHARE_US */
	unsigned forks; /* since it began: looks at the counter now and then */
	uint64_t began; /* ticks; 0: at the first look */
	struct weft__memory memory[WEFT__MEMORIES];
};

struct weft__worker;

/* Begins a region that should take `expected` ticks, 0 when nobody knows.
 * False, and nothing done, when it lies inside another one. */
bool weft__region_enter(struct weft__worker *w, double expected);

/* Ends the region that the caller began, perhaps on another worker. */
void weft__region_leave(void);

/* True when a fork of this region may be offered now.  The only look at the
 * counter while the region is young. */
bool weft__region_offers(struct weft__worker *w);

/* True when something that should take `expected` ticks is too short to be
 * shared, and is not to be measured this time either: two looks at the counter
 * would be felt. */
bool weft__region_is_short(struct weft__worker *w, const void *key, double expected);

/* What the worker remembers, 0 for nothing; and what the caller's worker is to
 * remember. */
uint64_t weft__region_duration(struct weft__worker *w, const void *key);
uint64_t weft__region_item_cost(struct weft__worker *w, const void *key);
void weft__region_learn_duration(const void *key, uint64_t ticks);
void weft__region_learn_item_cost(const void *key, uint64_t cost);

#endif
