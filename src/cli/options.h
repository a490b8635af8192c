/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line of `weft map`
 *
 *   memory     strings are those of argv; fini frees the rest.
 *   errors     parse ends the process with WEFT__EXIT_USAGE and a message.
 */
#ifndef WEFT_CLI_OPTIONS_H
#define WEFT_CLI_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

enum weft__when {
	WEFT__WHEN_TERMINAL, /* when standard error is one */
	WEFT__WHEN_ALWAYS,
	WEFT__WHEN_NEVER,
};

/* --set key=value */
struct weft__setting {
	char *key;
	const char *value;
	atomic_bool used; /* the job asked for it */
};

struct weft__options {
	const char *job;
	char **inputs;
	size_t input_count;
	struct weft__record_format record;
	uint64_t skip, limit;
	size_t max_record;
	const char *output; /* NULL: standard output */
	unsigned workers;
	enum weft__when progress;
	bool unordered, skip_failed, json, quiet;
	bool isolate;		/* map() runs in worker processes */
	int64_t record_timeout; /* nanoseconds; 0: none */
	uint64_t memory;	/* bytes a worker process; 0: no limit */
	struct weft__setting *settings;
	size_t setting_count;
};

void weft__options_parse(struct weft__options *options, int argc, char **argv);
void weft__options_fini(struct weft__options *options);

/* N, N% of the CPUs that this process may use, or auto; 0 when it is neither. */
unsigned weft__options_workers(const char *text, unsigned cpus);

#endif
