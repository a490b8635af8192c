/* SPDX-License-Identifier: MIT */
/* info.c - `weft info`: the machine as weft sees it */
#include <argp.h>
#include <stdio.h>

#include "cli.h"

int weft__info_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

void weft__info_help(void)
{
}
