/* SPDX-License-Identifier: MIT */
/*
 * weft/base.h - what every other header of weft needs
 *
 * Export marks, branch hints and the type of a task.  Include weft/weft.h or
 * the header of the layer you use; this one comes with them.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS	 }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

#define WEFT_API __attribute__((visibility("default")))

/* What two threads should not share: x86-64 fetches lines in pairs, and some
 * aarch64 machines have lines of 128 bytes. */
#define WEFT_CACHELINE	 128

#define WEFT_LIKELY(x)	 __builtin_expect(!!(x), 1)
#define WEFT_UNLIKELY(x) __builtin_expect(!!(x), 0)

WEFT_BEGIN_DECLS

/* A task: 0 when all went well, a negative WEFT_E code when not.  Results go
 * where `arg` points; every call of weft that takes a task has ended it, and
 * is done with `arg`, when it returns. */
typedef int weft_fn(void *arg);

WEFT_END_DECLS

#endif
