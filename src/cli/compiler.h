/* SPDX-License-Identifier: MIT */
/*
 * compiler.h - the system's C compiler, as the user's environment names it
 *
 *   memory     fini frees what find made.
 *   errors     find and run say what is wrong and return false.
 *   blocking   run waits for the compiler.
 */
#ifndef WEFT_CLI_COMPILER_H
#define WEFT_CLI_COMPILER_H

#include <stdbool.h>
#include <stddef.h>

#define WEFT__COMPILER_WORDS 64

/* A command line that makes a shared object, but for what is in it. */
struct weft__compiler {
	char *words[WEFT__COMPILER_WORDS + 1]; /* $CC, flags, $CFLAGS */
	char *libraries[WEFT__COMPILER_WORDS + 1];
	size_t count, library_count;
	char *path; /* of the program, links resolved */
};

/* `include`: the folder that holds weft/job.h. */
bool weft__compiler_find(struct weft__compiler *compiler, const char *include);
void weft__compiler_fini(struct weft__compiler *compiler);

/* Compiles `source` to `object`; `depends` receives a make rule that names the
 * files it was made of.  False when the compiler did not succeed. */
bool weft__compiler_run(const struct weft__compiler *compiler, const char *source,
			const char *object, const char *depends);

#endif
