/* SPDX-License-Identifier: MIT */
/*
 * latch.c - a latch and a gate on a futex word each
 *
 * Orderings
 *
 *   O1  who arrived or left => who waited: read-modify-writes of the word are
 *       full barriers, and the waiter loads it with acquire.
 *
 * A waker passes the address of the word to the kernel after the memory may be
 * gone; the kernel then wakes nobody, or somebody once for nothing, and every
 * wait here looks again.
 */
#include "runtime/latch.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft/runtime.h>

#include "deque/atomic.h"
#include "deque/futex.h"
#include "deque/sanitizer.h"

/* errno belongs to the thread. */
WEFT__OF_THREAD bool weft__sleep_while(uint32_t *word, uint32_t value, int64_t deadline)
{
	struct timespec t = { deadline / 1000000000, deadline % 1000000000 };
	struct timespec *until = deadline == WEFT_NEVER ? NULL : &t;

	if (deadline < 0)
		return false;
	int saved = errno;
	long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, NULL,
			  FUTEX_BITSET_MATCH_ANY);
	bool in_time = rc == 0 || errno != ETIMEDOUT;
	errno = saved;
	return in_time;
}

void weft__latch_arrive(struct weft__latch *latch, uint32_t n)
{
	if (add_seqcst(&latch->pending, (uint32_t)0 - n) == n) /* O1 */
		futex_wake(&latch->pending, INT_MAX);
}

void weft__latch_wait(struct weft__latch *latch)
{
	uint32_t pending;

	while ((pending = load_acquire(&latch->pending)) != 0) /* O1 */
		weft__sleep_while(&latch->pending, pending, WEFT_NEVER);
}

bool weft__gate_enter(struct weft__gate *gate)
{
	uint32_t was;

	do {
		was = load_relaxed(&gate->inside);
		if (was & WEFT__GATE_CLOSED)
			return false;
	} while (!cas_seqcst(&gate->inside, was, was + 1));
	return true;
}

void weft__gate_leave(struct weft__gate *gate)
{
	if (add_seqcst(&gate->inside, (uint32_t)-1) == WEFT__GATE_CLOSED + 1) /* O1 */
		futex_wake(&gate->inside, INT_MAX);
}

void weft__gate_close(struct weft__gate *gate)
{
	uint32_t now;

	do
		now = load_relaxed(&gate->inside);
	while (!cas_seqcst(&gate->inside, now, now | WEFT__GATE_CLOSED));
}

bool weft__gate_drain(struct weft__gate *gate, int64_t deadline)
{
	uint32_t now;

	/* A gate opened again was drained by somebody else meanwhile. */
	while ((now = load_acquire(&gate->inside)) > WEFT__GATE_CLOSED) /* O1 */
		if (!weft__sleep_while(&gate->inside, now, deadline))
			return false;
	return true;
}

void weft__gate_open(struct weft__gate *gate)
{
	store_release(&gate->inside, 0);
}

bool weft__gate_is_drained(const struct weft__gate *gate)
{
	return load_acquire(&gate->inside) == WEFT__GATE_CLOSED;
}
