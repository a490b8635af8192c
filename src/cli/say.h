/* SPDX-License-Identifier: MIT */
/*
 * say.h - the one way to standard error
 *
 * Messages are whole lines, "weft: what is wrong", each one write(2).  When a
 * progress line is on the screen it makes way for the message.
 *
 *   threads    any.
 *   errors     none: there is nowhere to report them.
 */
#ifndef WEFT_CLI_SAY_H
#define WEFT_CLI_SAY_H

#include <stddef.h>

/* One line, "weft: " in front. */
__attribute__((format(printf, 1, 2))) void weft__say(const char *format, ...);

/* Lines as they are. */
void weft__say_raw(const char *text, size_t length);

/* Shows `text` in place of the progress line shown before; "" takes it away. */
void weft__say_progress(const char *text);

/* 1,234,567 in a buffer of at least 32 bytes, which it returns. */
char *weft__say_count(char *buffer, unsigned long long count);

/* 512 B, 4.7 MB, 1.2 GB: thousands, not 1024s.  As above. */
char *weft__say_bytes(char *buffer, double bytes);

#endif
