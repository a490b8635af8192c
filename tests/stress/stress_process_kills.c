/* SPDX-License-Identifier: MIT */
/*
 * stress_process_kills.c - a worker process is killed at every border of a system call in
 * its life, in turn
 *
 *	application -> server --fork()--> worker <--ptrace-- hunter
 *
 * The n-th trial has a pool start a worker, initialise it, give it two jobs and let it go.
 * A hunter beside the first worker counts where it enters and leaves system calls, and
 * kills it at the n-th; the last trial is the one that the worker survives.  Whenever it
 * dies, each job is done or has crashed, no function has run twice for one call, and no
 * process and no descriptor is left.
 *
 * fork() is the one below in the server, too, which is this program.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "deque/sanitizer.h"
#include "support/proc.h"
#include "support/stress.h"

enum { SMALL, LARGE, JOBS, LARGE_SIZE = 200000, LIMIT_S = 400, SKIPPED = 77 };

/* In a file that the server and workers map, too. */
static struct trial {
	uint32_t at; /* of the next worker; 0: it is left alone */
	uint32_t seen, killed, denied;
	uint32_t ran[JOBS];
	pid_t prey;
} * trial;

static const char variable[] = "WEFT_TEST_HUNT"; /* the file */

static bool map_trial(int flags)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC | flags, 0600) : -1;

	if (fd < 0 || ftruncate(fd, sizeof *trial) != 0)
		return false;
	void *at = mmap(NULL, sizeof *trial, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	trial = at == MAP_FAILED ? NULL : at;
	return trial;
}

/* --- the hunt ------------------------------------------------------------------- */

static bool seize(pid_t prey)
{
	int status;

	return ptrace(PTRACE_SEIZE, prey, NULL, PTRACE_O_TRACESYSGOOD) == 0 &&
	       ptrace(PTRACE_INTERRUPT, prey, NULL, NULL) == 0 &&
	       waitpid(prey, &status, __WALL) == prey;
}

/* To the next border; false when the prey is gone. */
static bool follow(pid_t prey)
{
	const int border = SIGTRAP | 0x80;
	int status, signal = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, prey, NULL, (void *)(intptr_t)signal) != 0 ||
		    waitpid(prey, &status, __WALL) != prey || !WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == border)
			return true;
		signal = status >> 16 ? 0 : WSTOPSIG(status);
	}
}

/* Has none of the descriptors of the prey: their end is to be seen when it dies. */
static _Noreturn void hunt(pid_t prey, uint32_t at, int ready)
{
	bool seized = seize(prey);

	trial->denied = !seized;
	trial->prey = prey;
	if (write(ready, "!", 1) != 1 || syscall(SYS_close_range, 0, ~0u, 0) != 0)
		trial->denied = 1;
	while (seized && follow(prey)) {
		if (++trial->seen < at)
			continue;
		trial->killed = 1;
		kill(prey, SIGKILL);
		break;
	}
	_exit(0);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* In the worker, which goes on when the hunter is there. */
static void be_hunted(uint32_t at)
{
	pid_t me = getpid();
	int ends[2];
	char byte;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (pipe(ends) != 0)
		_exit(1);
	pid_t hunter = REAL(fork)();
	if (hunter == 0)
		hunt(me, at, ends[1]);
	close(ends[1]);
	if (hunter < 0 || read(ends[0], &byte, 1) != 1)
		trial->denied = 1;
	close(ends[0]);
}

pid_t fork(void)
{
	uint32_t at = trial || map_trial(0) ? trial->at : 0;

	if (trial)
		trial->at = 0;
	pid_t pid = REAL(fork)();
	if (pid == 0 && at > 0)
		be_hunted(at);
	return pid;
}

/* --- the trials ----------------------------------------------------------------- */

static int job_echo(const void *in, size_t size, struct weft_reply *reply)
{
	add_seqcst(&trial->ran[size == LARGE_SIZE ? LARGE : SMALL], 1);
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(job_echo);

static int job_init(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	return 0;
}
WEFT_REMOTE(job_init);

static void run_job(struct weft_process_pool *pool, int which)
{
	static char bytes[LARGE_SIZE];
	size_t size = which == LARGE ? sizeof bytes : 5;
	struct weft_proc_status st;
	struct weft_buf out = { 0 };
	int rc = weft_to_process(job_echo, bytes, size, &out, .pool = pool, .status = &st);

	if (rc == 0) {
		STRESS_CHECK(out.size == size && trial->ran[which] == 1);
	} else {
		STRESS_CHECK(rc == WEFT_ECRASHED && trial->killed && trial->ran[which] <= 1);
		STRESS_CHECK(st.pid == trial->prey && st.signo == SIGKILL && !st.guessed);
	}
	weft_buf_free(&out);
}

static int run_trial(void *arg)
{
	struct weft_process_pool *pool;
	int before = proc_fd_count();

	*trial = (struct trial){ .at = *(uint32_t *)arg };
	STRESS_CHECK(weft_process_pool_create(&pool, .workers = 1, .init = job_init) == 0);
	run_job(pool, SMALL);
	run_job(pool, LARGE);
	STRESS_CHECK(weft_process_pool_close(pool, 0) == 0);
	STRESS_CHECK(proc_fd_count() == before);
	STRESS_CHECK(trial->denied || (trial->prey > 0 && !proc_lives(trial->prey)));
	return 0;
}

/* Sanitizers make a trial long: each run under one has every third of them. */
static uint32_t hunt_at_every_border(void)
{
	const uint32_t step = WEFT__SANITIZED ? 3 : 1;
	uint32_t at = 1 + (uint32_t)(stress_seed % step), killed = 0;

	for (;; at += step, killed++) {
		STRESS_CHECK(weft_run_sync(run_trial, &at) == 0);
		if (!trial->killed)
			return killed;
	}
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/weft-hunt-XXXXXX";

	stress_begin(argc, argv);
	alarm(LIMIT_S);
	close(mkstemp(path));
	setenv(variable, path, 1);
	STRESS_CHECK(map_trial(O_CREAT));
	weft_configure(.workers = stress_threads);
	uint32_t killed = hunt_at_every_border();
	bool denied = trial->denied;
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	unlink(path);
	if (denied) {
		printf("skipped: nobody may be traced here\n");
		return SKIPPED;
	}
	STRESS_CHECK(killed > 0);
	printf("%u deaths\n", killed);
	return 0;
}
