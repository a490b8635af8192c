/* SPDX-License-Identifier: MIT */
/*
 * test_shutdown.c - what weft_shutdown and weft_request_shutdown promise
 */
#include <criterion/criterion.h>

#include <fcntl.h>

#include "async/async.h"
#include "async/clock.h"
#include "support/assert.h"
#include "support/child.h"
#include "support/tasks.h"

static void shut_down(void)
{
	weft_shutdown(WEFT_NEVER);
}

TestSuite(shutdown, .fini = shut_down, .timeout = 60);

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* --- tasks that sleep for ever ----------------------------------------------------- */

struct sleeper {
	uint32_t begun;
	struct weft_reason reason;
};

static int sleep_on(void *arg)
{
	struct sleeper *s = arg;

	add_seqcst(&s->begun, 1);
	int rc = weft_sleep_forever();
	s->reason = weft_cancel_reason();
	return rc;
}

static int sleep_in_a_group(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 10 && rc == 0; i++)
		rc = weft_spawn(&g, sleep_on, arg);
	return weft_group_close(&g, rc);
}

Test(shutdown, CF_2_of_tasks_that_sleep_for_ever_ends_at_once)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct sleeper s = { 0 };
		struct runner r;

		weft_configure(.workers = worker_counts[i]);
		runner_start(&r, NULL, sleep_in_a_group, &s);
		until(&s.begun, 10);
		cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
		cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
		cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
		cr_expect(eq(int, s.reason.code, WEFT_ESHUTDOWN));
	}
}

static int spawn_detached(void *arg)
{
	return weft_spawn_detached(sleep_on, arg);
}

Test(shutdown, CF_2_cancels_and_joins_detached_tasks)
{
	struct sleeper s = { 0 };

	cr_assert(eq(int, weft_run_sync(spawn_detached, &s), 0));
	until(&s.begun, 1);
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
}

Test(shutdown, CF03_twice_is_0_and_0_and_a_restart_works)
{
	cr_assert(eq(int, weft_run_sync(nothing, NULL), 0));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

static void *shut_down_thread(void *arg)
{
	*(int *)arg = weft_shutdown(WEFT_NEVER);
	return NULL;
}

Test(shutdown, CF_2_callers_at_the_same_time_share_the_result)
{
	struct sleeper s = { 0 };
	struct runner r;
	pthread_t threads[8];
	int rcs[8];

	runner_start(&r, NULL, sleep_in_a_group, &s);
	until(&s.begun, 10);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		rcs[i] = -1;
		pthread_create(&threads[i], NULL, shut_down_thread, &rcs[i]);
	}
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		pthread_join(threads[i], NULL);
		cr_expect(eq(int, rcs[i], 0));
	}
	runner_join(&r);
}

/* --- from where it may be called -------------------------------------------------- */

static int shut_down_here(void *arg)
{
	*(int *)arg = weft_shutdown(WEFT_NEVER);
	return 0;
}

static int shut_down_in_a_call(void *arg)
{
	return weft_to_thread(shut_down_here, arg);
}

Test(shutdown, CF03_from_a_task_or_its_blocking_call_is_edeadlk)
{
	int rc = 0;

	cr_assert(eq(int, weft_run_sync(shut_down_here, &rc), 0));
	cr_expect(eq(int, rc, WEFT_EDEADLK));
	rc = 0;
	cr_assert(eq(int, weft_run_sync(shut_down_in_a_call, &rc), 0));
	cr_expect(eq(int, rc, WEFT_EDEADLK));
}

static int request(void *arg)
{
	struct sleeper *s = arg;

	weft_request_shutdown();
	weft_request_shutdown();
	return sleep_on(s);
}

/* IN-1 (e): and then a run is refused. */
Test(shutdown, CF_2_a_task_may_request_it)
{
	struct sleeper s = { 0 };

	cr_expect(eq(int, weft_run_sync(request, &s), WEFT_ECANCELED));
	cr_expect(eq(int, s.reason.kind, WEFT_REASON_SHUTDOWN));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

Test(shutdown, CF_2_requested_from_a_thread_ends_what_sleeps)
{
	struct sleeper s = { 0 };
	struct runner r;

	weft_request_shutdown(); /* of nothing: nothing */
	runner_start(&r, NULL, sleep_on, &s);
	until(&s.begun, 1);
	weft_request_shutdown();
	cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

Test(shutdown, CF_2_requested_in_a_runtime_of_ones_own_is_of_that)
{
	struct weft_runtime *rt;
	struct sleeper s = { 0 };

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	cr_expect(eq(int, weft_runtime_run(rt, request, &s), WEFT_ECANCELED));
	cr_expect(eq(int, weft_runtime_run(rt, nothing, NULL), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
	weft_runtime_destroy(rt);
}

/* --- grace ------------------------------------------------------------------------ */

/* When each of three tasks ended, after the request, and how. */
struct asked {
	uint32_t begun;
	int64_t began, soft, work, hard;
	int soft_rc, work_rc, hard_rc, kind;
	bool requested;
};

static int ends_when_asked(void *arg)
{
	struct asked *a = arg;

	store_release(&a->begun, 1);
	a->soft_rc = weft_sleep_soft(WEFT_SEC(3600));
	a->soft = weft_now() - a->began;
	a->requested = weft_cancel_requested();
	a->kind = weft_cancel_reason().kind;
	return a->soft_rc;
}

static int finishes_its_work(void *arg)
{
	struct asked *a = arg;

	a->work_rc = weft_sleep(WEFT_MS(500));
	a->work = weft_now() - a->began;
	return a->work_rc;
}

static int ends_when_cancelled(void *arg)
{
	struct asked *a = arg;

	a->hard_rc = weft_sleep_forever();
	a->hard = weft_now() - a->began;
	return a->hard_rc;
}

static int requests_with_grace(void *arg)
{
	struct asked *a = arg;
	struct weft_group g;

	weft_group_open(&g);
	a->began = weft_now();
	weft_spawn(&g, ends_when_asked, a);
	weft_spawn(&g, finishes_its_work, a);
	weft_spawn(&g, ends_when_cancelled, a);
	weft_wait_all_blocked();
	weft_request_shutdown();
	weft_request_shutdown();
	return weft_group_close(&g, 0);
}

Test(shutdown, CF_2_with_grace_it_asks_first_and_cancels_later)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct asked a = { 0 };
		struct weft_runtime *rt;

		cr_assert(eq(int,
			     weft_runtime_create(&rt, .workers = worker_counts[i],
						 .clock = WEFT_CLOCK_VIRTUAL,
						 .shutdown_grace = WEFT_SEC(1)),
			     0));
		cr_expect(eq(int, weft_runtime_run(rt, requests_with_grace, &a), WEFT_ECANCELED));
		weft_runtime_destroy(rt);
		cr_expect(eq(int, a.soft_rc, WEFT_ECANCELED));
		cr_expect(eq(i64, a.soft, 0));
		cr_expect(a.requested);
		cr_expect(eq(int, a.kind, WEFT_REASON_SHUTDOWN));
		cr_expect(eq(int, a.work_rc, 0), "what is under way comes to its end");
		cr_expect(eq(i64, a.work, WEFT_MS(500)));
		cr_expect(eq(int, a.hard_rc, WEFT_ECANCELED));
		cr_expect(eq(i64, a.hard, WEFT_SEC(1)));
	}
}

/* By the real clock, and over before the grace is. */
Test(shutdown, CF_2_grace_is_not_waited_for_when_nobody_needs_it)
{
	struct asked a = { 0 };
	struct runner r;

	cr_assert(eq(int, weft_configure(.shutdown_grace = WEFT_SEC(3600)), 0));
	runner_start(&r, NULL, ends_when_asked, &a);
	until(&a.begun, 1);
	cr_expect(eq(int, weft_shutdown(WEFT_NEVER), 0));
	cr_expect(eq(int, runner_join(&r), WEFT_ECANCELED));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

/* --- what does not end ------------------------------------------------------------- */

static uint32_t let_go;

static int stuck_thread(void *arg)
{
	store_release((uint32_t *)arg, 1);
	until(&let_go, 1);
	return 0;
}

static int stuck_task(void *arg)
{
	return weft_to_thread(stuck_thread, arg);
}

static int stuck_root(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "customers");

	if (rc == 0)
		rc = weft_spawn(&g, stuck_task, arg, .name = "stuck-one");
	return weft_group_close(&g, rc);
}

static void child_stuck(void)
{
	uint32_t begun = 0;
	struct runner r;

	runner_start(&r, NULL, stuck_root, &begun);
	until(&begun, 1);
	CHILD_CHECK(weft_shutdown(0) == WEFT_ETIMEDOUT); /* and nothing is said */
	CHILD_CHECK(weft_shutdown(weft__monotonic() + WEFT_MS(200)) == WEFT_ETIMEDOUT);
	CHILD_CHECK(weft_run_sync(nothing, NULL) == WEFT_ESHUTDOWN);
	store_release(&let_go, 1);
	CHILD_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	runner_join(&r);
}

Test(shutdown, CF03_past_its_deadline_is_etimedout_and_names_what_is_stuck)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_stuck, said), 0));
	cr_expect(eq(ptr, strstr(said, "weft: shutdown: the time is over"), said), "%s", said);
	cr_expect(eq(ptr, strstr(said + 1, "weft: shutdown: the time is over"), NULL), "%s", said);
	cr_expect(ne(ptr, strstr(said, "group customers, 1 to join"), NULL), "%s", said);
	cr_expect(ne(ptr, strstr(said, "task stuck-one: waits for a blocking call"), NULL), "%s",
		  said);
}

/* --- calls that were abandoned ----------------------------------------------------- */

/* Goes on when nobody waits for it any more; what it asks is in ask(). */
struct left_over {
	uint32_t begun, go;
	uint32_t asked, dropped;
	struct weft_task task; /* that is over */
	struct weft_stats stats;
};

static struct left_over left_over;

/* Everything that may be called from a plain thread and looks for the runtime. */
static void ask(struct left_over *l)
{
	FILE *nowhere = fopen("/dev/null", "w");

	weft_worker_count();
	weft_worker_index();
	weft_stats(-1, &l->stats);
	weft_task_state(l->task);
	weft_task_result(l->task, NULL);
	weft_task_cancel(l->task);
	weft_task_forget(l->task);
	weft_configure(.block_warn = WEFT_MS(200));
	weft_dump(nowhere);
	fclose(nowhere);
	weft_request_shutdown();
	add_seqcst(&l->asked, 1);
}

static int runs_on(void *arg)
{
	struct left_over *l = *(struct left_over **)arg;

	store_release(&l->begun, 1);
	until(&l->go, 1);
	ask(l);
	return 0;
}

static void drop_left_over(void *arg)
{
	struct left_over *l = *(struct left_over **)arg;

	ask(l);
	store_release(&l->dropped, 1);
}

static int call_and_abandon(void *arg)
{
	struct left_over *l = arg;

	l->task = weft_task_self();
	return weft_to_thread(runs_on, &l, .abandon = true, .copy = sizeof l,
			      .drop = drop_left_over);
}

static int cancel_when_begun(void *arg)
{
	struct left_over *l = arg;
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc == 0)
		rc = weft_spawn(&g, call_and_abandon, l);
	while (rc == 0 && load_acquire(&l->begun) == 0)
		weft_yield();
	weft_group_cancel(&g);
	return weft_group_close(&g, rc);
}

/* The default runtime has no task any more, and a call that runs on. */
static struct left_over *leave_a_call(void)
{
	cr_assert(eq(int, weft_run_sync(cancel_when_begun, &left_over), 0));
	cr_assert(eq(u32, load_acquire(&left_over.begun), 1));
	return &left_over;
}

/* Returns when a shutdown waits for the threads of the runtime. */
static void until_it_waits(void)
{
	bool waits = false;

	while (!waits) {
		struct weft_runtime *rt = weft__default_hold();
		waits = rt && load_relaxed(&rt->async->pool.closed);
		weft__default_release();
		sched_yield();
	}
}

struct shutting {
	pthread_t thread;
	int64_t deadline;
	int rc;
};

static void *shut_down_by(void *arg)
{
	struct shutting *s = arg;

	s->rc = weft_shutdown(s->deadline);
	return NULL;
}

static void begin_to_shut_down(struct shutting *s, int64_t deadline)
{
	s->deadline = deadline;
	s->rc = -1;
	pthread_create(&s->thread, NULL, shut_down_by, s);
}

static int join_shutting(struct shutting *s)
{
	pthread_join(s->thread, NULL);
	return s->rc;
}

static int64_t in_an_hour(void)
{
	return weft__monotonic() + WEFT_SEC(3600);
}

static void an_abandoned_call_asks(int64_t deadline)
{
	struct left_over *l = leave_a_call();
	struct shutting s;

	begin_to_shut_down(&s, deadline);
	until_it_waits();
	store_release(&l->go, 1);
	cr_expect(eq(int, join_shutting(&s), 0));
	cr_expect(eq(u32, l->asked, 2));
	cr_expect(eq(u32, l->dropped, 1), "shutdown waits for what was abandoned");
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

Test(shutdown, CF_2_an_abandoned_call_may_ask_about_the_runtime_that_waits_for_it)
{
	an_abandoned_call_asks(WEFT_NEVER);
}

Test(shutdown, CF_2_and_so_it_may_when_the_shutdown_has_a_deadline)
{
	an_abandoned_call_asks(in_an_hour());
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int sleep_a_moment(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_US(1));
}

/* Who woke the last task may not be done with that yet, and kicks the event thread. */
Test(shutdown, CF_2_the_descriptors_of_the_event_thread_are_there_to_the_end)
{
	struct left_over *l = leave_a_call();
	struct shutting s;

	cr_assert(eq(int, weft_run_sync(sleep_a_moment, NULL), 0));
	begin_to_shut_down(&s, WEFT_NEVER);
	until_it_waits();
	struct weft_runtime *rt = weft__default_hold();
	int wake = rt->async->events.wake, epoll = rt->async->events.epoll;
	cr_expect(eq(u32, load_acquire(&rt->async->events.stop), 1));
	cr_expect(is_open(wake));
	cr_expect(is_open(epoll));
	weft__default_release();
	store_release(&l->go, 1);
	cr_expect(eq(int, join_shutting(&s), 0));
	cr_expect(not(is_open(wake)));
	cr_expect(not(is_open(epoll)));
}

Test(shutdown, CF_2_again_is_nothing_whatever_was_configured_since)
{
	struct left_over *l;
	struct shutting s;

	/* There is no event thread. */
	weft_configure(.stall_warn = WEFT_NEVER, .block_warn = WEFT_NEVER);
	l = leave_a_call();
	begin_to_shut_down(&s, WEFT_NEVER);
	until_it_waits();
	cr_expect(eq(int, weft_configure(.shutdown_grace = WEFT_SEC(1)), 0));
	cr_expect(eq(int, weft_shutdown(0), WEFT_ETIMEDOUT));
	weft_request_shutdown();
	struct weft_runtime *rt = weft__default_hold();
	cr_expect(not(load_acquire(&rt->root.flags) & WEFT__NODE_SOFT));
	cr_expect(eq(u32, load_acquire(&rt->async->events.running), 0));
	cr_expect(eq(int, weft__events_start(rt), WEFT_ESHUTDOWN), "it has ended for good");
	weft__default_release();
	store_release(&l->go, 1);
	cr_expect(eq(int, join_shutting(&s), 0));
}

/* Two shutdowns that would wait for long, of which one does it for both. */
static void nobody_waits_longer_than_he_said(int64_t deadline)
{
	struct left_over *l = leave_a_call();
	struct shutting s[2];

	begin_to_shut_down(&s[0], deadline);
	begin_to_shut_down(&s[1], deadline);
	until_it_waits();
	cr_expect(eq(int, weft_run_sync(nothing, NULL), WEFT_ESHUTDOWN));
	cr_expect(eq(int, weft_shutdown(0), WEFT_ETIMEDOUT));
	cr_expect(eq(int, weft_shutdown(-1), WEFT_ETIMEDOUT));
	cr_expect(eq(int, weft_shutdown(weft__monotonic() + WEFT_MS(1)), WEFT_ETIMEDOUT));
	store_release(&l->go, 1);
	cr_expect(eq(int, join_shutting(&s[0]), 0));
	cr_expect(eq(int, join_shutting(&s[1]), 0));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

Test(shutdown, CF_2_each_caller_keeps_its_own_deadline)
{
	nobody_waits_longer_than_he_said(WEFT_NEVER);
}

Test(shutdown, CF_2_and_so_it_does_behind_another_deadline)
{
	nobody_waits_longer_than_he_said(in_an_hour());
}

/* Whoever does the work, and whoever gives up, one that has the time sees the end. */
Test(shutdown, CF_2_goes_on_when_the_caller_that_did_the_work_gives_up)
{
	struct left_over *l = leave_a_call();
	struct shutting early, late;

	begin_to_shut_down(&early, weft__monotonic() + WEFT_MS(20));
	begin_to_shut_down(&late, in_an_hour());
	cr_expect(eq(int, join_shutting(&early), WEFT_ETIMEDOUT));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), WEFT_ESHUTDOWN));
	store_release(&l->go, 1);
	cr_expect(eq(int, join_shutting(&late), 0));
	cr_expect(eq(u32, l->dropped, 1));
	cr_expect(eq(int, weft_run_sync(nothing, NULL), 0));
}

static void child_with_a_call_left(void)
{
	struct shutting s;

	leave_a_call();
	begin_to_shut_down(&s, WEFT_NEVER);
	until_it_waits();
	CHILD_CHECK(weft_shutdown(weft__monotonic() + WEFT_MS(1)) == WEFT_ETIMEDOUT);
	store_release(&left_over.go, 1);
	CHILD_CHECK(join_shutting(&s) == 0);
}

Test(shutdown, CF_2_who_gives_up_is_told_of_calls_that_another_waits_for)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_with_a_call_left, said), 0), "%s", said);
	cr_expect(ne(ptr, strstr(said, "1 blocking call runs"), NULL), "%s", said);
}

/* --- the end of the process ---------------------------------------------------------- */

static int exit_here(void *arg)
{
	(void)arg;
	exit(7);
}

static int exit_in_a_group(void *arg)
{
	struct sleeper s = { 0 };
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < 4 && rc == 0; i++)
		rc = weft_spawn(&g, sleep_on, &s);
	if (rc == 0)
		rc = weft_spawn(&g, exit_here, arg);
	return weft_group_close(&g, rc);
}

static void in_exit_handler(void)
{
	struct sleeper s = { 0 };

	weft_run_sync(request, &s);
	weft_shutdown(WEFT_NEVER);
}

static void child_exits_in_a_task(void)
{
	weft_configure(.workers = 2);
	weft_run_sync(exit_in_a_group, NULL);
}

static void child_exits_with_a_handler(void)
{
	atexit(in_exit_handler);
	child_exits_in_a_task();
}

static void child_handler_stops_sleepers(void)
{
	static struct sleeper s;
	static struct runner r;

	atexit(shut_down);
	runner_start(&r, NULL, sleep_in_a_group, &s);
	until(&s.begun, 10);
	exit(7);
}

static int exit_in_a_call(void *arg)
{
	return weft_to_thread(exit_here, arg);
}

static void child_exits_in_a_blocking_call(void)
{
	atexit(in_exit_handler);
	weft_run_sync(exit_in_a_call, NULL);
}

Test(shutdown, CF_2_exit_never_hangs)
{
	char said[CHILD_SAYS];

	cr_expect(eq(int, child_says(child_exits_in_a_task, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_exits_with_a_handler, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_handler_stops_sleepers, said), 7), "%s", said);
	cr_expect(eq(int, child_says(child_exits_in_a_blocking_call, said), 7), "%s", said);
}
