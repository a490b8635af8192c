/* SPDX-License-Identifier: MIT */
/*
 * test_process_pool.c - what weft/process.h promises, one promise a test
 *
 * Time is the real one, since workers are real.  Nothing is measured but where the
 * promise is that something takes less than it would.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "async/proc_control.h"
#include "async/process_pool.h"
#include "support/child.h"
#include "support/proc_suite.h"
#include "support/virtual.h"

TestSuite(process_pool, .timeout = 100);

static int go_real(weft_fn *fn, void *arg)
{
	return go_with((struct weft_config){ .workers = 2, .default_process_workers = 2 }, fn, arg);
}

/* A test that is one body on a runtime with the real clock; it returns 0. */
#define RealTest(suite, name)                                                \
	static int suite##_##name##_task(void *arg);                         \
	Test(suite, name)                                                    \
	{                                                                    \
		cr_assert(eq(int, go_real(suite##_##name##_task, NULL), 0)); \
	}                                                                    \
	static int suite##_##name##_task(__attribute__((unused)) void *arg)

/* Runs a job that answers with an int: that, or its error. */
static int ask_in(struct weft_process_pool *pool, weft_remote_fn *fn, int value)
{
	struct weft_buf out = { 0 };
	int rc = weft_to_process(fn, &value, sizeof value, &out, .pool = pool);
	int result = -1;

	if (rc != 0)
		return rc;
	if (out.size == sizeof result)
		memcpy(&result, out.data, sizeof result);
	weft_buf_free(&out);
	return result;
}

static int ask(weft_remote_fn *fn, int value)
{
	return ask_in(NULL, fn, value);
}

static struct weft_process_pool *pool_of(unsigned workers)
{
	struct weft_process_pool *pool = NULL;

	HOLDS(weft_process_pool_create(&pool, .workers = workers) == 0);
	return pool;
}

/* --- values ------------------------------------------------------------- */

RealTest(process_pool, PR01_another_process_and_the_same_one_again)
{
	struct weft_process_pool *pool = pool_of(1);
	int pid = ask_in(pool, job_pid, 0);

	HOLDS(pid > 0 && pid != getpid());
	HOLDS(ask_in(pool, job_pid, 0) == pid);
	HOLDS(weft_process_pool_workers(pool) == 1);
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, PR01_the_status_names_the_worker)
{
	struct weft_proc_status st = { .signo = 77 };
	struct weft_buf out = { 0 };
	int pid;

	HOLDS(weft_to_process(job_pid, NULL, 0, &out, .status = &st) == 0);
	memcpy(&pid, out.data, sizeof pid);
	weft_buf_free(&out);
	HOLDS(st.pid == pid && st.signo == 0 && st.exit_code == 0);
	return 0;
}

static int job_fail(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	return take_int(in);
}
WEFT_REMOTE(job_fail);

RealTest(process_pool, PR02_the_code_of_the_function_comes_back)
{
	struct weft_process_pool *pool = pool_of(1);
	int pid = ask_in(pool, job_pid, 0);

	HOLDS(ask_in(pool, job_fail, WEFT_EIO) == WEFT_EIO);
	HOLDS(ask_in(pool, job_fail, -12345) == -12345);
	HOLDS(ask_in(pool, job_pid, 0) == pid);
	return weft_process_pool_close(pool, 0);
}

/* By its place: it has no name. */
static int job_nameless(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size;
	return give_int(reply, take_int(in) + 1);
}

RealTest(process_pool, a_function_without_a_name_is_found_by_its_place)
{
	HOLDS(ask(job_nameless, 41) == 42);
	return 0;
}

RealTest(process_pool, PR03_a_cancelled_caller_starts_nothing)
{
	struct weft_process_pool *pool = pool_of(1);
	struct weft_scope s;

	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(ask_in(pool, job_pid, 0) == WEFT_ECANCELED);
	HOLDS(weft_process_pool_workers(pool) == 0 && pool->count == 0 && pool->last_job == 0);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == 0);
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, PR03_a_timeout_that_is_over_starts_nothing)
{
	struct weft_process_pool *pool = pool_of(1);

	HOLDS(weft_to_process(job_pid, NULL, 0, NULL, .pool = pool, .timeout = -1) ==
	      WEFT_ETIMEDOUT);
	HOLDS(pool->last_job == 0);
	return weft_process_pool_close(pool, 0);
}

Test(process_pool, a_plain_thread_is_no_task)
{
	cr_expect(eq(int, weft_to_process(job_pid, NULL, 0, NULL), WEFT_ENOTASK));
}

/* --- cancels and deadlines ----------------------------------------------- */

static int sleep_there(void *arg)
{
	return weft_to_process(job_sleep, NULL, 0, NULL, .status = arg);
}

/* Runs a job until a scope around it is over. */
static int cut_off(struct weft_process_pool *pool, weft_remote_fn *fn, int64_t timeout,
		   struct weft_proc_status *st, int64_t grace)
{
	struct weft_scope s;
	int rc = weft_scope_enter(&s, .timeout = timeout);

	if (rc == 0)
		rc = weft_to_process(fn, NULL, 0, NULL, .pool = pool, .status = st, .grace = grace);
	HOLDS(rc == WEFT_ECANCELED);
	return weft_scope_leave(&s, rc);
}

RealTest(process_pool, PR04_a_cancel_kills_and_the_next_call_has_a_new_worker)
{
	struct weft_process_pool *pool = pool_of(1);
	struct weft_proc_status st;
	int pid = ask_in(pool, job_pid, 0);
	int64_t begun = proc_now_ms();

	HOLDS(cut_off(pool, job_sleep, WEFT_MS(100), &st, 0) == WEFT_ETIMEDOUT);
	HOLDS(proc_now_ms() - begun < 5000);
	HOLDS(st.pid == pid && st.signo == SIGTERM);
	HOLDS(!proc_lives(pid));
	int next = ask_in(pool, job_pid, 0);
	HOLDS(next > 0 && next != pid);
	return weft_process_pool_close(pool, 0);
}

static int init_stubborn(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	signal(SIGTERM, SIG_IGN);
	return 0;
}
WEFT_REMOTE(init_stubborn);

RealTest(process_pool, PR04_who_ignores_the_asking_is_killed_after_the_grace)
{
	struct weft_process_pool *pool;
	struct weft_proc_status st;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .init = init_stubborn) == 0);
	HOLDS(ask_in(pool, job_pid, 0) > 0);
	int64_t begun = proc_now_ms();
	HOLDS(cut_off(pool, job_sleep, WEFT_MS(100), &st, WEFT_MS(200)) == WEFT_ETIMEDOUT);
	HOLDS(proc_now_ms() - begun >= 300);
	HOLDS(st.signo == SIGKILL && !proc_lives(st.pid));
	return weft_process_pool_close(pool, 0);
}

/* A job that writes a number to the file of that name and hangs. */
struct telling {
	struct weft_process_pool *pool;
	weft_remote_fn *fn;
	struct weft_proc_status st;
	char path[32];
	int pid;
};

static void say_and_hang(const char *path, int pid)
{
	FILE *f = fopen(path, "w");

	fprintf(f, "%d\n", pid);
	fclose(f);
	job_sleep(NULL, 0, NULL);
}

static void wait_until_told(struct telling *t)
{
	char text[32] = "";

	while (!strchr(text, '\n')) {
		weft_sleep(WEFT_MS(1));
		FILE *f = fopen(t->path, "re");
		size_t n = fread(text, 1, sizeof text - 1, f);
		text[n] = '\0';
		fclose(f);
	}
	t->pid = atoi(text);
}

/* Fails, and so cancels the job, when it has said so. */
static int cancel_when_told(void *arg)
{
	wait_until_told(arg);
	return WEFT_EIO;
}

static int kill_pool_when_told(void *arg)
{
	struct telling *t = arg;

	wait_until_told(t);
	weft_process_pool_kill(t->pool);
	return 0;
}

static int tell_and_hang(void *arg)
{
	struct telling *t = arg;

	HOLDS(weft_to_process(t->fn, t->path, sizeof t->path, NULL, .pool = t->pool,
			      .status = &t->st, .grace = WEFT_MS(100)) == WEFT_ECANCELED);
	return 0;
}

/* The number that a job has said before it was ended, by a task that returns `rc`. */
static int told_by(struct weft_process_pool *pool, weft_remote_fn *fn, weft_fn *end, int rc)
{
	struct telling t = { .pool = pool, .fn = fn, .path = "/tmp/weft-told-XXXXXX" };
	struct weft_group g;

	close(mkstemp(t.path));
	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, tell_and_hang, &t);
	weft_spawn(&g, end, &t);
	HOLDS(weft_group_close(&g, 0) == rc);
	HOLDS(!proc_lives(t.st.pid));
	unlink(t.path);
	return t.pid;
}

static int job_parent(const void *in, size_t size, struct weft_reply *reply)
{
	pid_t pid = fork();

	(void)size, (void)reply;
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	say_and_hang(in, pid);
	return 0;
}
WEFT_REMOTE(job_parent);

RealTest(process_pool, PR04_grandchildren_are_killed_too)
{
	int pid = told_by(NULL, job_parent, cancel_when_told, WEFT_EIO);

	HOLDS(pid > 0 && proc_dies(pid, 5000));
	return 0;
}

RealTest(process_pool, PR08_a_timeout_ends_one_job_and_the_next_has_a_new_worker)
{
	struct weft_process_pool *pool = pool_of(1);
	int pid = ask_in(pool, job_pid, 0);

	HOLDS(weft_to_process(job_sleep, NULL, 0, NULL, .pool = pool, .timeout = WEFT_MS(100)) ==
	      WEFT_ETIMEDOUT);
	int next = ask_in(pool, job_pid, 0);
	HOLDS(next > 0 && next != pid);
	return weft_process_pool_close(pool, 0);
}

static int with_a_default_timeout(void *arg)
{
	int item = 1, code = 1;

	(void)arg;
	HOLDS(weft_configure(.default_timeout = WEFT_MS(50)) == 0);
	HOLDS(weft_to_process(job_sleep, NULL, 0, NULL) == WEFT_ETIMEDOUT);
	HOLDS(weft_process_map(job_sleep, &item, 1, sizeof item, NULL, .codes = &code) ==
	      WEFT_ETIMEDOUT);
	HOLDS(code == WEFT_ETIMEDOUT);
	HOLDS(weft_configure(.default_timeout = 1) == 0);
	HOLDS(weft_to_process(job_pid, NULL, 0, NULL, .timeout = WEFT_NO_TIMEOUT) == 0);
	return 0;
}

Test(process_pool, CF02_the_default_timeout_is_that_of_a_job)
{
	cr_assert(eq(int, weft_run_sync(with_a_default_timeout, NULL), 0));
	cr_expect(broken_count == 0, "line %d: not true: %s", broken_line, broken);
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

static int cancel_when_running(void *arg)
{
	while (weft_process_pool_workers(arg) == 0)
		weft_sleep(WEFT_MS(1));
	return WEFT_EIO;
}

struct in_pool {
	struct weft_process_pool *pool;
	weft_remote_fn *fn;
	int value, rc;
	struct weft_proc_status *st; /* of hang_there */
};

static int do_ask(void *arg)
{
	struct in_pool *p = arg;

	p->rc = ask_in(p->pool, p->fn, p->value);
	return 0;
}

RealTest(process_pool, PR04_a_queued_job_of_a_cancelled_caller_never_runs)
{
	struct weft_process_pool *pool = pool_of(1);
	struct in_pool busy = { .pool = pool, .fn = job_sleep };
	struct in_pool queued = { .pool = pool, .fn = job_pid };
	struct weft_task task;
	struct weft_group g;

	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, do_ask, &busy);
	while (weft_process_pool_workers(pool) == 0 || weft_process_pool_queued(pool) > 0)
		weft_sleep(WEFT_MS(1));
	weft_spawn(&g, do_ask, &queued, .task = &task);
	while (weft_process_pool_queued(pool) == 0)
		weft_sleep(WEFT_MS(1));
	/* Alone: the end of the other would make room for it. */
	HOLDS(weft_task_cancel(task));
	HOLDS(weft_task_wait(task, NULL) == 0);
	HOLDS(queued.rc == WEFT_ECANCELED);
	HOLDS(weft_process_pool_queued(pool) == 0);
	weft_spawn(&g, cancel_when_running, pool);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	HOLDS(busy.rc == WEFT_ECANCELED);
	return weft_process_pool_close(pool, 0);
}

static int virtual_cancel(void *arg)
{
	struct weft_proc_status st;

	(void)arg;
	/* Time stands still while the job is out: it ends by itself. */
	HOLDS(weft_to_process(job_pid, NULL, 0, NULL, .timeout = WEFT_MS(1), .status = &st) == 0);
	HOLDS(weft_sleep(WEFT_SEC(3600)) == 0); /* and goes on with workers that idle */
	return 0;
}

Test(process_pool, virtual_time_stands_still_while_a_job_is_out)
{
	struct weft_config c = { .workers = 1, .clock = WEFT_CLOCK_VIRTUAL };

	cr_expect(eq(int, go_with(c, virtual_cancel, NULL), 0));
}

/* --- crashes -------------------------------------------------------------- */

static int crash(struct weft_process_pool *pool, weft_remote_fn *fn, int value,
		 struct weft_proc_status *st)
{
	return weft_to_process(fn, &value, sizeof value, NULL, .pool = pool, .status = st);
}

RealTest(process_pool, PR05_an_exit_is_a_crash_with_its_code)
{
	struct weft_process_pool *pool = pool_of(1);
	struct weft_proc_status st;
	int pid = ask_in(pool, job_pid, 0);

	HOLDS(crash(pool, job_exit, 1, &st) == WEFT_ECRASHED);
	HOLDS(st.pid == pid && st.exit_code == 1 && st.signo == 0);
	int next = ask_in(pool, job_pid, 0);
	HOLDS(next > 0 && next != pid);
	return weft_process_pool_close(pool, 0);
}

static int deep(volatile char *above)
{
	volatile char here[4096];

	here[0] = *above;
	return (here[0] == 0 ? deep(here) : 0) + here[0];
}

static int job_crash(const void *in, size_t size, struct weft_reply *reply)
{
	char zero = 0;

	(void)size, (void)reply;
	signal(SIGSEGV, SIG_DFL);
	fprintf(stderr, "about to\n");
	switch (take_int(in)) {
	case SIGSEGV:
		raise(SIGSEGV);
		break;
	case SIGABRT:
		abort();
	default:
		return deep(&zero);
	}
	return 0;
}
WEFT_REMOTE(job_crash);

RealTest(process_pool, PR06_crashes_tell_their_signal_and_last_words)
{
	const int how[] = { SIGSEGV, SIGABRT, 0 };

	for (size_t i = 0; i < COUNT_OF(how); i++) {
		struct weft_proc_status st;
		int wanted = how[i] ? how[i] : SIGSEGV;
		HOLDS(crash(NULL, job_crash, how[i], &st) == WEFT_ECRASHED);
		HOLDS(st.signo == wanted && st.exit_code == 0 && !st.guessed);
		HOLDS(strncmp(st.stderr_tail, "about to\n", 9) == 0);
		HOLDS(st.stderr_size == strlen(st.stderr_tail));
	}
	HOLDS(ask(job_nameless, 1) == 2);
	return 0;
}

static int job_flood(const void *in, size_t size, struct weft_reply *reply)
{
	for (int i = 0; i < 20000; i++)
		fprintf(stderr, "line %d of what nobody reads\n", i);
	return give_int(reply, take_int(in) + (int)size);
}
WEFT_REMOTE(job_flood);

RealTest(process_pool, PR02_a_flood_on_standard_error_blocks_nobody)
{
	HOLDS(ask(job_flood, 1) == 1 + (int)sizeof(int));
	return 0;
}

/* Sleeps when told to sleep for so many milliseconds, and says its pid. */
static int job_nap(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size;
	usleep((useconds_t)take_int(in) * 1000);
	return give_int(reply, getpid());
}
WEFT_REMOTE(job_nap);

/* The one that the oldest worker has. */
static int hang_there(void *arg)
{
	struct in_pool *p = arg;

	p->rc = weft_to_process(job_sleep, NULL, 0, NULL, .pool = p->pool, .status = p->st,
				.no_resend = true);
	return 0;
}

static pid_t busy_pid(struct weft_process_pool *pool)
{
	pid_t pid = 0;

	weft__process_lock(pool);
	struct weft__list *first = weft__list_front(&pool->workers);
	if (first) {
		struct weft__process_worker *w =
			WEFT__CONTAINER(first, struct weft__process_worker, link);
		pid = w->job ? w->proc.pid : 0;
	}
	weft__process_unlock(pool);
	return pid;
}

RealTest(process_pool, PR07_a_kill_from_outside_concerns_one_call)
{
	struct weft_process_pool *pool = pool_of(2);
	struct weft_proc_status st;
	struct in_pool victim = { .pool = pool, .st = &st };
	struct in_pool other = { .pool = pool, .fn = job_nap, .value = 300 };
	struct weft_group g;
	pid_t pid;

	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, hang_there, &victim);
	while ((pid = busy_pid(pool)) == 0)
		weft_sleep(WEFT_MS(1));
	weft_spawn(&g, do_ask, &other);
	while (weft_process_pool_workers(pool) < 2)
		weft_sleep(WEFT_MS(1));
	kill(pid, SIGKILL);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(victim.rc == WEFT_ECRASHED);
	HOLDS(st.pid == pid && st.signo == SIGKILL && st.exit_code == 0 && !st.guessed);
	HOLDS(other.rc > 0);
	return weft_process_pool_close(pool, 0);
}

/* A worker is stopped, gets a job that it cannot read, and is killed. */
static int resend_to(struct weft_process_pool *pool, bool no_resend)
{
	int pid = ask_in(pool, job_pid, 0), value = 5;
	struct weft_buf out = { 0 };
	int rc;

	kill(pid, SIGSTOP);
	while (proc_lives(pid)) {
		char path[64], state = 'X';
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		FILE *f = fopen(path, "re");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'X';
		if (f)
			fclose(f);
		if (state == 'T')
			break;
		sched_yield();
	}
	pid_t killer = fork();
	if (killer == 0) {
		usleep(100000);
		kill(pid, SIGKILL);
		_exit(0);
	}
	rc = weft_to_process(job_nameless, &value, sizeof value, &out, .pool = pool,
			     .no_resend = no_resend);
	waitpid(killer, NULL, 0);
	weft_buf_free(&out);
	return rc;
}

RealTest(process_pool, a_job_that_was_not_begun_is_given_to_another_worker)
{
	struct weft_process_pool *pool = pool_of(1);

	HOLDS(resend_to(pool, false) == 0);
	HOLDS(resend_to(pool, true) == WEFT_ECRASHED);
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, an_idle_worker_that_dies_is_nobodys_business)
{
	struct weft_process_pool *pool = pool_of(1);

	for (int i = 0; i < 20; i++) {
		int pid = ask_in(pool, job_pid, 0);
		HOLDS(pid > 0);
		kill(pid, SIGKILL);
		HOLDS(proc_dies(pid, 5000)); /* one that is dying may yet take a job along */
	}
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, the_death_of_the_server_is_survived)
{
	struct weft_process_pool *pool = pool_of(1);

	for (int i = 0; i < 10; i++) {
		int pid = ask_in(pool, job_pid, 0);
		HOLDS(pid > 0);
		kill(pool->server.pid, SIGKILL);
		HOLDS(proc_dies(pid, 5000));
	}
	return weft_process_pool_close(pool, 0);
}

/* --- the lives of workers -------------------------------------------------- */

/* Leaks so many MiB. */
static int job_leak(const void *in, size_t size, struct weft_reply *reply)
{
	size_t bytes = (size_t)take_int(in) << 20;
	static void *volatile kept;

	(void)size;
	kept = malloc(bytes);
	memset(kept, 1, bytes);
	return give_int(reply, getpid());
}
WEFT_REMOTE(job_leak);

RealTest(process_pool, a_worker_that_has_grown_too_large_is_replaced)
{
	struct weft_process_pool *pool;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .max_rss = 128 << 20) == 0);
	int pid = ask_in(pool, job_leak, 1);
	HOLDS(pid > 0 && ask_in(pool, job_leak, 160) == pid);
	int other = ask_in(pool, job_leak, 1);
	HOLDS(other > 0 && other != pid);
	HOLDS(ask_in(pool, job_leak, 1) == other);
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, PR09_a_worker_ends_after_so_many_jobs)
{
	struct weft_process_pool *pool;
	int pid[4];

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .max_tasks = 2) == 0);
	for (int i = 0; i < 4; i++)
		pid[i] = ask_in(pool, job_pid, 0);
	HOLDS(pid[0] > 0 && pid[0] == pid[1]);
	HOLDS(pid[2] > 0 && pid[2] == pid[3] && pid[2] != pid[0]);
	return weft_process_pool_close(pool, 0);
}

RealTest(process_pool, PR09_jitter_lets_workers_end_apart)
{
	struct weft_process_pool *pool;
	int lengths[8] = { 0 }, last = 0, distinct = 0;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .max_tasks = 2,
				       .max_tasks_jitter = 3) == 0);
	for (int i = 0, length = 0; i < 150; i++) {
		int pid = ask_in(pool, job_pid, 0);
		if (pid != last && last) {
			HOLDS(length >= 2 && length <= 5);
			lengths[length]++;
			length = 0;
		}
		last = pid;
		length++;
	}
	for (int i = 0; i < 8; i++)
		distinct += lengths[i] > 0;
	HOLDS(distinct > 1); /* the same for 30 workers: once in 4^29 */
	return weft_process_pool_close(pool, 0);
}

static int initialised_with;

static int init_value(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	initialised_with = take_int(in);
	return 0;
}
WEFT_REMOTE(init_value);

static int job_initialised(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, initialised_with);
}
WEFT_REMOTE(job_initialised);

RealTest(process_pool, PR10_the_initializer_runs_before_the_first_job)
{
	struct weft_process_pool *pool;
	int value = 77;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .init = init_value, .init_data = &value,
				       .init_size = sizeof value, .max_tasks = 1) == 0);
	value = 0; /* it was copied */
	for (int i = 0; i < 3; i++)
		HOLDS(ask_in(pool, job_initialised, 0) == 77);
	return weft_process_pool_close(pool, 0);
}

/* Adds a byte to the file, and fails or crashes. */
static int init_bad(const void *in, size_t size, struct weft_reply *reply)
{
	FILE *f = fopen((const char *)in + 1, "a");

	(void)size, (void)reply;
	fputc('x', f);
	fclose(f);
	if (*(const char *)in == 'c')
		abort();
	return WEFT_EIO;
}
WEFT_REMOTE(init_bad);

static void expect_broken(char how)
{
	struct weft_process_pool *pool;
	char path[] = "e/tmp/weft-init-XXXXXX";
	struct in_pool p[4];
	struct weft_group g;

	int fd = mkstemp(path + 1);
	path[0] = how;
	HOLDS(weft_process_pool_create(&pool, .workers = 1, .init = init_bad, .init_data = path,
				       .init_size = sizeof path) == 0);
	HOLDS(weft_group_open(&g) == 0);
	for (int i = 0; i < 4; i++) {
		p[i] = (struct in_pool){ .pool = pool, .fn = job_pid };
		weft_spawn(&g, do_ask, &p[i]);
	}
	HOLDS(weft_group_close(&g, 0) == 0);
	for (int i = 0; i < 4; i++)
		HOLDS(p[i].rc == WEFT_EBROKEN);
	HOLDS(ask_in(pool, job_pid, 0) == WEFT_EBROKEN);
	HOLDS(lseek(fd, 0, SEEK_END) == 3);
	HOLDS(weft_process_pool_close(pool, 0) == 0);
	close(fd);
	unlink(path + 1);
}

RealTest(process_pool, PR10_an_initializer_that_fails_three_times_breaks_the_pool)
{
	expect_broken('e');
	return 0;
}

RealTest(process_pool, PR10_and_so_does_one_that_crashes)
{
	expect_broken('c');
	return 0;
}

RealTest(process_pool, PR15_workers_end_when_there_is_nothing_to_do)
{
	struct weft_process_pool *pool;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .idle = WEFT_MS(50)) == 0);
	int pid = ask_in(pool, job_pid, 0);
	HOLDS(proc_dies(pid, 5000));
	while (weft_process_pool_workers(pool) > 0)
		weft_sleep(WEFT_MS(1));
	int next = ask_in(pool, job_pid, 0);
	HOLDS(next > 0 && next != pid);
	return weft_process_pool_close(pool, 0);
}

static int pool_of_default_size(void *arg)
{
	struct weft_process_pool *pool = pool_of(0);

	*(unsigned *)arg = pool->most;
	return weft_process_pool_close(pool, 0);
}

/* What the runtime thinks of cgroups is runtime/topology's. */
Test(process_pool, PR16_as_many_workers_as_cpus_that_may_be_used)
{
	cpu_set_t one, before;
	unsigned most = 0;

	cr_assert(eq(int, sched_getaffinity(0, sizeof before, &before), 0));
	CPU_ZERO(&one);
	for (size_t i = 0; CPU_COUNT(&one) == 0; i++) {
		if (CPU_ISSET(i, &before))
			CPU_SET(i, &one);
	}
	cr_assert(eq(int, sched_setaffinity(0, sizeof one, &one), 0));
	cr_expect(eq(int, go_with((struct weft_config){ 0 }, pool_of_default_size, &most), 0));
	cr_expect(eq(u32, most, 1));
	cr_expect(eq(int,
		     go_with((struct weft_config){ .default_process_workers = 3 },
			     pool_of_default_size, &most),
		     0));
	cr_expect(eq(u32, most, 3));
}

static int ask_in_any(void *arg)
{
	return ask_in(arg, job_nameless, 1);
}

/* What pools of a plain thread have, with these settings, when the first job has run. */
static void expect_most(const struct weft_config *config, unsigned most)
{
	struct weft_process_pool *pool = NULL;

	cr_assert(eq(int, weft_configure_opt(config), 0));
	cr_assert(eq(int, weft_process_pool_create(&pool, .name = "plain"), 0));
	cr_expect(eq(int, weft_run_sync(ask_in_any, pool), 2));
	cr_expect(eq(u32, pool->most, most));
	cr_expect(eq(int, weft_process_pool_close(pool, 0), 0));
	cr_assert(eq(int, weft_shutdown(WEFT_NEVER), 0));
}

Test(process_pool, PR16_a_plain_thread_makes_pools_of_the_size_that_was_configured)
{
	struct weft_config config = { .size = sizeof config, .workers = 2, .spare_workers = 3 };

	expect_most(&config, 2); /* spare workers are for tasks that hold theirs */
	config.default_process_workers = 5;
	expect_most(&config, 5);
}

static uint32_t storm_over;

static void *storm(void *arg)
{
	while (!load_acquire(&storm_over)) {
		free(malloc(64 + (size_t)rand() % 4096));
		fprintf((FILE *)arg, "x");
	}
	return NULL;
}

RealTest(process_pool, PR17_locks_of_other_threads_do_not_matter)
{
	struct weft_process_pool *pool;
	FILE *null = fopen("/dev/null", "w");
	pthread_t thread[4];

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .max_tasks = 1) == 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, storm, null);
	for (int i = 0; i < 200; i++)
		HOLDS(ask_in(pool, job_nameless, i) == i + 1);
	store_release(&storm_over, 1);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	fclose(null);
	return weft_process_pool_close(pool, 0);
}

static int job_eat(const void *in, size_t size, struct weft_reply *reply)
{
	size_t n = (size_t)take_int(in) << 20;
	char *bytes = malloc(n);

	(void)size;
	if (!bytes)
		return give_int(reply, 0);
	memset(bytes, 1, n);
	free(bytes);
	return give_int(reply, 1);
}
WEFT_REMOTE(job_eat);

static int job_burn(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	for (;;)
		continue;
	return 0;
}
WEFT_REMOTE(job_burn);

/* AddressSanitizer's own memory would not fit. */
#ifndef __SANITIZE_ADDRESS__
RealTest(process_pool, PR05_a_limit_of_memory_holds)
{
	struct weft_process_pool *pool;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .memory = 64 << 20) == 0);
	HOLDS(ask_in(pool, job_eat, 8) == 1);
	HOLDS(ask_in(pool, job_eat, 200) == 0);
	return weft_process_pool_close(pool, 0);
}
#endif

RealTest(process_pool, PR05_a_limit_of_cpu_time_holds)
{
	struct weft_process_pool *pool;
	struct weft_proc_status st;

	HOLDS(weft_process_pool_create(&pool, .workers = 1, .cpu = 1) == 0);
	HOLDS(crash(pool, job_burn, 0, &st) == WEFT_ECRASHED);
	HOLDS(st.signo == SIGXCPU);
	return weft_process_pool_close(pool, 0);
}

/* --- large payloads --------------------------------------------------------- */

RealTest(process_pool, PR11_a_hundred_megabytes_there_and_back)
{
	size_t size = 100 << 20;
	unsigned char *in = malloc(size);
	struct weft_buf out = { 0 };

	for (size_t i = 0; i < size; i += 4096)
		memcpy(in + i, &i, sizeof i);
	HOLDS(weft_to_process(job_echo, in, size, &out) == 0);
	HOLDS(out.size == size);
	HOLDS(out.size == size && memcmp(out.data, in, size) == 0);
	weft_buf_free(&out);
	HOLDS(out.size == 0 && out.data == NULL);
	free(in);
	return 0;
}

RealTest(process_pool, PR11_sizes_around_the_border_of_a_frame)
{
	const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 1 << 20 };
	unsigned char *in = malloc(1 << 20);

	for (size_t i = 0; i < 1 << 20; i++)
		in[i] = (unsigned char)(i * 31);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct weft_buf out = { 0 };
		HOLDS(weft_to_process(job_echo, in, sizes[i], &out) == 0);
		HOLDS(out.size == sizes[i] && memcmp(out.data ? out.data : in, in, sizes[i]) == 0);
		weft_buf_free(&out);
	}
	free(in);
	return 0;
}

RealTest(process_pool, an_answer_larger_than_was_allowed_is_refused)
{
	char in[1000] = { 0 };
	struct weft_buf out = { 0 };

	HOLDS(weft_to_process(job_echo, in, sizeof in, &out, .max_answer = 999) == -EMSGSIZE);
	HOLDS(out.data == NULL);
	HOLDS(weft_to_process(job_echo, in, sizeof in, NULL, .max_answer = 1000) == 0);
	return 0;
}

struct large {
	struct weft_process_pool *pool;
	char *in;
	size_t size;
	int rc;
};

static int echo_large(void *arg)
{
	struct large *l = arg;

	l->rc = weft_to_process(job_echo, l->in, l->size, NULL, .pool = l->pool);
	return 0;
}

RealTest(process_pool, PR11_a_kill_in_the_middle_of_a_large_transfer_returns)
{
	struct large l = { pool_of(1), calloc(1, 100 << 20), 100 << 20, 1 };
	struct weft_group g;

	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, echo_large, &l);
	while (weft_process_pool_workers(l.pool) == 0)
		weft_sleep(WEFT_MS(1));
	weft_process_pool_kill(l.pool);
	HOLDS(weft_process_pool_close(l.pool, WEFT_ECANCELED) == 0);
	HOLDS(weft_group_close(&g, 0) == 0);
	HOLDS(l.rc == WEFT_ECANCELED || l.rc == 0);
	free(l.in);
	return 0;
}

/* --- closing ---------------------------------------------------------------- */

struct crowd {
	struct weft_process_pool *pool;
	struct in_pool job[10];
	struct weft_group g;
};

/* All have come, and one has a worker. */
static bool crowd_is_there(struct crowd *c)
{
	weft__process_lock(c->pool);
	bool there = c->pool->last_job >= 1 && c->pool->last_job + c->pool->queued == 10;
	weft__process_unlock(c->pool);
	return there;
}

static void crowd_start(struct crowd *c, weft_remote_fn *fn, int value)
{
	c->pool = pool_of(1);
	HOLDS(weft_group_open(&c->g) == 0);
	for (int i = 0; i < 10; i++) {
		c->job[i] = (struct in_pool){ .pool = c->pool, .fn = fn, .value = value };
		weft_spawn(&c->g, do_ask, &c->job[i]);
	}
	while (!crowd_is_there(c))
		weft_sleep(WEFT_MS(1));
}

RealTest(process_pool, PR12_draining_runs_what_waits)
{
	struct crowd c;

	crowd_start(&c, job_nap, 50);
	HOLDS(weft_process_pool_close(c.pool, 0) == 0);
	HOLDS(weft_group_close(&c.g, 0) == 0);
	for (int i = 0; i < 10; i++)
		HOLDS(c.job[i].rc > 0);
	return 0;
}

RealTest(process_pool, PR12_cancelling_leaves_some_undone)
{
	struct crowd c;
	int done = 0, cancelled = 0;

	crowd_start(&c, job_nap, 100);
	HOLDS(weft_process_pool_close(c.pool, WEFT_ECANCELED) == 0);
	HOLDS(weft_group_close(&c.g, 0) == 0);
	for (int i = 0; i < 10; i++) {
		done += c.job[i].rc > 0;
		cancelled += c.job[i].rc == WEFT_ECANCELED;
	}
	HOLDS(done + cancelled == 10 && done >= 1 && cancelled >= 1);
	return 0;
}

RealTest(process_pool, PR12_a_close_that_takes_too_long_can_be_called_again)
{
	struct crowd c;
	struct weft_scope s;

	crowd_start(&c, job_sleep, 0);
	HOLDS(weft_scope_enter(&s, .timeout = WEFT_MS(400)) == 0);
	int rc = weft_process_pool_close(c.pool, 0);
	HOLDS(weft_scope_leave(&s, rc) == WEFT_ETIMEDOUT);
	HOLDS(ask_in(c.pool, job_pid, 0) == WEFT_ECLOSED);
	weft_process_pool_kill(c.pool);
	HOLDS(weft_process_pool_close(c.pool, WEFT_ECANCELED) == 0);
	HOLDS(weft_group_close(&c.g, 0) == 0);
	for (int i = 0; i < 10; i++)
		HOLDS(c.job[i].rc == WEFT_ECANCELED);
	return 0;
}

/* The only worker is held until the job is done and the thread of the pool had time to
 * end: its caller, which is ready, comes late. */
static int close_before_the_caller_has_left(void *arg)
{
	struct in_pool p = { .pool = pool_of(1), .fn = job_nap, .value = 1, .rc = 1 };
	struct weft_group g;

	(void)arg;
	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, do_ask, &p);
	while (p.pool->last_job == 0)
		weft_sleep(WEFT_MS(1));
	weft_process_pool_kill(p.pool);
	usleep(80000); /* less than is reported of a task that holds its worker */
	HOLDS(weft_process_pool_close(p.pool, WEFT_ECANCELED) == 0);
	HOLDS(p.rc != 1); /* it has left */
	return weft_group_close(&g, 0);
}

Test(process_pool, a_pool_is_there_until_its_callers_have_left)
{
	struct weft_config one = { .workers = 1 };

	cr_assert(eq(int, go_with(one, close_before_the_caller_has_left, NULL), 0));
}

/* A pool of its own, in the worker, with a job that says who it is and hangs. */
static int job_inner(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	say_and_hang(in, getpid());
	return 0;
}
WEFT_REMOTE(job_inner);

static int inner(void *arg)
{
	return weft_to_process(job_inner, arg, sizeof((struct telling *)0)->path, NULL);
}

static int job_nested(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	return weft_run_sync(inner, (void *)(uintptr_t)in);
}
WEFT_REMOTE(job_nested);

RealTest(process_pool, PR14_cancelling_the_outer_job_leaves_nothing_of_the_inner)
{
	struct weft_process_pool *pool = pool_of(1);
	int pid = told_by(pool, job_nested, cancel_when_told, WEFT_EIO);

	HOLDS(pid > 0 && proc_dies(pid, 5000));
	return weft_process_pool_close(pool, WEFT_ECANCELED);
}

RealTest(process_pool, PR14_killing_the_outer_pool_leaves_nothing_of_the_inner)
{
	struct weft_process_pool *pool = pool_of(1);
	int pid = told_by(pool, job_nested, kill_pool_when_told, 0);

	HOLDS(weft_process_pool_close(pool, WEFT_ECANCELED) == 0);
	HOLDS(pid > 0 && !proc_lives(pid));
	return 0;
}

/* Each runtime is gone as soon as its task is, whoever has woken that. */
Test(process_pool, a_pool_may_outlive_the_runtimes_of_its_callers)
{
	struct weft_process_pool *pool = pool_of(1);

	for (unsigned i = 0; i < 200; i++)
		cr_assert(
			eq(int,
			   go_with((struct weft_config){ .workers = 1 + i % 2 }, ask_in_any, pool),
			   2));
	cr_expect(eq(int, weft_process_pool_close(pool, 0), 0));
}

static int leave_open(void *arg)
{
	*(int *)arg = ask(job_pid, 0);
	return 0;
}

Test(process_pool, the_end_of_a_runtime_ends_its_pool)
{
	int pid = 0, before = proc_fd_count();

	cr_assert(eq(int, go_real(leave_open, &pid), 0));
	cr_expect(pid > 0);
	cr_expect(not(proc_lives(pid)));
	cr_expect(eq(int, proc_fd_count(), before));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		cr_expect(false, "there was a child");
}

Test(process_pool, a_job_that_hangs_does_not_survive_a_shutdown)
{
	struct runner r;
	struct weft_proc_status st = { 0 };

	runner_start(&r, NULL, sleep_there, &st);
	usleep(200000);
	cr_expect(eq(int, weft_shutdown(weft_after(WEFT_SEC(20))), 0));
	cr_expect(lt(int, runner_join(&r), 0));
	cr_expect(st.pid == 0 || !proc_lives(st.pid));
}

Test(process_pool, a_pool_that_was_never_used_is_closed_by_a_plain_thread)
{
	struct weft_process_pool *pool;
	int before = proc_fd_count();

	cr_assert(eq(int, weft_process_pool_create(&pool, .workers = 1), 0));
	cr_expect(eq(int, weft_process_pool_close(pool, 0), 0));
	cr_expect(eq(int, proc_fd_count(), before));
}

Test(process_pool, options_that_make_no_sense_are_refused)
{
	struct weft_process_pool *pool;

	cr_expect(eq(int, weft_process_pool_create(NULL, .workers = 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_process_pool_create(&pool, .idle = -1), WEFT_EINVAL));
	cr_expect(eq(int, weft_process_pool_create(&pool, .kill_grace = -1), WEFT_EINVAL));
	cr_expect(eq(int, weft_process_pool_create(&pool, .init_size = 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_to_process(NULL, NULL, 0, NULL), WEFT_EINVAL));
	cr_expect(eq(int, weft_to_process(job_pid, NULL, 1, NULL), WEFT_EINVAL));
}

/* --- a fork of the application ------------------------------------------------- */

static struct weft_process_pool *forked_pool;

static void try_every_entry(void)
{
	struct weft_process_pool *pool = forked_pool, *other = NULL;

	weft_process_pool_kill(pool);
	CHILD_CHECK(weft_process_pool_create(&other, .workers = 1) == WEFT_ESHUTDOWN && !other);
	CHILD_CHECK(weft_to_process(job_pid, NULL, 0, NULL, .pool = pool) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_to_process(job_pid, NULL, 0, NULL) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_process_map(job_pid, "x", 1, 1, NULL, .pool = pool) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_process_map(job_pid, "x", 1, 1, NULL) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_process_pool_workers(pool) == 0);
	CHILD_CHECK(weft_process_pool_queued(pool) == 0);
	CHILD_CHECK(weft_process_pool_close(pool, 0) == WEFT_ESHUTDOWN);
	CHILD_CHECK(weft_process_pool_close(pool, WEFT_ECANCELED) == WEFT_ESHUTDOWN);
}

RealTest(process_pool, CF04_a_fork_leaves_the_pool_of_its_parent_alone)
{
	forked_pool = pool_of(1);
	int pid = ask_in(forked_pool, job_pid, 0);

	HOLDS(child_check(try_every_entry) == 0);
	HOLDS(pid > 0 && ask_in(forked_pool, job_pid, 0) == pid);
	return weft_process_pool_close(forked_pool, 0);
}

RealTest(process_pool, CF04_a_fork_does_not_wait_for_who_held_the_lock)
{
	forked_pool = pool_of(1);
	weft__process_lock(forked_pool);
	HOLDS(child_check(try_every_entry) == 0);
	weft__process_unlock(forked_pool);
	return weft_process_pool_close(forked_pool, 0);
}

/* --- map -------------------------------------------------------------------- */

/* Fails at 3, naps at 4, gives the double. */
static int job_item(const void *in, size_t size, struct weft_reply *reply)
{
	int value = take_int(in);

	(void)size;
	if (value == 3)
		return WEFT_EIO;
	if (value == 4)
		usleep(200000);
	return give_int(reply, 2 * value);
}
WEFT_REMOTE(job_item);

RealTest(process_pool, PR13_one_item_fails_and_one_is_slow)
{
	int items[8], codes[8];
	struct weft_buf outs[8] = { 0 };

	for (int i = 0; i < 8; i++)
		items[i] = i;
	size_t failed = 77;
	HOLDS(weft_process_map(job_item, items, 8, sizeof *items, outs, .codes = codes,
			       .failed = &failed) == WEFT_EIO);
	HOLDS(failed == 3);
	for (int i = 0; i < 8; i++) {
		HOLDS(codes[i] == (i == 3 ? WEFT_EIO : 0));
		HOLDS(i == 3 || take_int(outs[i].data) == 2 * i);
		weft_buf_free(&outs[i]);
	}
	return 0;
}

RealTest(process_pool, PR13_without_codes_the_first_error_ends_it)
{
	int items[100];
	struct weft_buf outs[100] = { 0 };
	int done = 0;

	for (int i = 0; i < 100; i++)
		items[i] = i;
	size_t failed = 77;
	HOLDS(weft_process_map(job_item, items, 100, sizeof *items, outs, .failed = &failed) ==
	      WEFT_EIO);
	HOLDS(failed == 3);
	for (int i = 0; i < 100; i++) {
		done += outs[i].data != NULL;
		weft_buf_free(&outs[i]);
	}
	HOLDS(done < 99);
	return 0;
}

RealTest(process_pool, PR13_no_item_is_named_when_none_failed)
{
	int items[2] = { 1, 2 };
	size_t failed = 77;
	struct weft_scope s;

	HOLDS(weft_process_map(job_item, items, 2, sizeof *items, NULL, .failed = &failed) == 0);
	HOLDS(weft_scope_enter(&s) == 0);
	weft_scope_cancel(&s);
	HOLDS(weft_process_map(job_item, items, 2, sizeof *items, NULL, .failed = &failed) ==
	      WEFT_ECANCELED);
	HOLDS(weft_scope_leave(&s, WEFT_ECANCELED) == 0);
	HOLDS(failed == 77);
	return 0;
}

RealTest(process_pool, PR13_a_time_limit_of_items)
{
	int items[6] = { 0, 1, 2, 4, 5, 6 }, codes[6];
	struct weft_process_pool *pool = pool_of(2);

	HOLDS(ask_in(pool, job_nameless, 1) == 2);
	int rc = weft_process_map(job_item, items, 6, sizeof *items, NULL, .codes = codes,
				  .pool = pool, .timeout = WEFT_MS(150));
	HOLDS(rc == WEFT_ETIMEDOUT && codes[3] == WEFT_ETIMEDOUT);
	HOLDS(codes[0] == 0 && codes[1] == 0 && codes[2] == 0);
	return weft_process_pool_close(pool, 0);
}

/* With two workers two of the first four jobs have ended when all four were sent. */
static int cancel_after_four(void *arg)
{
	struct weft_process_pool *pool = arg;
	uint64_t sent = 0;

	while (sent < 4) {
		weft_sleep(WEFT_MS(1));
		weft__process_lock(pool);
		sent = pool->last_job;
		weft__process_unlock(pool);
	}
	return WEFT_EIO;
}

RealTest(process_pool, PR13_a_cancel_midway)
{
	int items[100], codes[100], done = 0, cancelled = 0;
	struct weft_process_pool *pool = pool_of(2);
	struct weft_group g;

	for (int i = 0; i < 100; i++)
		items[i] = 20; /* naps for 20 ms */
	HOLDS(weft_group_open(&g) == 0);
	weft_spawn(&g, cancel_after_four, pool);
	int rc = weft_process_map(job_nap, items, 100, sizeof *items, NULL, .codes = codes,
				  .pool = pool);
	HOLDS(rc == WEFT_ECANCELED);
	HOLDS(weft_group_close(&g, 0) == WEFT_EIO);
	for (int i = 0; i < 100; i++) {
		done += codes[i] == 0;
		cancelled += codes[i] == WEFT_ECANCELED;
	}
	HOLDS(done + cancelled == 100 && done > 0 && cancelled > 0);
	return weft_process_pool_close(pool, 0);
}

/* --- between two jobs of a call ---------------------------------------------------- */

static uint32_t pool_closed;

static int closes_pool(void *arg)
{
	int rc = weft_process_pool_close(arg, 0);

	store_release(&pool_closed, 1);
	return rc;
}

static int is_closed_meanwhile(bool with_thread)
{
	struct weft_process_pool *pool = pool_of(1);
	struct weft_group g;

	pool_closed = 0;
	if (with_thread)
		HOLDS(ask_in(pool, job_pid, 0) > 0);
	HOLDS(weft_group_open(&g) == 0);
	HOLDS(weft__process_hold(pool) == 0);
	HOLDS(weft_spawn(&g, closes_pool, pool) == 0);
	for (bool closed = false; !closed;) {
		weft_yield();
		weft__process_lock(pool);
		closed = pool->is_closed;
		weft__process_unlock(pool);
	}
	for (int i = 0; i < 100; i++)
		weft_yield();
	HOLDS(load_acquire(&pool_closed) == 0);
	HOLDS(weft__process_hold(pool) == WEFT_ECLOSED);
	HOLDS(ask_in(pool, job_pid, 0) == WEFT_ECLOSED);
	weft__process_release(pool);
	return weft_group_close(&g, 0);
}

RealTest(process_pool, PR_8_a_pool_stays_while_a_call_uses_it)
{
	HOLDS(is_closed_meanwhile(false) == 0);
	return is_closed_meanwhile(true);
}

enum { DESCRIPTORS = 64 };

/* An accept loop at its limit may have the last ones. */
Test(process_pool, a_message_counts_also_without_its_descriptors)
{
	struct rlimit few = { DESCRIPTORS, DESCRIPTORS };
	int taken[DESCRIPTORS];
	struct weft__control message = { .kind = WEFT__CONTROL_STARTED, .worker = 5 };
	int pair[2], fds[WEFT__CONTROL_FDS], n = 0;

	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0));
	cr_assert(eq(int, weft__control_send(pair[0], &message, pair, 2), 0));
	cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &few), 0));
	while ((taken[n] = dup(pair[0])) >= 0)
		n++;
	int rc = weft__control_receive(pair[1], &message, fds);
	while (n > 0)
		close(taken[--n]);
	cr_assert(eq(int, rc, 1));
	cr_assert(eq(u32, message.worker, 5));
	cr_assert(fds[0] == -1 && fds[1] == -1);
}

/* --- a fork of the application that lives on ---------------------------------------- */

static int job_server(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, getppid());
}
WEFT_REMOTE(job_server);

/* It has a copy of every socket. */
RealTest(process_pool, PR_8_close_ends_the_server_although_a_fork_lives_on)
{
	struct weft_process_pool *pool = pool_of(1);
	int parent = ask_in(pool, job_server, 0);

	HOLDS(parent > 1 && proc_lives(parent));
	pid_t copy = fork();
	if (copy == 0) {
		CHILD_BEGINS();
		pause();
		_exit(0);
	}
	int rc = weft_process_pool_close(pool, 0);
	HOLDS(!proc_lives(parent));
	kill(copy, SIGKILL);
	waitpid(copy, NULL, 0);
	return rc;
}
