/* SPDX-License-Identifier: MIT */
/*
 * timer.c - arming a timer and taking it away again, with many others live
 *
 * What servers do all day: a deadline for each request, which nearly never comes.  The
 * live timers have deadlines spread over 10 s, beginning in 60 s.
 *
 *   one     a timer is armed and disarmed, at deadlines all over those of the others
 *   renew   one of the live ones, in no order, is disarmed and armed anew
 *   scope   weft_scope_enter with a timeout, and leave: two looks at the clock, and a
 *           place in the tree of cancels
 *
 * The loops of libev and libuv know no second thread, and so take no lock.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "async/clock.h"
#include "bench.h"
#include "deque/rng.h"
#include "runtime/worker.h"

#ifdef BENCH_LIBEV
#include <ev.h>
#endif
#ifdef BENCH_LIBUV
#include <uv.h>
#endif

enum { ROUNDS = 5, AHEADS = 1 << 16 };

#define FIRST WEFT_SEC(60)
#define SPAN  WEFT_SEC(10)

struct load {
	size_t live, pairs;
	uint32_t *order;	  /* `pairs` numbers below live */
	int64_t *ahead;		  /* AHEADS durations */
	double one, renew, scope; /* seconds: the result */
};

/* --- weft -------------------------------------------------------------- */

static bool fired(struct weft__timer *t)
{
	(void)t;
	bench_check(false, "a timer fired");
	return false;
}

static void weft_arm(struct weft_runtime *rt, struct weft__timer *t, int64_t deadline)
{
	t->claim = fired;
	bench_check(weft__timer_arm(rt, t, deadline) == 0, "arm");
}

static double weft_one(struct weft_runtime *rt, const struct load *x, int64_t now)
{
	struct weft__timer t = { .home = NULL };
	double began = bench_cpu();

	for (size_t i = 0; i < x->pairs; i++) {
		weft_arm(rt, &t, now + x->ahead[i % AHEADS]);
		weft__timer_disarm(&t);
	}
	return bench_cpu() - began;
}

static double weft_renew(struct weft_runtime *rt, const struct load *x, struct weft__timer *timers,
			 int64_t now)
{
	double began = bench_cpu();

	for (size_t i = 0; i < x->pairs; i++) {
		struct weft__timer *t = &timers[x->order[i]];
		weft__timer_disarm(t);
		weft_arm(rt, t, now + x->ahead[i % AHEADS]);
	}
	return bench_cpu() - began;
}

static double weft_scopes(const struct load *x)
{
	struct weft_scope s;
	double began = bench_cpu();

	for (size_t i = 0; i < x->pairs; i++) {
		weft_scope_enter(&s, .timeout = x->ahead[i % AHEADS]);
		weft_scope_leave(&s, 0);
	}
	return bench_cpu() - began;
}

static int with_weft(void *arg)
{
	struct load *x = arg;
	struct weft_runtime *rt = weft__worker_self()->runtime;
	struct weft__timer *timers = calloc(x->live, sizeof *timers);
	int64_t now = weft_now();

	for (size_t i = 0; i < x->live; i++)
		weft_arm(rt, &timers[i], now + x->ahead[i % AHEADS]);
	x->one = weft_one(rt, x, now);
	x->renew = weft_renew(rt, x, timers, now);
	x->scope = weft_scopes(x);
	for (size_t i = 0; i < x->live; i++)
		weft__timer_disarm(&timers[i]);
	free(timers);
	return 0;
}

/* --- peers ------------------------------------------------------------- */

#ifdef BENCH_LIBEV
static void ev_fired(struct ev_loop *loop, ev_timer *t, int events)
{
	(void)loop, (void)t, (void)events;
}

static void ev_arm(struct ev_loop *loop, ev_timer *t, int64_t ahead)
{
	ev_timer_init(t, ev_fired, (double)ahead * 1e-9, 0.);
	ev_timer_start(loop, t);
}

static void with_libev(struct load *x)
{
	struct ev_loop *loop = ev_loop_new(0);
	ev_timer *timers = calloc(x->live, sizeof *timers), one;

	for (size_t i = 0; i < x->live; i++)
		ev_arm(loop, &timers[i], x->ahead[i % AHEADS]);
	double began = bench_cpu();
	for (size_t i = 0; i < x->pairs; i++) {
		ev_arm(loop, &one, x->ahead[i % AHEADS]);
		ev_timer_stop(loop, &one);
	}
	x->one = bench_cpu() - began;
	began = bench_cpu();
	for (size_t i = 0; i < x->pairs; i++) {
		ev_timer_stop(loop, &timers[x->order[i]]);
		ev_arm(loop, &timers[x->order[i]], x->ahead[i % AHEADS]);
	}
	x->renew = bench_cpu() - began;
	ev_loop_destroy(loop);
	free(timers);
}
#endif

#ifdef BENCH_LIBUV
static void uv_fired(uv_timer_t *t)
{
	(void)t;
}

static void uv_arm(uv_timer_t *t, int64_t ahead)
{
	uv_timer_start(t, uv_fired, (uint64_t)(ahead / 1000000), 0);
}

static void with_libuv(struct load *x)
{
	uv_loop_t loop;
	uv_timer_t *timers = calloc(x->live + 1, sizeof *timers), *one = &timers[x->live];

	uv_loop_init(&loop);
	for (size_t i = 0; i <= x->live; i++)
		uv_timer_init(&loop, &timers[i]);
	for (size_t i = 0; i < x->live; i++)
		uv_arm(&timers[i], x->ahead[i % AHEADS]);
	double began = bench_cpu();
	for (size_t i = 0; i < x->pairs; i++) {
		uv_arm(one, x->ahead[i % AHEADS]);
		uv_timer_stop(one);
	}
	x->one = bench_cpu() - began;
	began = bench_cpu();
	for (size_t i = 0; i < x->pairs; i++) {
		uv_timer_stop(&timers[x->order[i]]);
		uv_arm(&timers[x->order[i]], x->ahead[i % AHEADS]);
	}
	x->renew = bench_cpu() - began;
	for (size_t i = 0; i <= x->live; i++)
		uv_close((uv_handle_t *)&timers[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(timers);
}
#endif

/* --- measuring --------------------------------------------------------- */

enum side { WEFT, LIBEV, LIBUV, SIDES };

static struct weft_runtime *rt;

static void measure(enum side side, struct load *x)
{
	x->one = x->renew = x->scope = 0;
	if (side == WEFT)
		bench_check(weft_runtime_run(rt, with_weft, x) == 0, "run");
#ifdef BENCH_LIBEV
	if (side == LIBEV)
		with_libev(x);
#endif
#ifdef BENCH_LIBUV
	if (side == LIBUV)
		with_libuv(x);
#endif
}

static void show(const char *id, const char *side, const char *what, size_t live, double *ns,
		 double limit)
{
	static char names[64][48];
	static unsigned used;
	char *name = names[used++ % 64];

	if (ns[0] == 0)
		return;
	snprintf(name, sizeof names[0], "%s, %s, %zu live", what, side, live);
	bench_value(id, name, bench_median(ns, ROUNDS), "ns", BENCH_AT_MOST, limit);
}

static void measure_live(struct load *x)
{
	static const char *const names[] = { "weft", "libev", "libuv" };
	double ns[SIDES][3][ROUNDS];
	double scale = 1e9 / (double)x->pairs;

	for (int round = 0; round < ROUNDS; round++) {
		for (enum side side = WEFT; side < SIDES; side++) {
			measure(side, x);
			ns[side][0][round] = x->one * scale;
			ns[side][1][round] = x->renew * scale;
			ns[side][2][round] = x->scope * scale;
		}
	}
	for (enum side side = WEFT; side < SIDES; side++) {
		show(side == WEFT ? "P18" : "", names[side], "one", x->live, ns[side][0], 15);
		show("", names[side], "renew", x->live, ns[side][1], 1e9);
		show("", names[side], "scope", x->live, ns[side][2], 1e9);
	}
}

/* The first expiry after a million timers were armed. */
static int one_fires(void *arg)
{
	struct load *x = arg;
	struct weft__timer *timers = calloc(x->live, sizeof *timers);
	struct weft_runtime *here = weft__worker_self()->runtime;
	int64_t now = weft_now();

	for (size_t i = 0; i < x->live; i++)
		weft_arm(here, &timers[i], now + x->ahead[i % AHEADS]);
	double began = bench_cpu();
	weft_sleep(WEFT_US(1));
	weft__timer_disarm(&timers[0]);
	x->one = bench_cpu() - began;
	for (size_t i = 0; i < x->live; i++)
		weft__timer_disarm(&timers[i]);
	free(timers);
	return 0;
}

static void measure_stall(struct load *x)
{
	bench_check(weft_runtime_run(rt, one_fires, x) == 0, "run");
	bench_value("", "the first to fire after as many were armed", x->one * 1e6, "us",
		    BENCH_AT_MOST, 1e9);
}

static void fill(struct load *x)
{
	struct weft__rng rng;

	weft__rng_init(&rng, 1);
	for (size_t i = 0; i < AHEADS; i++)
		x->ahead[i] = FIRST + (int64_t)weft__rng_below(&rng, SPAN);
	for (size_t i = 0; i < x->pairs; i++)
		x->order[i] = (uint32_t)weft__rng_below(&rng, x->live);
}

int main(int argc, char **argv)
{
	struct load x = { 0 };

	bench_begin(argc, argv);
	x.pairs = bench_quick() ? 10000 : 200000;
	x.order = calloc(x.pairs, sizeof *x.order);
	x.ahead = calloc(AHEADS, sizeof *x.ahead);
	if (weft_runtime_create(&rt, .workers = 1) != 0)
		return EXIT_FAILURE;
	for (x.live = 100; x.live <= (bench_quick() ? 100 : 1000000); x.live *= 10) {
		fill(&x);
		measure_live(&x);
	}
	x.live /= 10;
	measure_stall(&x);
	weft_runtime_destroy(rt);
	free(x.order);
	free(x.ahead);
	return bench_end();
}
