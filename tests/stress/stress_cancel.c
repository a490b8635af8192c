/* SPDX-License-Identifier: MIT */
/*
 * stress_cancel.c - cancels from all sides through trees that grow and end meanwhile
 *
 * A round is a tree of tasks: each enters a scope (with or without deadline, shield,
 * grace), opens a group, starts children and waits for something: time, for ever, its
 * children, pieces that other workers run.  Threads of the application cancel by
 * tokens, tasks cancel their own scopes and lower their shields, errors cancel
 * siblings, deadlines pass, and at last that of the root does.
 *
 * At last a thread looks at a scope while another cancels it.
 *
 * Each task joins once.  A wait that no cancel reached hangs, and the time limit of the
 * test notices.  A cancel that was seen is still seen in the next call.
 *
 * With a virtual clock the tree stands still before each deadline; with the real one
 * timers fire at any moment.
 */
#include <weft/weft.h>

#include "async/scope.h"
#include "support/stress.h"
#include "support/tasks.h"

enum { CANCELLERS = 2, TOKENS = 64, FAN = 4, DEPTH = 4, ROUNDS = 60, MEETINGS = 5000 };

struct part {
	uint64_t seed;
	unsigned depth;
};

static uint64_t spawned, ended, cancelled, pieces;
static uint64_t tokens[TOKENS];
static uint32_t over;

static uint64_t draw(struct weft__rng *rng, uint64_t n)
{
	return weft__rng_below(rng, n);
}

static uint64_t packed(struct weft_token t)
{
	return (uint64_t)t.slot << 32 | t.generation;
}

static struct weft_token unpacked(uint64_t t)
{
	return (struct weft_token){ (uint32_t)(t >> 32), (uint32_t)t };
}

static void cancel_often(unsigned self)
{
	struct weft__rng rng;
	uint64_t won = 0;

	weft__rng_init(&rng, stress_seed + self);
	while (!load_acquire(&over)) {
		uint64_t t = load_relaxed(&tokens[draw(&rng, TOKENS)]);
		won += weft_token_cancel(unpacked(t));
		if (draw(&rng, 8) == 0)
			sched_yield();
	}
	add_seqcst(&cancelled, won);
}

/* A cancel is a state (SC-1). */
static int seen(int rc)
{
	if (rc == WEFT_ECANCELED) {
		STRESS_CHECK(weft_check() == WEFT_ECANCELED);
		STRESS_CHECK(weft_checkpoint() == WEFT_ECANCELED);
		STRESS_CHECK(weft_sleep(1) == WEFT_ECANCELED);
		STRESS_CHECK(weft_effective_deadline() == INT64_MIN);
	}
	return rc;
}

/* Stolen or not, a piece runs in the scope of its forker. */
static int piece(void *arg)
{
	struct weft_scope s;
	bool scope = (*(uint64_t *)arg & 1) != 0;

	add_seqcst(&pieces, 1);
	if (scope)
		STRESS_CHECK(weft_scope_enter(&s, .timeout = WEFT_US(300)) == 0);
	int rc = seen(*(uint64_t *)arg & 2 ? weft_sleep_forever() : weft_sleep(WEFT_US(50)));
	return scope ? weft_scope_leave(&s, rc) : rc;
}

static int forks(struct weft__rng *rng)
{
	uint64_t a = draw(rng, 4), b = draw(rng, 4);

	grow_old();
	return weft_both_offered(piece, &a, piece, &b);
}

static int body(struct weft__rng *rng, struct weft_scope *s)
{
	switch (draw(rng, 8)) {
	case 0:
		return seen(weft_sleep_forever());
	case 1:
		return seen(weft_sleep(WEFT_US((int64_t)draw(rng, 200))));
	case 2:
		weft_scope_cancel(s);
		return seen(weft_checkpoint());
	case 3:
		weft_scope_set_shield(s, false);
		return seen(weft_checkpoint());
	case 4:
		weft_scope_set_deadline(s, weft_after(WEFT_US((int64_t)draw(rng, 200))));
		return weft_sleep_soft(WEFT_US(100));
	case 5:
		return WEFT_EIO;
	case 6:
		return forks(rng);
	default:
		return 0;
	}
}

static int tree(void *arg);

static int grow(struct weft__rng *rng, unsigned depth, struct weft_scope *s)
{
	struct part child[FAN];
	struct weft_group g;
	uint64_t fan = depth ? draw(rng, FAN + 1) : 0;

	int rc = weft_group_open(&g, .supervisor = draw(rng, 2) == 0,
				 .timeout = draw(rng, 4) ? 0 : WEFT_US(150),
				 .limit = draw(rng, 3) ? 0 : 2);
	if (rc != 0)
		return seen(rc);
	for (uint64_t i = 0; i < fan && rc == 0; i++) {
		child[i] = (struct part){ weft__rng_next(rng), depth - 1 };
		rc = weft_spawn(&g, tree, &child[i]);
		if (rc == 0)
			add_seqcst(&spawned, 1);
	}
	if (rc == 0)
		rc = body(rng, s);
	return weft_group_close(&g, rc);
}

static int tree(void *arg)
{
	struct part *me = arg;
	struct weft__rng rng;
	struct weft_scope s;
	struct weft_token token;

	weft__rng_init(&rng, me->seed);
	bool shield = draw(&rng, 6) == 0;
	int64_t timeout = shield || draw(&rng, 3) == 0 ? WEFT_US(1 + (int64_t)draw(&rng, 300)) : 0;
	STRESS_CHECK(weft_scope_enter(&s, .timeout = timeout, .shield = shield,
				      .grace = draw(&rng, 4) ? 0 : WEFT_US(30)) == 0);
	STRESS_CHECK(weft_scope_token(&s, &token) == 0);
	store_relaxed(&tokens[draw(&rng, TOKENS)], packed(token));
	int rc = grow(&rng, me->depth, &s);
	rc = weft_scope_leave(&s, rc);
	STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED || rc == WEFT_ETIMEDOUT || rc == WEFT_EIO);
	add_seqcst(&ended, 1);
	return rc == WEFT_EIO && draw(&rng, 4) ? 0 : rc;
}

static int root(void *arg)
{
	struct part me = { *(uint64_t *)arg, DEPTH };
	struct weft_scope s;

	STRESS_CHECK(weft_scope_enter(&s, .timeout = WEFT_MS(2)) == 0);
	add_seqcst(&spawned, 1);
	int rc = weft_scope_leave(&s, tree(&me));
	STRESS_CHECK(weft_check() == 0);
	return rc == WEFT_ECANCELED;
}

static void rounds(enum weft_clock clock)
{
	struct stress_thread threads[CANCELLERS];
	struct weft_runtime *rt;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed);
	over = 0;
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads, .clock = clock,
					 .on_deadlock = WEFT_DEADLOCK_IGNORE) == 0);
	stress_start(threads, CANCELLERS, cancel_often);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		uint64_t seed = weft__rng_next(&rng);
		STRESS_CHECK(weft_runtime_run(rt, root, &seed) == 0);
		STRESS_CHECK(spawned == ended);
	}
	store_release(&over, 1);
	stress_join(threads, CANCELLERS);
	weft_runtime_destroy(rt);
}

/* --- the moment of a cancel -------------------------------------------------- */

static struct stress_barrier barrier;
static struct weft_scope meeting;

static void look_on(void)
{
	struct weft__scope *s = weft__scope_of(&meeting);
	bool caused = false;

	while (!caused) {
		weft__spin_lock(&s->node.lock);
		caused = s->reason.kind != WEFT_REASON_NONE;
		STRESS_CHECK(caused == weft_scope_cancel_called(&meeting));
		weft__spin_unlock(&s->node.lock);
	}
}

static void cancel_or_look(unsigned self)
{
	for (long i = 0; i < MEETINGS * stress_scale; i++) {
		if (self == 0)
			STRESS_CHECK(weft_scope_init(&meeting) == 0);
		stress_barrier_wait(&barrier);
		if (self == 0)
			weft_scope_cancel(&meeting);
		else
			look_on();
		stress_barrier_wait(&barrier);
	}
}

/* Who finds that somebody gave a reason finds a cancel (SC-4): it comes second, and
 * returns at once. */
static void meetings(void)
{
	struct stress_thread threads[2];

	stress_barrier_init(&barrier, 2);
	stress_start(threads, 2, cancel_or_look);
	stress_join(threads, 2);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	rounds(WEFT_CLOCK_VIRTUAL);
	rounds(WEFT_CLOCK_REAL);
	meetings();
	printf("%" PRIu64 " tasks, %" PRIu64 " pieces, %" PRIu64 " cancelled by tokens\n", ended,
	       pieces, cancelled);
	return 0;
}
