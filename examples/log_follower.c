/* SPDX-License-Identifier: MIT */
/*
 * log_follower.c - what comes into a log goes into a table, in batches
 *
 * `tail -F` follows the file.  A batch is full with three rows, or a second after its first
 * one; with the last row that is wanted everything is closed, and tail ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

static char path[] = "/tmp/weft-log-XXXXXX";

static int parse(const void *in, void *out, void *arg)
{
	const struct weft_text *line = in;
	char copy[64] = "";

	(void)arg;
	memcpy(copy, line->data, line->length < sizeof copy ? line->length : sizeof copy - 1);
	return sscanf(copy, "error in request %d", (int *)out) == 1;
}

static int follow(void *arg)
{
	char *argv[] = { "tail", "-n", "+1", "-F", path, NULL };
	WEFT_AUTO_STREAM rows =
		weft_batch(weft_take(weft_apply(weft_exec_lines(0, NULL, .argv = argv), parse, NULL,
						sizeof(int)),
				     5),
			   3, WEFT_SEC(1));
	struct weft_chunk chunk;
	int rc;

	(void)arg;
	while ((rc = weft_next(rows, &chunk)) > 0) {
		printf("insert");
		for (size_t i = 0; i < chunk.n; i++)
			printf(" %d", ((int *)chunk.items)[i]);
		puts("");
	}
	return rc;
}

int main(void)
{
	FILE *log = fdopen(mkstemp(path), "w");

	if (!log)
		return 1;
	for (int i = 1; i <= 50; i++)
		fprintf(log, i % 10 == 0 ? "error in request %d\n" : "request %d\n", i);
	fflush(log);
	int rc = weft_run_sync(follow, NULL);
	if (rc != 0)
		printf("%s\n", weft_strerror(rc));
	unlink(path);
	return fclose(log) != 0 || rc != 0;
}
