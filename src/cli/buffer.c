/* SPDX-License-Identifier: MIT */
/* buffer.c - bytes that grow */
#include "buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first allocation: most outputs and all messages fit. */
#define LEAST ((size_t)1 << 12)

bool weft__buffer_reserve(struct weft__buffer *b, size_t more)
{
	if (more <= b->capacity - b->used)
		return true;
	if (more > SIZE_MAX / 2 - b->used)
		return false;

	size_t capacity = b->capacity ? b->capacity : LEAST;
	while (capacity < b->used + more)
		capacity *= 2;
	char *data = realloc(b->data, capacity);
	if (!data)
		return false;
	b->data = data;
	b->capacity = capacity;
	return true;
}

bool weft__buffer_add(struct weft__buffer *b, const void *data, size_t n)
{
	if (!weft__buffer_reserve(b, n))
		return false;
	if (n)
		memcpy(b->data + b->used, data, n);
	b->used += n;
	return true;
}

bool weft__buffer_vformat(struct weft__buffer *b, const char *format, va_list values)
{
	va_list again;

	va_copy(again, values);
	size_t room = b->capacity - b->used;
	int n = vsnprintf(room ? b->data + b->used : NULL, room, format, values);
	bool fine = n >= 0;
	if (fine && (size_t)n >= room) {
		fine = weft__buffer_reserve(b, (size_t)n + 1);
		if (fine)
			vsnprintf(b->data + b->used, (size_t)n + 1, format, again);
	}
	va_end(again);
	if (fine)
		b->used += (size_t)n;
	return fine;
}

bool weft__buffer_format(struct weft__buffer *b, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	bool fine = weft__buffer_vformat(b, format, values);
	va_end(values);
	return fine;
}

void weft__buffer_fini(struct weft__buffer *b)
{
	free(b->data);
	*b = (struct weft__buffer){ 0 };
}
