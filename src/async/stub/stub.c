/* SPDX-License-Identifier: MIT */
/*
 * stub.c - where a server of worker processes parts from the program it was made of
 *
 * The server is the program's own file, run again with this object preloaded.
 * The start-up code of the program calls __libc_start_main() when everything is
 * loaded and all constructors of the libraries have run, and finds this one,
 * which goes on to the real one with another main().  So the constructors of the
 * program run too, and nothing of its main().
 *
 * Constructors may run other programs, which must not become servers too: so
 * before any of them (-z initfirst), even before the one of the C library, what
 * makes a server of a program is taken out of the environment and kept from those
 * that are executed.
 *
 * The object depends on nothing but what the C library has already brought into
 * the process, and its bytes are a part of the library (proc_stub.c).
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"

typedef int main_fn(int argc, char **argv, char **env);
typedef int start_fn(main_fn *run, int argc, char **argv, void (*init)(void), void (*fini)(void),
		     void (*unload)(void), void *stack);

start_fn __libc_start_main;

static const char *where; /* the entry is */

/* What follows "name=", or NULL. */
static char *value_of(char *variable, const char *name)
{
	size_t length = strlen(name);

	return strncmp(variable, name, length) == 0 && variable[length] == '='
		       ? variable + length + 1
		       : NULL;
}

/* Takes us, and what comes before us, out of LD_PRELOAD.  False when nothing is
 * left. */
static int restore(char *preloads)
{
	char *stub = strstr(preloads, WEFT__ENTRY_STUB_PATH);
	char *users = stub ? stub + strlen(WEFT__ENTRY_STUB_PATH) : preloads;

	if (users != preloads && *users == ':')
		memmove(preloads, users + 1, strlen(users));
	else if (users != preloads)
		*preloads = '\0';
	return *preloads != '\0';
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **env)
{
	char **kept = env;

	(void)argc, (void)argv;
	for (; *env; env++) {
		char *value = value_of(*env, WEFT__ENTRY_ENV);
		char *preloads = value_of(*env, "LD_PRELOAD");
		if (value)
			where = value;
		else if (!preloads || restore(preloads))
			*kept++ = *env;
	}
	*kept = NULL;
	for (int fd = WEFT__ENTRY_CONTROL; fd < WEFT__ENTRY_FREE; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int serve(int argc, char **argv, char **env)
{
	struct link_map *map;
	char *path;

	(void)argc, (void)argv, (void)env;
	if (!where)
		_exit(127);
	size_t distance = strtoull(where, &path, 16);
	void *module = dlopen(path[0] && path[1] ? path + 1 : NULL, RTLD_NOW);
	if (!module || dlinfo(module, RTLD_DI_LINKMAP, &map) != 0)
		_exit(127);

	const struct weft__entry *entry = (const void *)(map->l_addr + distance);
	if (memcmp(entry->magic, WEFT__ENTRY_MAGIC, sizeof(entry->magic)) == 0)
		entry->serve();
	_exit(127);
}

__attribute__((visibility("default"))) int __libc_start_main(main_fn *run, int argc, char **argv,
							     void (*init)(void), void (*fini)(void),
							     void (*unload)(void), void *stack)
{
	start_fn *next = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

	(void)run;
	return next(serve, argc, argv, init, fini, unload, stack);
}
