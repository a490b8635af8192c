/* SPDX-License-Identifier: MIT */
/*
 * main.c - `weft`: which subcommand
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/version.h>

#include "cli.h"
#include "say.h"

/* What jemalloc is told, before MALLOC_CONF: jobs reduce to large tables, and in large pages
 * those cost a third of the time.  It reads the variable when it starts. */
extern const char *malloc_conf;
__attribute__((visibility("default"))) const char *malloc_conf = "thp:always";

struct command {
	const char *name;
	const char *title; /* what argv[0] becomes */
	const char *what;
	int (*main)(int argc, char **argv);
	void (*help)(void);
};

static const struct command commands[] = {
	{ "map", "weft map", "map the function of a job over the records of files", weft__map_main,
	  weft__map_help },
	{ "info", "weft info", "show the machine as weft sees it", weft__info_main,
	  weft__info_help },
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_usage(FILE *out)
{
	fputs("Usage: weft COMMAND [ARGUMENT...]\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  weft %-12s %s\n", commands[i].name, commands[i].what);
	fputs("  weft help COMMAND more about one of these\n"
	      "  weft --version    print the version\n\n"
	      "See weft(1) for all of it.\n",
	      out);
}

static int unknown(const char *name)
{
	weft__say("no such command: %s; try weft --help", name);
	return WEFT__EXIT_USAGE;
}

static int help(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find(argv[1]) : NULL;

	if (argc > 1 && !command)
		return unknown(argv[1]);
	if (command)
		command->help();
	else
		print_usage(stdout);
	return WEFT__EXIT_OK;
}

/* A program started with a standard descriptor closed must not get a file of its
 * own under that number.  Opened the wrong way, each still gives EBADF. */
static void fill_descriptors(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			_exit(WEFT__EXIT_SYSTEM);
}

static int run(int argc, char **argv)
{
	const struct command *command = argc > 0 ? find(argv[0]) : NULL;
	char title[32];

	if (command) {
		snprintf(title, sizeof title, "%s", command->title);
		argv[0] = title;
		return command->main(argc, argv);
	}
	if (argc == 0) {
		print_usage(stderr);
		return WEFT__EXIT_USAGE;
	}
	if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
		printf("weft %s\n", weft_version());
		return WEFT__EXIT_OK;
	}
	if (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") || !strcmp(argv[0], "-?") ||
	    !strcmp(argv[0], "-h"))
		return help(argc, argv);
	return unknown(argv[0]);
}

/* What help and info print goes through stdio, which tells of a full disk only
 * here. */
static void check_stdout(void)
{
	if (fflush(stdout)) {
		weft__say("standard output: %s", strerror(errno));
		_exit(WEFT__EXIT_OUTPUT);
	}
}

int main(int argc, char **argv)
{
	fill_descriptors();
	atexit(check_stdout);
	argp_err_exit_status = WEFT__EXIT_USAGE;
	argp_program_version = "weft " WEFT_VERSION;
	return run(argc - 1, argv + 1);
}
