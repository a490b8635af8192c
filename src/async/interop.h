/* SPDX-License-Identifier: MIT */
/*
 * interop.h - weft_run_sync inside of a blocking call
 */
#ifndef WEFT_ASYNC_INTEROP_H
#define WEFT_ASYNC_INTEROP_H

#include <weft/base.h>

/* Runs fn(arg) on behalf of the task that waits for the call that this thread runs.
 * WEFT_ECANCELED when it does not any more. */
int weft__from_host(weft_fn *fn, void *arg);

#endif
