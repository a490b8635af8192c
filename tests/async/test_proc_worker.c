/* SPDX-License-Identifier: MIT */
/*
 * test_proc_worker.c - what a worker process is and how it ends, one promise a test
 */
#include "support/proc_suite.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include "deque/sanitizer.h"

TestSuite(proc_worker, .init = setup, .fini = teardown, .timeout = 60);

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

Test(proc_worker, a_worker_has_four_descriptors_whatever_we_have)
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

Test(proc_worker, a_worker_reads_nothing_from_its_standard_input)
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

Test(proc_worker, signals_of_a_worker_are_as_new)
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

Test(proc_worker, a_worker_leads_a_group_of_its_own)
{
	cr_expect(eq(int, run_int(begin(), job_group, 0), 1));
}

/* Joins a group, 0: that of the server, and does not mind the death of its parent. */
static int job_deserts(const void *in, size_t size, struct weft_reply *reply)
{
	int group = take_int(in);

	(void)size;
	prctl(PR_SET_PDEATHSIG, 0);
	return give_int(reply, setpgid(0, group ? group : getpgid(getppid())));
}

Test(proc_worker, a_worker_that_left_its_group_is_killed)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run_int(p, job_deserts, 0), 0));
	cr_expect(eq(int, kill_with(p, SIGKILL)->signal, SIGKILL));
}

Test(proc_worker, a_worker_that_left_its_group_is_asked_to_end)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run_int(p, job_deserts, 0), 0));
	cr_expect(eq(int, kill_with(p, SIGTERM)->signal, SIGTERM));
}

Test(proc_worker, a_worker_that_left_its_group_does_not_outlive_the_server)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run_int(p, job_deserts, getpgid(0)), 0));
	cr_assert(eq(int, proc_send(p, job_sleep, "", 0), 0));
	kill(server.pid, SIGKILL);
	cr_expect(eq(int, end_of(p)->is_guessed, true));
	cr_expect(proc_dies(p->pid, 1000));
}

static int job_env(const void *in, size_t size, struct weft_reply *reply)
{
	const char *value = getenv(in);

	(void)size;
	return value ? weft_reply_put(reply, value, strlen(value) + 1) : -ENOENT;
}

Test(proc_worker, a_worker_has_our_environment_and_no_more)
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

/* A program that is run by a constructor is not taken for a server. */
__attribute__((constructor)) static void construct(void)
{
	constructed = system("test -z \"$WEFT_SERVER\"") == 0;
}

static int job_globals(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return give_int(reply, constructed * 10 + changed);
}

Test(proc_worker, constructors_have_run_and_main_has_not)
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

Test(proc_worker, what_a_job_prints_is_out_when_it_is_answered)
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

Test(proc_worker, a_job_that_exits_is_told_with_pid_and_code)
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

Test(proc_worker, a_crash_is_told_with_its_signal)
{
	int signals[] = { SIGSEGV, SIGABRT, SIGSEGV };

	for (int i = 0; i < 3; i++) {
		struct weft__proc *p = begin();
		cr_assert(eq(int, run(p, job_crash, &i, sizeof(i)), 1000));
		cr_expect(eq(int, p->exit.signal, signals[i]), "crash %d", i);
		cr_expect(eq(int, p->exit.code, 0));
	}
}

Test(proc_worker, a_worker_killed_from_outside_takes_nobody_along)
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

Test(proc_worker, an_idle_worker_that_dies_refuses_the_next_job)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, run_int(p, job_pid, 0), p->pid));
	kill(p->pid, SIGKILL);
	end_of(p);
	cr_expect(eq(int, proc_send(p, job_pid, "", 0), -EPIPE));
}

Test(proc_worker, a_worker_that_is_told_to_end_before_it_exists_ends)
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

Test(proc_worker, a_worker_that_ignores_term_does_not_ignore_kill)
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

Test(proc_worker, term_ends_a_worker_that_does_nothing_about_it)
{
	struct weft__proc *p = begin();

	cr_assert(eq(int, proc_send(p, job_sleep, "", 0), 0));
	cr_expect(eq(int, kill_with(p, SIGTERM)->signal, SIGTERM));
}

Test(proc_worker, what_a_job_has_started_ends_with_the_worker)
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

Test(proc_worker, what_a_worker_has_used_is_told)
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

Test(proc_worker, cpu_time_is_limited)
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

Test(proc_worker, memory_is_limited)
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

Test(proc_worker, the_last_words_of_a_worker_are_kept)
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

Test(proc_worker, a_flood_of_words_blocks_nobody)
{
	struct weft__proc *p = begin();
	char text[WEFT__TAIL_SIZE + 1];

	cr_expect(eq(int, run_int(p, job_floods, 200 * 1000), 1));
	weft__proc_hear(p);
	weft__tail_text(&p->tail, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "line 199999 of many"), NULL));
	cr_expect(gt(u64, p->tail.count, 10 << 20));
}
