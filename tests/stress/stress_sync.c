/* SPDX-License-Identifier: MIT */
/*
 * stress_sync.c - what tasks and threads share, while some of them are cancelled
 *
 * Every task goes through rounds, each in a scope of its own; others cancel these scopes
 * at random moments, by their tokens.  What a lock protects is plain memory on purpose:
 * ThreadSanitizer sees each hand-over that forgets an edge.  In the end nothing is lost:
 * every permit is back, every item that went in has come out, nobody waits.  And whoever
 * has the last of something may free it.
 */
#include <string.h>

#include <weft/weft.h>

#include "support/stress.h"

enum { TASKS = 24, THREADS = 2, PERMITS = 5, TOKENS = 4, ROOM = 3, PARTIES = 4 };

static struct weft_runtime *rt;
static long rounds;

static struct weft_lock lock, cond_lock;
static struct weft_mutex mutex;
static struct weft_rwlock rwlock;
static struct weft_sem sem;
static struct weft_limiter limiter;
static struct weft_cond not_full;
static struct weft_barrier barrier;

/* Plain: the locks carry them. */
static long in_lock, in_mutex, written, items, put, got;
static long lock_rounds;

/* How many there are inside, which no edge is promised for. */
static uint32_t readers, permits_out, tokens_out, cancelled, done;

/* --- cancelling ------------------------------------------------------------- */

static uint64_t slots[TASKS]; /* the token of each task's round */

static uint64_t pack(struct weft_token t)
{
	return (uint64_t)t.slot << 32 | t.generation;
}

static void cancel_one(struct weft__rng *rng)
{
	uint64_t packed = load_relaxed(&slots[weft__rng_below(rng, TASKS)]);

	if (packed)
		weft_token_cancel(
			(struct weft_token){ (uint32_t)(packed >> 32), (uint32_t)packed });
}

/* --- what a round does -------------------------------------------------------- */

static int use_lock(struct weft__rng *rng)
{
	int rc = weft_lock_acquire(&lock);

	if (rc != 0)
		return rc;
	STRESS_CHECK(in_lock++ == 0);
	lock_rounds++;
	if (weft__rng_below(rng, 4) == 0)
		weft_yield();
	STRESS_CHECK(--in_lock == 0);
	STRESS_CHECK(weft_lock_release(&lock) == 0);
	return 0;
}

static int use_mutex(struct weft__rng *rng)
{
	int rc = weft_mutex_acquire(&mutex);

	if (rc != 0)
		return rc;
	STRESS_CHECK(in_mutex++ == 0);
	if (weft__rng_below(rng, 8) == 0)
		weft_yield();
	STRESS_CHECK(--in_mutex == 0);
	STRESS_CHECK(weft_mutex_release(&mutex) == 0);
	return 0;
}

static int use_sem(struct weft__rng *rng)
{
	uint32_t n = (uint32_t)weft__rng_below(rng, PERMITS) + 1;
	int rc = weft_sem_acquire_n(&sem, n);

	if (rc != 0)
		return rc;
	STRESS_CHECK(add_seqcst(&permits_out, n) + n <= PERMITS);
	weft_yield();
	add_seqcst(&permits_out, 0 - n);
	STRESS_CHECK(weft_sem_release_n(&sem, n) == 0);
	return 0;
}

static int use_limiter(struct weft__rng *rng)
{
	int rc = weft_limiter_acquire(&limiter);

	(void)rng;
	if (rc != 0)
		return rc;
	STRESS_CHECK(add_seqcst(&tokens_out, 1) < TOKENS);
	STRESS_CHECK(weft_limiter_try_acquire(&limiter) == WEFT_EDEADLK);
	weft_yield();
	add_seqcst(&tokens_out, (uint32_t)-1);
	STRESS_CHECK(weft_limiter_release(&limiter) == 0);
	return 0;
}

static int read_or_write(struct weft__rng *rng)
{
	bool writes = weft__rng_below(rng, 4) == 0;
	int rc = writes ? weft_rwlock_acquire_write(&rwlock) : weft_rwlock_acquire_read(&rwlock);

	if (rc != 0)
		return rc;
	if (writes) {
		STRESS_CHECK(load_relaxed(&readers) == 0);
		written++;
		STRESS_CHECK(weft_rwlock_release_write(&rwlock) == 0);
	} else {
		add_seqcst(&readers, 1);
		long before = written;
		weft_yield();
		STRESS_CHECK(written == before);
		add_seqcst(&readers, (uint32_t)-1);
		STRESS_CHECK(weft_rwlock_release_read(&rwlock) == 0);
	}
	return 0;
}

/* A buffer of ROOM items: who puts one in takes one out, so there always is one, and one
 * notify for each that came out must be enough for those who wait for room. */
static int put_one(void)
{
	int rc = weft_lock_acquire(&cond_lock);

	if (rc != 0)
		return rc;
	while (rc == 0 && items == ROOM)
		rc = weft_cond_wait(&not_full, &cond_lock);
	if (rc == 0) {
		items++;
		put++;
	}
	STRESS_CHECK(weft_lock_release(&cond_lock) == 0);
	return rc;
}

static int get_one(void *arg)
{
	(void)arg;
	STRESS_CHECK(weft_lock_acquire(&cond_lock) == 0);
	STRESS_CHECK(items > 0);
	items--;
	got++;
	weft_cond_notify(&not_full, 1);
	return weft_lock_release(&cond_lock);
}

static int put_and_get(struct weft__rng *rng)
{
	int rc = put_one();

	if (rc != 0)
		return rc;
	if (weft__rng_below(rng, 2))
		weft_yield();
	return weft_shield(get_one, NULL, WEFT_NEVER);
}

/* The event, and the semaphore behind it, go the moment the wait is over. */
struct brief {
	struct weft_event event;
	struct weft_sem sem;
};

static int set_brief(void *arg)
{
	struct brief *b = arg;

	weft_sem_release(&b->sem);
	weft_event_set(&b->event);
	return 0;
}

static int wait_brief(struct weft__rng *rng)
{
	struct weft_group g;
	struct brief b;

	memset(&b, 0, sizeof b);
	if (weft_group_open(&g) != 0)
		return WEFT_ECANCELED;
	weft_spawn(&g, set_brief, &b);
	int rc = weft_event_wait(&b.event);
	if (rc == 0)
		rc = weft_sem_acquire(&b.sem);
	if (rc == 0 && weft__rng_below(rng, 2) == 0) {
		STRESS_CHECK(weft_event_is_set(&b.event));
		memset(&b.event, 0xa5, sizeof b.event); /* nobody writes to it any more */
	}
	rc = weft_group_close(&g, rc);
	return rc;
}

static int (*const acts[])(struct weft__rng *rng) = {
	use_lock, use_mutex, use_sem, use_limiter, read_or_write, put_and_get, wait_brief,
};

/* --- tasks and threads -------------------------------------------------------- */

static void go_round(unsigned self, struct weft__rng *rng)
{
	struct weft_scope s;
	struct weft_token token;

	weft_scope_enter(&s);
	STRESS_CHECK(weft_scope_token(&s, &token) == 0);
	store_relaxed(&slots[self], pack(token));
	cancel_one(rng);
	int rc = acts[weft__rng_below(rng, sizeof acts / sizeof *acts)](rng);
	STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED);
	add_seqcst(&cancelled, rc != 0);
	STRESS_CHECK(weft_scope_leave(&s, rc) == 0);
}

static int run_task(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + self);
	for (long i = 0; i < rounds; i++)
		go_round(self, &rng);
	store_relaxed(&slots[self], 0);
	add_seqcst(&done, 1);
	return 0;
}

static int run_all(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	for (uintptr_t i = 0; i < TASKS; i++)
		STRESS_CHECK(weft_spawn(&g, run_task, (void *)i) == 0);
	return weft_group_close(&g, 0);
}

static void run_thread(unsigned self)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + TASKS + self);
	while (load_relaxed(&done) < TASKS) {
		cancel_one(&rng);
		STRESS_CHECK(use_lock(&rng) == 0);
		STRESS_CHECK(use_mutex(&rng) == 0);
		STRESS_CHECK(use_sem(&rng) == 0);
		STRESS_CHECK(use_limiter(&rng) == 0);
		sched_yield();
	}
}

/* --- barriers: who comes through, comes through in full numbers ---------------- */

static uint32_t through;
static uint64_t indices;

static int meet(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	struct weft__rng rng;
	int rc = 0;

	weft__rng_init(&rng, stress_seed + self);
	for (long i = 0; i < rounds && rc != WEFT_EBROKEN; i++) {
		struct weft_scope s;
		struct weft_token token;
		unsigned index = 0;

		weft_scope_enter(&s);
		weft_scope_token(&s, &token);
		store_relaxed(&slots[self], pack(token));
		if (weft__rng_below(&rng, 4) == 0)
			cancel_one(&rng);
		rc = weft_barrier_wait(&barrier, &index);
		if (rc == 0) {
			add_seqcst(&through, 1);
			add_seqcst(&indices, index);
		}
		STRESS_CHECK(rc == 0 || rc == WEFT_ECANCELED || rc == WEFT_EBROKEN);
		weft_scope_leave(&s, rc);
	}
	store_relaxed(&slots[self], 0);
	/* Too few are left to meet. */
	if (add_seqcst(&done, 1) + 1 + PARTIES > TASKS)
		weft_barrier_abort(&barrier);
	return 0;
}

static int meet_all(void *arg)
{
	struct weft_group g;

	(void)arg;
	weft_group_open(&g);
	for (uintptr_t i = 0; i < TASKS; i++)
		STRESS_CHECK(weft_spawn(&g, meet, (void *)i) == 0);
	return weft_group_close(&g, 0);
}

/* --- once: a hundred tasks, some runs of which fail ------------------------------ */

static struct weft_once once;
static long attempts; /* plain: one runs at a time */

static int attempt(void *arg)
{
	(void)arg;
	weft_yield();
	return ++attempts < 3 ? WEFT_EIO : 0;
}

static int try_once(void *arg)
{
	int rc = weft_once(&once, attempt, arg);

	STRESS_CHECK(rc == 0 || rc == WEFT_EIO);
	STRESS_CHECK(rc != 0 || attempts == 3);
	return 0;
}

static int try_all(void *arg)
{
	struct weft_group g;

	memset(&once, 0, sizeof once);
	attempts = 0;
	weft_group_open(&g);
	for (int i = 0; i < TASKS; i++)
		weft_spawn(&g, try_once, arg);
	return weft_group_close(&g, 0);
}

/* --- a mutex that the last to hold it frees ------------------------------------- */

struct borrowed {
	struct weft_mutex mutex;
	long left; /* plain */
	struct weft_token token;
};

static struct borrowed *handed; /* locked, to the thread */

static void let_go(struct borrowed *b)
{
	bool last = --b->left == 0;

	STRESS_CHECK(weft_mutex_release(&b->mutex) == 0);
	if (last)
		free(b);
}

static void dally(struct weft__rng *rng)
{
	for (uint64_t i = weft__rng_below(rng, 1000); i > 0; i--)
		cpu_relax();
}

/* Cancels the one who waits for it, and lets go at the same time. */
static void let_go_often(unsigned self)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + 1000 + self);
	for (long i = 0; i < rounds; i++) {
		struct borrowed *b;
		while (!(b = load_acquire(&handed)))
			sched_yield();
		store_relaxed(&handed, (struct borrowed *)NULL);
		dally(&rng);
		weft_token_cancel(b->token);
		dally(&rng);
		let_go(b);
	}
}

static void hand_over(struct borrowed *b)
{
	struct weft_scope s;

	*b = (struct borrowed){ .left = 2 };
	weft_mutex_init(&b->mutex);
	STRESS_CHECK(weft_mutex_acquire(&b->mutex) == 0);
	STRESS_CHECK(weft_scope_enter(&s) == 0);
	STRESS_CHECK(weft_scope_token(&s, &b->token) == 0);
	store_release(&handed, b);
	int rc = weft_mutex_acquire(&b->mutex);
	weft_scope_leave(&s, rc);
	if (rc != 0)
		STRESS_CHECK(weft_mutex_acquire(&b->mutex) == 0);
	let_go(b);
}

static int hand_over_often(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		struct borrowed *b = malloc(sizeof *b);
		STRESS_CHECK(b != NULL);
		hand_over(b);
	}
	return arg != NULL;
}

int main(int argc, char **argv)
{
	struct stress_thread threads[THREADS];

	stress_begin(argc, argv);
	rounds = 300 * stress_scale;
	weft_sem_init(&sem, PERMITS, PERMITS);
	weft_limiter_init(&limiter, TOKENS);
	weft_barrier_init(&barrier, PARTIES);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);

	stress_start(threads, THREADS, run_thread);
	STRESS_CHECK(weft_runtime_run(rt, run_all, NULL) == 0);
	stress_join(threads, THREADS);
	STRESS_CHECK(weft_sem_value(&sem) == PERMITS && weft_sem_waiters(&sem) == 0);
	STRESS_CHECK(weft_limiter_stats(&limiter).borrowed == 0);
	STRESS_CHECK(weft_limiter_stats(&limiter).waiters == 0);
	STRESS_CHECK(!weft_lock_is_held(&lock) && weft_lock_stats(&lock).waiters == 0);
	STRESS_CHECK(weft_lock_stats(&lock).acquires == (uint64_t)lock_rounds);
	STRESS_CHECK(weft_mutex_try_acquire(&mutex) == 0);
	STRESS_CHECK(put == got && items == 0);

	done = 0;
	STRESS_CHECK(weft_runtime_run(rt, meet_all, NULL) == 0);
	STRESS_CHECK(through % PARTIES == 0);
	STRESS_CHECK(indices == (uint64_t)through / PARTIES * (PARTIES * (PARTIES - 1) / 2));

	for (long i = 0; i < rounds / 3; i++)
		STRESS_CHECK(weft_runtime_run(rt, try_all, NULL) == 0);

	stress_start(threads, 1, let_go_often);
	STRESS_CHECK(weft_runtime_run(rt, hand_over_often, NULL) == 0);
	stress_join(threads, 1);
	weft_runtime_destroy(rt);
	weft_limiter_fini(&limiter);
	printf("%ld locked, %u cancelled, %u through\n", lock_rounds, cancelled, through);
	return 0;
}
