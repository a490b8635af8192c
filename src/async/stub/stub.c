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
 * The object depends on nothing but what the C library has already brought into
 * the process, and its bytes are a part of the library (proc_stub.c).
 */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"

typedef int main_fn(int argc, char **argv, char **env);
typedef int start_fn(main_fn *run, int argc, char **argv, void (*init)(void), void (*fini)(void),
		     void (*unload)(void), void *stack);

start_fn __libc_start_main;

static int serve(int argc, char **argv, char **env)
{
	const char *where = getenv(WEFT__ENTRY_ENV);
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
