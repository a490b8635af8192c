/* SPDX-License-Identifier: MIT */
/*
 * proc_registry.c - the functions that have a name
 *
 * A list that the modules of the user add themselves to, by the constructor that
 * WEFT_REMOTE puts into them: no code of the library runs unless somebody asked
 * for it.  ELF notes would need no code at all, but have to be written in
 * assembly, which neither link-time optimisation nor C++ names survive; a section
 * with start and stop symbols can be found from inside of its module only.
 *
 * Names are few and looked up once a function and worker: a list does.
 */
#include "async/proc_registry.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "async/proc_module.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weft_remote *first; /* the newest */

void weft_remote_add(struct weft_remote *remote)
{
	pthread_mutex_lock(&lock);
	remote->next = first;
	first = remote;
	pthread_mutex_unlock(&lock);
}

void weft_remote_drop(struct weft_remote *remote)
{
	pthread_mutex_lock(&lock);
	struct weft_remote **at = &first;
	while (*at && *at != remote)
		at = &(*at)->next;
	if (*at)
		*at = remote->next;
	pthread_mutex_unlock(&lock);
}

int weft__remote_name(weft_remote_fn *fn, char *name, size_t size)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&lock);
	for (struct weft_remote *r = first; r && rc == -ENOENT; r = r->next) {
		if (r->fn != fn)
			continue;
		rc = strlen(r->name) < size ? 0 : -ENAMETOOLONG;
		if (rc == 0)
			memcpy(name, r->name, strlen(r->name) + 1);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static bool is_in(const struct weft_remote *remote, const char *path)
{
	struct weft__module module;

	return weft__module_of((const void *)(uintptr_t)remote->fn, &module) == 0 &&
	       strcmp(module.path, path) == 0;
}

int weft__remote_find(const char *name, const char *path, weft_remote_fn **fn)
{
	const struct weft_remote *found = NULL;
	int count = 0;

	pthread_mutex_lock(&lock);
	for (struct weft_remote *r = first; r; r = r->next) {
		if (strcmp(r->name, name) != 0)
			continue;
		/* The first is taken unseen, as long as it stays the only one. */
		if (count++ == 1 && !is_in(found, path))
			found = NULL;
		if (count == 1 || (!found && is_in(r, path)))
			found = r;
	}
	if (found)
		*fn = found->fn;
	pthread_mutex_unlock(&lock);
	return found ? 0 : count > 0 ? -ENOTUNIQ : -ENOENT;
}
