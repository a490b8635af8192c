/* SPDX-License-Identifier: MIT */
/*
 * futex.h - sleep on a word, wake who sleeps on it
 *
 * Private to the process, without time-outs.  Both may be called on memory that
 * another thread is about to free, if that thread waits for the word to change
 * and touches nothing else: waking an address that nobody sleeps on, or that is
 * gone, does nothing.
 *
 * The kernel compares the word under a lock of its own, so "the word is still
 * `expected`" and "asleep" are one step to whoever changes the word and then
 * calls futex_wake.  Neither call orders any other memory: pair the change of the
 * word, a release, with an acquire after the wait.
 *
 * errno is left alone: a fiber may call this.  It belongs to the thread, and
 * fibers that take turns on a thread share it with no edge between them.
 */
#ifndef WEFT_DEQUE_FUTEX_H
#define WEFT_DEQUE_FUTEX_H

#include "deque/atomic.h"
#include "deque/sanitizer.h"

#ifndef WEFT_MODEL

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps while *word == expected.  May also return for no reason: look again. */
WEFT__OF_THREAD static inline void futex_wait(const uint32_t *word, uint32_t expected)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
	errno = saved;
}

/* Wakes up to n sleepers. */
WEFT__OF_THREAD static inline void futex_wake(const uint32_t *word, int n)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	errno = saved;
}

#endif

#endif
