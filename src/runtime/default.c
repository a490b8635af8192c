/* SPDX-License-Identifier: MIT */
/*
 * default.c - the one runtime per process that nobody has to create
 *
 *	absent --first run--> running --shutdown--> closing --last root left--> ending
 *	   ^                                           ^--deadline passed--------'  |
 *	   '------------------------------------------------------------------------'
 *
 * The gate counts the roots and outlives the runtime, so that any number of threads may
 * wait for a shutdown and find it done.  Behind it one thread at a time ends the runtime;
 * the others wait for `turn` to be even again, each until its own deadline.
 *
 * `lock` guards the pointer, and is held for moments alone: blocking calls that were
 * abandoned run on while the runtime ends, and may ask it for what they like.  So the
 * one who ends it takes the pointer away as late as can be, and waits without the lock.
 *
 * Invariants
 *
 *   I1  The gate is opened by who has the turn, and roots enter with the lock held: once
 *       drained it stays so until then.
 *   I2  With the gate drained nobody else writes `runtime`.
 *   I3  The gate is closed and the runtime cancelled in one step, with the lock held or from
 *       inside: what a shutdown waits for has been cancelled, and so has what it ends.
 *       A second cancel does nothing, and may come while the runtime ends.
 */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "deque/futex.h"
#include "runtime/runtime.h"
#include "runtime/stats.h"
#include "runtime/topology.h"
#include "runtime/worker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weft__gate gate;
static struct weft_runtime *runtime;
static uint32_t turn; /* futex; odd: somebody ends the runtime.  Written under the lock */
static struct weft_config config = { .size = sizeof config };

static bool wanted(const char *variable)
{
	const char *value = getenv(variable);
	return value && strcmp(value, "1") == 0;
}

static void print_stats(void)
{
	if (!weft__forked())
		weft_stats_print(stderr);
}

/* Once in the life of a process, when the default runtime first starts. */
static void first_start(void)
{
	if (wanted("WEFT_DISPLAY_ENV"))
		weft__topology_display(stderr);
	if (wanted("WEFT_STATS"))
		atexit(print_stats);
}

/* With the lock held. */
static int start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (runtime)
		return 0;
	pthread_once(&once, first_start);
	int rc = weft_runtime_create_opt(&runtime, &config);
	if (rc == 0)
		runtime->roots = &gate;
	return rc;
}

static int enter(struct weft_runtime **rt)
{
	pthread_mutex_lock(&lock);
	int rc = WEFT_ESHUTDOWN;
	if (weft__gate_enter(&gate)) {
		rc = start();
		if (rc != 0)
			weft__gate_leave(&gate);
	}
	*rt = runtime;
	pthread_mutex_unlock(&lock);
	return rc;
}

int weft_run_sync(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;

	if (!fn)
		return WEFT_EINVAL;
	if (weft__worker_self())
		return fn(arg);
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	int rc;
	if (weft__hooks.host(fn, arg, &rc))
		return rc;
	rc = enter(&rt);
	if (rc != 0)
		return rc;
	rc = weft__root_run(rt, fn, arg);
	weft__gate_leave(&gate);
	return rc;
}

/* Who gives them no time at all only asks. */
static int too_late(int64_t deadline)
{
	pthread_mutex_lock(&lock);
	if (runtime && deadline > 0)
		weft__hooks.stuck(runtime);
	pthread_mutex_unlock(&lock);
	return WEFT_ETIMEDOUT;
}

/* With the turn.  False when the deadline passed: the runtime is as it was. */
static bool take_down(int64_t deadline)
{
	struct weft_runtime *rt = runtime; /* I2 */

	if (!rt)
		return true;
	if (!weft__hooks.settle(rt, deadline))
		return false;
	if (wanted("WEFT_STATS"))
		weft__stats_print(rt, stderr);
	weft__runtime_stop(rt);
	pthread_mutex_lock(&lock);
	runtime = NULL;
	pthread_mutex_unlock(&lock);
	weft__runtime_free(rt);
	return true;
}

enum turn { MINE, ANOTHERS, OVER };

/* *now is what `turn` is. */
static enum turn take_turn(uint32_t *now)
{
	enum turn whose = MINE;

	pthread_mutex_lock(&lock);
	*now = turn;
	if (!weft__gate_is_drained(&gate))
		whose = OVER;
	else if (*now % 2)
		whose = ANOTHERS;
	else
		store_release(&turn, *now + 1);
	pthread_mutex_unlock(&lock);
	return whose;
}

static void give_turn_back(bool over)
{
	pthread_mutex_lock(&lock);
	if (over)
		weft__gate_open(&gate);
	store_release(&turn, turn + 1);
	pthread_mutex_unlock(&lock);
	futex_wake(&turn, INT_MAX);
}

/* The gate was drained.  If it is not any more, somebody else has ended the runtime
 * since, and others may have started a new one and closed that. */
static bool end(int64_t deadline)
{
	uint32_t now;

	for (;;) {
		enum turn whose = take_turn(&now);
		if (whose == OVER)
			return true;
		if (whose == MINE)
			break;
		if (!weft__sleep_while(&turn, now, deadline))
			return false;
	}
	bool over = take_down(deadline);
	give_turn_back(over);
	return over;
}

/* With the lock held (I3). */
static void close_and_cancel(void)
{
	weft__gate_close(&gate);
	if (runtime)
		weft__hooks.cancel(runtime);
}

int weft_shutdown(int64_t deadline)
{
	if (weft__worker_self() || weft__hooks.is_host())
		return WEFT_EDEADLK;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	pthread_mutex_lock(&lock);
	close_and_cancel();
	pthread_mutex_unlock(&lock);
	return weft__gate_drain(&gate, deadline) && end(deadline) ? 0 : too_late(deadline);
}

void weft_request_shutdown(void)
{
	struct weft__worker *w = weft__worker_self();

	if (weft__forked())
		return;
	if (w) { /* whose runtime stays as long as the caller does */
		weft__gate_close(w->runtime->roots);
		weft__hooks.cancel(w->runtime);
		return;
	}
	pthread_mutex_lock(&lock);
	if (runtime)
		close_and_cancel();
	pthread_mutex_unlock(&lock);
}

/* 0 keeps what is set. */
#define KEEP_OR_SET(field)                                      \
	do {                                                    \
		if (from->field)                                \
			store_relaxed(&to->field, from->field); \
	} while (0)

static void set_at_start(struct weft_config *to, const struct weft_config *from)
{
	KEEP_OR_SET(workers);
	KEEP_OR_SET(spare_workers);
	KEEP_OR_SET(stack_size);
	KEEP_OR_SET(clock);
	KEEP_OR_SET(seed);
}

/* These are read while the runtime runs. */
static void set_live(struct weft_config *to, const struct weft_config *from)
{
	KEEP_OR_SET(on_deadlock);
	KEEP_OR_SET(default_timeout);
	KEEP_OR_SET(shield_limit);
	KEEP_OR_SET(default_pool_size);
	KEEP_OR_SET(default_thread_workers);
	KEEP_OR_SET(default_process_workers);
	KEEP_OR_SET(stall_warn);
	KEEP_OR_SET(shutdown_grace);
	KEEP_OR_SET(block_warn);
	KEEP_OR_SET(on_stall);
}

int weft_configure_opt(const struct weft_config *c)
{
	if (!c || weft__config_check(c) != 0)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	pthread_mutex_lock(&lock);
	set_at_start(&config, c);
	set_live(&config, c);
	if (runtime) {
		set_live(&runtime->config, c);
		weft__hooks.configured(runtime);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

struct weft_runtime *weft__default_hold(void)
{
	pthread_mutex_lock(&lock);
	return runtime;
}

void weft__default_release(void)
{
	pthread_mutex_unlock(&lock);
}

unsigned weft_worker_count(void)
{
	struct weft__worker *w = weft__worker_self();
	if (w)
		return w->runtime->worker_count;
	if (weft__forked())
		return 1;

	pthread_mutex_lock(&lock);
	unsigned n = runtime ? runtime->worker_count : config.workers;
	unsigned spares = runtime ? 0 : config.spare_workers;
	pthread_mutex_unlock(&lock);
	return (n ? n : weft__topology_workers(NULL)) + spares;
}

int weft_worker_index(void)
{
	struct weft__worker *w = weft__worker_self();
	return w ? (int)w->index : -1;
}
