/* SPDX-License-Identifier: MIT */
/*
 * code.h - the functions of a job, out of the shared object that holds them
 *
 *   memory     the code stays loaded until the process ends.
 *   errors     load says what is wrong and returns false.
 */
#ifndef WEFT_CLI_CODE_H
#define WEFT_CLI_CODE_H

#include <stdbool.h>
#include <stddef.h>

struct weft_job;

/* What weft/job.h says a job may define; only map is never NULL. */
struct weft__code {
	int (*map)(struct weft_job *job, const char *record, size_t length);
	int (*start)(struct weft_job *job);
	int (*init)(struct weft_job *job, void *state);
	int (*merge)(struct weft_job *job, void *total, void *part);
	int (*finish)(struct weft_job *job, void *total);
	size_t state_size; /* 0: no reduction */
};

/* `name` is how the user called the job. */
bool weft__code_load(struct weft__code *code, const char *path, const char *name);

#endif
