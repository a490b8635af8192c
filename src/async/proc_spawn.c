/* SPDX-License-Identifier: MIT */
/*
 * proc_spawn.c - starting a server of worker processes
 *
 * What is started is the file of this program, /proc/self/exe, with the stub
 * preloaded (stub/stub.c): so the functions of the executable are there, those of
 * libraries can be loaded from the same files, and no thread, lock or memory of
 * this process comes along.
 *
 * Should the stub not get hold of the new process, the program would run a second
 * time: that is the one danger of this way, and everything that could lead there
 * is looked at first.
 *
 *	no dynamic loader (AT_BASE)            nobody preloads anything
 *	privileges by file (AT_SECURE, mode)   the loader ignores LD_PRELOAD
 *	no import of __libc_start_main         nobody calls the stub
 *	the stub cannot be mapped              policy: the loader would go on without
 *
 * The new process is an orphan from the start.  As a child of ours it would make
 * an application's wait() return a stranger, or never return.  So a helper that
 * shares our memory and our descriptors, and that waits for nobody, spawns it and
 * is gone before we go on; having no exit signal, the helper itself cannot be
 * seen by wait() either.  It has nothing to do but to call posix_spawn(), which
 * does the same once more: vfork semantics, no page table copied.
 */
#include "async/proc_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "async/proc_module.h"
#include "async/proc_serve.h"
#include "async/proc_stub.h"
#include "deque/alloc.h"
#include "deque/check.h"
#include "deque/sanitizer.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

enum {
	HELPER_STACK = 256 * 1024,
	HIGH_FD = 16, /* copies of descriptors start here, out of the way of the server's */
};

extern char **environ;

/* Not intercepted by sanitizers, which take clone() for a kind of fork(). */
extern int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);

struct plan {
	int control, stub, application; /* high copies; -1: not there */
	bool preload;
	char **env; /* `room` pointers to the strings of environ and to these: */
	size_t room;
	char where[sizeof(WEFT__ENTRY_ENV) + 32 + PATH_MAX];
	char preloads[4 * PATH_MAX];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct weft__spawned server;
	int rc;
};

/*
 * May we?
 */

/* What of its dynamic section an executable is linked by. */
struct links {
	const ElfW(Sym) * symbols;
	const char *names;
	const ElfW(Rela) * tables[2];
	size_t sizes[2];
};

/* The loader has made addresses of what were distances. */
static void read_links(const ElfW(Dyn) * entry, struct links *links)
{
	for (; entry->d_tag != DT_NULL; entry++) {
		const void *at = (const void *)entry->d_un.d_ptr;
		if (entry->d_tag == DT_SYMTAB)
			links->symbols = at;
		else if (entry->d_tag == DT_STRTAB)
			links->names = at;
		else if (entry->d_tag == DT_RELA)
			links->tables[0] = at;
		else if (entry->d_tag == DT_RELASZ)
			links->sizes[0] = entry->d_un.d_val;
		else if (entry->d_tag == DT_JMPREL)
			links->tables[1] = at;
		else if (entry->d_tag == DT_PLTRELSZ)
			links->sizes[1] = entry->d_un.d_val;
	}
}

static bool table_names(const struct links *links, int table, const char *name)
{
	const ElfW(Rela) *entry = links->tables[table];

	for (size_t i = 0; entry && i < links->sizes[table] / sizeof(*entry); i++) {
		const ElfW(Sym) *symbol = &links->symbols[ELF64_R_SYM(entry[i].r_info)];
		if (symbol->st_shndx == SHN_UNDEF &&
		    strcmp(links->names + symbol->st_name, name) == 0)
			return true;
	}
	return false;
}

static int imports_start(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct links links = { 0 };

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			read_links((const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
				   &links);
	}
	if (links.symbols && links.names)
		*(bool *)arg = table_names(&links, 0, "__libc_start_main") ||
			       table_names(&links, 1, "__libc_start_main");
	return 1; /* the first module is the executable */
}

/* Capabilities count like the set-user-ID bit: they are gained by running the
 * file, and the loader turns careful. */
static bool is_privileged(void)
{
	struct stat file;

	if (getauxval(AT_SECURE))
		return true;
	if (stat("/proc/self/exe", &file) == 0 && (file.st_mode & (S_ISUID | S_ISGID)))
		return true;
	return getxattr("/proc/self/exe", "security.capability", NULL, 0) > 0;
}

static int choose_way(struct plan *plan)
{
	bool imports = false;

	if (is_privileged())
		return -EPERM;
	if (getauxval(AT_BASE))
		dl_iterate_phdr(imports_start, &imports);
	plan->preload = imports;
	return imports || weft__server_main_was_called() ? 0 : -ENOTSUP;
}

/*
 * The stub
 */

static int write_stub(int fd)
{
	size_t size = (size_t)(weft__stub_end - weft__stub_begin);
	ssize_t put = write(fd, weft__stub_begin, size);

	if (put != (ssize_t)size)
		return put < 0 ? -errno : -ENOSPC;
	void *at = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	munmap(at, size);
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0
		       ? 0
		       : -errno;
}

static int make_stub(struct plan *plan)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("weft-stub", flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("weft-stub", flags);
	if (fd < 0)
		return -errno;
	plan->stub = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	int rc = plan->stub < 0 ? -errno : write_stub(fd);
	close(fd);
	return rc;
}

/*
 * The environment
 */

/* AddressSanitizer refuses to start when it is not the first of the libraries. */
static int find_sanitizer(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libasan.so") &&
	    !strstr(info->dlpi_name, "/libclang_rt.asan"))
		return 0;
	*(const char **)arg = info->dlpi_name;
	return 1;
}

static int say_where(struct plan *plan)
{
	struct weft__module library;
	int rc = weft__module_of((const void *)(uintptr_t)weft__server_entry.serve, &library);

	if (rc != 0)
		return rc;
	snprintf(plan->where, sizeof(plan->where), "%s=%zx:%s", WEFT__ENTRY_ENV,
		 (size_t)((uintptr_t)&weft__server_entry - library.base), library.path);
	return 0;
}

static int say_preloads(struct plan *plan)
{
	const char *users = getenv("LD_PRELOAD");
	const char *sanitizer = "";

	dl_iterate_phdr(find_sanitizer, &sanitizer);
	int length = snprintf(plan->preloads, sizeof(plan->preloads), "LD_PRELOAD=%s%s%s%s%s",
			      sanitizer, *sanitizer ? ":" : "", WEFT__ENTRY_STUB_PATH,
			      users && *users ? ":" : "", users ? users : "");
	return length < (int)sizeof(plan->preloads) ? 0 : -ENAMETOOLONG;
}

static bool names(const char *variable, const char *name)
{
	size_t length = strlen(name);

	return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

static int make_env(struct plan *plan)
{
	size_t count = 0, kept = 0;

	while (environ && environ[count])
		count++;
	plan->room = count + 3;
	plan->env = weft__alloc(plan->room * sizeof(*plan->env));
	if (!plan->env)
		return -ENOMEM;
	for (size_t i = 0; i < count && environ[i]; i++) {
		bool ours = names(environ[i], WEFT__ENTRY_ENV) ||
			    (plan->preload && names(environ[i], "LD_PRELOAD"));
		if (!ours)
			plan->env[kept++] = environ[i];
	}
	plan->env[kept++] = plan->where;
	if (plan->preload)
		plan->env[kept++] = plan->preloads;
	plan->env[kept] = NULL;

	int rc = say_where(plan);
	return rc == 0 && plan->preload ? say_preloads(plan) : rc;
}

/*
 * The descriptors
 */

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int copy_fds(struct plan *plan, int control)
{
	int self = pidfd_of(getpid());
	if (self < 0)
		return -errno;

	plan->application = fcntl(self, F_DUPFD_CLOEXEC, HIGH_FD);
	int rc = plan->application < 0 ? -errno : 0;
	close(self);
	if (rc != 0)
		return rc;
	plan->control = fcntl(control, F_DUPFD_CLOEXEC, HIGH_FD);
	return plan->control < 0 ? -errno : 0;
}

/* Everything here can only fail for want of memory. */
static int make_actions(struct plan *plan)
{
	posix_spawn_file_actions_t *a = &plan->actions;
	int rc = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);

	rc = rc ? rc : posix_spawn_file_actions_adddup2(a, plan->control, WEFT__ENTRY_CONTROL);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(a, plan->stub, WEFT__ENTRY_STUB);
	rc = rc ? rc
		: posix_spawn_file_actions_adddup2(a, plan->application, WEFT__ENTRY_APPLICATION);
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(a, WEFT__ENTRY_FREE);
	return -rc;
}

/* A group of its own: Ctrl-C is for the application, which then ends its workers
 * as it sees fit. */
static int make_attributes(struct plan *plan)
{
	posix_spawnattr_t *a = &plan->attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	int rc = posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						     POSIX_SPAWN_SETPGROUP);
	rc = rc ? rc : posix_spawnattr_setsigmask(a, &none);
	rc = rc ? rc : posix_spawnattr_setsigdefault(a, &all);
	rc = rc ? rc : posix_spawnattr_setpgroup(a, 0);
	return -rc;
}

/*
 * The new process
 */

/* In the helper, which shares everything with us but its process id.  The server
 * cannot go away before it has a pidfd: until then it is the helper's to bury. */
#if WEFT__TSAN
__attribute__((no_sanitize("thread")))
#else
__attribute__((no_sanitize("address")))
#endif
static int
help(void *arg)
{
	static char name[] = "weft-server";
	char *argv[] = { name, NULL };
	struct plan *plan = arg;

	int rc = -posix_spawn(&plan->server.pid, "/proc/self/exe", &plan->actions,
			      &plan->attributes, argv, plan->env);
	if (rc == 0) {
		plan->server.pidfd = pidfd_of(plan->server.pid);
		rc = plan->server.pidfd < 0 ? -errno : 0;
	}
	plan->rc = rc; /* a server without a pidfd ends when it finds no socket */
	return 0;
}

/* Signals are blocked, for their handlers would run in the helper with our memory. */
static int run_helper(struct plan *plan)
{
	sigset_t all, before;
	char *stack = mmap(NULL, HELPER_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	plan->rc = -EAGAIN; /* what a helper that is killed at once leaves behind */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int helper =
		__clone(help, stack + HELPER_STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES, plan);
	int rc = helper < 0 ? -errno : 0;
	while (helper > 0 && waitpid(helper, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		continue;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stack, HELPER_STACK);
	return rc != 0 ? rc : plan->rc;
}

static int spawn(struct plan *plan)
{
	if (posix_spawn_file_actions_init(&plan->actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&plan->attributes) != 0) {
		posix_spawn_file_actions_destroy(&plan->actions);
		return -ENOMEM;
	}
	int rc = make_actions(plan);
	rc = rc ? rc : make_attributes(plan);
	rc = rc ? rc : run_helper(plan);
	posix_spawnattr_destroy(&plan->attributes);
	posix_spawn_file_actions_destroy(&plan->actions);
	return rc;
}

static void plan_fini(struct plan *plan)
{
	int fds[] = { plan->control, plan->stub, plan->application };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	weft__free(plan->env, plan->room * sizeof(*plan->env));
	weft__free(plan, sizeof(*plan));
}

int weft__spawn_server(int control, struct weft__spawned *server)
{
	struct plan *plan = weft__alloc(sizeof(*plan));

	if (!plan)
		return -ENOMEM;
	plan->control = plan->stub = plan->application = -1;
	plan->env = NULL;
	int rc = choose_way(plan);
	rc = rc ? rc : make_stub(plan);
	rc = rc ? rc : copy_fds(plan, control);
	rc = rc ? rc : make_env(plan);
	rc = rc ? rc : spawn(plan);
	if (rc == 0)
		*server = plan->server;
	plan_fini(plan);
	return rc;
}
