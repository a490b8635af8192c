/* SPDX-License-Identifier: MIT */
/*
 * await.c - waiting for one or for all of several tasks
 *
 * Who waits for one of many is a watcher of each: whichever ends first grants the wait,
 * and the others find it over.
 */
#include <weft/error.h>
#include <weft/wait.h>

#include "async/task.h"
#include "async/wait.h"
#include "deque/alloc.h"

enum { NEAR = 16 }; /* watchers that lie on the stack */

static int check(struct weft__strand *s, const struct weft_task *tasks, size_t n)
{
	if (!s)
		return WEFT_ENOTASK;
	for (size_t i = 0; i < n; i++)
		if (weft__task_is_self(s, tasks[i]))
			return WEFT_EDEADLK;
	return weft__point(s);
}

/* 1 and the first of the tasks that has ended; 0 when none has; WEFT_EINVAL for a stale
 * handle that comes before. */
static int find(const struct weft_task *tasks, size_t n, size_t *which, int *rc)
{
	for (size_t i = 0; i < n; i++) {
		int error = weft_task_result(tasks[i], rc);

		if (error == WEFT_EAGAIN)
			continue;
		if (error == 0 && which)
			*which = i;
		return error == 0 ? 1 : error;
	}
	return 0;
}

/* Waits until a task ends.  0 also when one had ended already.  *ended is one that has ended
 * meanwhile, whose record may be gone; n: none has. */
static int await_one(struct weft__strand *s, const struct weft_task *tasks, size_t n,
		     struct weft__watcher *w, size_t *ended)
{
	size_t watched = 0;
	int error = weft__wait_begin(s, WEFT__ABORTABLE);

	*ended = n;
	if (error != 0)
		return error;
	for (; watched < n; watched++) {
		w[watched] = (struct weft__watcher){ .strand = s, .task = tasks[watched] };
		if (!weft__task_watch(&w[watched]))
			break;
	}
	unsigned code = watched == n ? weft__wait_park(s, "one of several tasks", w[0].on)
				     : weft__wait_end(s);
	while (watched-- > 0) {
		weft__task_unwatch(&w[watched]);
		if (w[watched].ended)
			*ended = watched;
	}
	return weft__code_error(code);
}

static int wait_any(struct weft__strand *s, const struct weft_task *tasks, size_t n, size_t *which,
		    int *rc, struct weft__watcher *w)
{
	size_t ended = n;
	int error = 0, found;

	/* Found in spite of a cancel: it has happened (CO-4). */
	while (ended == n && (found = find(tasks, n, which, rc)) == 0 && error == 0)
		error = await_one(s, tasks, n, w, &ended);
	if (ended == n)
		return found > 0 ? 0 : found < 0 ? found : error;
	if (which)
		*which = ended;
	if (rc)
		*rc = w[ended].rc;
	return 0;
}

int weft_wait_any(const struct weft_task *tasks, size_t n, size_t *which, int *rc)
{
	struct weft__strand *s = weft__strand_self();
	struct weft__watcher near[NEAR], *w = near;

	if (!tasks || n == 0)
		return WEFT_EINVAL;
	int error = check(s, tasks, n);
	if (error != 0)
		return error;
	if (n > NEAR)
		w = weft__alloc(n * sizeof *w);
	if (!w)
		return WEFT_ENOMEM;
	error = wait_any(s, tasks, n, which, rc, w);
	if (w != near)
		weft__free(w, n * sizeof *w);
	return error;
}

int weft_wait_all(const struct weft_task *tasks, size_t n, int *rcs)
{
	struct weft__strand *s = weft__strand_self();

	if (!tasks && n > 0)
		return WEFT_EINVAL;
	int error = check(s, tasks, n);
	for (size_t i = 0; i < n && error == 0; i++)
		error = weft_task_wait(tasks[i], rcs ? &rcs[i] : NULL);
	return error;
}
