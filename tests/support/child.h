/* SPDX-License-Identifier: MIT */
/*
 * child.h - running something in a child process and hearing what it says
 *
 * A child that hangs is ended by an alarm, and so differs from one that passes.
 */
#ifndef WEFT_TESTS_CHILD_H
#define WEFT_TESTS_CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deque/sanitizer.h"

#if WEFT__ASAN
/* In a child LeakSanitizer looks for the threads of the parent, and says that it
 * cannot find them.  Leaks are the parent's to show. */
static int child_forked;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return child_forked;
}
#define CHILD_BEGINS() (child_forked = 1)
#else
#define CHILD_BEGINS() ((void)0)
#endif

enum { CHILD_SECONDS = 60, CHILD_SAYS = 16384 };

/* In the child: when x does not hold, says so and ends with 1. */
#define CHILD_CHECK(x)                                                                    \
	do {                                                                              \
		if (!(x)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #x); \
			_exit(1);                                                         \
		}                                                                         \
	} while (0)

static inline int child_code(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Runs check(), which ends the child by _exit when something is wrong.  The exit
 * code, or 256 and the signal that ended the child. */
static inline int child_check(void (*check)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		CHILD_BEGINS();
		alarm(CHILD_SECONDS);
		check();
		_exit(0);
	}
	return child_code(pid);
}

/* The same, and what the child wrote to its standard error.  A body that returns
 * is followed by exit(0), handlers and all. */
static inline int child_says(void (*body)(void), char said[CHILD_SAYS])
{
	int ends[2];
	size_t length = 0;
	ssize_t got;

	if (pipe(ends) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		CHILD_BEGINS();
		alarm(CHILD_SECONDS);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		body();
		exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + length, CHILD_SAYS - 1 - length)) > 0)
		length += (size_t)got;
	said[length] = '\0';
	close(ends[0]);
	return child_code(pid);
}

#endif
