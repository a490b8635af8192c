/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the loop that for_each, all, reduce and scan are written with
 */
#ifndef WEFT_RUNTIME_LOOP_H
#define WEFT_RUNTIME_LOOP_H

#include <weft/fork.h>

struct weft__loop {
	weft_range_fn *body;
	void *arg;
	const void *key; /* the user's function: what durations are remembered by */
	size_t grain;	 /* at least this many items a piece, 0: measure */
};

/* Runs body over begin .. end - 1; 0 or the first error in index order, whose
 * index goes to *failed. */
int weft__loop_run(const struct weft__loop *loop, size_t begin, size_t end, size_t *failed);

/* The index of an error, where the caller wants it. */
static inline void weft__loop_blame(const struct weft_for_opts *opts, int rc, size_t failed)
{
	if (rc < 0 && opts && opts->failed)
		*opts->failed = failed;
}

/* False when the options are from no version of the struct. */
static inline bool weft__loop_opts_ok(const struct weft_for_opts *opts)
{
	return !opts || opts->size >= sizeof *opts;
}

#endif
