/* SPDX-License-Identifier: MIT */
/*
 * summary.h - the closing line of a run, for people or as JSON
 */
#ifndef WEFT_CLI_SUMMARY_H
#define WEFT_CLI_SUMMARY_H

#include "run.h"

struct weft__summary {
	double seconds; /* from the first read to the last write */
	double cpu;	/* CPU time over wall time: 2.0 is two CPUs at full load */
	int code;	/* the exit code */
};

void weft__summary_print(const struct weft__run *run, const struct weft__summary *summary);

#endif
