/* SPDX-License-Identifier: MIT */
/*
 * test_check.c - what deque/check.h promises, one promise a test
 */
#undef WEFT_DEBUG
#undef WEFT_CHECK
#define WEFT_DEBUG 1
#define WEFT_CHECK 2
#include "deque/check.h"
#include "support/assert.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(check, .timeout = 60);

Test(check, what_holds_goes_on)
{
	weft__assert(1 + 1 == 2);
	weft__invariant(1 + 1 == 2);
}

Test(check, a_false_assertion_aborts, .signal = SIGABRT)
{
	weft__assert(1 + 1 == 3);
}

Test(check, a_false_invariant_aborts, .signal = SIGABRT)
{
	weft__invariant(1 + 1 == 3);
}

Test(check, an_unchecked_condition_is_not_evaluated)
{
	int n = 0;

	WEFT__UNCHECKED(n++);
	cr_expect(eq(int, n, 0));
}

/* What the body prints before it dies. */
static void dying_words(void (*body)(void), char *text, size_t size)
{
	int fd[2];

	cr_assert(eq(int, pipe(fd), 0));
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		body();
		_exit(0);
	}
	close(fd[1]);
	ssize_t n = read(fd[0], text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(fd[0]);
	int status;
	waitpid(pid, &status, 0);
	cr_expect(eq(int, WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGABRT));
}

static void say_number(void)
{
	signal(SIGABRT, SIG_DFL);
	weft__bug("number %d", 12);
}

static void say_too_much(void)
{
	char much[2000];

	signal(SIGABRT, SIG_DFL);
	memset(much, 'x', sizeof(much));
	weft__bug("%.*s", (int)sizeof(much), much);
}

Test(check, a_bug_says_where_and_what_in_one_line)
{
	char text[1024];

	dying_words(say_number, text, sizeof(text));
	cr_expect(eq(ptr, strstr(text, "weft: "), text));
	cr_expect(ne(ptr, strstr(text, "test_check.c:"), NULL));
	cr_expect(ne(ptr, strstr(text, "say_number: number 12\n"), NULL));
}

Test(check, a_long_line_is_cut)
{
	char text[1024];

	dying_words(say_too_much, text, sizeof(text));
	cr_expect(eq(sz, strlen(text), 511));
	cr_expect(eq(int, text[510], '\n'));
}
