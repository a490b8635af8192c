/* SPDX-License-Identifier: MIT */
/*
 * dlopen_storm.c - loading, using and unloading libweft.so a thousand times
 *
 * Loading alone starts no thread.  Half of the rounds shut the runtime down
 * before dlclose(), the other half leave its workers running: their code must
 * stay mapped.
 *
 *	dlopen_storm PATH/libweft.so
 */
#include <weft/fork.h>
#include <weft/runtime.h>

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 1000, ITEMS = 1000 };

struct library {
	void *handle;
	int (*run_sync)(weft_fn *fn, void *arg);
	int (*shutdown)(int64_t deadline);
	int (*for_opt)(size_t begin, size_t end, weft_range_fn *body, void *arg,
		       const struct weft_for_opts *opts);
};

static struct library weft;
static int touched[ITEMS];

static void check(int right, const char *what, int round)
{
	if (right)
		return;
	fprintf(stderr, "round %d: %s\n", round, what);
	exit(1);
}

/* The pointer types of dlsym() and of functions differ; their bits do not. */
static void find(void *to, const char *name, int round)
{
	void *found = dlsym(weft.handle, name);

	check(found != NULL, name, round);
	memcpy(to, &found, sizeof(found));
}

static void load(const char *path, int round)
{
	weft.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!weft.handle)
		fprintf(stderr, "%s\n", dlerror());
	check(weft.handle != NULL, "dlopen", round);
	find(&weft.run_sync, "weft_run_sync", round);
	find(&weft.shutdown, "weft_shutdown", round);
	find(&weft.for_opt, "weft_for_opt", round);
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int n = 0;

	while (tasks && readdir(tasks))
		n++;
	if (tasks)
		closedir(tasks);
	return n - 2; /* "." and ".." */
}

static int touch(struct weft_range *r, void *arg)
{
	(void)arg;
	for (size_t i = r->begin; i < r->end; i++)
		touched[i]++;
	return 0;
}

static int task(void *arg)
{
	(void)arg;
	return weft.for_opt(0, ITEMS, touch, NULL, NULL);
}

int main(int argc, char **argv)
{
	check(argc == 2, "usage: dlopen_storm PATH", 0);
	int before = threads();
	load(argv[1], 0);
	check(threads() == before, "loading started a thread", 0);
	dlclose(weft.handle);

	for (int round = 1; round <= ROUNDS; round++) {
		load(argv[1], round);
		check(weft.run_sync(task, NULL) == 0, "run", round);
		if (round % 2)
			check(weft.shutdown(WEFT_NEVER) == 0, "shutdown", round);
		check(dlclose(weft.handle) == 0, "dlclose", round);
	}
	for (int i = 0; i < ITEMS; i++)
		check(touched[i] == ROUNDS, "an item was lost or done twice", ROUNDS);
	return 0;
}
