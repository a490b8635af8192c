/* SPDX-License-Identifier: MIT */
/*
 * tasks.h - what the tests of the runtime share
 *
 * A failed cr_assert leaves the test by a jump, which is possible on the test's own
 * thread alone.  So tasks leave what they saw in plain variables, and the test
 * looks at these when the run is over.
 *
 * Nothing here waits for time to pass: until() waits for another thread to say
 * so, and a test whose other thread never does ends by the time limit of its
 * suite.
 */
#ifndef WEFT_TESTS_TASKS_H
#define WEFT_TESTS_TASKS_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include <weft/weft.h>

#include "deque/atomic.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* With one worker nothing is ever offered, with 8 there are more than CPUs. */
static const unsigned worker_counts[] = { 1, 2, 3, 8 };

/* Returns when *word has reached `value`. */
static inline void until(uint32_t *word, uint32_t value)
{
	while (load_acquire(word) < value)
		sched_yield();
}

/* Runs fn(arg) on a runtime of its own with so many workers. */
static inline int run_on(unsigned workers, weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = workers);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* The calling task runs in a region that has lasted for long: what it forks from
 * now on is offered, and wakes a sleeper. */
static inline void grow_old(void)
{
	store_relaxed(&weft__worker_self()->region.state, WEFT__REGION_OLD);
}

struct apart {
	weft_fn *fn;
	void *arg;
	uint32_t *begun;
};

static inline int apart_left(void *arg)
{
	struct apart *p = (struct apart *)arg;

	until(p->begun, 1);
	return p->fn(p->arg);
}

static inline int apart_right(void *arg)
{
	struct apart *p = (struct apart *)arg;

	store_release(p->begun, 1);
	return p->fn(p->arg);
}

/* weft_both, and fb does run on another worker: fa begins after fb has.  Only
 * inside a task, with another worker that is free. */
static inline int apart(weft_fn *fa, void *a, weft_fn *fb, void *b)
{
	uint32_t begun = 0;
	struct apart left = { fa, a, &begun };
	struct apart right = { fb, b, &begun };

	grow_old();
	return weft_both_offered(apart_left, &left, apart_right, &right);
}

/* A thread of the application that runs a task and leaves what it returned. */
struct runner {
	pthread_t thread;
	struct weft_runtime *rt; /* NULL: the default one */
	weft_fn *fn;
	void *arg;
	int rc;
};

static inline void *runner_main(void *arg)
{
	struct runner *r = (struct runner *)arg;

	r->rc = r->rt ? weft_runtime_run(r->rt, r->fn, r->arg) : weft_run_sync(r->fn, r->arg);
	return NULL;
}

static inline void runner_start(struct runner *r, struct weft_runtime *rt, weft_fn *fn, void *arg)
{
	*r = (struct runner){ .rt = rt, .fn = fn, .arg = arg };
	pthread_create(&r->thread, NULL, runner_main, r);
}

static inline int runner_join(struct runner *r)
{
	pthread_join(r->thread, NULL);
	return r->rc;
}

#endif
