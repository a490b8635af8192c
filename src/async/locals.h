/* SPDX-License-Identifier: MIT */
/*
 * locals.h - bindings that tasks inherit
 */
#ifndef WEFT_ASYNC_LOCALS_H
#define WEFT_ASYNC_LOCALS_H

#include <weft/local.h>

#include "runtime/strand.h"

struct weft_local;

/* One more, one less who has this chain; NULL is the empty one. */
void weft__locals_ref(const struct weft_local *l);
void weft__locals_unref(const struct weft_local *l);

/* What a task gives back at its end, while it is one: a `drop` may call anything. */
void weft__locals_end(struct weft__ambient *in);

#endif
