/* SPDX-License-Identifier: MIT */
/*
 * proc_serve.h - the server: a small process that forks workers and buries them
 *
 *   threads    the server has one.
 *   errors     a server that cannot go on ends, and its workers with it.
 */
#ifndef WEFT_ASYNC_PROC_SERVE_H
#define WEFT_ASYNC_PROC_SERVE_H

#include <stdbool.h>

#include "async/stub/entry.h"

/* What the stub, and weft_remote_main(), go on with. */
extern const struct weft__entry weft__server_entry;

/* weft_remote_main() was called in this process. */
bool weft__server_main_was_called(void);

#endif
