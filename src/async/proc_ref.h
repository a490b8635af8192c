/* SPDX-License-Identifier: MIT */
/*
 * proc_ref.h - which function is meant, in words that another process understands
 *
 * By name when it has one (WEFT_REMOTE), else as a place in a file: path, build,
 * offset.  References are bytes, made once and sent with each job, so that a
 * worker needs no state to understand one; it remembers the last few.
 *
 *   threads    make: any.  resolve: one, in a worker.
 *   errors     those of proc_module.h; -ENOENT also for a name that nobody has,
 *              -ENOTUNIQ for one that several have, -ENAMETOOLONG, -EPROTO for
 *              bytes that are no reference.
 */
#ifndef WEFT_ASYNC_PROC_REF_H
#define WEFT_ASYNC_PROC_REF_H

#include <stddef.h>
#include <stdint.h>

#include <weft/remote.h>

#include "async/proc_frame.h"

struct weft__ref {
	uint32_t size;
	char bytes[WEFT__FRAME_REF_MAX];
};

int weft__ref_make(struct weft__ref *ref, weft_remote_fn *fn);
int weft__ref_resolve(const void *bytes, size_t size, weft_remote_fn **fn);

#endif
