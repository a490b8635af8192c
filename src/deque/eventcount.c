/* SPDX-License-Identifier: MIT */
/*
 * eventcount.c - the event count, over ck_ec or over atomic.h
 *
 *	word = [ asleep : 1 | count : 31 ]
 *
 *	notify   adds 1 to the count.  When `asleep` was set: clears it, then
 *	         wakes the futex.
 *	wait     while the count is the ticket: sets `asleep` by CAS from the
 *	         word that it has seen, then sleeps while the word is that.
 *
 * Invariants
 *
 *   I1  Only the sleeper sets `asleep`; only a notify that has moved the count
 *       clears it.
 *   I2  Every notify that finds `asleep` set wakes the futex after it has changed
 *       the word.  So a sleeper that sleeps on (asleep, ticket) is woken: the
 *       notify that moves the count away from the ticket found the bit, which was
 *       set before the sleep.
 *   I3  A slow notify may clear the bit that a later wait has set.  It wakes the
 *       futex after that, and the kernel lets nobody sleep on a word that has
 *       changed: the sleeper looks again and sets the bit again.
 *
 * Orderings
 *
 *   O1  waker -> sleeper    release half of the add (notify)
 *                                      => acquire of the word (prepare, wait)
 *
 * Three back-ends, as in atomic.h.  Release builds use ck_ec32, which is the
 * same algorithm; what we add:
 *
 *   - The operations are ours and sleep without a time-out.  ck_ec's waits end
 *     after 2, 16, 128 ms and so on, because its single-producer form may lose
 *     the bit.  In the form used here, with many producers, it cannot (I2), and a
 *     time-out would turn a lost wake-up into a mere delay that no test sees.
 *   - For the same reason nobody needs the clock that ck_ec asks for before each
 *     sleep: ours always says zero and costs nothing.
 *   - ck_ec32_wait may return although the count has not moved: it takes any change
 *     of the word for one, also the bit cleared by a slow notify (I3).  Ours looks
 *     again.
 *   - ck_ec32_inc promises store-store order on aarch64 and no more; the fence
 *     makes it the release that O1 wants.  ck_ec32_value has its acquire fence.
 *
 * ThreadSanitizer cannot see into libck, and the model checker needs to decide
 * who sleeps: both use the plain form below it.
 *
 * ThreadSanitizer can check O1.  I2 and I3 are for the model checker; a stress
 * test hangs when they fail, which is seen by its watchdog only.
 */
#include "deque/eventcount.h"

#include "deque/atomic.h"
#include "deque/futex.h"

#if !defined(WEFT_MODEL) && !defined(WEFT_ATOMIC_BUILTIN)

#include <time.h>

#include <ck_ec.h>

_Static_assert(sizeof(struct ck_ec32) == sizeof(struct weft__ec), "ck_ec32 is one word");

static int no_clock(const struct ck_ec_ops *ops, struct timespec *now)
{
	(void)ops;
	*now = (struct timespec){ 0 };
	return 0;
}

static void wait_forever(const struct ck_ec_wait_state *wait_state, const uint32_t *word,
			 uint32_t expected, const struct timespec *deadline)
{
	(void)wait_state;
	(void)deadline;
	futex_wait(word, expected);
}

static void wake_sleeper(const struct ck_ec_ops *ops, const uint32_t *word)
{
	(void)ops;
	futex_wake(word, 1);
}

/* How long to spin before sleeping is for the caller to decide, not for ck_ec:
 * left alone it would look 200 times, some 5 us. */
static const struct ck_ec_ops ops = {
	.busy_loop_iter = 1,
	.gettime = no_clock,
	.wait32 = wait_forever,
	.wake32 = wake_sleeper,
};

static const struct ck_ec_mode mode = { .ops = &ops, .single_producer = false };

static struct ck_ec32 *ck(const struct weft__ec *ec)
{
	return (struct ck_ec32 *)(uintptr_t)ec;
}

void weft__ec_init(struct weft__ec *ec)
{
	ck_ec32_init(ck(ec), 0);
}

uint32_t weft__ec_prepare(const struct weft__ec *ec)
{
	return ck_ec32_value(ck(ec)); /* O1 */
}

void weft__ec_wait(struct weft__ec *ec, uint32_t ticket)
{
	while (ck_ec32_value(ck(ec)) == ticket) /* O1 */
		(void)ck_ec32_wait(ck(ec), &mode, ticket, NULL);
}

void weft__ec_notify(struct weft__ec *ec)
{
	weft__fence_release(); /* O1 */
	ck_ec32_inc(ck(ec), &mode);
}

#else

#define ASLEEP (UINT32_C(1) << 31)

void weft__ec_init(struct weft__ec *ec)
{
	ec->word = 0;
}

uint32_t weft__ec_prepare(const struct weft__ec *ec)
{
	return load_acquire(&ec->word) & ~ASLEEP; /* O1 */
}

void weft__ec_wait(struct weft__ec *ec, uint32_t ticket)
{
	for (;;) {
		uint32_t word = load_acquire(&ec->word); /* O1 */

		if ((word & ~ASLEEP) != ticket)
			return;
		if (!(word & ASLEEP) && !cas_seqcst(&ec->word, word, word | ASLEEP)) /* I1 */
			continue;
		futex_wait(&ec->word, ticket | ASLEEP); /* I2, I3 */
	}
}

static void clear_asleep(struct weft__ec *ec)
{
	uint32_t word;

	do {
		word = load_relaxed(&ec->word);
	} while ((word & ASLEEP) && !cas_seqcst(&ec->word, word, word & ~ASLEEP));
}

/* When bit 31 is set by a carry out of the count it is a spurious `asleep`, one
 * needless wake in 2^31. */
void weft__ec_notify(struct weft__ec *ec)
{
	uint32_t word = add_seqcst(&ec->word, 1); /* O1 */

	if (!(word & ASLEEP))
		return;
	clear_asleep(ec);
	futex_wake(&ec->word, 1); /* I2 */
}

#endif
