/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - how much CPU time the control groups grant this process
 */
#ifndef WEFT_RUNTIME_CGROUP_H
#define WEFT_RUNTIME_CGROUP_H

#include <stddef.h>

/* The lowest quota of the process's cgroups and of all their ancestors, in
 * CPUs' worth of time, or 0 when none is set.  The name of the file that says so
 * goes to `file` ("" when none).  `root` is a prefix of every path: "" but in
 * tests. */
double weft__cgroup_quota(const char *root, char *file, size_t size);

#endif
