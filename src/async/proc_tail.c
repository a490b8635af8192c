/* SPDX-License-Identifier: MIT */
/*
 * proc_tail.c - the last words of a worker
 */
#include "async/proc_tail.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "deque/check.h"

/* Two pipes full: enough to empty one, not enough to hold up an event loop. */
enum { READ_SIZE = 16384, READS = 8 };

void weft__tail_add(struct weft__tail *tail, const char *data, size_t size)
{
	size_t skip = size > WEFT__TAIL_SIZE ? size - WEFT__TAIL_SIZE : 0;

	tail->count += skip;
	for (data += skip, size -= skip; size > 0;) {
		size_t at = tail->count % WEFT__TAIL_SIZE;
		size_t part = size < WEFT__TAIL_SIZE - at ? size : WEFT__TAIL_SIZE - at;
		memcpy(tail->bytes + at, data, part);
		tail->count += part;
		data += part;
		size -= part;
	}
}

bool weft__tail_drain(struct weft__tail *tail, int fd)
{
	char data[READ_SIZE];

	for (int i = 0; i < READS; i++) {
		ssize_t got = read(fd, data, sizeof(data));
		if (got > 0)
			weft__tail_add(tail, data, (size_t)got);
		else if (got == 0)
			return false;
		else if (errno != EINTR)
			return errno == EAGAIN;
	}
	return true;
}

size_t weft__tail_text(const struct weft__tail *tail, char *text, size_t size)
{
	uint64_t kept = tail->count < WEFT__TAIL_SIZE ? tail->count : WEFT__TAIL_SIZE;

	weft__assert(size > 0);
	if (kept > size - 1)
		kept = size - 1;
	for (uint64_t i = 0; i < kept; i++)
		text[i] = tail->bytes[(tail->count - kept + i) % WEFT__TAIL_SIZE];
	text[kept] = '\0';
	return (size_t)kept;
}
