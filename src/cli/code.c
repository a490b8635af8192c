/* SPDX-License-Identifier: MIT */
/* code.c - dlopen, and what a job must have */
#include "code.h"

#include <dlfcn.h>
#include <string.h>

#include <weft/job.h>

#include "say.h"

/* dlsym hands out functions as pointers to data, which C does not convert. */
static void find(void *library, const char *symbol, void *function)
{
	void *address = dlsym(library, symbol);

	memcpy(function, &address, sizeof address);
}

static bool has_our_abi(void *library, const char *name)
{
	const unsigned *abi = dlsym(library, "weft_job_abi");

	if (!abi)
		weft__say("%s: does not include <weft/job.h>", name);
	else if (*abi != WEFT_JOB_ABI)
		weft__say("%s: was compiled for version %u of <weft/job.h>, this is %u", name, *abi,
			  WEFT_JOB_ABI);
	return abi && *abi == WEFT_JOB_ABI;
}

static bool is_whole(const struct weft__code *code, const char *name)
{
	const char *missing = NULL;

	if (!code->map)
		missing = "map";
	else if (code->state_size && !code->merge)
		missing = "merge, which WEFT_STATE needs";
	else if (code->state_size && !code->finish)
		missing = "finish, which WEFT_STATE needs";
	if (missing)
		weft__say("%s: has no function %s", name, missing);
	return !missing;
}

bool weft__code_load(struct weft__code *code, const char *path, const char *name)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		weft__say("%s: %s", name, dlerror());
		return false;
	}
	*code = (struct weft__code){ 0 };
	find(library, "map", &code->map);
	find(library, "start", &code->start);
	find(library, "init", &code->init);
	find(library, "merge", &code->merge);
	find(library, "finish", &code->finish);
	const size_t *state_size = dlsym(library, "weft_state_size");
	code->state_size = state_size ? *state_size : 0;
	return has_our_abi(library, name) && is_whole(code, name);
}
