/* SPDX-License-Identifier: MIT */
/*
 * weft/time.h - points in time and stretches of it, in nanoseconds
 *
 * A deadline is an absolute int64_t of CLOCK_MONOTONIC, or of the virtual clock of
 * a runtime that has one (weft/runtime.h).  A duration becomes a deadline once, at
 * the call that takes it, and never overflows: what would lie beyond the end of
 * time is WEFT_NEVER.  A duration of 0 or less is over already.
 *
 *   threads    anywhere.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A point in time that never comes. */
#define WEFT_NEVER  INT64_MAX

#define WEFT_NS(n)  ((int64_t)(n))
#define WEFT_US(n)  ((int64_t)((n)*INT64_C(1000)))
#define WEFT_MS(n)  ((int64_t)((n)*INT64_C(1000000)))
#define WEFT_SEC(n) ((int64_t)((n)*INT64_C(1000000000)))

/* Now, by the clock of the runtime that the caller is a task of. */
WEFT_API int64_t weft_now(void);

/* The deadline that is so far away; now, when `duration` is 0 or less. */
WEFT_API int64_t weft_after(int64_t duration);

WEFT_END_DECLS

#endif
