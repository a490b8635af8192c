/* SPDX-License-Identifier: MIT */
/*
 * pipeline_file.c - the third to fifth error in a log
 *
 * Every stage is a function call.  Nothing is read before it is asked for, and with the
 * last error that is wanted the file is closed.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weft/weft.h>

static bool is_error(const void *item, void *arg)
{
	const struct weft_text *line = item;

	(void)arg;
	return line->length > 6 && memcmp(line->data, "error ", 6) == 0;
}

static int print(void *item, void *arg)
{
	const struct weft_text *line = item;

	printf("%d: %.*s\n", ++*(int *)arg, (int)line->length, line->data);
	return 0;
}

static int first_errors(void *arg)
{
	int fd = *(int *)arg, n = 0;
	struct weft_stream *s = weft_from_lines(fd, 4096, true);

	s = weft_take(weft_skip(weft_filter(s, is_error, NULL), 2), 3);
	int rc = weft_stream_for_each(s, print, &n);
	weft_stream_destroy(s);
	return rc;
}

int main(void)
{
	FILE *log = tmpfile();

	if (!log)
		return 1;
	for (int i = 0; i < 100000; i++)
		fprintf(log, i % 1000 == 999 ? "error in request %d\n" : "request %d\n", i);
	fflush(log);
	int fd = dup(fileno(log));
	fclose(log);
	lseek(fd, 0, SEEK_SET);
	int rc = weft_run_sync(first_errors, &fd);
	if (rc != 0)
		printf("%s\n", weft_strerror(rc));
	return rc != 0;
}
