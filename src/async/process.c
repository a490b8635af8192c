/* SPDX-License-Identifier: MIT */
/*
 * process.c - a task waits for a job in another process
 *
 *	QUEUED --a worker has it--> SENT --answer, or the worker's end--> DONE
 *	   '-----------cancel: taken back; SENT: the worker is killed------^
 *
 * The job lies on the caller's stack, and the caller waits for DONE in every case; a
 * cancel sees to it that this is soon.  A time-out of the call is a scope of its own.
 *
 * With a virtual clock no time passes while a job is out, so a grace period would never
 * end: it is left out.
 */
#include "async/process.h"

#include <unistd.h>

#include <weft/error.h>
#include <weft/scope.h>
#include <weft/task.h>

#include "async/async.h"
#include "async/config.h"
#include "async/proc_payload.h"
#include "async/process_pool.h"
#include "async/wait.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum { ANSWER_MAX = 1 << 30 };

/* --- pools ---------------------------------------------------------------- */

static bool makes_sense(const struct weft_process_pool_opts *o)
{
	return o->size >= sizeof *o && o->idle >= 0 && o->kill_grace >= 0 &&
	       (o->init_data || !o->init_size);
}

int weft_process_pool_create_opt(struct weft_process_pool **pool,
				 const struct weft_process_pool_opts *o)
{
	const struct weft__strand *s = weft__strand_self();
	unsigned most = o ? o->workers : 0;

	if (!pool || (o && !makes_sense(o)))
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (most == 0 && s)
		most = weft__config_process_workers(s->runtime);
	return weft__process_pool_new(pool, o, most);
}

/* With the lock held.  A plain thread that makes a pool has no runtime to ask. */
static unsigned most_of(struct weft_process_pool *pool, const struct weft_runtime *rt)
{
	if (pool->most == 0)
		pool->most = weft__config_process_workers(rt);
	return pool->most;
}

static void shut(struct weft_process_pool *pool, bool cancel, bool kill)
{
	weft__process_lock(pool);
	weft__process_shut(pool, cancel, kill);
	weft__process_unlock(pool);
}

int weft_process_pool_close(struct weft_process_pool *pool, int rc)
{
	struct weft__strand *s = weft__strand_self();

	if (!pool)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	shut(pool, rc < 0, false);
	if (s)
		weft__quiet_hold(s->runtime);
	int error = weft__process_await(pool);
	if (s)
		weft__quiet_release(s->runtime);
	if (error == 0)
		weft__process_pool_free(pool);
	return error;
}

void weft_process_pool_kill(struct weft_process_pool *pool)
{
	if (pool && !weft__forked()) /* the workers of a fork are its parent's */
		shut(pool, true, true);
}

/* In a fork somebody may hold the lock for ever. */
size_t weft_process_pool_workers(struct weft_process_pool *pool)
{
	if (weft__forked())
		return 0;
	weft__process_lock(pool);
	size_t count = pool->count;
	weft__process_unlock(pool);
	return count;
}

size_t weft_process_pool_queued(struct weft_process_pool *pool)
{
	if (weft__forked())
		return 0;
	weft__process_lock(pool);
	size_t queued = pool->queued;
	weft__process_unlock(pool);
	return queued;
}

static int default_pool(struct weft_runtime *rt, struct weft_process_pool **pool)
{
	struct weft__processes *own = &rt->async->processes;
	int rc = 0;

	weft__spin_lock(&own->lock);
	if (!own->pool)
		rc = weft__process_pool_new(&own->pool, NULL, weft__config_process_workers(rt));
	*pool = own->pool;
	weft__spin_unlock(&own->lock);
	return rc;
}

void weft__processes_end(struct weft__processes *own)
{
	if (!own->pool)
		return;
	shut(own->pool, true, true);
	weft__process_await(own->pool); /* of a plain thread: nothing cancels it */
	weft__process_pool_free(own->pool);
	own->pool = NULL;
}

/* --- the caller ------------------------------------------------------------ */

/* One wait for a job that the pool has: true when it was cut off by a cancel. */
static bool wait_once(struct weft_process_pool *pool, struct weft__process_job *j, unsigned flags)
{
	struct weft__strand *s = j->strand;

	if (weft__wait_begin(s, flags) != 0)
		return true;
	weft__process_lock(pool);
	j->ticket = weft__wait_ticket(s);
	bool over = j->state == WEFT__PROCESS_DONE;
	weft__process_unlock(pool);
	if (over) {
		weft__wait_end(s);
		return false;
	}
	/* Both the other process and the thread that hears of it want a CPU: not to be spun on. */
	store_relaxed(&weft__worker_self()->brief, (uint8_t)1);
	unsigned code = weft__wait_park(s, "a job in another process", j);
	if (code == WEFT__NO_STACK)
		weft__wait_without_stack();
	return code == WEFT__CANCELLED;
}

static int64_t grace_of(const struct weft_process_pool *pool, const struct weft__strand *s,
			const struct weft_to_process_opts *o)
{
	if (s->runtime->async->clock.is_virtual)
		return 0;
	return o->grace ? o->grace : pool->grace;
}

static void await(struct weft_process_pool *pool, struct weft__process_job *j,
		  const struct weft_to_process_opts *o)
{
	unsigned flags = WEFT__ABORTABLE;

	for (;;) {
		bool aborted = wait_once(pool, j, flags);

		weft__process_lock(pool);
		bool over = j->state == WEFT__PROCESS_DONE;
		if (over)
			weft__process_leave(pool);
		else if (aborted)
			weft__process_abort(pool, j, grace_of(pool, j->strand, o));
		weft__process_unlock(pool);
		if (over)
			return;
		if (aborted)
			flags = 0;
	}
}

static void give(struct weft_buf *out, struct weft__answer *answer)
{
	if (!out) {
		weft__answer_fini(answer);
		return;
	}
	*out = (struct weft_buf){
		.data = answer->data,
		.size = (size_t)answer->size,
		.weft__room = answer->mapped ? 0 : (size_t)answer->size,
	};
}

static int submit(struct weft_process_pool *pool, struct weft__process_job *j)
{
	weft__process_lock(pool);
	most_of(pool, j->strand->runtime);
	int rc = weft__process_submit(pool, j);
	weft__process_unlock(pool);
	return rc;
}

static int run(struct weft_process_pool *pool, struct weft__process_job *j, struct weft_buf *out,
	       const struct weft_to_process_opts *o)
{
	struct weft_runtime *rt = j->strand->runtime;

	weft__quiet_hold(rt);
	int rc = submit(pool, j);
	if (rc == 0) {
		await(pool, j, o);
		rc = j->rc;
	}
	weft__quiet_release(rt);
	if (rc >= 0)
		give(out, &j->answer);
	else
		weft__answer_fini(&j->answer);
	return rc;
}

static int run_payload(struct weft__strand *s, weft_remote_fn *fn, const void *data, size_t size,
		       struct weft_buf *out, const struct weft_to_process_opts *o)
{
	struct weft_process_pool *pool = o->pool;
	struct weft__ref ref;
	struct weft__process_job j = {
		.wire = { .fn = &ref, .data = data, .size = size, .memfd = -1 },
		.status = o->status,
		.no_resend = o->no_resend,
		.strand = s,
	};

	j.wire.answer_max = o->max_answer ? o->max_answer : ANSWER_MAX;
	weft__list_init(&j.link);
	int rc = weft__ref_make(&ref, fn);
	if (rc == 0 && !pool)
		rc = default_pool(s->runtime, &pool);
	if (rc == 0 && size >= WEFT__FRAME_LARGE) {
		j.wire.memfd = weft__payload_of(data, size);
		rc = j.wire.memfd < 0 ? j.wire.memfd : 0;
	}
	if (rc == 0)
		rc = run(pool, &j, out, o);
	if (j.wire.memfd >= 0)
		close(j.wire.memfd);
	return rc;
}

static int run_timed(struct weft__strand *s, weft_remote_fn *fn, const void *data, size_t size,
		     struct weft_buf *out, const struct weft_to_process_opts *o)
{
	int64_t timeout = o->timeout ? o->timeout : weft__config_timeout(s); /* WA-8 */
	struct weft_scope scope;

	if (timeout == 0)
		return run_payload(s, fn, data, size, out, o);
	int rc = weft_scope_enter(&scope, .timeout = timeout);
	if (rc != 0)
		return rc;
	rc = weft__point(s);
	if (rc == 0)
		rc = run_payload(s, fn, data, size, out, o);
	return weft_scope_leave(&scope, rc);
}

int weft_to_process_opt(weft_remote_fn *fn, const void *data, size_t size, struct weft_buf *out,
			const struct weft_to_process_opts *o)
{
	static const struct weft_to_process_opts none = { .size = sizeof none };
	struct weft__strand *s = weft__strand_self();

	o = o ? o : &none;
	if (!fn || (size && !data) || o->size < sizeof *o || o->grace < 0)
		return WEFT_EINVAL;
	if (o->status)
		*o->status = (struct weft_proc_status){ 0 };
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (!s)
		return WEFT_ENOTASK;
	int rc = weft__point(s);
	if (rc == 0 && o->pool)
		rc = weft__process_hold(o->pool);
	if (rc != 0)
		return rc;
	rc = run_timed(s, fn, data, size, out, o);
	if (o->pool)
		weft__process_release(o->pool);
	return rc;
}

/* --- many ------------------------------------------------------------------- */

struct map {
	weft_remote_fn *fn;
	const char *items;
	size_t n, size;
	struct weft_buf *outs;
	const struct weft_process_map_opts *opts;
	uint64_t next;
	uint64_t failed; /* the item that failed first, and how; n: none has */
	int rc;
};

static int map_one(struct map *m, size_t i)
{
	int rc = weft_to_process(m->fn, m->items + i * m->size, m->size,
				 m->outs ? &m->outs[i] : NULL, .pool = m->opts->pool,
				 .timeout = m->opts->timeout);

	if (m->opts->codes) {
		m->opts->codes[i] = rc;
		return weft_check();
	}
	if (rc < 0 && weft_check() == 0 && cas_seqcst(&m->failed, m->n, i))
		m->rc = rc;
	return rc;
}

static int map_some(void *arg)
{
	struct map *m = arg;
	int rc = 0;

	while (rc >= 0) {
		uint64_t i = add_seqcst(&m->next, 1);
		if (i >= m->n)
			return 0;
		rc = map_one(m, i);
	}
	return rc;
}

static int run_map(struct map *m, size_t runners)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < runners && rc == 0; i++)
		rc = weft_spawn(&g, map_some, m);
	return weft_group_close(&g, rc);
}

/* As many jobs as can run side by side. */
static size_t map_width(struct weft_process_pool *pool, const struct weft_runtime *rt)
{
	if (!pool)
		return weft__config_process_workers(rt);
	weft__process_lock(pool);
	unsigned most = most_of(pool, rt);
	weft__process_unlock(pool);
	return most;
}

int weft_process_map_opt(weft_remote_fn *fn, const void *items, size_t n, size_t size,
			 struct weft_buf *outs, const struct weft_process_map_opts *o)
{
	static const struct weft_process_map_opts none = { .size = sizeof none };
	const struct weft__strand *s = weft__strand_self();
	struct map m = { fn, items, n, size, outs, o ? o : &none, 0, n, 0 };

	if (!fn || (n && size && !items) || m.opts->size < sizeof *o)
		return WEFT_EINVAL;
	if (weft__forked())
		return WEFT_ESHUTDOWN;
	if (!s)
		return WEFT_ENOTASK;
	int *codes = m.opts->codes;
	for (size_t i = 0; codes && i < n; i++)
		codes[i] = WEFT_ECANCELED;
	if (m.opts->pool && weft__process_hold(m.opts->pool) != 0)
		return WEFT_ECLOSED;
	size_t most = map_width(m.opts->pool, s->runtime);
	int rc = run_map(&m, n < most ? n : most);
	if (m.opts->pool)
		weft__process_release(m.opts->pool);
	for (size_t i = 0; codes && rc == 0 && m.failed == n && i < n; i++) {
		m.rc = codes[i];
		m.failed = m.rc < 0 ? i : n;
	}
	if (m.failed == n)
		return rc;
	if (m.opts->failed)
		*m.opts->failed = (size_t)m.failed;
	return m.rc;
}
