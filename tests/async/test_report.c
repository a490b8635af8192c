/* SPDX-License-Identifier: MIT */
/*
 * test_report.c - what is said of tasks: dumps, deadlocks, stalls, held workers
 */
#include <criterion/criterion.h>
#include <sched.h>

#include "async/async.h"
#include "async/report.h"
#include "async/wait.h"
#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

TestSuite(report, .timeout = 60);

static bool has(const char *text, const char *what)
{
	return strstr(text, what) != NULL;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void until_not(uint32_t *word, uint32_t value)
{
	while (load_acquire(word) == value)
		sched_yield();
}

static int run_virtual(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* A wait that no cancel ends, for what a waker will grant. */
struct gate {
	struct weft__strand *strand;
	uint64_t ticket;
};

/* Somewhere in the function that waits. */
static void *waits_in;

static __attribute__((noinline)) void wait_at(struct gate *gate, const char *what)
{
	waits_in = __builtin_return_address(0);
	struct weft__strand *s = weft__strand_self();

	weft__wait_begin(s, 0);
	gate->ticket = weft__wait_ticket(s);
	gate->strand = s;
	weft__wait_park(s, what, gate);
}

static void open_gate(struct gate *gate)
{
	weft__wake(gate->strand, gate->ticket, WEFT__GRANTED);
}

/* --- weft_dump --------------------------------------------------------------- */

static int sleep_on(void *arg)
{
	(void)arg;
	return weft_sleep_forever();
}

static int sleep_in_scope(void *arg)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .timeout = WEFT_SEC(5), .name = "limit", .shield = true);

	(void)arg;
	rc = weft_scope_leave(&s, rc ? rc : weft_sleep_forever());
	return rc == WEFT_ETIMEDOUT ? 0 : rc;
}

static int dump_tree(void *arg)
{
	struct weft_group g;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int rc = weft_group_open(&g, .name = "customers");

	weft_spawn(&g, sleep_on, NULL, .name = "alice");
	weft_spawn(&g, sleep_in_scope, NULL, .name = "bob");
	weft_wait_all_blocked();
	weft_spawn(&g, sleep_on, NULL, .name = "not-yet");
	rc = rc ? rc : weft_dump(out);
	fclose(out);
	*(char **)arg = text;
	weft_group_cancel(&g);
	return weft_group_close(&g, rc);
}

Test(report, CF_3_a_dump_is_the_tree_of_tasks)
{
	char *text = NULL;

	cr_assert(eq(int, run_virtual(dump_tree, &text), 0));
	cr_expect(has(text, "runtime\n  task root: runs\n    group customers, 3 to join\n"), "%s",
		  text);
	cr_expect(has(text, "      task alice: waits for sleep\n"), "%s", text);
	cr_expect(has(text, "      task bob: waits for sleep\n"
			    "        scope limit, deadline in 5.000 s, shield\n"),
		  "%s", text);
	cr_expect(has(text, "and 1 tasks that have not started\n"), "%s", text);
	free(text);
}

Test(report, CF_3_a_dump_needs_a_runtime_and_a_file)
{
	cr_expect(eq(int, weft_dump(stderr), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_dump(NULL), WEFT_EINVAL));
}

/* --- deadlocks ---------------------------------------------------------------- */

struct deadlock {
	int rc;
	struct weft_reason reason;
};

static int wait_for_nothing(void *arg)
{
	struct deadlock *d = arg;

	d->rc = weft_sleep_forever();
	d->reason = weft_cancel_reason();
	return d->rc;
}

static int deadlocked(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "pair");

	if (rc == 0)
		rc = weft_spawn(&g, wait_for_nothing, arg, .name = "alice");
	return weft_group_close(&g, rc);
}

static int nothing(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(1));
}

static void child_deadlock(void)
{
	struct deadlock d = { 0 };
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 2, .clock = WEFT_CLOCK_VIRTUAL) == 0);
	CHILD_CHECK(weft_runtime_run(rt, deadlocked, &d) == WEFT_EDEADLK);
	CHILD_CHECK(d.rc == WEFT_ECANCELED);
	CHILD_CHECK(d.reason.kind == WEFT_REASON_DEADLOCK && d.reason.code == WEFT_EDEADLK);
	/* What comes next is not cancelled, and may be one again. */
	CHILD_CHECK(weft_runtime_run(rt, nothing, NULL) == 0);
	CHILD_CHECK(weft_runtime_run(rt, deadlocked, &d) == WEFT_EDEADLK);
	weft_runtime_destroy(rt);
}

Test(report, CF07_SY_10_a_deadlock_is_told_and_run_returns_edeadlk)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_deadlock, said), 0), "%s", said);
	cr_expect(eq(int, count(said, "weft: deadlock: every task waits"), 2), "%s", said);
	cr_expect(has(said, "  task root: waits for its children"), "%s", said);
	cr_expect(has(said, "    group pair, 1 to join"), "%s", said);
	cr_expect(has(said, "      task alice: waits for sleep\n"), "%s", said);
}

static void child_real_clock(void)
{
	struct deadlock d = { 0 };
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 2, .on_deadlock = WEFT_DEADLOCK_FAIL) == 0);
	CHILD_CHECK(weft_runtime_run(rt, deadlocked, &d) == WEFT_EDEADLK);
	weft_runtime_destroy(rt);
	weft_configure(.workers = 1);
	CHILD_CHECK(weft_run_sync(nothing, NULL) == 0);
	weft_configure(.on_deadlock = WEFT_DEADLOCK_FAIL);
	CHILD_CHECK(weft_run_sync(deadlocked, &d) == WEFT_EDEADLK);
}

Test(report, CF07_the_real_clock_too_if_configured)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_real_clock, said), 0), "%s", said);
	cr_expect(eq(int, count(said, "weft: deadlock: every task waits"), 2), "%s", said);
}

/* Two tasks, each of which has what the other waits for. */
struct baton {
	struct gate gate; /* first */
	struct weft__strand *holder;
};

static struct baton batons[2];

static const struct weft__strand *holder_of(const void *on)
{
	return ((const struct baton *)on)->holder;
}

static int take_other(void *arg)
{
	int mine = (int)(intptr_t)arg;

	batons[mine].holder = weft__strand_self();
	weft_yield();
	wait_at(&batons[!mine].gate, "a baton");
	return 0;
}

static void let_go(void)
{
	open_gate(&batons[0].gate);
	open_gate(&batons[1].gate);
}

static int wait_and_let_go(void *arg)
{
	(void)arg;
	weft_sleep_forever();
	let_go();
	return 0;
}

static int cross(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	weft_spawn(&g, take_other, (void *)0, .name = "alice");
	weft_spawn(&g, take_other, (void *)1, .name = "bob");
	weft_spawn(&g, wait_and_let_go, NULL);
	return weft_group_close(&g, rc);
}

static void child_cross(void)
{
	weft__report_holder("a baton", holder_of);
	CHILD_CHECK(run_virtual(cross, NULL) == WEFT_EDEADLK);
}

Test(report, SY_10_a_deadlock_names_who_holds_what_and_the_circle)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_cross, said), 0), "%s", said);
	cr_expect(has(said, "task alice: waits for a baton"), "%s", said);
	cr_expect(has(said, ", held by bob"), "%s", said);
	cr_expect(has(said, ", held by alice"), "%s", said);
	cr_expect(has(said, "weft: alice waits for bob waits for alice\n"), "%s", said);
}

static struct weft_lock locks[2];

static int take_both(void *arg)
{
	int first = (int)(intptr_t)arg;
	int rc = weft_lock_acquire(&locks[first]);

	if (rc != 0)
		return rc;
	weft_yield();
	rc = weft_lock_acquire(&locks[!first]);
	if (rc == 0)
		weft_lock_release(&locks[!first]);
	weft_lock_release(&locks[first]);
	return rc;
}

static int lock_across(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	weft_spawn(&g, take_both, (void *)0, .name = "alice");
	weft_spawn(&g, take_both, (void *)1, .name = "bob");
	return weft_group_close(&g, rc);
}

static void child_locks(void)
{
	CHILD_CHECK(run_virtual(lock_across, NULL) == WEFT_EDEADLK);
}

Test(report, SY_10_two_locks_taken_in_two_orders_are_a_circle)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_locks, said), 0), "%s", said);
	cr_expect(has(said, "weft: alice waits for bob waits for alice\n"), "%s", said);
}

static enum weft__claim woken_as;

/* Somebody outside gives what the task waits for, which the task may then free. */
static const struct weft__strand *give_while_asked(const void *on)
{
	const struct gate *gate = on;

	woken_as = weft__claim(gate->strand, gate->ticket, WEFT__GRANTED);
	if (woken_as == WEFT__CLAIM_PARKED)
		weft__resume(gate->strand);
	return NULL;
}

static int wait_for_a_gift(void *arg)
{
	struct gate gate;

	(void)arg;
	wait_at(&gate, "a gift");
	return 0;
}

static void child_gift(void)
{
	weft__report_holder("a gift", give_while_asked);
	CHILD_CHECK(run_virtual(wait_for_a_gift, NULL) == 0);
	CHILD_CHECK(woken_as == WEFT__CLAIM_WAITING);
}

Test(report, SY_10_a_task_does_not_go_on_while_who_holds_what_is_asked)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_gift, said), 0), "%s", said);
}

/* --- tasks that ignore their cancel ---------------------------------------------- */

static uint32_t stalls;
static struct weft_stall last_stall;
static char last_names[2][64];
static void *last_frames[64];

static void on_stall(const struct weft_stall *stall)
{
	last_stall = *stall;
	for (int i = 0; i < stall->frame_count && i < 64; i++)
		last_frames[i] = stall->frames[i];
	snprintf(last_names[0], 64, "%s", stall->task ? stall->task : "");
	snprintf(last_names[1], 64, "%s", stall->group ? stall->group : "");
	add_seqcst(&stalls, 1);
}

static struct gate stuck;

static int ignore_cancel(void *arg)
{
	(void)arg;
	wait_at(&stuck, "somebody");
	return 0;
}

static int cancel_and_wait(void *arg)
{
	struct weft_group g;
	struct weft_task task;
	int rc = weft_group_open(&g, .name = "customers");

	weft_spawn(&g, ignore_cancel, NULL, .name = "alice", .task = &task);
	weft_wait_all_blocked();
	if (arg)
		weft_task_cancel(task);
	else
		weft_group_cancel(&g);
	struct weft_scope s;
	weft_scope_enter(&s, .shield = true);
	weft_sleep(WEFT_MS(999));
	uint32_t before = load_acquire(&stalls);
	weft_sleep(WEFT_SEC(10));
	weft_scope_leave(&s, 0);
	open_gate(&stuck);
	rc = weft_group_close(&g, rc);
	return rc ? rc : (int)before;
}

static int run_watched(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL,
				     .on_stall = on_stall);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

Test(report, SC13_a_task_that_waits_on_is_named_once_after_stall_warn)
{
	cr_expect(eq(int, run_watched(cancel_and_wait, NULL), 0));
	cr_expect(eq(u32, stalls, 1));
	cr_expect(eq(str, last_names[0], "alice"));
	cr_expect(eq(str, last_names[1], "customers"));
	cr_expect(eq(int, last_stall.reason, WEFT_REASON_EXPLICIT));
}

static bool is_framed(const void *where)
{
	for (int i = 0; i < last_stall.frame_count; i++)
		if (last_frames[i] == where)
			return true;
	return false;
}

Test(report, SC13_a_task_that_waits_on_is_named_with_its_frames)
{
	cr_expect(eq(int, run_watched(cancel_and_wait, NULL), 0));
	cr_expect(is_framed(waits_in));
	cr_expect(gt(int, last_stall.frame_count, 3));
	cr_expect(lt(int, last_stall.frame_count, 20));
	cr_expect(not(is_framed(NULL)));
}

Test(report, SC13_cancelled_by_its_handle_too)
{
	cr_expect(eq(int, run_watched(cancel_and_wait, ""), 0));
	cr_expect(eq(u32, stalls, 1));
	cr_expect(eq(str, last_names[0], "alice"));
}

static int give_up(void *arg)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .name = "given up");

	(void)arg;
	weft_scope_cancel(&s);
	wait_at(&stuck, "somebody");
	return weft_scope_leave(&s, rc);
}

static int let_go_late(void *arg)
{
	(void)arg;
	weft_sleep(WEFT_SEC(5));
	open_gate(&stuck);
	return 0;
}

/* Its record, and its strand, are those of the one before. */
static int cancel_two_in_a_row(void *arg)
{
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		struct weft_group g;
		rc = weft_group_open(&g);
		weft_spawn(&g, give_up, NULL);
		weft_spawn(&g, let_go_late, NULL);
		rc = weft_group_close(&g, rc);
	}
	(void)arg;
	return rc;
}

Test(report, SC13_a_task_is_not_taken_for_one_that_was_named_before)
{
	cr_expect(eq(int, run_watched(cancel_two_in_a_row, NULL), 0));
	cr_expect(eq(u32, stalls, 2));
}

/* Twice in one task, with another scope each time. */
static int give_up_twice(void *arg)
{
	for (int i = 0; i < 2; i++) {
		struct weft_group g;
		weft_group_open(&g);
		weft_spawn(&g, let_go_late, NULL);
		give_up(arg);
		weft_group_close(&g, 0);
	}
	return 0;
}

Test(report, SC13_a_task_is_named_for_each_cancel_that_it_ignores)
{
	cr_expect(eq(int, run_watched(give_up_twice, NULL), 0));
	cr_expect(eq(u32, stalls, 2));
}

/* The group is cancelled a moment after its scope's child, by its handle. */
static int cancel_twice(void *arg)
{
	struct weft_group g;
	struct weft_task task;
	int rc = weft_group_open(&g, .name = "customers");

	(void)arg;
	weft_spawn(&g, ignore_cancel, NULL, .name = "alice", .task = &task);
	weft_wait_all_blocked();
	weft_task_cancel(task);
	weft_sleep(WEFT_MS(300));
	weft_group_cancel(&g);
	struct weft_scope s;
	weft_scope_enter(&s, .shield = true);
	weft_sleep(WEFT_SEC(10));
	weft_scope_leave(&s, 0);
	open_gate(&stuck);
	return weft_group_close(&g, rc);
}

Test(report, SC13_two_cancels_at_nearly_the_same_time_name_it_once)
{
	cr_expect(eq(int, run_watched(cancel_twice, NULL), 0));
	cr_expect(eq(u32, stalls, 1));
}

static void child_stalls(void)
{
	run_virtual(cancel_and_wait, NULL);
}

Test(report, SC13_without_a_hook_it_is_said)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_stalls, said), 0), "%s", said);
	cr_expect(eq(int,
		     count(said, "weft: task alice of group customers was cancelled (explicitly) "
				 "1.000 s ago and waits for somebody\n"),
		     1),
		  "%s", said);
}

static int clean_up(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(5));
}

static int shielded(void *arg)
{
	(void)arg;
	int rc = weft_sleep_forever();

	weft_shield(clean_up, NULL, WEFT_SEC(8));
	return rc;
}

static int cancel_shielded(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .timeout = WEFT_SEC(1));

	weft_spawn(&g, shielded, arg);
	return weft_group_close(&g, rc);
}

Test(report, SC13_who_cleans_up_behind_a_shield_is_not_named)
{
	cr_expect(eq(int, run_watched(cancel_shielded, NULL), WEFT_ETIMEDOUT));
	cr_expect(eq(u32, stalls, 0));
}

static int spin_on(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&stalls, __ATOMIC_ACQUIRE) == 0)
		; /* no call, not even of a hook: it is interrupted in this function */
	return 0;
}

static int cancel_spinner(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "busy", .timeout = WEFT_MS(5));

	weft_spawn(&g, spin_on, arg, .name = "spinner");
	return weft_group_close(&g, rc);
}

Test(report, SC13_a_task_that_runs_on_is_named_with_its_frames)
{
	struct weft_runtime *rt;

	cr_assert(eq(int,
		     weft_runtime_create(&rt, .workers = 2, .stall_warn = WEFT_MS(20),
					 .block_warn = WEFT_NEVER, .on_stall = on_stall),
		     0));
	weft_runtime_run(rt, cancel_spinner, NULL);
	weft_runtime_destroy(rt);
	cr_expect(eq(str, last_names[0], "spinner"));
	cr_expect(eq(str, last_names[1], "busy"));
	cr_expect(eq(ptr, (void *)last_stall.wait, NULL));
	cr_expect(eq(int, last_stall.reason, WEFT_REASON_DEADLINE));
	cr_expect(gt(int, last_stall.frame_count, 2));
	cr_expect(not(is_framed(NULL)));
	cr_expect(lt(sz, (size_t)last_frames[0] - (size_t)spin_on, 512), "not in the handler");
}

static int cancel_in_time(void *arg)
{
	for (int i = 0; i < 100; i++) {
		struct weft_group g;
		int rc = weft_group_open(&g);
		weft_spawn(&g, sleep_on, arg);
		weft_sleep(WEFT_MS(100));
		weft_group_cancel(&g);
		if ((rc = weft_group_close(&g, rc)) != 0)
			return rc;
	}
	return 0;
}

Test(report, SC13_who_ends_in_time_is_not_named)
{
	cr_expect(eq(int, run_watched(cancel_in_time, NULL), 0));
	cr_expect(eq(u32, stalls, 0));
}

/* --- tasks that hold their worker ------------------------------------------------ */

static bool is_reported(void)
{
	struct weft_runtime *rt = weft__worker_self()->runtime;
	return load_acquire(&rt->async->watchman.gazes[0].reported);
}

static int hold(void *arg)
{
	(void)arg;
	while (!is_reported())
		sched_yield();
	return 0;
}

static int hold_one(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	weft_spawn(&g, hold, NULL, .name = "holder");
	weft_spawn(&g, nothing, NULL, .name = "other");
	return weft_group_close(&g, rc);
}

static void child_holds(void)
{
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 1, .block_warn = WEFT_MS(20)) == 0);
	CHILD_CHECK(weft_runtime_run(rt, hold_one, NULL) == 0);
	/* When nothing waits any more nobody looks. */
	until_not(&rt->pressed, WEFT__PRESSED);
	weft_runtime_destroy(rt);
}

Test(report, CF06_a_task_that_holds_its_worker_is_named_once)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_holds, said), 0), "%s", said);
	cr_expect(eq(int, count(said, "weft: task holder holds worker 0 for "), 1), "%s", said);
	cr_expect(ge(int, count(said, "\n    "), 3), "%s", said);
	cr_expect(not(has(said, "task other")), "%s", said);
}

/* Two pieces of a task, each on a worker of its own: one holds it, the other gives way
 * again and again.  What the first has made ready waits for it. */
static struct {
	struct weft_group group;
	uint32_t let_go, turns;
} both;

static int run_at_last(void *arg)
{
	(void)arg;
	return 0;
}

static int hold_beside(void *arg)
{
	struct weft__worker *w = weft__worker_self();
	struct weft__gaze *gazes = w->runtime->async->watchman.gazes;
	int rc = weft_spawn(&both.group, run_at_last, arg, .name = "other");

	while (!load_acquire(&gazes[w->index].reported))
		sched_yield();
	until(&both.turns, load_acquire(&both.turns) + 1000);
	CHILD_CHECK(!load_acquire(&gazes[!w->index].reported));
	store_release(&both.let_go, 1);
	return rc;
}

static int go_on_beside(void *arg)
{
	(void)arg;
	while (!load_acquire(&both.let_go)) {
		weft_yield();
		add_seqcst(&both.turns, 1);
	}
	return 0;
}

static int hold_one_of_two(void *arg)
{
	int rc = weft_group_open(&both.group);

	return weft_group_close(&both.group, rc ? rc : apart(hold_beside, arg, go_on_beside, arg));
}

static void child_holds_one_of_two(void)
{
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 2, .block_warn = WEFT_MS(100)) == 0);
	CHILD_CHECK(weft_runtime_run(rt, hold_one_of_two, NULL) == 0);
	weft_runtime_destroy(rt);
}

Test(report, CF06_the_other_worker_goes_on_and_is_not_named)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_holds_one_of_two, said), 0), "%s", said);
	cr_expect(eq(int, count(said, "weft: task root holds worker "), 1), "%s", said);
}

static int busy_alone(void *arg)
{
	int64_t end = weft_now() + WEFT_MS(100);

	(void)arg;
	while (weft_now() < end)
		cpu_relax();
	return 0;
}

static void child_busy(void)
{
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 1, .block_warn = WEFT_MS(10)) == 0);
	CHILD_CHECK(weft_runtime_run(rt, busy_alone, NULL) == 0);
	weft_runtime_destroy(rt);
}

Test(report, CF06_nobody_is_named_when_nobody_waits)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_busy, said), 0));
	cr_expect(eq(str, said, ""));
}

static uint32_t other_ran;

static int hold_for_the_other(void *arg)
{
	(void)arg;
	until(&other_ran, 1);
	return 0;
}

static int be_the_other(void *arg)
{
	(void)arg;
	store_release(&other_ran, 1);
	return 0;
}

static int hold_the_other_up(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	weft_spawn(&g, hold_for_the_other, NULL, .name = "holder");
	weft_spawn(&g, be_the_other, NULL, .name = "other");
	return weft_group_close(&g, rc);
}

static void child_has_a_spare(void)
{
	struct weft_runtime *rt;

	CHILD_CHECK(weft_runtime_create(&rt, .workers = 1, .spare_workers = 1,
					.block_warn = WEFT_MS(20)) == 0);
	CHILD_CHECK(weft_runtime_run(rt, hold_the_other_up, NULL) == 0);
	/* It looks until the worker has gone on, and then takes the spare one back. */
	until_not(&rt->pressed, WEFT__PRESSED);
	CHILD_CHECK(load_acquire(&rt->idle.called) == 0);
	weft_runtime_destroy(rt);
}

Test(report, CF06_a_spare_worker_runs_what_waits_for_the_one_that_is_held)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_has_a_spare, said), 0), "%s", said);
	cr_expect(eq(int, count(said, "weft: task holder holds worker 0 for "), 1), "%s", said);
}
