/* SPDX-License-Identifier: MIT */
/*
 * read_files.c - reading many files at once: calls that block, on threads of a pool
 *
 * The workers go on meanwhile, and one deadline holds for all.
 */
#include <errno.h>
#include <stdio.h>

#include <weft/weft.h>

enum { FILES = 4 };

struct file {
	const char *path;
	long bytes;
};

/* On a thread of the pool, which may sleep in the kernel. */
static int measure(void *arg)
{
	struct file *file = arg;
	FILE *f = fopen(file->path, "r");

	if (!f)
		return -errno;
	while (getc(f) != EOF)
		file->bytes++;
	fclose(f);
	return 0;
}

static int measure_all(void *arg)
{
	struct file *files = arg;
	struct weft_thread_pool *pool;
	struct weft_scope scope;
	size_t failed = FILES;
	int rc = weft_thread_pool_create(&pool, .threads = 2);

	if (rc != 0)
		return rc;
	rc = weft_scope_enter(&scope, .timeout = WEFT_SEC(10));
	if (rc == 0)
		rc = weft_scope_leave(&scope, weft_thread_pool_map(pool, measure, files, FILES,
								   sizeof *files, &failed));
	if (rc < 0 && failed < FILES)
		printf("%s: %s\n", files[failed].path, weft_strerror(rc));
	weft_thread_pool_close(pool, 0);
	return rc;
}

int main(void)
{
	struct file files[FILES] = { { "/dev/null", 0 },
				     { "/proc/self/comm", 0 },
				     { "/proc/self/no such file", 0 },
				     { "/dev/null", 0 } };

	return weft_run_sync(measure_all, files) == -ENOENT ? 0 : 1;
}
