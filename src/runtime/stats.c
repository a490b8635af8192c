/* SPDX-License-Identifier: MIT */
/*
 * stats.c - what the workers did
 *
 * Every counter has one writer, its worker, and is read as it stands: a sum
 * over running workers is of no single moment.
 */
#include "runtime/stats.h"

#include <inttypes.h>

#include <weft/error.h>
#include <weft/runtime.h>

#include "runtime/runtime.h"
#include "runtime/worker.h"

static uint64_t read_counter(const uint64_t *counter)
{
	return load_relaxed(counter);
}

static void add(struct weft_stats *sum, const struct weft__worker *w)
{
	const struct weft_stats *s = &w->stats;

	sum->offered += read_counter(&s->offered);
	sum->shared += read_counter(&s->shared);
	sum->steals_tried += read_counter(&s->steals_tried);
	sum->steals_won += read_counter(&s->steals_won);
	sum->parks += read_counter(&s->parks);
	sum->wakes += read_counter(&s->wakes);
	sum->switches += read_counter(&s->switches);
}

static int collect(struct weft_runtime *rt, int worker, struct weft_stats *stats)
{
	struct weft_stats sum = { 0 };

	if (worker >= (int)rt->worker_count)
		return WEFT_EINVAL;
	for (unsigned i = 0; i < rt->worker_count; i++)
		if (worker < 0 || (unsigned)worker == i)
			add(&sum, rt->workers[i]);
	if (worker < 0)
		weft__stack_pool_count(&rt->stacks, &sum.stacks, &sum.stacks_highest);
	*stats = sum;
	return 0;
}

int weft_stats(int worker, struct weft_stats *stats)
{
	struct weft__worker *w = weft__worker_self();

	if (!stats)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (w)
		return collect(w->runtime, worker, stats);

	struct weft_runtime *rt = weft__default_hold();
	int rc = rt ? collect(rt, worker, stats) : WEFT_ESHUTDOWN;
	weft__default_release();
	return rc;
}

static void row(FILE *out, const char *name, const struct weft_stats *s)
{
	fprintf(out,
		"%-8s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %9" PRIu64
		" %9" PRIu64 " %12" PRIu64 "\n",
		name, s->offered, s->shared, s->steals_tried, s->steals_won, s->parks, s->wakes,
		s->switches);
}

void weft__stats_print(struct weft_runtime *rt, FILE *out)
{
	struct weft_stats s;
	char name[16];

	fprintf(out, "%-8s %12s %12s %12s %12s %9s %9s %12s\n", "worker", "offered", "shared",
		"steals tried", "steals won", "parks", "wakes", "switches");
	for (unsigned i = 0; i < rt->worker_count; i++) {
		collect(rt, (int)i, &s);
		snprintf(name, sizeof name, "%u", i);
		row(out, name, &s);
	}
	collect(rt, -1, &s);
	row(out, "all", &s);
	fprintf(out, "stacks: %" PRIu64 " in use, at most %" PRIu64 "\n", s.stacks,
		s.stacks_highest);
}

int weft_stats_print(FILE *out)
{
	struct weft__worker *w = weft__worker_self();

	if (!out)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (w) {
		weft__stats_print(w->runtime, out);
		return 0;
	}

	struct weft_runtime *rt = weft__default_hold();
	if (rt)
		weft__stats_print(rt, out);
	weft__default_release();
	return rt ? 0 : WEFT_ESHUTDOWN;
}
