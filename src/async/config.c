/* SPDX-License-Identifier: MIT */
/*
 * config.c - settings, and what holds when there are none
 *
 * A runtime has a copy of the configuration it was made with; weft_configure changes
 * that of the default runtime while it runs, field by field, so all reads are atomic.
 */
#include "async/config.h"

#include "async/async.h"
#include "async/thread_pool.h"
#include "deque/atomic.h"
#include "runtime/strand.h"

int64_t weft__config_timeout(const struct weft__strand *s)
{
	return s && s->runtime ? load_relaxed(&s->runtime->config.default_timeout) : 0;
}

int64_t weft__config_shield_limit(void)
{
	const struct weft__strand *s = weft__strand_self();
	int64_t limit = s ? load_relaxed(&s->runtime->config.shield_limit) : 0;

	return limit ? limit : WEFT_SEC(10);
}

size_t weft__config_pool_size(const struct weft__strand *s)
{
	unsigned n = load_relaxed(&s->runtime->config.default_pool_size);
	return n ? n : s->runtime->worker_count - s->runtime->spares;
}

unsigned weft__config_thread_workers(const struct weft_runtime *rt)
{
	unsigned n = load_relaxed(&rt->config.default_thread_workers);
	return n ? n : WEFT__POOL_THREADS;
}

unsigned weft__config_process_workers(const struct weft_runtime *rt)
{
	unsigned n = load_relaxed(&rt->config.default_process_workers);
	return n ? n : rt->worker_count - rt->spares;
}

int64_t weft__config_stall_warn(const struct weft_runtime *rt)
{
	int64_t ns = load_relaxed(&rt->config.stall_warn);
	return ns ? ns : WEFT_SEC(1);
}

int64_t weft__config_block_warn(const struct weft_runtime *rt)
{
	int64_t ns = load_relaxed(&rt->config.block_warn);
	return ns ? ns : WEFT_MS(100);
}

enum weft_on_deadlock weft__config_on_deadlock(const struct weft_runtime *rt)
{
	enum weft_on_deadlock what = load_relaxed(&rt->config.on_deadlock);

	if (what != WEFT_DEADLOCK_DEFAULT)
		return what;
	return rt->config.clock == WEFT_CLOCK_VIRTUAL ? WEFT_DEADLOCK_FAIL : WEFT_DEADLOCK_IGNORE;
}

void weft__config_changed(struct weft_runtime *rt)
{
	if (weft__config_on_deadlock(rt) > WEFT_DEADLOCK_IGNORE)
		store_release(&rt->watch_quiet, 1);
	if (load_relaxed(&rt->pressed) == WEFT__PRESSED_NEVER)
		store_relaxed(&rt->pressed, WEFT__PRESSED_NO);
	weft__pool_set_most(&rt->async->pool, weft__config_thread_workers(rt));
}
