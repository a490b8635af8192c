/* SPDX-License-Identifier: MIT */
/*
 * build.h - from the job that the user names to a shared object
 *
 * A C file is compiled by $CC, or cc, with -O3, then what $CFLAGS and $LDLIBS
 * say.  The result is kept in a cache under a name made of the contents of all
 * that went into it.
 *
 *   memory     fini frees what build made.
 *   errors     says what is wrong and returns false; the compiler's own words go
 *              to standard error as they are.
 *   blocking   runs the compiler.
 */
#ifndef WEFT_CLI_BUILD_H
#define WEFT_CLI_BUILD_H

#include <stdbool.h>

struct weft__built {
	char *path;
	bool compiled;	/* by us, now or before */
	bool temporary; /* there is no cache: it goes once it is loaded */
};

bool weft__build(struct weft__built *built, const char *job);

/* Once it has been loaded, or could not be: then it goes from the cache too, so
 * that the next run compiles it anew. */
void weft__built_fini(struct weft__built *built, bool loaded);

/* Where compiled jobs are kept, to be freed; NULL when there is no such place. */
char *weft__build_cache(void);

/* The folder that holds weft/job.h, to be freed; NULL when it is not found. */
char *weft__build_include(void);

#endif
