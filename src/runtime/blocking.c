/* SPDX-License-Identifier: MIT */
/*
 * blocking.c - a task says that it will hold its worker
 *
 * Nothing is handed over: the task keeps its worker, and a spare one is called to steal
 * from that.  The worker remembers at which turn it was told so, which is how a task
 * that has gone on elsewhere, against the rules, is told from one that blocks.
 */
#include <weft/error.h>
#include <weft/offload.h>

#include "runtime/idle.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

bool weft__blocking_is_declared(const struct weft__worker *w)
{
	return load_relaxed(&w->declared) == weft__worker_turns(w) + 1;
}

int weft_blocking_begin(void)
{
	struct weft__worker *w = weft__worker_self();

	if (!w)
		return WEFT_ENOTASK;
	bool first = load_relaxed(&w->declared) == 0;
	store_relaxed(&w->declared, weft__worker_turns(w) + 1);
	if (first)
		weft__idle_call_spare(w->runtime);
	return 0;
}

void weft_blocking_end(void)
{
	struct weft__worker *w = weft__worker_self();

	if (!w || load_relaxed(&w->declared) == 0)
		return;
	store_relaxed(&w->declared, (uint64_t)0);
	weft__idle_dismiss_spare(w->runtime);
}
