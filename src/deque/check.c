/* SPDX-License-Identifier: MIT */
/*
 * check.c - the end of a process that found itself impossible
 *
 * The line is made in one buffer and written by one call, without stdio: the
 * caller may hold any lock, and several workers may fail at once.
 */
#include "deque/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

_Noreturn void weft__bug_at(const char *file, int line, const char *function, const char *fmt, ...)
{
	char text[512];
	va_list args;

	int n = snprintf(text, sizeof(text), "weft: %s:%d: %s: ", file, line, function);
	size_t used = min_size(n < 0 ? 0 : (size_t)n, sizeof(text) - 1);

	va_start(args, fmt);
	n = vsnprintf(text + used, sizeof(text) - used, fmt, args);
	va_end(args);
	used = min_size(used + (n < 0 ? 0 : (size_t)n), sizeof(text) - 2);
	text[used++] = '\n';

	/* Nothing can be done about a failure here. */
	ssize_t written = write(STDERR_FILENO, text, used);
	(void)written;
	abort();
}
