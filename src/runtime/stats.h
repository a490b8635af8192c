/* SPDX-License-Identifier: MIT */
/*
 * stats.h - the counters of a runtime as a table
 */
#ifndef WEFT_RUNTIME_STATS_H
#define WEFT_RUNTIME_STATS_H

#include <stdio.h>

struct weft_runtime;

void weft__stats_print(struct weft_runtime *rt, FILE *out);

#endif
