/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - bytes that grow
 *
 *   memory     owned by the buffer; a zeroed one is empty.
 *   errors     false when there is no memory; the buffer is then unchanged.
 */
#ifndef WEFT_CLI_BUFFER_H
#define WEFT_CLI_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct weft__buffer {
	char *data;
	size_t used, capacity;
};

/* Room for `more` bytes behind those in use. */
bool weft__buffer_reserve(struct weft__buffer *b, size_t more);

bool weft__buffer_add(struct weft__buffer *b, const void *data, size_t n);

__attribute__((format(printf, 2, 3))) bool weft__buffer_format(struct weft__buffer *b,
							       const char *format, ...);

__attribute__((format(printf, 2, 0))) bool weft__buffer_vformat(struct weft__buffer *b,
								const char *format, va_list values);

void weft__buffer_fini(struct weft__buffer *b);

#endif
