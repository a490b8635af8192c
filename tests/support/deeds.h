/* SPDX-License-Identifier: MIT */
/*
 * deeds.h - what tests of time share: tasks on a clock that jumps
 */
#ifndef WEFT_TESTS_DEEDS_H
#define WEFT_TESTS_DEEDS_H

#include <weft/weft.h>

#include "support/workers.h"

/* Runs fn(arg) on a runtime of its own, with a virtual clock. */
static inline int run_virtually(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* What a call does, and what became of it. */
struct deed {
	int64_t sleeps;	 /* before it returns */
	int rc;		 /* what it returns then */
	int64_t cleanup; /* it sleeps so long, shielded, when it is cancelled */
	bool stubborn;	 /* it sleeps on when it is cancelled */

	int begun, ended, dropped;
	int64_t began_at, ended_at;
	enum weft_reason_kind reason; /* of its cancel */
};

static inline int sleep_for(void *arg)
{
	weft_sleep(*(int64_t *)arg);
	return 0;
}

static inline int do_deed(void *arg)
{
	struct deed *d = (struct deed *)arg;
	int rc = 0;

	d->begun++;
	d->began_at = weft_now();
	if (d->stubborn)
		weft_shield(sleep_for, &d->sleeps, WEFT_NEVER);
	else if (d->sleeps > 0)
		rc = weft_sleep(d->sleeps);
	if (rc != 0)
		d->reason = weft_cancel_reason().kind;
	if (rc != 0 && d->cleanup > 0)
		weft_shield(sleep_for, &d->cleanup, WEFT_NEVER);
	d->ended++;
	d->ended_at = weft_now();
	return rc ? rc : d->rc;
}

static inline void drop_deed(void *arg)
{
	((struct deed *)arg)->dropped++;
}

/* Calls of n deeds. */
static inline void call_deeds(struct weft_call *calls, struct deed *deeds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		calls[i] = (struct weft_call)WEFT_CALL(do_deed, &deeds[i]);
}

#endif
