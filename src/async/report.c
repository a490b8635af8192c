/* SPDX-License-Identifier: MIT */
/*
 * report.c - telling a person what tasks do
 */
#include "async/report.h"

#include <stdio.h>

void weft__report_deadlock(struct weft_runtime *rt)
{
	(void)rt;
	fprintf(stderr, "weft: deadlock: every task waits, and nothing is pending\n");
}

void weft__report_stuck(struct weft_runtime *rt)
{
	(void)rt;
}
