/* SPDX-License-Identifier: MIT */
/*
 * stress_thread_pool.c - calls on a pool that is closed while its callers are cancelled
 * and threads cannot be had
 *
 * In each round callers of one pool wait for their calls, or abandon them, and one maps;
 * each may be cancelled at any time.  When every call is with the pool, or over, another
 * task closes it, with an error or without.  What is checked:
 *
 *   - a call is run once at most, and if its caller waited for it, the caller knows
 *     whether: its value, or an error of the pool and it never ran;
 *   - what a call owns that was abandoned, or never began, is dropped, once, before the
 *     pool has ended;
 *   - a token of a limiter is out as long as a call runs, and no longer;
 *   - a map that succeeds has run each item once.
 *
 * pthread_create below is the program's own: now and then it fails.
 */
#include <dlfcn.h>
#include <errno.h>

#include <weft/weft.h>

#include "async/thread_pool.h"
#include "support/stress.h"

enum { CALLERS = 24, ITEMS = 100, TOKENS = 3 };

static uint32_t creations, scarcity; /* each so many fails; 0: none does */

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
	uint32_t scarce = load_relaxed(&scarcity);
	create_fn *real;

	if (scarce && add_seqcst(&creations, 1) % scarce == 0)
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, main, arg);
}

struct world {
	struct weft_thread_pool *pool;
	struct weft_limiter tokens;
	uint32_t holding; /* calls that run with a token */
	uint64_t seed;
};

struct caller {
	struct world *world;
	bool abandon, limited, comes_back;
	uint32_t ran, dropped, back;
	char name[8]; /* by which its call is found in the queue */
	int rc;
};

static void dawdle(struct weft__rng *rng)
{
	for (uint64_t n = weft__rng_below(rng, 200); n > 0; n--)
		cpu_relax();
}

static int nap(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_US(10));
}

static int work(void *arg)
{
	struct caller *c = *(struct caller **)arg;
	struct weft__rng rng;

	weft__rng_init(&rng, c->world->seed + (uintptr_t)c);
	STRESS_CHECK(add_seqcst(&c->ran, 1) == 0);
	if (c->limited)
		STRESS_CHECK(add_seqcst(&c->world->holding, 1) < TOKENS);
	dawdle(&rng);
	if (c->comes_back)
		weft_from_thread(NULL, nap, NULL);
	if (weft__rng_below(&rng, 4) == 0)
		weft_thread_commit();
	dawdle(&rng);
	if (c->limited)
		add_seqcst(&c->world->holding, (uint32_t)-1);
	return 7;
}

static void drop(void *arg)
{
	struct caller *c = *(struct caller **)arg;

	STRESS_CHECK(add_seqcst(&c->dropped, 1) == 0);
}

static int call(void *arg)
{
	struct caller *c = arg;
	struct world *w = c->world;
	struct weft_limiter *tokens = c->limited ? &w->tokens : NULL;

	if (c->abandon)
		c->rc = weft_to_thread(work, &c, .pool = w->pool, .abandon = true, .copy = sizeof c,
				       .drop = drop, .limiter = tokens, .name = c->name);
	else
		c->rc = weft_to_thread(work, &c, .pool = w->pool, .limiter = tokens,
				       .name = c->name);
	store_release(&c->back, 1);
	return 0;
}

struct mapper {
	struct world *world;
	uint32_t ran[ITEMS], over;
	int rc;
};

static int item(void *arg)
{
	STRESS_CHECK(add_seqcst((uint32_t *)arg, 1) == 0);
	for (int i = 0; i < 10; i++)
		cpu_relax();
	return 0;
}

static int map(void *arg)
{
	struct mapper *m = arg;

	m->rc = weft_thread_pool_map(m->world->pool, item, m->ran, ITEMS, sizeof *m->ran, NULL);
	store_release(&m->over, 1);
	return 0;
}

static bool has_run_all(const struct mapper *m)
{
	for (int i = 0; i < ITEMS; i++)
		if (m->ran[i] != 1)
			return false;
	return true;
}

/* It has the pool, or has failed to get a thread of it. */
static bool has_begun(struct mapper *m)
{
	for (int i = 0; i < ITEMS; i++)
		if (load_acquire(&m->ran[i]))
			return true;
	return load_acquire(&m->over);
}

static bool is_queued(struct weft_thread_pool *pool, const struct caller *c)
{
	bool found = false;

	weft__spin_lock(&pool->lock);
	weft__list_for_each (link, &pool->queue)
		found = found ||
			WEFT__CONTAINER(link, struct weft__pool_job, link)->name == c->name;
	weft__spin_unlock(&pool->lock);
	return found;
}

/* Its call is with the pool, or over: it will not come to the pool any more. */
static bool is_there(struct caller *c)
{
	return is_queued(c->world->pool, c) || load_acquire(&c->ran) || load_acquire(&c->back);
}

static bool all_there(struct caller *callers, struct mapper *m)
{
	for (int i = 0; i < CALLERS; i++)
		if (!is_there(&callers[i]))
			return false;
	return has_begun(m);
}

static void check(const struct caller *c)
{
	STRESS_CHECK(c->dropped == (c->abandon && c->rc != 7));
	if (c->rc == 7)
		STRESS_CHECK(c->ran == 1);
	else
		STRESS_CHECK(c->rc == WEFT_ECANCELED || c->rc == WEFT_EAGAIN);
	if (!c->abandon && c->rc != 7)
		STRESS_CHECK(c->ran == 0);
}

static int round_of(void *arg)
{
	struct weft__rng *rng = arg;
	struct world w = { .seed = weft__rng_next(rng) };
	struct caller callers[CALLERS];
	struct weft_task tasks[CALLERS];
	struct mapper m = { .world = &w };
	struct weft_group g;

	weft_limiter_init(&w.tokens, TOKENS);
	STRESS_CHECK(weft_thread_pool_create(&w.pool, .idle = WEFT_US(50),
					     .threads = 1 + (unsigned)weft__rng_below(rng, 6)) ==
		     0);
	weft_group_open(&g, .supervisor = true);
	STRESS_CHECK(weft_spawn(&g, map, &m) == 0);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .world = &w,
					      .abandon = weft__rng_below(rng, 2),
					      .limited = weft__rng_below(rng, 4) == 0,
					      .comes_back = weft__rng_below(rng, 4) == 0 };
		STRESS_CHECK(weft_spawn(&g, call, &callers[i], .task = &tasks[i]) == 0);
	}
	for (uint64_t n = weft__rng_below(rng, CALLERS); n > 0; n--) {
		weft_task_cancel(tasks[weft__rng_below(rng, CALLERS)]);
		weft_yield();
	}
	while (!all_there(callers, &m))
		weft_sleep(WEFT_US(20));
	for (uint64_t n = weft__rng_below(rng, 4); n > 0; n--)
		weft_task_cancel(tasks[weft__rng_below(rng, CALLERS)]);
	int how = weft__rng_below(rng, 2) ? 0 : WEFT_EIO;
	STRESS_CHECK(weft_thread_pool_close(w.pool, how) == 0);
	weft_group_close(&g, 0);
	for (int i = 0; i < CALLERS; i++)
		check(&callers[i]);
	STRESS_CHECK(m.rc != 0 || has_run_all(&m));
	STRESS_CHECK(weft_limiter_stats(&w.tokens).borrowed == 0);
	weft_limiter_fini(&w.tokens);
	return 0;
}

int main(int argc, char **argv)
{
	struct weft__rng rng;
	struct weft_runtime *rt;

	stress_begin(argc, argv);
	weft__rng_init(&rng, stress_seed);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	/* The event thread is there before threads become scarce, or no sleep would sleep. */
	STRESS_CHECK(weft_runtime_run(rt, nap, NULL) == 0);
	for (long i = 0; i < 100 * stress_scale; i++) {
		store_relaxed(&scarcity, (uint32_t)weft__rng_below(&rng, 4));
		STRESS_CHECK(weft_runtime_run(rt, round_of, &rng) == 0);
	}
	store_relaxed(&scarcity, 0);
	weft_runtime_destroy(rt);
	return 0;
}
