/* SPDX-License-Identifier: MIT */
/*
 * topology.h - how many workers to start, how large their stacks, and why
 *
 * The worker count is the number of CPUs in the affinity mask, cut by the CPU
 * quota of the cgroups, unless WEFT_NUM_THREADS says otherwise.  weft_config
 * stands above all of this and is the caller's business.
 */
#ifndef WEFT_RUNTIME_TOPOLOGY_H
#define WEFT_RUNTIME_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	WEFT__WORKERS_MAX = 4096,
	WEFT__THREADS_MAX = 32768, /* for blocking calls */
	WEFT__STACK_DEFAULT = 1 << 20,
	WEFT__STACK_MIN = 16 << 10,
	WEFT__STACK_MAX = 1 << 30,
};

/* Where to look.  Tests fill this in; NULL in its place means this process. */
struct weft__topology_env {
	const char *root;    /* prefix of /proc and /sys; "" for the real ones */
	const char *threads; /* WEFT_NUM_THREADS, or NULL */
	const char *stack;   /* WEFT_STACK_SIZE, or NULL */
	unsigned allowed;    /* CPUs in the affinity mask; 0: ask the kernel */
	FILE *warnings;	     /* where a bad value is reported, or NULL */
};

/* What was found, and why the numbers are what they are. */
struct weft__topology {
	unsigned online;
	unsigned allowed;
	double quota;
	char quota_file[256];
	unsigned workers;
	char workers_from[64];
	size_t stack_size;
	char stack_from[64];
};

void weft__topology_detect(struct weft__topology *topology, const struct weft__topology_env *env);

/* The two numbers alone: 1 .. WEFT__WORKERS_MAX, and bytes. */
unsigned weft__topology_workers(const struct weft__topology_env *env);
size_t weft__topology_stack_size(const struct weft__topology_env *env);

/* What WEFT_DISPLAY_ENV=1 prints.  Whoever starts a runtime calls it then. */
void weft__topology_display(FILE *out);

#endif
