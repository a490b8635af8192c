/* SPDX-License-Identifier: MIT */
/*
 * latch.h - the few places where whole threads wait for each other
 *
 * A latch opens when its count reaches zero and stays open.  A gate counts who
 * is inside, can be closed to newcomers, and tells when the last has left.
 * Both are a futex word: glibc's condition variables lose wake-ups (bug 25847).
 *
 *   threads    any.
 *   blocking   latch_wait, gate_drain, sleep_while: the thread sleeps.
 */
#ifndef WEFT_RUNTIME_LATCH_H
#define WEFT_RUNTIME_LATCH_H

#include <stdbool.h>
#include <stdint.h>

struct weft__latch {
	uint32_t pending;
};

/* Lowers the count by n; the last one opens the latch.  After that the latch
 * may be gone: nothing of it is touched again. */
void weft__latch_arrive(struct weft__latch *latch, uint32_t n);
void weft__latch_wait(struct weft__latch *latch);

struct weft__gate {
	uint32_t inside; /* and WEFT__GATE_CLOSED */
};

#define WEFT__GATE_CLOSED (UINT32_C(1) << 31)

/* False when the gate is closed. */
bool weft__gate_enter(struct weft__gate *gate);
void weft__gate_leave(struct weft__gate *gate);

void weft__gate_close(struct weft__gate *gate);

/* Of a closed gate: waits until nobody is inside, or somebody else has seen that and opened
 * it, or `deadline` (ns of CLOCK_MONOTONIC) has passed: false. */
bool weft__gate_drain(struct weft__gate *gate, int64_t deadline);
void weft__gate_open(struct weft__gate *gate);

/* Closed, and nobody inside. */
bool weft__gate_is_drained(const struct weft__gate *gate);

/* Sleeps while *word is `value`; false when the deadline has passed.  May also return true
 * for no reason: look again. */
bool weft__sleep_while(uint32_t *word, uint32_t value, int64_t deadline);

#endif
