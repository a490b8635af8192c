/* SPDX-License-Identifier: MIT */
/*
 * report.h - telling a person what tasks do
 */
#ifndef WEFT_ASYNC_REPORT_H
#define WEFT_ASYNC_REPORT_H

struct weft_runtime;

/* Who waits for what, since nobody can go on: to the standard error. */
void weft__report_deadlock(struct weft_runtime *rt);

/* What keeps a shutdown from ending. */
void weft__report_stuck(struct weft_runtime *rt);

#endif
