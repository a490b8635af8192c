/* SPDX-License-Identifier: MIT */
/*
 * test_points.c - what holds of every call: which are cancellation points, what they
 * return, and how often they give way
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/virtual.h"

TestSuite(points, .timeout = 60);

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int no_item(void *item, void *ctx)
{
	(void)item, (void)ctx;
	return 0;
}

/* What the calls work with.  None of them would have to wait. */
static struct {
	struct weft_lock lock, held;
	struct weft_rlock rlock;
	struct weft_rwlock rwlock;
	struct weft_mutex mutex;
	struct weft_sem sem;
	struct weft_limiter limiter;
	struct weft_event event;
	struct weft_cond cond;
	struct weft_barrier barrier;
	struct weft_once once;
	struct weft_channel channel;
	struct weft_rate_limiter rate;
	struct weft_group group;
	struct weft_task task; /* has ended */
	int room[8], item;
	int pipe[2];
	size_t index;
} t;

static int *item_of(void)
{
	return &t.item;
}

static struct weft_select_case *a_case(void)
{
	static struct weft_select_case k;

	k = (struct weft_select_case){ .channel = &t.channel, .item = item_of() };
	return &k;
}

static void set_up(void)
{
	memset(&t, 0, sizeof t);
	weft_sem_init(&t.sem, 8, 0);
	weft_limiter_init(&t.limiter, 8);
	weft_event_set(&t.event);
	weft_barrier_init(&t.barrier, 1);
	weft_channel_init(&t.channel, t.room, sizeof(int), 8);
	weft_rate_limiter_init(&t.rate, 8, WEFT_SEC(1), 8);
	weft_channel_try_send(&t.channel, &t.item);
	weft_lock_acquire(&t.held);
	HOLDS(pipe(t.pipe) == 0 && write(t.pipe[1], "x", 1) == 1);
}

static void take_down(void)
{
	close(t.pipe[0]);
	close(t.pipe[1]);
	weft_lock_release(&t.held);
	weft_channel_fini(&t.channel);
	weft_limiter_fini(&t.limiter);
}

/* Every call that may wait, first when it is cancelled: nothing has happened.  Then not:
 * what it needs is still there. */
static void make_all_calls(int wanted)
{
	const struct weft_call call = WEFT_CALL(nothing, NULL);

	HOLDS(weft_check() == wanted);
	HOLDS(weft_checkpoint() == wanted);
	HOLDS(weft_sleep(0) == wanted);
	HOLDS(weft_sleep_soft(0) == wanted);
	HOLDS(weft_lock_acquire(&t.lock) == wanted);
	HOLDS(weft_rlock_acquire(&t.rlock) == wanted);
	HOLDS(weft_rwlock_acquire_read(&t.rwlock) == wanted);
	HOLDS(weft_mutex_acquire(&t.mutex) == wanted);
	HOLDS(weft_sem_acquire(&t.sem) == wanted);
	HOLDS(weft_limiter_acquire(&t.limiter) == wanted);
	HOLDS(weft_event_wait(&t.event) == wanted);
	HOLDS(weft_barrier_wait(&t.barrier, NULL) == wanted);
	HOLDS(weft_once(&t.once, nothing, NULL) == wanted);
	HOLDS(weft_rate_acquire(&t.rate, 1) == wanted);
	HOLDS(weft_channel_send(&t.channel, &t.item) == wanted);
	HOLDS(weft_channel_recv(&t.channel, &t.item) == wanted);
	HOLDS(weft_select(a_case(), 1) == wanted);
	HOLDS(weft_group_wait(&t.group) == wanted);
	HOLDS(weft_group_next(&t.group, NULL, NULL) == (wanted ? wanted : 1));
	HOLDS(weft_task_wait(t.task, NULL) == wanted);
	HOLDS(weft_wait_all(&t.task, 1, NULL) == wanted);
	HOLDS(weft_race(&call, 1, &t.index) == wanted);
	HOLDS(weft_first_success(&call, 1, &t.index, NULL) == wanted);
	HOLDS(weft_gather(&call, 1, NULL) == wanted);
	HOLDS(weft_map(no_item, t.room, 1, NULL) == wanted);
	HOLDS(weft_to_thread(nothing, NULL) == wanted);
	HOLDS(weft_wait_fd(t.pipe[0], WEFT_READABLE) == (wanted ? wanted : WEFT_READABLE));
	HOLDS(weft_read(t.pipe[0], &t.item, 1) == (wanted ? wanted : 1));
	HOLDS(weft_write(t.pipe[1], "y", 1) == (wanted ? wanted : 1));
}

TaskTest(points, CO_2_what_may_wait_does_nothing_when_cancelled_and_then_does)
{
	struct weft_scope s;

	(void)arg;
	set_up();
	HOLDS(weft_group_open(&t.group, .keep = true) == 0);
	HOLDS(weft_spawn(&t.group, nothing, NULL, .task = &t.task) == 0);
	HOLDS(weft_task_wait(t.task, NULL) == 0);
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	make_all_calls(WEFT_ECANCELED);
	HOLDS(weft_cond_wait(&t.cond, &t.held) == WEFT_ECANCELED);
	HOLDS(weft_lock_is_mine(&t.held));
	HOLDS(weft_group_open(&(struct weft_group){ 0 }) == WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, 0) == 0);
	HOLDS(weft_sem_value(&t.sem) == 8 && weft_channel_length(&t.channel) == 1);
	make_all_calls(0);
	HOLDS(weft_lock_release(&t.lock) == 0);
	HOLDS(weft_rlock_release(&t.rlock) == 0);
	HOLDS(weft_rwlock_release_read(&t.rwlock) == 0);
	HOLDS(weft_mutex_release(&t.mutex) == 0);
	take_down();
	return weft_group_close(&t.group, 0);
}

/* Letting go, and all that does not wait, works under a cancel too. */
TaskTest(points, CO_2_what_does_not_wait_is_no_cancellation_point)
{
	struct weft_scope s;
	struct weft_task self = weft_task_self();

	(void)arg;
	set_up();
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	weft_yield();
	HOLDS(weft_lock_try_acquire(&t.lock) == 0 && weft_lock_release(&t.lock) == 0);
	HOLDS(weft_rlock_try_acquire(&t.rlock) == 0 && weft_rlock_release(&t.rlock) == 0);
	HOLDS(weft_rwlock_try_acquire_write(&t.rwlock) == 0);
	HOLDS(weft_rwlock_release_write(&t.rwlock) == 0);
	HOLDS(weft_mutex_try_acquire(&t.mutex) == 0 && weft_mutex_release(&t.mutex) == 0);
	HOLDS(weft_sem_try_acquire(&t.sem) == 0 && weft_sem_release(&t.sem) == 0);
	HOLDS(weft_limiter_try_acquire(&t.limiter) == 0 && weft_limiter_release(&t.limiter) == 0);
	HOLDS(weft_rate_try_acquire(&t.rate, 1) == 0);
	HOLDS(weft_channel_try_send(&t.channel, &t.item) == 0);
	HOLDS(weft_channel_try_recv(&t.channel, &t.item) == 0);
	HOLDS(weft_try_select(a_case(), 1) == 0);
	HOLDS(weft_task_state(self) != WEFT_TASK_DONE);
	weft_event_clear(&t.event);
	weft_event_set(&t.event);
	weft_cond_notify_all(&t.cond);
	weft_channel_close(&t.channel);
	HOLDS(weft_run_sync(nothing, NULL) == 0);
	HOLDS(weft_shield(sleeps, &(int64_t){ 1 }, WEFT_NEVER) == 0);
	HOLDS(weft_scope_leave(&s, 0) == 0);
	take_down();
	return 0;
}

/* --- codes -------------------------------------------------------------------- */

/* errno belongs to the thread, and a task changes threads: codes come back, and what weft
 * does is not seen there. */
TaskTest(points, CO_1_errors_are_returned_and_codes_of_tasks_pass_unchanged)
{
	static const int codes[] = {
		0, 1, INT32_MAX, WEFT_EIO, WEFT_EBROKEN, -4095, -4096, -100000
	};
	int rc = 0;

	(void)arg;
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		struct weft_group g;
		struct weft_task task;
		int code = codes[i];

		HOLDS(weft_group_open(&g, .supervisor = true, .keep = true) == 0);
		HOLDS(weft_spawn(&g, returns, &code, .task = &task) == 0);
		HOLDS(weft_group_next(&g, NULL, &rc) == 1 && rc == code);
		HOLDS(weft_group_close(&g, 0) == (code < 0 ? code : 0));
		HOLDS(weft_run_sync(returns, &code) == code);
		HOLDS(weft_to_thread(returns, &code) == code);
	}
	HOLDS(weft_read(-1, &rc, 1) == -EBADF);
	return 0;
}

Test(points, CO_1_codes_are_negated_errnos_or_lie_below_these)
{
	static const int system[] = { WEFT_EPERM, WEFT_EAGAIN, WEFT_EINVAL, WEFT_ENOMEM };
	static const int own[] = { WEFT_ECLOSED, WEFT_EBROKEN, WEFT_ECRASHED, WEFT_ENOTASK };

	for (size_t i = 0; i < COUNT_OF(system); i++)
		cr_expect(system[i] < 0 && system[i] >= -4095, "%d", system[i]);
	for (size_t i = 0; i < COUNT_OF(own); i++)
		cr_expect(own[i] < -4095, "%d", own[i]);
	cr_expect(eq(int, WEFT_EIO, -EIO));
}

/* --- giving way ----------------------------------------------------------------- */

static int sets(void *arg)
{
	store_release((uint32_t *)arg, 1);
	return 0;
}

/* How many points of this kind before what is ready has had its turn. */
static unsigned points_until_it_runs(struct weft_group *g, bool with_lock)
{
	uint32_t ran = 0;
	unsigned n = 0;

	HOLDS(weft_sleep(1) == 0); /* a wait is a turn: the count begins anew, or nearly */
	HOLDS(weft_spawn(g, sets, &ran) == 0);
	for (; !load_acquire(&ran) && n < 1000; n++) {
		if (with_lock && weft_lock_acquire(&t.lock) == 0)
			weft_lock_release(&t.lock);
		else
			weft_checkpoint();
	}
	return n;
}

static int counts_points(void *arg)
{
	struct weft_group g;
	unsigned *n = arg;

	HOLDS(weft_group_open(&g) == 0);
	for (int round = 0; round < 10; round++) {
		for (int kind = 0; kind < 2; kind++) {
			unsigned points = points_until_it_runs(&g, kind);
			n[0] = points > n[0] ? points : n[0];
		}
	}
	return weft_group_close(&g, 0);
}

/* With one worker, where nobody else can run what is ready. */
Test(points, CO_5_a_task_gives_way_once_in_128_points_though_it_never_has_to_wait)
{
	unsigned most = 0;

	cr_assert(eq(int, go(counts_points, &most), 0));
	cr_expect(le(uint, most, 128));
	cr_expect(gt(uint, most, 64), "and not at each of them");
}
