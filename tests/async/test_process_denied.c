/* SPDX-License-Identifier: MIT */
/*
 * test_process_denied.c - what a pool of processes does when the system starts none
 *
 * The functions below, being defined in the executable, come before those of the C
 * library.  The server of workers is the same program: there the file that
 * WEFT_TEST_FORK names says what becomes of a fork().
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>

#include <weft/weft.h>

#include "async/process_pool.h"
#include "support/proc_suite.h"
#include "support/virtual.h"

TestSuite(process_denied, .timeout = 30);

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static bool no_server;

/* The server is started by this, on a stack that AddressSanitizer does not know. */
__attribute__((no_sanitize("address"))) int posix_spawn(pid_t *pid, const char *path,
							const posix_spawn_file_actions_t *actions,
							const posix_spawnattr_t *attributes,
							char *const argv[], char *const env[])
{
	if (no_server)
		return EAGAIN;
	return REAL(posix_spawn)(pid, path, actions, attributes, argv, env);
}

/* '0': it fails; '9': the child is killed at once. */
static char fate_of_fork(void)
{
	const char *path = getenv("WEFT_TEST_FORK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char fate = '1';

	if (fd < 0)
		return fate;
	if (read(fd, &fate, 1) != 1)
		fate = '1';
	close(fd);
	return fate;
}

pid_t fork(void)
{
	char fate = fate_of_fork();

	if (fate == '0') {
		errno = EAGAIN;
		return -1;
	}
	pid_t pid = REAL(fork)();
	if (pid == 0 && fate == '9')
		kill(getpid(), SIGKILL);
	return pid;
}

static char path[] = "/tmp/weft-fork-XXXXXX";

/* To be called before there is a server. */
static void decide(const char *fate)
{
	int fd = getenv("WEFT_TEST_FORK") ? open(path, O_WRONLY | O_CLOEXEC) : mkstemp(path);

	HOLDS(fd >= 0 && write(fd, fate, 1) == 1);
	close(fd);
	setenv("WEFT_TEST_FORK", path, 1);
}

static void forget(void)
{
	unsetenv("WEFT_TEST_FORK");
	unlink(path);
}

static int go_real(weft_fn *fn)
{
	return go_with((struct weft_config){ .workers = 2, .default_process_workers = 2 }, fn,
		       NULL);
}

static int job_nothing(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	return 0;
}
WEFT_REMOTE(job_nothing);

static int ask(struct weft_process_pool *pool, struct weft_proc_status *st)
{
	return weft_to_process(job_nothing, NULL, 0, NULL, .pool = pool, .status = st);
}

/* --- no server ----------------------------------------------------------------- */

static int without_a_server(void *arg)
{
	struct weft_process_pool *pool;
	struct weft_proc_status st;

	(void)arg;
	HOLDS(weft_process_pool_create(&pool, .workers = 2) == 0);
	no_server = true;
	HOLDS(ask(pool, &st) == WEFT_EAGAIN && st.pid == 0);
	HOLDS(ask(pool, &st) == WEFT_EAGAIN && st.pid == 0);
	no_server = false;
	HOLDS(ask(pool, &st) == 0 && st.pid > 0);
	return weft_process_pool_close(pool, 0);
}

Test(process_denied, without_a_server_callers_are_told_to_try_again)
{
	cr_assert(eq(int, go_real(without_a_server), 0));
}

/* --- no workers ------------------------------------------------------------------ */

static int without_workers(struct weft_process_pool *pool)
{
	struct weft_proc_status st;

	decide("0");
	for (int i = 0; i < 5; i++)
		HOLDS(ask(pool, &st) == WEFT_EAGAIN && st.pid == 0);
	decide("1");
	HOLDS(ask(pool, &st) == 0 && st.pid > 0);
	forget();
	return weft_process_pool_close(pool, 0);
}

static int without_workers_plain(void *arg)
{
	struct weft_process_pool *pool;

	(void)arg;
	HOLDS(weft_process_pool_create(&pool, .workers = 2) == 0);
	return without_workers(pool);
}

static int without_workers_that_have_an_initializer(void *arg)
{
	struct weft_process_pool *pool;

	(void)arg;
	HOLDS(weft_process_pool_create(&pool, .workers = 2, .init = job_nothing) == 0);
	return without_workers(pool);
}

Test(process_denied, without_workers_callers_are_told_to_try_again)
{
	cr_assert(eq(int, go_real(without_workers_plain), 0));
}

Test(process_denied, an_initializer_that_was_not_called_has_not_failed)
{
	cr_assert(eq(int, go_real(without_workers_that_have_an_initializer), 0));
}

static int killed_at_once(void *arg)
{
	struct weft_process_pool *pool;
	struct weft_proc_status st;

	(void)arg;
	HOLDS(weft_process_pool_create(&pool, .workers = 1) == 0);
	decide("9");
	HOLDS(ask(pool, &st) == WEFT_ECRASHED);
	HOLDS(st.pid > 0 && st.signo == SIGKILL && !st.guessed);
	forget();
	return weft_process_pool_close(pool, 0);
}

Test(process_denied, a_worker_that_was_killed_before_it_said_who_it_is_has_a_name)
{
	cr_assert(eq(int, go_real(killed_at_once), 0));
}
