/* SPDX-License-Identifier: MIT */
/*
 * test_proc_server.c - what async/proc_server.h promises, and what it does to the
 * application, one promise a test
 */
#include "support/proc_suite.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "async/proc_worker.h"
#include "deque/alloc.h"
#include "deque/atomic.h"
#include "support/child.h"

TestSuite(proc_server, .init = setup, .fini = teardown, .timeout = 60);

/*
 * The application
 */

Test(proc_server, there_is_no_child_that_the_application_could_wait_for)
{
	run_int(begin(), job_pid, 0);
	cr_expect(eq(int, waitpid(-1, NULL, WNOHANG), -1));
	cr_expect(eq(int, errno, ECHILD));
}

static void die_at_once(void)
{
	_exit(7);
}

Test(proc_server, children_of_the_application_stay_its_own)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		die_at_once();
	for (int i = 0; i < 3; i++)
		kill_with(begin(), SIGKILL);
	weft__server_fini(&server);
	cr_expect(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, WEXITSTATUS(status), 7));
}

Test(proc_server, a_server_that_the_kernel_makes_our_child_is_no_zombie)
{
	weft__server_fini(&server);
	cr_assert(eq(int, prctl(PR_SET_CHILD_SUBREAPER, 1), 0));
	cr_assert(eq(int, weft__server_open(&server), 0));
	run_int(begin(), job_pid, 0);
	kill(server.pid, SIGKILL);
	end_of(&proc[0]);
	weft__server_fini(&server);
	cr_assert(eq(int, weft__server_open(&server), 0));
	run_int(begin(), job_pid, 0);
	weft__server_fini(&server);
	while (waitpid(-1, NULL, __WALL) > 0) /* workers of the killed server */
		continue;
	cr_expect(eq(int, errno, ECHILD));
}

Test(proc_server, a_server_that_is_killed_takes_its_workers_and_can_be_replaced)
{
	struct weft__proc *p = begin();
	struct weft__proc *q = begin();
	pid_t child = run_int(p, job_child, 0);

	cr_assert(eq(int, proc_send(p, job_sleep, "", 0), 0));
	cr_assert(proc_wait_alive(&server, q));
	kill(server.pid, SIGKILL);
	cr_expect(eq(int, end_of(p)->is_guessed, true));
	cr_expect(eq(int, p->exit.signal, SIGKILL));
	cr_expect(eq(int, end_of(q)->is_guessed, true));
	cr_expect(proc_dies(p->pid, 1000));
	cr_expect(proc_dies(child, 1000));
	cr_expect(eq(int, weft__proc_start(&proc[2], &server, NULL), -EPIPE));

	cr_assert(eq(int, weft__server_open(&server), 0));
	cr_expect(gt(int, run_int(begin(), job_pid, 0), 0));
}

Test(proc_server, the_last_fini_leaves_no_process)
{
	pid_t child = run_int(begin(), job_child, 0);
	pid_t session = run_int(begin(), job_child, 1);
	pid_t pids[] = { server.pid, proc[0].pid, proc[1].pid, child, session };

	weft__server_fini(&server);
	for (int i = 0; i < 5; i++)
		cr_expect(not(proc_lives(pids[i])), "process %d", i);
}

Test(proc_server, nothing_stays_open)
{
	weft__server_fini(&server);
	int before = proc_fd_count();
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, weft__server_open(&server), 0));
		struct weft__proc *p = begin();
		expect_echo(p, 1 << 20);
		run(p, job_exit, &i, sizeof(i));
		weft__proc_fini(p);
		cr_assert(eq(int, weft__proc_start(p, &server, NULL), 0));
		weft__proc_fini(p);
		cr_assert(eq(int, weft__proc_start(p, &server, NULL), 0));
		weft__server_fini(&server);
		weft__proc_fini(p);
	}
	started = 0;
	cr_expect(eq(int, proc_fd_count(), before));
}

static void start_in_a_fork(void)
{
	CHILD_CHECK(weft__server_open(&server) == -ESHUTDOWN);
	CHILD_CHECK(weft__proc_start(&proc[2], &server, NULL) == -ESHUTDOWN);
	weft__server_fini(&server); /* not its to end */
}

Test(proc_server, a_fork_of_the_application_has_no_server)
{
	struct weft__proc *p = begin();

	run_int(p, job_pid, 0);
	cr_expect(eq(int, child_check(start_in_a_fork), 0));
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

static int *shown; /* where the application to be shows what it has started */

static void be_an_application(void)
{
	struct weft__proc *p = &proc[0];
	struct weft__answer got;

	weft__server_init(&server);
	CHILD_CHECK(weft__server_open(&server) == 0);
	for (int i = 0; i < 2; i++) {
		CHILD_CHECK(weft__proc_start(p, &server, NULL) == 0);
		CHILD_CHECK(proc_send(p, job_child, &i, sizeof(i)) == 0);
		CHILD_CHECK(proc_wait(&server, p, &got) == WEFT__PROC_ANSWER);
		CHILD_CHECK(proc_wait_alive(&server, p));
		memcpy(&shown[2 * i], got.data, sizeof(int));
		shown[2 * i + 1] = p->pid;
		CHILD_CHECK(proc_send(p, job_sleep, "", 0) == 0);
		p++;
	}
	shown[4] = server.pid;
	kill(getpid(), SIGKILL);
}

Test(proc_server, the_death_of_the_application_leaves_no_process)
{
	shown = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_expect(eq(int, child_check(be_an_application), 256 + SIGKILL));
	for (int i = 0; i < 5; i++) {
		cr_assert(gt(int, shown[i], 0));
		cr_expect(proc_dies(shown[i], 1000), "process %d", i);
	}
}

/*
 * Threads, libraries, servers below servers
 */

static bool enough;

static void *hold_locks(void *arg)
{
	while (!load_relaxed(&enough)) {
		free(malloc(5000));
		FILE *null = fopen("/dev/null", "we");
		fprintf(null, "%p", arg);
		fclose(null);
		setlinebuf(stdout);
	}
	return NULL;
}

Test(proc_server, locks_that_threads_hold_stop_no_worker)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, hold_locks, NULL);
	for (int i = 0; i < 20; i++) {
		weft__server_fini(&server);
		cr_assert(eq(int, weft__server_open(&server), 0));
		for (int k = 0; k < 10; k++) {
			started = 0;
			struct weft__proc *p = begin();
			cr_assert(gt(int, run_int(p, job_pid, 0), 0));
			weft__proc_fini(p);
		}
		started = 0;
	}
	store_relaxed(&enough, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* Plays a server and a worker below this one. */
static int job_nested(const void *in, size_t size, struct weft_reply *reply)
{
	static struct weft__server below;
	static struct weft__proc worker;
	int levels = take_int(in) - 1;

	(void)size;
	if (levels < 0)
		return give_int(reply, (int)weft__proc_worker_depth());
	weft__server_init(&below);
	int rc = weft__server_open(&below);
	rc = rc ? rc : weft__proc_start(&worker, &below, NULL);
	rc = rc ? rc : proc_send(&worker, job_nested, &levels, sizeof(levels));
	if (rc != 0)
		return rc;
	struct weft__answer got;
	if (proc_wait(&below, &worker, &got) != WEFT__PROC_ANSWER)
		return -EIO;
	return got.rc ? got.rc : weft_reply_put(reply, got.data, got.size);
}

Test(proc_server, a_worker_may_have_workers)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run_int(p, job_nested, 2), 3));
	weft__server_fini(&server);
}

Test(proc_server, a_worker_is_only_so_many_servers_down)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_nested, &(int){ 20 }, sizeof(int)), -ELOOP));
}

/*
 * Memory
 */

static int live_once(void)
{
	struct weft__server s;
	struct weft__proc p;
	struct weft__answer got = { 0 };

	weft__server_init(&s);
	int rc = weft__server_open(&s);
	rc = rc ? rc : weft__proc_start(&p, &s, NULL);
	if (rc == 0) {
		rc = proc_send(&p, job_pid, "", 0);
		if (rc == 0 && proc_wait(&s, &p, &got) != WEFT__PROC_ANSWER)
			rc = 1000;
		weft__answer_fini(&got);
		weft__proc_fini(&p);
	}
	weft__server_fini(&s);
	return rc ? rc : got.rc;
}

Test(proc_server, without_memory_there_is_an_error_and_no_leak)
{
	int before = proc_fd_count();

	for (uint64_t n = 1;; n++) {
		weft__alloc_fail_at(n);
		int rc = live_once();
		bool failed = weft__alloc_failures() > 0;
		weft__alloc_fail_at(0);
		cr_assert(eq(int, rc, failed ? -ENOMEM : 0), "allocation %llu",
			  (unsigned long long)n);
		cr_assert(eq(int, proc_fd_count(), before));
		if (!failed)
			break;
	}
}
