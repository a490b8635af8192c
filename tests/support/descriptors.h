/* SPDX-License-Identifier: MIT */
/*
 * descriptors.h - what the tests of descriptors share
 *
 *	static int reader(void *arg) { ... }
 *	static int writer(void *arg) { until_waiting(1); ... }
 *
 *	cr_assert(eq(int, together(1, reader, writer, &x), 0));
 *
 * With one worker a task that waits in the kernel stops all others for ever, and the
 * time limit of the suite tells.
 */
#ifndef WEFT_TESTS_DESCRIPTORS_H
#define WEFT_TESTS_DESCRIPTORS_H

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "async/async.h"
#include "support/tasks.h"

/* Lets others run until so many tasks of the runtime wait for descriptors. */
static inline void until_waiting(uint32_t tasks)
{
	const struct weft_runtime *rt = weft__strand_self()->runtime;

	while (load_acquire(&rt->async->quiet.pending) != tasks)
		weft_yield();
}

struct pair {
	weft_fn *first, *second;
	void *arg;
};

static inline int pair_main(void *arg)
{
	const struct pair *p = (const struct pair *)arg;
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "pair");

	if (rc != 0)
		return rc;
	rc = weft_spawn(&g, p->first, p->arg);
	if (rc == 0)
		rc = weft_spawn(&g, p->second, p->arg);
	return weft_group_close(&g, rc);
}

/* Runs both as tasks side by side. */
static inline int together(unsigned workers, weft_fn *first, weft_fn *second, void *arg)
{
	struct pair p = { first, second, arg };
	return run_on(workers, pair_main, &p);
}

/* From a task: runs fn(arg) as a child that is cancelled once it waits for a
 * descriptor. */
static inline int cancel_when_waiting(weft_fn *fn, void *arg)
{
	struct weft_group g;
	struct weft_task child;
	int rc = weft_group_open(&g, .name = "cancelled");

	if (rc != 0)
		return rc;
	rc = weft_spawn(&g, fn, arg, .task = &child);
	if (rc == 0) {
		until_waiting(1);
		weft_task_cancel(child);
	}
	return weft_group_close(&g, rc);
}

#endif
