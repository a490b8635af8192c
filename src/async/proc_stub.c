/* SPDX-License-Identifier: MIT */
/*
 * proc_stub.c - the bytes of the stub
 *
 * A part of the library and not a file beside it: there is no place where a
 * program with libweft.a in it could look for a file.
 */
#include "async/proc_stub.h"

__asm__(".pushsection .rodata\n"
	".globl weft__stub_begin\n"
	".hidden weft__stub_begin\n"
	"weft__stub_begin:\n"
	".incbin \"" WEFT__STUB_FILE "\"\n"
	".globl weft__stub_end\n"
	".hidden weft__stub_end\n"
	"weft__stub_end:\n"
	".byte 0\n"
	".popsection\n");
