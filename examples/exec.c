/* SPDX-License-Identifier: MIT */
/*
 * exec.c - other programs, with input, output and a deadline
 */
#include <stdio.h>

#include <weft/weft.h>

static int sort_lines(void)
{
	static const char text[] = "pear\napple\nfig\n";
	char *argv[] = { "sort", NULL };
	struct weft_buf out = { 0 };
	int rc = weft_exec(NULL, .argv = argv, .input = text, .input_size = sizeof text - 1,
			   .out = &out);

	if (rc == 0)
		fwrite(out.data, 1, out.size, stdout);
	weft_buf_free(&out);
	return rc;
}

static int wait_too_long(void)
{
	char *argv[] = { "sleep", "1000", NULL };
	struct weft_exec_result r;
	int rc = weft_exec(&r, .argv = argv, .timeout = WEFT_MS(50));

	printf("sleep: %s, signal %d\n", weft_strerror(rc), r.signo);
	return 0;
}

static int all(void *arg)
{
	int rc = sort_lines();

	(void)arg;
	return rc ? rc : wait_too_long();
}

int main(void)
{
	return weft_run_sync(all, NULL) != 0;
}
