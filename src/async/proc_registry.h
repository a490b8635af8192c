/* SPDX-License-Identifier: MIT */
/*
 * proc_registry.h - the functions that have a name (weft/remote.h)
 *
 *   threads    any: modules are loaded and unloaded on any thread.
 *   errors     a negated errno.
 */
#ifndef WEFT_ASYNC_PROC_REGISTRY_H
#define WEFT_ASYNC_PROC_REGISTRY_H

#include <stddef.h>

#include <weft/remote.h>

/* Copies the name of `fn` with its NUL.  -ENOENT when it has none, -ENAMETOOLONG. */
int weft__remote_name(weft_remote_fn *fn, char *name, size_t size);

/* The function called `name`.  Where several modules have one of that name, the
 * one in the module at `path`, an empty path being the executable.  -ENOENT,
 * -ENOTUNIQ. */
int weft__remote_find(const char *name, const char *path, weft_remote_fn **fn);

#endif
