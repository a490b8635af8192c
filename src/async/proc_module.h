/* SPDX-License-Identifier: MIT */
/*
 * proc_module.h - the files that code was loaded from
 *
 * What stays the same when a program is run again is the file that a function
 * comes from and its distance from where that file was loaded; given that it is
 * the same build of the file, which its build id tells.  Files that were linked
 * without one are told by their code: executable segments are not relocated.
 *
 *   threads    any.
 *   errors     -EINVAL: no file has that address (generated code).  -ENOENT: the
 *              file is gone.  -ELIBACC: it cannot be loaded here; the standard
 *              error says why.  -ESTALE: it is another build.
 *   blocking   loading reads files and runs the constructors of a module.
 */
#ifndef WEFT_ASYNC_PROC_MODULE_H
#define WEFT_ASYNC_PROC_MODULE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEFT__MODULE_ID = 32 };

struct weft__module {
	uintptr_t base;
	char path[PATH_MAX]; /* "": the executable */
	unsigned char id[WEFT__MODULE_ID];
};

/* The module whose code `address` is in, without its id; and with it. */
int weft__module_of(const void *address, struct weft__module *module);
int weft__module_identify(const void *address, struct weft__module *module);

/* Where this process has the module at `path`, which is loaded if need be. */
int weft__module_load(const char *path, uintptr_t *base);

#endif
