/* SPDX-License-Identifier: MIT */
/* say.c - lines on standard error, and the progress line below them */
#include "say.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define CLEAR_LINE "\r\033[K"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool progress_shown;

/* With the lock held. */
static void hide_progress(void)
{
	if (progress_shown)
		weft__file_write(STDERR_FILENO, CLEAR_LINE, strlen(CLEAR_LINE));
	progress_shown = false;
}

void weft__say_raw(const char *text, size_t length)
{
	pthread_mutex_lock(&lock);
	hide_progress();
	weft__file_write(STDERR_FILENO, text, length);
	pthread_mutex_unlock(&lock);
}

void weft__say(const char *format, ...)
{
	char line[8192] = "weft: ";
	size_t used = strlen(line);
	va_list values;

	va_start(values, format);
	int n = vsnprintf(line + used, sizeof line - used, format, values);
	va_end(values);
	if (n < 0)
		return;
	used += (size_t)n;
	if (used > sizeof line - 1)
		used = sizeof line - 1;
	line[used++] = '\n';
	weft__say_raw(line, used);
}

void weft__say_progress(const char *text)
{
	char line[512];

	pthread_mutex_lock(&lock);
	if (*text) {
		int n = snprintf(line, sizeof line, CLEAR_LINE "%s", text);
		weft__file_write(STDERR_FILENO, line,
				 (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
		progress_shown = true;
	} else {
		hide_progress();
	}
	pthread_mutex_unlock(&lock);
}

char *weft__say_count(char *buffer, unsigned long long count)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%llu", count);
	char *to = buffer;

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buffer;
}

char *weft__say_bytes(char *buffer, double bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	size_t unit = 0;

	while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
		bytes /= 1000;
		unit++;
	}
	snprintf(buffer, 32, "%.*f %s", unit > 0 && bytes < 99.95 ? 1 : 0, bytes, units[unit]);
	return buffer;
}
