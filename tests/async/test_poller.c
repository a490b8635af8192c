/* SPDX-License-Identifier: MIT */
/*
 * test_poller.c - waiting for descriptors, one promise a test
 *
 * Races are in stress/stress_io.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "deque/alloc.h"
#include "support/assert.h"
#include "support/descriptors.h"

TestSuite(poller, .timeout = 60);

struct scene {
	int a[2], b[2]; /* two pairs of connected sockets */
	int got[4];
	uint32_t step;
	int64_t when[2];
};

static void open_scene(struct scene *x)
{
	*x = (struct scene){ 0 };
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, x->a), 0));
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, x->b), 0));
}

static void close_scene(struct scene *x)
{
	close(x->a[0]);
	close(x->a[1]);
	close(x->b[0]);
	close(x->b[1]);
}

static void send_byte(int fd)
{
	weft_write(fd, "x", 1);
}

/* --- who is woken, and for what ---------------------------------------- */

static int wait_for_a(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_wait_fd(x->a[0], WEFT_READABLE);
	return 0;
}

static int write_to_a(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	send_byte(x->a[1]);
	return 0;
}

Test(poller, a_task_waits_until_there_is_something_to_read)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, together(1, wait_for_a, write_to_a, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_READABLE));
	close_scene(&x);
}

static int wait_for_room(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_wait_fd(x->a[0], WEFT_READABLE | WEFT_WRITABLE);
	return 0;
}

Test(poller, what_is_ready_already_is_told_at_once_and_nothing_else)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, wait_for_room, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_WRITABLE));
	close_scene(&x);
}

static int fill_and_wait_for_room(void *arg)
{
	struct scene *x = arg;
	char block[4096] = { 0 };

	while (write(x->a[0], block, sizeof block) > 0)
		continue;
	x->got[1] = weft_wait_fd(x->a[0], WEFT_WRITABLE);
	return 0;
}

static int drain_then_write(void *arg)
{
	struct scene *x = arg;
	char block[65536];

	until_waiting(2);
	while (read(x->a[1], block, sizeof block) > 0)
		continue;
	until_waiting(1);
	x->got[2] = x->got[0]; /* the reader still waits */
	send_byte(x->a[1]);
	return 0;
}

static int three_sides(void *arg)
{
	struct pair p = { fill_and_wait_for_room, drain_then_write, arg };
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "three");

	weft_spawn(&g, wait_for_a, arg);
	return weft_group_close(&g, rc ? rc : pair_main(&p));
}

Test(poller, one_descriptor_has_waiters_for_both_directions)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, three_sides, &x), 0));
	cr_expect(eq(int, x.got[1], WEFT_WRITABLE));
	cr_expect(eq(int, x.got[2], 0), "the reader was woken for the writer's event");
	cr_expect(eq(int, x.got[0], WEFT_READABLE));
	close_scene(&x);
}

static int count_a(void *arg)
{
	struct scene *x = arg;

	if (weft_wait_fd(x->a[0], WEFT_READABLE) == WEFT_READABLE)
		x->step++;
	return 0;
}

static int hundred_waiters(void *arg)
{
	struct scene *x = arg;
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "hundred");

	for (int i = 0; i < 100 && rc == 0; i++)
		rc = weft_spawn(&g, count_a, x);
	until_waiting(100);
	send_byte(x->a[1]);
	return weft_group_close(&g, rc);
}

Test(poller, all_who_wait_for_the_same_are_woken)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, hundred_waiters, &x), 0));
	cr_expect(eq(u32, x.step, 100));
	close_scene(&x);
}

static int hang_up_a(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	shutdown(x->a[1], SHUT_RDWR);
	return 0;
}

static int wait_for_priority(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_wait_fd(x->a[0], WEFT_PRIORITY);
	return 0;
}

Test(poller, who_hangs_up_is_ready_for_everything)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, together(1, wait_for_priority, hang_up_a, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_PRIORITY));
	close_scene(&x);
}

/* --- cancelling -------------------------------------------------------- */

static int cancelled_beside_another(void *arg)
{
	struct scene *x = arg;
	struct weft_group g;
	struct weft_task first;
	int rc = weft_group_open(&g, .name = "two");

	if (rc == 0)
		rc = weft_spawn(&g, wait_for_a, x, .task = &first);
	if (rc == 0)
		rc = weft_spawn(&g, count_a, x);
	until_waiting(2);
	weft_task_cancel(first);
	until_waiting(1);
	send_byte(x->a[1]);
	return weft_group_close(&g, rc);
}

Test(poller, a_cancelled_waiter_leaves_the_others_their_event)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, cancelled_beside_another, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_ECANCELED));
	cr_expect(eq(u32, x.step, 1));
	close_scene(&x);
}

static int with_deadline(void *arg)
{
	struct scene *x = arg;
	struct weft_scope s;

	weft_scope_enter(&s, .timeout = WEFT_MS(1));
	x->got[0] = weft_wait_fd(x->a[0], WEFT_READABLE);
	return weft_scope_leave(&s, x->got[0]);
}

Test(poller, a_deadline_of_a_scope_ends_the_wait)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, with_deadline, &x), WEFT_ETIMEDOUT));
	cr_expect(eq(int, x.got[0], WEFT_ECANCELED));
	close_scene(&x);
}

static int in_a_cancelled_scope(void *arg)
{
	struct scene *x = arg;
	struct weft_scope s;

	weft_scope_enter(&s, .name = "cancelled");
	weft_scope_cancel(&s);
	x->got[0] = weft_wait_fd(x->a[0], WEFT_WRITABLE);
	return weft_scope_leave(&s, x->got[0]);
}

Test(poller, CO3_a_cancelled_task_is_not_told_of_what_is_ready)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, in_a_cancelled_scope, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_ECANCELED));
	close_scene(&x);
}

/* --- closing, and numbers that come again ------------------------------ */

static int close_a(void *arg)
{
	struct scene *x = arg;

	until_waiting(100);
	x->got[1] = weft_close(x->a[0]);
	x->got[2] = fcntl(x->a[0], F_GETFD);
	return 0;
}

static int count_closed(void *arg)
{
	struct scene *x = arg;

	if (weft_wait_fd(x->a[0], WEFT_READABLE) == WEFT_ECLOSED)
		x->step++;
	return 0;
}

static int hundred_closed(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "hundred");

	for (int i = 0; i < 100 && rc == 0; i++)
		rc = weft_spawn(&g, count_closed, arg);
	if (rc == 0)
		rc = weft_spawn(&g, close_a, arg);
	return weft_group_close(&g, rc);
}

Test(poller, close_wakes_all_who_wait_and_closes)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, hundred_closed, &x), 0));
	cr_expect(eq(u32, x.step, 100));
	cr_expect(eq(int, x.got[1], 0));
	cr_expect(eq(int, x.got[2], -1), "still open");
	close_scene(&x);
}

Test(poller, close_wakes_tasks_of_another_runtime)
{
	struct scene x;
	struct weft_runtime *rt;
	struct runner runner;

	open_scene(&x);
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&runner, rt, wait_for_a, &x);
	until(&rt->async->quiet.pending, 1);
	cr_expect(eq(int, weft_close(x.a[0]), 0));
	runner_join(&runner);
	cr_expect(eq(int, x.got[0], WEFT_ECLOSED));
	weft_runtime_destroy(rt);
	close_scene(&x);
}

static int close_between(void *arg)
{
	struct scene *x = arg;
	struct weft__strand *s = weft__strand_self();
	struct weft__fd *entry;
	uint32_t closes;

	x->got[0] = weft__poller_find(s->runtime, x->a[0], &entry, &closes);
	weft_close(x->a[0]);
	x->got[1] = dup2(x->b[0], x->a[0]); /* somebody else's by now, and writable */
	x->got[2] = weft__poller_wait(s, x->a[0], entry, closes, WEFT_WRITABLE);
	return 0;
}

Test(poller, a_call_that_began_before_the_close_does_not_wait_for_the_next_file)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, close_between, &x), 0));
	cr_expect(eq(int, x.got[0], 0));
	cr_expect(eq(int, x.got[1], x.a[0]));
	cr_expect(eq(int, x.got[2], WEFT_ECLOSED));
	close_scene(&x);
}

static int wait_for_b(void *arg)
{
	struct scene *x = arg;

	weft_wait_fd(x->b[0], WEFT_READABLE);
	store_release(&x->step, 1);
	return 0;
}

/* b's event comes behind the stale one of the old file: when it has been dealt with,
 * so has that. */
static int stale_then_fresh(void *arg)
{
	struct scene *x = arg;

	until_waiting(2);
	send_byte(x->a[1]);
	send_byte(x->b[1]);
	while (load_acquire(&x->step) == 0)
		weft_yield();
	x->got[1] = x->got[0]; /* the reader of the new file still waits */
	send_byte(x->got[3]);
	return 0;
}

static int both_waiters(void *arg)
{
	struct pair p = { wait_for_a, wait_for_b, arg };
	return pair_main(&p);
}

static int reuse_number(void *arg)
{
	struct scene *x = arg;
	struct pair p = { both_waiters, stale_then_fresh, x };
	int pipe_ends[2];

	/* Registered and given up, so that the event is still to come. */
	cancel_when_waiting(wait_for_a, x);
	x->got[2] = x->got[0];
	x->got[0] = 0;
	int kept = dup(x->a[0]); /* the old file lives on, and so does its registration */
	close(x->a[0]);
	int rc = pipe2(pipe_ends, O_NONBLOCK);
	x->got[3] = pipe_ends[1];
	if (rc == 0 && pipe_ends[0] == x->a[0])
		rc = pair_main(&p);
	close(kept);
	close(pipe_ends[1]);
	return rc;
}

Test(poller, a_stale_event_of_a_number_that_was_reused_wakes_nobody)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, reuse_number, &x), 0));
	cr_expect(eq(int, x.got[2], WEFT_ECANCELED));
	cr_expect(eq(int, x.got[1], 0), "woken by the event of another file");
	cr_expect(eq(int, x.got[0], WEFT_READABLE));
	close_scene(&x);
}

static int reopen_and_wait(void *arg)
{
	struct scene *x = arg;

	for (int i = 0; i < 200; i++) {
		int ends[2];
		if (pipe2(ends, O_NONBLOCK) != 0)
			return WEFT_EIO;
		x->got[0] = x->a[0] = ends[0];
		x->a[1] = ends[1];
		struct pair p = { count_a, write_to_a, x };
		int rc = pair_main(&p);
		close(ends[0]);
		close(ends[1]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

Test(poller, numbers_may_be_closed_behind_our_back_and_used_again)
{
	struct scene x = { 0 };

	cr_expect(eq(int, run_on(1, reopen_and_wait, &x), 0));
	cr_expect(eq(u32, x.step, 200));
}

/* --- other kinds of descriptors ---------------------------------------- */

static int wait_for_file(void *arg)
{
	struct scene *x = arg;
	int fd = open("/proc/self/exe", O_RDONLY);
	struct weft__fd *entry;
	uint32_t closes;
	struct weft__strand *s = weft__strand_self();

	x->got[0] = weft_wait_fd(fd, WEFT_READABLE);
	weft__poller_find(s->runtime, fd, &entry, &closes);
	x->got[1] = weft__poller_wait(s, fd, entry, closes, WEFT_READABLE);
	close(fd);
	return 0;
}

Test(poller, a_regular_file_is_always_ready)
{
	struct scene x = { 0 };

	cr_expect(eq(int, run_on(1, wait_for_file, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_READABLE));
	cr_expect(eq(int, x.got[1], -EPERM));
}

static int wait_for_child(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_wait_fd(x->got[1], WEFT_READABLE);
	return 0;
}

static int let_child_go(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	send_byte(x->a[1]);
	return 0;
}

Test(poller, a_pidfd_is_readable_when_the_process_has_ended)
{
	struct scene x;
	char byte;

	open_scene(&x);
	fcntl(x.a[0], F_SETFL, 0);
	pid_t child = fork();
	if (child == 0)
		_exit(read(x.a[0], &byte, 1) == 1 ? 7 : 1);
	x.got[1] = (int)syscall(SYS_pidfd_open, child, 0);
	cr_assert(ge(int, x.got[1], 0));
	cr_expect(eq(int, together(1, wait_for_child, let_child_go, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_READABLE));

	int status;
	cr_expect(eq(int, waitpid(child, &status, WNOHANG), child), "it has not ended");
	cr_expect(eq(int, WEXITSTATUS(status), 7));
	close(x.got[1]);
	close_scene(&x);
}

static int bad_arguments(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_wait_fd(-1, WEFT_READABLE);
	x->got[1] = weft_wait_fd(999, WEFT_READABLE);
	x->got[2] = weft_wait_fd(x->a[0], 0);
	x->got[3] = weft_wait_fd(x->a[0], 0x100);
	return 0;
}

static void expect_bad_arguments(const struct scene *x)
{
	cr_expect(eq(int, x->got[0], -EBADF));
	cr_expect(eq(int, x->got[1], -EBADF));
	cr_expect(eq(int, x->got[2], WEFT_EINVAL));
	cr_expect(eq(int, x->got[3], WEFT_EINVAL));
}

Test(poller, what_makes_no_sense_is_refused_in_a_task_and_outside)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, bad_arguments, &x), 0));
	expect_bad_arguments(&x);
	bad_arguments(&x);
	expect_bad_arguments(&x);
	close_scene(&x);
}

Test(poller, a_plain_thread_waits_too)
{
	struct scene x;

	open_scene(&x);
	send_byte(x.a[1]);
	cr_expect(eq(int, weft_wait_fd(x.a[0], WEFT_READABLE), WEFT_READABLE));
	close_scene(&x);
}

/* --- time -------------------------------------------------------------- */

static int sleep_an_hour(void *arg)
{
	struct scene *x = arg;
	int64_t began = weft_now();

	x->got[2] = weft_sleep(WEFT_SEC(3600));
	x->when[0] = weft_now() - began;
	x->got[1] = x->got[0]; /* the descriptor came first */
	return 0;
}

static int hour_beside_descriptor(void *arg)
{
	struct pair p = { wait_for_a, sleep_an_hour, arg };
	return pair_main(&p);
}

Test(poller, virtual_time_stands_still_while_a_descriptor_is_waited_for)
{
	struct scene x;
	struct weft_runtime *rt;
	struct runner runner;

	open_scene(&x);
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1, .clock = WEFT_CLOCK_VIRTUAL), 0));
	runner_start(&runner, rt, hour_beside_descriptor, &x);
	until(&rt->async->quiet.pending, 1);
	while (!weft__idle_all_asleep(rt))
		sched_yield();
	send_byte(x.a[1]);
	cr_expect(eq(int, runner_join(&runner), 0));
	weft_runtime_destroy(rt);
	cr_expect(eq(int, x.got[1], WEFT_READABLE));
	cr_expect(eq(int, x.got[2], 0));
	cr_expect(eq(i64, x.when[0], WEFT_SEC(3600)));
	close_scene(&x);
}

/* --- when the system refuses ------------------------------------------- */

/* From now on these calls fail in the calling thread and those that it starts. */
static int deny(unsigned first, unsigned second, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT_OF(code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int sleep_a_little(void *arg)
{
	struct scene *x = arg;
	int64_t began = weft_now();

	x->got[1] = weft_sleep(WEFT_US(100));
	x->when[0] = weft_now() - began;
	return 0;
}

static void without_pwait2(int error)
{
	struct scene x;

	open_scene(&x);
	if (deny(SYS_epoll_pwait2, SYS_epoll_pwait2, error) != 0)
		cr_skip_test("no filters of system calls here");
	cr_expect(eq(int, together(1, wait_for_a, write_to_a, &x), 0));
	cr_expect(eq(int, run_on(1, sleep_a_little, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_READABLE));
	cr_expect(eq(int, x.got[1], 0));
	cr_expect(ge(i64, x.when[0], WEFT_US(100)), "woken early");
	close_scene(&x);
}

Test(poller, a_kernel_without_epoll_pwait2_will_do)
{
	without_pwait2(ENOSYS);
}

Test(poller, a_filter_that_denies_epoll_pwait2_will_do)
{
	without_pwait2(EPERM);
}

static int without_threads(void *arg)
{
	struct scene *x = arg;

	x->got[3] = deny(SYS_clone, SYS_clone3, EAGAIN);
	if (x->got[3] != 0)
		return 0;
	x->got[0] = weft_wait_fd(x->a[0], WEFT_READABLE);
	x->got[1] = weft_sleep(WEFT_SEC(3600)); /* a short one may be over before it begins */
	x->got[2] = weft_wait_fd(x->a[0], WEFT_WRITABLE); /* needs none */
	return 0;
}

Test(poller, without_a_thread_to_be_had_a_wait_fails_and_nothing_hangs)
{
	struct scene x;
	struct weft_runtime *rt;

	/* Else somebody may have started the event thread before, to look after workers. */
	open_scene(&x);
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1, .block_warn = WEFT_NEVER), 0));
	cr_expect(eq(int, weft_runtime_run(rt, without_threads, &x), 0));
	weft_runtime_destroy(rt);
	if (x.got[3] != 0)
		cr_skip_test("no filters of system calls here");
	cr_expect(eq(int, x.got[0], WEFT_EAGAIN));
	cr_expect(eq(int, x.got[1], WEFT_EAGAIN));
	cr_expect(eq(int, x.got[2], WEFT_WRITABLE));
	close_scene(&x);
}

static int without_memory(void *arg)
{
	struct scene *x = arg;

	weft__alloc_fail_at(1);
	x->got[0] = weft_wait_fd(x->a[0], WEFT_WRITABLE);
	weft__alloc_fail_at(0);
	x->got[1] = weft_wait_fd(x->a[0], WEFT_WRITABLE);
	return 0;
}

Test(poller, without_memory_a_wait_fails_and_the_next_works)
{
	struct scene x;

	open_scene(&x);
	cr_expect(eq(int, run_on(1, without_memory, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_ENOMEM));
	cr_expect(eq(int, x.got[1], WEFT_WRITABLE));
	close_scene(&x);
}
