/* SPDX-License-Identifier: MIT */
/* compiler.c - finds the compiler and runs it */
#include "compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

extern char **environ;

/* -Bsymbolic: a helper of the job that shares its name with a function of the C
 * library is still the one that the job calls. */
static const char FLAGS[] = "-O3 -Wall -fPIC -shared -Wl,-Bsymbolic";

static bool add(char **words, size_t *count, const char *word, size_t length)
{
	if (*count == WEFT__COMPILER_WORDS) {
		weft__say("CC, CFLAGS and LDLIBS have too many words");
		return false;
	}
	words[*count] = strndup(word, length);
	return words[*count] && ++*count;
}

/* Adds the words of `text`, which blanks separate. */
static bool add_words(char **words, size_t *count, const char *text)
{
	static const char blanks[] = " \t\n";

	while (text && *(text += strspn(text, blanks))) {
		size_t length = strcspn(text, blanks);
		if (!add(words, count, text, length))
			return false;
		text += length;
	}
	return true;
}

static bool is_program(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Where execvp would find it, links resolved; NULL when nowhere. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	char candidate[PATH_MAX];

	if (strchr(name, '/'))
		return is_program(name) ? realpath(name, NULL) : NULL;
	for (path = path ? path : "/usr/bin:/bin"; *path;) {
		size_t length = strcspn(path, ":");
		int n = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, name);
		if (n > 0 && (size_t)n < sizeof candidate && is_program(candidate))
			return realpath(candidate, NULL);
		path += length + (path[length] == ':');
	}
	return NULL;
}

bool weft__compiler_find(struct weft__compiler *c, const char *include)
{
	const char *cc = getenv("CC");
	char flag[PATH_MAX + 2];

	*c = (struct weft__compiler){ 0 };
	if (!cc || !cc[strspn(cc, " \t\n")])
		cc = "cc";
	snprintf(flag, sizeof flag, "-I%s", include);
	bool fine = add_words(c->words, &c->count, cc) && add_words(c->words, &c->count, FLAGS) &&
		    add(c->words, &c->count, flag, strlen(flag)) &&
		    add_words(c->words, &c->count, getenv("CFLAGS")) &&
		    add_words(c->libraries, &c->library_count, getenv("LDLIBS")) &&
		    add_words(c->libraries, &c->library_count, "-lm");
	c->path = fine ? find_program(c->words[0]) : NULL;
	if (fine && !c->path)
		weft__say("%s: no such program: a job in C needs a compiler "
			  "(on Debian: apt-get install gcc libc6-dev), named by CC",
			  c->words[0]);
	return c->path != NULL;
}

void weft__compiler_fini(struct weft__compiler *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->words[i]);
	for (size_t i = 0; i < c->library_count; i++)
		free(c->libraries[i]);
	free(c->path);
}

/* Starts it with an empty standard input, since ours is data, with its standard
 * output on our standard error, since ours is data too, and open to the signals
 * that the caller may have blocked. */
static int spawn(pid_t *pid, char *const *words)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	int rc = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return rc;
}

static bool wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool weft__compiler_run(const struct weft__compiler *c, const char *source, const char *object,
			const char *depends)
{
	/* -MT: a name that needs no quoting in the rule. */
	const char *const rest[] = {
		getenv("NO_COLOR") ? "-fdiagnostics-color=never" : "-fdiagnostics-color=auto",
		"-MMD",
		"-MT",
		"job",
		"-MF",
		depends,
		"-o",
		object,
		source,
	};
	const size_t rest_count = sizeof rest / sizeof *rest;
	char *words[2 * WEFT__COMPILER_WORDS + sizeof rest / sizeof *rest + 1];
	pid_t pid;

	memcpy(words, c->words, c->count * sizeof *words);
	memcpy(words + c->count, rest, sizeof rest);
	memcpy(words + c->count + rest_count, c->libraries, c->library_count * sizeof *words);
	words[c->count + rest_count + c->library_count] = NULL;

	int rc = spawn(&pid, words);
	if (rc != 0)
		weft__say("%s: %s", words[0], strerror(rc));
	return rc == 0 && wait_for(pid);
}
