/* SPDX-License-Identifier: MIT */
/*
 * test_proc.c - what async/proc.h and async/proc_server.h promise, one promise a
 * test
 *
 * What a hostile worker tries is in test_proc_hostile.c, and who may die when in
 * stress_proc.c.
 */
#include "support/proc.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <weft/remote.h>

#include "async/proc_worker.h"
#include "deque/atomic.h"
#include "support/child.h"

static struct weft__server server;
static struct weft__proc proc[4];
static struct weft__answer answer;
static int started;

static void setup(void)
{
	weft__server_init(&server);
	cr_assert(eq(int, weft__server_open(&server), 0));
	started = 0;
}

static void teardown(void)
{
	weft__server_fini(&server);
	for (int i = 0; i < started; i++)
		weft__proc_fini(&proc[i]);
}

TestSuite(proc, .init = setup, .fini = teardown, .timeout = 60);

static struct weft__proc *begin_with(const struct weft__proc_limits *limits)
{
	struct weft__proc *p = &proc[started++];

	cr_assert(eq(int, weft__proc_start(p, &server, limits), 0));
	return p;
}

static struct weft__proc *begin(void)
{
	return begin_with(NULL);
}

/* Runs a job; its code, or 1000 when the worker ended instead. */
static int run(struct weft__proc *p, weft_remote_fn *fn, const void *data, size_t size)
{
	cr_assert(eq(int, proc_send(p, fn, data, size), 0));
	enum weft__proc_event event = proc_wait(&server, p, &answer);
	cr_assert(ne(int, event, WEFT__PROC_NOTHING), "no answer in ten seconds");
	return event == WEFT__PROC_ANSWER ? answer.rc : 1000;
}

/* Runs a job that answers with an int. */
static int run_int(struct weft__proc *p, weft_remote_fn *fn, int value)
{
	int result = -1;

	cr_assert(eq(int, run(p, fn, &value, sizeof(value)), 0));
	cr_assert(eq(sz, answer.size, sizeof(result)));
	memcpy(&result, answer.data, sizeof(result));
	weft__answer_fini(&answer);
	return result;
}

static const struct weft__exit *end_of(struct weft__proc *p)
{
	cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ENDED));
	return &p->exit;
}

static const struct weft__exit *kill_with(struct weft__proc *p, int signal)
{
	cr_assert(eq(int, weft__proc_kill(p, signal), 0));
	return end_of(p);
}

static int give_int(struct weft_reply *reply, int value)
{
	return weft_reply_put(reply, &value, sizeof(value));
}

static int take_int(const void *in)
{
	int value;

	memcpy(&value, in, sizeof(value));
	return value;
}

/*
 * Jobs
 */

static int job_pid(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, getpid());
}
WEFT_REMOTE(job_pid);

static int job_echo(const void *in, size_t size, struct weft_reply *reply)
{
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(job_echo);

static int job_fail(const void *in, size_t size, struct weft_reply *reply)
{
	(void)reply, (void)size;
	return take_int(in);
}

Test(proc, jobs_run_elsewhere_and_one_worker_runs_many)
{
	struct weft__proc *p = begin();
	int pid = run_int(p, job_pid, 0);

	cr_expect(ne(int, pid, getpid()));
	cr_expect(eq(int, run_int(p, job_pid, 0), pid));
	cr_expect(eq(int, run_int(begin(), job_pid, 0), run_int(&proc[1], job_pid, 0)));
	cr_expect(ne(int, run_int(&proc[1], job_pid, 0), pid));
	cr_expect(eq(int, p->pid, pid));
}

Test(proc, the_code_of_a_function_comes_back_and_the_worker_goes_on)
{
	struct weft__proc *p = begin();
	int codes[] = { -ENOENT, 5, 0 };

	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, run(p, job_fail, &codes[i], sizeof(int)), codes[i]));
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

Test(proc, an_empty_argument_and_an_empty_answer_are_well)
{
	cr_expect(eq(int, run(begin(), job_echo, NULL, 0), 0));
	cr_expect(eq(sz, answer.size, 0));
	cr_expect(eq(ptr, (void *)answer.data, NULL));
}

Test(proc, a_function_that_cannot_be_found_fails_the_job_alone)
{
	struct weft__proc *p = begin();
	struct weft__ref ref;
	struct weft__proc_job job = { .id = 99, .fn = &ref, .memfd = -1 };

	cr_assert(eq(int, weft__ref_make(&ref, job_pid), 0));
	ref.bytes[ref.size - 1] ^= 1;
	cr_assert(eq(int, weft__proc_send(p, &job), 0));
	cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ANSWER));
	cr_expect(eq(int, answer.rc, -ENOENT));
	cr_expect(eq(u64, answer.job, 99));
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

/*
 * Payloads
 */

static void expect_echo(struct weft__proc *p, size_t size)
{
	char *bytes = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	cr_assert(eq(int, run(p, job_echo, bytes, size), 0));
	cr_assert(eq(sz, answer.size, size));
	cr_expect(size == 0 || memcmp(answer.data, bytes, size) == 0, "%zu", size);
	weft__answer_fini(&answer);
	free(bytes);
}

Test(proc, payloads_of_all_sizes_arrive)
{
	struct weft__proc *p = begin();

	for (size_t size = 0; size < 70; size++)
		expect_echo(p, size);
	for (size_t around = 512; around < 1 << 18; around *= 2) {
		for (size_t size = around - 2; size < around + 3; size++)
			expect_echo(p, size);
	}
}

Test(proc, a_hundred_megabytes_go_there_and_back)
{
	expect_echo(begin(), (size_t)100 << 20);
}

static int job_room(const void *in, size_t size, struct weft_reply *reply)
{
	int wanted = take_int(in);
	unsigned char *room;

	(void)size;
	weft_reply_put(reply, "dropped", 7);
	room = weft_reply_room(reply, (size_t)wanted);
	if (!room || weft_reply_room(reply, 5) || weft_reply_put(reply, "x", 1) == 0)
		return -ENOMEM;
	for (int i = 0; i < wanted; i++)
		room[i] = (unsigned char)(i % 251);
	return 0;
}

Test(proc, an_answer_can_be_made_in_place)
{
	struct weft__proc *p = begin();
	int sizes[] = { 0, 1, 5000, WEFT__FRAME_LARGE - 1, WEFT__FRAME_LARGE, 1 << 20, 20 << 20 };

	for (int i = 0; i < 7; i++) {
		cr_assert(eq(int, run(p, job_room, &sizes[i], sizeof(int)), 0));
		cr_assert(eq(sz, answer.size, (size_t)sizes[i]));
		const unsigned char *byte = answer.data;
		for (int at = 0; at < sizes[i]; at++)
			cr_assert(byte[at] == at % 251);
		weft__answer_fini(&answer);
	}
}

static int job_gives_up_its_room(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return weft_reply_room(reply, 32 << 20) ? -EIO : -ENOMEM;
}

Test(proc, room_that_is_not_used_after_all_is_no_breach)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_gives_up_its_room, "", 0), -EIO));
	cr_expect(eq(int, p->grant, -1));
	expect_echo(p, 1 << 20);
}

static int job_room_and_child(const void *in, size_t size, struct weft_reply *reply)
{
	void *room = weft_reply_room(reply, (size_t)take_int(in));

	(void)size;
	if (room && fork() == 0) {
		sleep(1000);
		_exit(0);
	}
	return room ? 0 : -ENOMEM;
}

Test(proc, a_child_that_a_job_leaves_does_not_hold_the_answer)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_room_and_child, &(int){ 32 << 20 }, sizeof(int)), 0));
	weft__answer_fini(&answer);
	cr_expect(not(p->exit.broken));
}

Test(proc, an_answer_that_is_too_large_is_refused_and_the_worker_goes_on)
{
	struct weft__proc *p = begin();
	struct weft__ref ref;
	struct weft__proc_job job = { .fn = &ref, .data = &(int){ 0 }, .size = 4, .memfd = -1 };
	int sizes[] = { 101, WEFT__FRAME_LARGE, 32 << 20 };

	cr_assert(eq(int, weft__ref_make(&ref, job_room), 0));
	for (int i = 0; i < 3; i++) {
		job.id++;
		job.data = &sizes[i];
		job.answer_max = 100;
		cr_assert(eq(int, weft__proc_send(p, &job), 0));
		cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ANSWER));
		cr_expect(eq(int, answer.rc, i < 2 ? -EMSGSIZE : -ENOMEM));
		cr_expect(eq(sz, answer.size, 0));
	}
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

static int job_aligned(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size;
	return give_int(reply, (int)((uintptr_t)in % 16));
}

Test(proc, an_argument_is_aligned_for_any_type)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run_int(p, job_aligned, 0), 0));
}

/*
 * What a worker is
 */

/* Answers with the numbers of the open descriptors as bits. */
static int job_fds(const void *in, size_t size, struct weft_reply *reply)
{
	int bits = 0;

	(void)in, (void)size;
	for (int fd = 0; fd < 1000; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			bits |= 1 << (fd < 31 ? fd : 30);
	}
	return give_int(reply, bits);
}

Test(proc, a_worker_has_four_descriptors_whatever_we_have)
{
	for (int i = 0; i < 20; i++)
		cr_assert(ge(int, dup(0), 0)); /* not close-on-exec */
	weft__server_fini(&server);
	cr_assert(eq(int, weft__server_open(&server), 0));
	cr_expect(eq(int, run_int(begin(), job_fds, 0), 0xf));
	cr_expect(eq(int, run_int(begin(), job_fds, 0), 0xf));
}

static int job_reads(const void *in, size_t size, struct weft_reply *reply)
{
	char byte;

	(void)in, (void)size;
	return give_int(reply, (int)read(STDIN_FILENO, &byte, 1));
}

Test(proc, a_worker_reads_nothing_from_its_standard_input)
{
	cr_expect(eq(int, run_int(begin(), job_reads, 0), 0));
}

static int job_signals(const void *in, size_t size, struct weft_reply *reply)
{
	struct sigaction now;
	sigset_t blocked;
	int bad = 0;

	(void)in, (void)size;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int i = 1; i < NSIG; i++) {
		if (sigaction(i, NULL, &now) == 0)
			bad += now.sa_handler != SIG_DFL || sigismember(&blocked, i) == 1;
	}
	return give_int(reply, bad);
}

Test(proc, signals_of_a_worker_are_as_new)
{
	sigset_t all;

	weft__server_fini(&server);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	cr_assert(eq(int, weft__server_open(&server), 0));
	cr_expect(eq(int, run_int(begin(), job_signals, 0), 0));
}

static int job_group(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, getpgrp() == getpid());
}

Test(proc, a_worker_leads_a_group_of_its_own)
{
	cr_expect(eq(int, run_int(begin(), job_group, 0), 1));
}

static int job_env(const void *in, size_t size, struct weft_reply *reply)
{
	const char *value = getenv(in);

	(void)size;
	return value ? weft_reply_put(reply, value, strlen(value) + 1) : -ENOENT;
}

Test(proc, a_worker_has_our_environment_and_no_more)
{
	struct weft__proc *p;

	weft__server_fini(&server);
	setenv("WEFT_TEST_PROC", "there", 1);
	unsetenv("LD_PRELOAD");
	cr_assert(eq(int, weft__server_open(&server), 0));
	p = begin();
	cr_assert(eq(int, run(p, job_env, "WEFT_TEST_PROC", 15), 0));
	cr_expect(eq(str, (char *)answer.data, "there"));
	weft__answer_fini(&answer);
	cr_expect(eq(int, run(p, job_env, "WEFT_SERVER", 12), -ENOENT));
	cr_expect(eq(int, run(p, job_env, "LD_PRELOAD", 11), -ENOENT));

	weft__server_fini(&server);
	setenv("LD_PRELOAD", "libc.so.6 libm.so.6", 1);
	cr_assert(eq(int, weft__server_open(&server), 0));
	cr_assert(eq(int, run(begin(), job_env, "LD_PRELOAD", 11), 0));
	cr_expect(eq(str, (char *)answer.data, "libc.so.6 libm.so.6"));
	weft__answer_fini(&answer);
}

static int constructed;
static int changed;

__attribute__((constructor)) static void construct(void)
{
	constructed = 1;
}

static int job_globals(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, constructed * 10 + changed);
}

Test(proc, constructors_have_run_and_main_has_not)
{
	changed = 1;
	cr_expect(eq(int, run_int(begin(), job_globals, 0), 10));
}

static int job_prints(const void *in, size_t size, struct weft_reply *reply)
{
	(void)reply;
	printf("%.*s", (int)size, (const char *)in);
	return 0;
}

Test(proc, what_a_job_prints_is_out_when_it_is_answered)
{
	char text[16] = "";
	int ends[2];

	cr_assert(eq(int, pipe(ends), 0));
	weft__server_fini(&server);
	fflush(stdout);
	int out = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	cr_assert(eq(int, weft__server_open(&server), 0));
	dup2(out, STDOUT_FILENO);
	cr_assert(eq(int, run(begin(), job_prints, "printed", 7), 0));
	cr_expect(eq(int, (int)read(ends[0], text, sizeof(text) - 1), 7));
	cr_expect(eq(str, text, "printed"));
}

/*
 * How workers end
 */

static int job_exit(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size, (void)reply;
	_exit(take_int(in));
	return 0;
}

Test(proc, a_job_that_exits_is_told_with_pid_and_code)
{
	struct weft__proc *p = begin();
	int pid = run_int(p, job_pid, 0);

	cr_assert(eq(int, run(p, job_exit, &(int){ 3 }, sizeof(int)), 1000));
	cr_expect(eq(int, p->exit.code, 3));
	cr_expect(eq(int, p->exit.signal, 0));
	cr_expect(eq(int, p->exit.pid, pid));
	cr_expect(not(p->exit.broken));
	cr_expect(ne(u64, p->job, 0));
	cr_expect(eq(int, weft__proc_next(p, &answer), WEFT__PROC_ENDED));
	cr_expect(gt(int, run_int(begin(), job_pid, 0), 0));
}

static volatile int *volatile nowhere = (volatile int *)64; /* no sanitizer knows it */

static int deeper(volatile char *above)
{
	volatile char here[4096];

	here[0] = above[0];
	return above[0] ? deeper(here) + here[0] : 0;
}

static int job_crash(const void *in, size_t size, struct weft_reply *reply)
{
	char top = 1;

	(void)size, (void)reply;
	switch (take_int(in)) {
	case 0:
		return *nowhere;
	case 1:
		abort();
	default:
		return deeper(&top);
	}
}

Test(proc, a_crash_is_told_with_its_signal)
{
	int signals[] = { SIGSEGV, SIGABRT, SIGSEGV };

	for (int i = 0; i < 3; i++) {
		struct weft__proc *p = begin();
		cr_assert(eq(int, run(p, job_crash, &i, sizeof(i)), 1000));
		cr_expect(eq(int, p->exit.signal, signals[i]), "crash %d", i);
		cr_expect(eq(int, p->exit.code, 0));
	}
}

static int job_sleep(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	while (sleep(1000) == 0)
		continue;
	return 0;
}

Test(proc, a_worker_killed_from_outside_takes_nobody_along)
{
	struct weft__proc *p = begin();
	struct weft__proc *q = begin();

	cr_assert(proc_wait_alive(&server, p));
	cr_assert(eq(int, proc_send(p, job_sleep, "", 0), 0));
	int pid = run_int(q, job_pid, 0);
	kill(p->pid, SIGKILL);
	cr_expect(eq(int, end_of(p)->signal, SIGKILL));
	cr_expect(eq(int, run_int(q, job_pid, 0), pid));
}

Test(proc, an_idle_worker_that_dies_refuses_the_next_job)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run_int(p, job_pid, 0), p->pid));
	kill(p->pid, SIGKILL);
	end_of(p);
	cr_expect(eq(int, proc_send(p, job_pid, "", 0), -EPIPE));
}

Test(proc, a_worker_that_is_told_to_end_before_it_exists_ends)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, kill_with(p, SIGKILL)->signal, SIGKILL));
}

static int job_stubborn(const void *in, size_t size, struct weft_reply *reply)
{
	signal(SIGTERM, SIG_IGN);
	kill(take_int(in), SIGUSR1);
	return job_sleep(in, size, reply);
}

Test(proc, a_worker_that_ignores_term_does_not_ignore_kill)
{
	struct weft__proc *p = begin();
	int pid = getpid();
	sigset_t ready;

	sigemptyset(&ready);
	sigaddset(&ready, SIGUSR1);
	sigprocmask(SIG_BLOCK, &ready, NULL);
	cr_assert(eq(int, proc_send(p, job_stubborn, &pid, sizeof(pid)), 0));
	cr_assert(proc_wait_alive(&server, p));
	sigwaitinfo(&ready, NULL);
	cr_assert(eq(int, weft__proc_kill(p, SIGTERM), 0));
	proc_poll(&server, p, 1, 50);
	cr_expect(eq(int, weft__proc_next(p, &answer), WEFT__PROC_NOTHING));
	cr_expect(eq(int, kill_with(p, SIGKILL)->signal, SIGKILL));
}

Test(proc, term_ends_a_worker_that_does_nothing_about_it)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, proc_send(p, job_sleep, "", 0), 0));
	cr_expect(eq(int, kill_with(p, SIGTERM)->signal, SIGTERM));
}

/* Leaves a child behind; answers with its pid.  In a session of its own when the
 * argument says so. */
static int job_child(const void *in, size_t size, struct weft_reply *reply)
{
	pid_t pid = fork();

	(void)size;
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		if (take_int(in))
			setsid();
		for (;;)
			pause();
	}
	return give_int(reply, pid);
}

Test(proc, what_a_job_has_started_ends_with_the_worker)
{
	for (int way = 0; way < 3; way++) {
		struct weft__proc *p = begin();
		pid_t child = run_int(p, job_child, 0);
		cr_assert(proc_lives(child));
		if (way == 0)
			kill(p->pid, SIGKILL);
		else if (way == 1)
			cr_assert(eq(int, proc_send(p, job_exit, &(int){ 0 }, sizeof(int)), 0));
		else
			cr_assert(eq(int, weft__proc_kill(p, SIGTERM), 0));
		end_of(p);
		cr_expect(proc_dies(child, 1000), "way %d", way);
	}
}

static int job_burn(const void *in, size_t size, struct weft_reply *reply)
{
	clock_t end = clock() + CLOCKS_PER_SEC / 1000 * take_int(in);

	(void)size, (void)reply;
	while (clock() < end)
		continue;
	_exit(0);
	return 0;
}

Test(proc, what_a_worker_has_used_is_told)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run(p, job_burn, &(int){ 100 }, sizeof(int)), 1000));
	const struct rusage *usage = &p->exit.usage;
	cr_expect(ge(long,
		     usage->ru_utime.tv_sec * 1000 + usage->ru_utime.tv_usec / 1000 +
			     usage->ru_stime.tv_sec * 1000 + usage->ru_stime.tv_usec / 1000,
		     90));
	cr_expect(gt(long, usage->ru_maxrss, 0));
}

Test(proc, cpu_time_is_limited)
{
	struct weft__proc *p = begin_with(&(struct weft__proc_limits){ .cpu = 1 });

	cr_assert(eq(int, run(p, job_burn, &(int){ 8000 }, sizeof(int)), 1000));
	cr_expect(eq(int, p->exit.signal, SIGXCPU));
}

static int job_eat(const void *in, size_t size, struct weft_reply *reply)
{
	size_t bytes = (size_t)take_int(in) << 20;
	volatile char *memory = malloc(bytes);

	(void)size, (void)reply;
	if (!memory)
		return -ENOMEM;
	for (size_t at = 0; at < bytes; at += 4096)
		memory[at] = 1;
	free((void *)memory);
	return 0;
}

Test(proc, memory_is_limited)
{
	if (WEFT__ASAN)
		cr_skip("the shadow counts");
	struct weft__proc *p = begin_with(&(struct weft__proc_limits){ .memory = 64 << 20 });

	cr_expect(eq(int, run(p, job_eat, &(int){ 200 }, sizeof(int)), -ENOMEM));
	cr_expect(eq(int, run(p, job_eat, &(int){ 20 }, sizeof(int)), 0));
	cr_expect(eq(int, run(begin(), job_eat, &(int){ 200 }, sizeof(int)), 0));
}

/*
 * Last words
 */

static int job_says(const void *in, size_t size, struct weft_reply *reply)
{
	(void)reply;
	fwrite(in, 1, size, stderr);
	fflush(stderr);
	abort();
}

Test(proc, the_last_words_of_a_worker_are_kept)
{
	struct weft__proc *p = begin();
	char text[WEFT__TAIL_SIZE + 1];

	cr_assert(eq(int, run(p, job_says, "it was the heat", 15), 1000));
	weft__tail_text(&p->tail, text, sizeof(text));
	cr_expect(eq(str, text, "it was the heat"));
	cr_expect(eq(int, p->exit.signal, SIGABRT));
}

static int job_floods(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size;
	for (int i = 0; i < take_int(in); i++)
		fprintf(stderr, "line %d of many, to fill what there is to be filled\n", i);
	return give_int(reply, 1);
}

Test(proc, a_flood_of_words_blocks_nobody)
{
	struct weft__proc *p = begin();
	char text[WEFT__TAIL_SIZE + 1];

	cr_expect(eq(int, run_int(p, job_floods, 200 * 1000), 1));
	weft__proc_hear(p);
	weft__tail_text(&p->tail, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "line 199999 of many"), NULL));
	cr_expect(gt(u64, p->tail.count, 10 << 20));
}

/*
 * The application
 */

Test(proc, there_is_no_child_that_the_application_could_wait_for)
{
	run_int(begin(), job_pid, 0);
	cr_expect(eq(int, waitpid(-1, NULL, WNOHANG), -1));
	cr_expect(eq(int, errno, ECHILD));
}

static void die_at_once(void)
{
	_exit(7);
}

Test(proc, children_of_the_application_stay_its_own)
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

Test(proc, a_server_that_the_kernel_makes_our_child_is_no_zombie)
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

Test(proc, a_server_that_is_killed_takes_its_workers_and_can_be_replaced)
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

Test(proc, the_last_fini_leaves_no_process)
{
	pid_t child = run_int(begin(), job_child, 0);
	pid_t session = run_int(begin(), job_child, 1);
	pid_t pids[] = { server.pid, proc[0].pid, proc[1].pid, child, session };

	weft__server_fini(&server);
	for (int i = 0; i < 5; i++)
		cr_expect(not(proc_lives(pids[i])), "process %d", i);
}

Test(proc, nothing_stays_open)
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

Test(proc, a_fork_of_the_application_has_no_server)
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
		memcpy(&shown[2 * i], got.data, sizeof(int));
		shown[2 * i + 1] = p->pid;
		CHILD_CHECK(proc_send(p, job_sleep, "", 0) == 0);
		p++;
	}
	shown[4] = server.pid;
	kill(getpid(), SIGKILL);
}

Test(proc, the_death_of_the_application_leaves_no_process)
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

Test(proc, locks_that_threads_hold_stop_no_worker)
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

Test(proc, a_worker_may_have_workers)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run_int(p, job_nested, 2), 3));
	weft__server_fini(&server);
}

Test(proc, a_worker_is_only_so_many_servers_down)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_nested, &(int){ 20 }, sizeof(int)), -ELOOP));
}
