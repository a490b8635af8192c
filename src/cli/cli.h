/* SPDX-License-Identifier: MIT */
/*
 * cli.h - the subcommands, and how the command ends
 */
#ifndef WEFT_CLI_CLI_H
#define WEFT_CLI_CLI_H

/* Also in weft(1): scripts rely on them. */
enum weft__exit {
	WEFT__EXIT_OK = 0,
	WEFT__EXIT_RECORDS = 1, /* a record, or a step of the job, failed */
	WEFT__EXIT_USAGE = 2,
	WEFT__EXIT_JOB = 3, /* the job does not compile, load or start */
	WEFT__EXIT_INPUT = 4,
	WEFT__EXIT_OUTPUT = 5,
	WEFT__EXIT_SYSTEM = 6,	 /* no memory, no threads */
	WEFT__EXIT_SIGNAL = 128, /* plus the signal: 130 after SIGINT */
	WEFT__EXIT_PIPE = 141,	 /* whoever read the output has gone: 128 + SIGPIPE */
};

/* argv[0] is how to call the subcommand in messages, "weft map". */
int weft__map_main(int argc, char **argv);
int weft__info_main(int argc, char **argv);

/* Print the help of a subcommand on standard output, and may end the process. */
void weft__map_help(void);
void weft__info_help(void);

#endif
