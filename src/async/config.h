/* SPDX-License-Identifier: MIT */
/*
 * config.h - settings of calls that do not say, of the caller's runtime
 */
#ifndef WEFT_ASYNC_CONFIG_H
#define WEFT_ASYNC_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/runtime.h"

struct weft__strand;

int64_t weft__config_timeout(const struct weft__strand *s);
int64_t weft__config_shield_limit(void);
size_t weft__config_pool_size(const struct weft__strand *s);
unsigned weft__config_thread_workers(const struct weft_runtime *rt);
unsigned weft__config_process_workers(const struct weft_runtime *rt);
int64_t weft__config_stall_warn(const struct weft_runtime *rt);
int64_t weft__config_block_warn(const struct weft_runtime *rt);
enum weft_on_deadlock weft__config_on_deadlock(const struct weft_runtime *rt);

/* Settings have changed while rt runs: the parts that do not ask each time. */
void weft__config_changed(struct weft_runtime *rt);

#endif
