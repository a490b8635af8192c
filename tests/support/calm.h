/* SPDX-License-Identifier: MIT */
/*
 * calm.h - tests of tasks that wait, and time that stands still
 *
 * What a test does runs as one task, with children in a group.  calm() returns when all
 * of these wait, so what comes next happens in a known order.  What they saw goes into
 * the log, which the test looks at when the run is over.
 */
#ifndef WEFT_TESTS_CALM_H
#define WEFT_TESTS_CALM_H

#include <string.h>

#include <weft/weft.h>

#include "deque/atomic.h"
#include "support/workers.h"

/* Runs fn(arg) on a runtime of its own. */
static inline int run_virtual(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* Returns when everybody else waits. */
static inline void calm(void)
{
	weft_wait_all_blocked();
}

/* A letter for everything that happens, in its order. */
static char happened[1024];
static uint32_t happenings;

static inline void forget_all(void)
{
	memset(happened, 0, sizeof happened);
	happenings = 0;
}

static inline void note(char letter)
{
	uint32_t n = add_seqcst(&happenings, 1);

	if (n + 1 < sizeof happened)
		happened[n] = letter;
}

#endif
