/* SPDX-License-Identifier: MIT */
/*
 * stress_process_faults.c - whatever the system denies, worker processes and weft_exec end
 * in a clean error, and are as good as new afterwards
 *
 * In a process of its own for each: the n-th of the calls below fails, for n = 1, 2, ...
 * until there are no more.  What was asked for then succeeds or is a negative code; asked
 * for again, without a fault, it succeeds; and no descriptor is left.
 *
 * Only calls that may fail for want of something are here, and only after the runtime has
 * started.  Being defined in the executable they come before those of the C library, and
 * are called before a sanitizer has begun; the server of workers, the same program, never
 * has a fault.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/weft.h>

#include "support/proc.h"
#include "support/stress.h"

enum { LARGE = 200000, LIMIT_S = 60 };

/* What the trial tells of: in memory that is shared with it. */
static struct trial {
	uint64_t at; /* the call that is to fail */
	uint64_t count;
	char what[32];
} * trial;

static uint32_t armed;

#define BARE                                                                              \
	__attribute__((no_sanitize("address"))) __attribute__((no_sanitize("undefined"))) \
	__attribute__((no_sanitize("thread")))

/* True when the call is the one. */
static bool is_due(const char *what)
{
	if (add_seqcst(&trial->count, 1) + 1 != trial->at)
		return false;
	strcpy(trial->what, what);
	return true;
}

BARE static bool fails(const char *what)
{
	return __atomic_load_n(&armed, __ATOMIC_ACQUIRE) && is_due(what);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A call that returns -1 and sets errno. */
#define FAULT(type, name, parameters, arguments, error) \
	BARE type name parameters                       \
	{                                               \
		if (fails(#name)) {                     \
			errno = error;                  \
			return (type)-1;                \
		}                                       \
		return REAL(name) arguments;            \
	}

/* One that returns its error. */
#define FAULT_RC(name, parameters, arguments, error) \
	BARE int name parameters                     \
	{                                            \
		if (fails(#name))                    \
			return error;                \
		return REAL(name) arguments;         \
	}

FAULT(int, eventfd, (unsigned n, int flags), (n, flags), EMFILE)
FAULT(int, pipe2, (int fds[2], int flags), (fds, flags), EMFILE)
FAULT(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE)
FAULT(int, ftruncate, (int fd, off_t size), (fd, size), ENOSPC)
FAULT(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), ENOSPC)
FAULT(int, socketpair, (int domain, int type, int protocol, int fds[2]),
      (domain, type, protocol, fds), EMFILE)
FAULT(ssize_t, sendmsg, (int fd, const struct msghdr *header, int flags), (fd, header, flags),
      ENOMEM)
FAULT(ssize_t, recvmsg, (int fd, struct msghdr *header, int flags), (fd, header, flags), ENOMEM)
FAULT(ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags), ENOMEM)
FAULT(int, ppoll,
      (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
      (fds, n, timeout, mask), ENOMEM)
FAULT(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), EINVAL)

FAULT(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), ENOMEM)

BARE void *mmap(void *at, size_t size, int access, int flags, int fd, off_t from)
{
	if (fails("mmap")) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return REAL(mmap)(at, size, access, flags, fd, from);
}

BARE int open(const char *path, int flags, ...)
{
	va_list values;

	va_start(values, flags);
	unsigned mode = va_arg(values, unsigned);
	va_end(values);
	if (fails("open")) {
		errno = EMFILE;
		return -1;
	}
	return REAL(open)(path, flags, mode);
}

FAULT_RC(pthread_create,
	 (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
	 (thread, attr, fn, arg), EAGAIN)
/* Of the server. */
FAULT_RC(posix_spawn,
	 (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
	  const posix_spawnattr_t *attributes, char *const argv[], char *const env[]),
	 (pid, path, actions, attributes, argv, env), EAGAIN)
FAULT_RC(posix_spawnp,
	 (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
	  const posix_spawnattr_t *attributes, char *const argv[], char *const env[]),
	 (pid, file, actions, attributes, argv, env), EAGAIN)
FAULT_RC(posix_spawn_file_actions_init, (posix_spawn_file_actions_t * a), (a), ENOMEM)
FAULT_RC(posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t * a, int fd, int to),
	 (a, fd, to), ENOMEM)
FAULT_RC(posix_spawnattr_init, (posix_spawnattr_t * a), (a), ENOMEM)

BARE int fcntl(int fd, int command, ...)
{
	va_list values;

	va_start(values, command);
	long value = va_arg(values, long);
	va_end(values);
	if ((command == F_DUPFD_CLOEXEC || command == F_SETFL || command == F_ADD_SEALS) &&
	    fails("fcntl")) {
		errno = EMFILE;
		return -1;
	}
	return REAL(fcntl)(fd, command, value);
}

BARE long syscall(long number, ...)
{
	long v[6];
	va_list values;

	va_start(values, number);
	for (int i = 0; i < 6; i++)
		v[i] = va_arg(values, long);
	va_end(values);
	if (number == SYS_pidfd_open && fails("pidfd_open")) {
		errno = EMFILE;
		return -1;
	}
	return REAL(syscall)(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}

static void *take(size_t size, size_t align, void *ctx)
{
	(void)ctx;
	return fails("alloc") ? NULL : aligned_alloc(align, (size + align - 1) / align * align);
}

static void give_back(void *ptr, size_t size, void *ctx)
{
	(void)size, (void)ctx;
	free(ptr);
}

/*
 * What is asked for
 */

static int job_echo(const void *in, size_t size, struct weft_reply *reply)
{
	return weft_reply_put(reply, in, size);
}
WEFT_REMOTE(job_echo);

static int echo(struct weft_process_pool *pool, size_t size)
{
	static char bytes[LARGE];
	struct weft_buf out = { 0 };
	int rc = weft_to_process(job_echo, bytes, size, &out, .pool = pool);

	STRESS_CHECK(rc != 0 || out.size == size);
	weft_buf_free(&out);
	return rc;
}

static int run_pool(void)
{
	struct weft_process_pool *pool;
	int rc = weft_process_pool_create(&pool, .workers = 2, .init = job_echo, .init_data = "x",
					  .init_size = 1, .max_tasks = 3);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < 4 && rc == 0; i++)
		rc = echo(pool, i % 2 ? LARGE : i);
	int error = weft_process_pool_close(pool, rc);
	return rc ? rc : error;
}

static int run_exec(void)
{
	char *argv[] = { (char[]){ "cat" }, NULL };
	struct weft_buf out = { 0 }, err = { 0 };
	struct weft_exec_result result;
	int rc = weft_exec(&result, .argv = argv, .input = "some", .input_size = 4, .out = &out,
			   .err = &err);

	STRESS_CHECK(rc != 0 || (out.size == 4 && result.exit_code == 0));
	weft_buf_free(&out);
	weft_buf_free(&err);
	return rc;
}

static int body(void *arg)
{
	int (*const deed)(void) = *(int (**)(void))arg;

	STRESS_CHECK(deed() == 0); /* what is made once is made */
	int before = proc_fd_count();
	store_release(&armed, 1);
	int rc = deed();
	store_release(&armed, 0);
	STRESS_CHECK(rc <= 0);
	STRESS_CHECK(deed() == 0);
	STRESS_CHECK(proc_fd_count() == before);
	return 0;
}

/*
 * The trials
 */

static void run_trial(int (*deed)(void))
{
	struct weft_allocator allocator = { sizeof allocator, take, give_back, NULL };

	alarm(LIMIT_S);
	STRESS_CHECK(weft_set_allocator(&allocator) == 0);
	weft_configure(.workers = stress_threads);
	STRESS_CHECK(weft_run_sync(body, &deed) == 0);
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	exit(0);
}

/* False when there were fewer calls. */
static bool try(int (*deed)(void), uint64_t at)
{
	int status;

	*trial = (struct trial){ .at = at };
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		run_trial(deed);
	waitpid(pid, &status, 0);
	if (status != 0)
		fprintf(stderr, "call %d, %s: status %x\n", (int)at, trial->what, (unsigned)status);
	STRESS_CHECK(status == 0);
	return trial->what[0] != '\0';
}

/* Sanitizers make a trial long: each run under one has every third of them. */
static unsigned sweep(int (*deed)(void))
{
	const unsigned step = WEFT__SANITIZED ? 3 : 1;
	unsigned faults = 0;

	for (unsigned at = 1 + (unsigned)(stress_seed % step); try(deed, at); at += step)
		faults++;
	return faults;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	trial = mmap(NULL, sizeof *trial, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	STRESS_CHECK(trial != MAP_FAILED);
	unsigned pool = sweep(run_pool), exec = sweep(run_exec);
	printf("%u faults of a pool, %u of weft_exec\n", pool, exec);
	return 0;
}
