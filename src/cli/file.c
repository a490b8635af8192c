/* SPDX-License-Identifier: MIT */
/* file.c - system calls on descriptors, with the error as the return value */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int weft__file_open(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

ssize_t weft__file_read(int fd, void *buffer, size_t n)
{
	ssize_t got;

	do
		got = read(fd, buffer, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* A non-blocking descriptor that is full: somebody else's choice, so wait. */
static bool wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (errno == EINTR)
		return true;
	return errno == EAGAIN && (poll(&p, 1, -1) >= 0 || errno == EINTR);
}

int weft__file_write(int fd, const void *data, size_t n)
{
	struct iovec whole = { .iov_base = (void *)data, .iov_len = n };

	return weft__file_writev(fd, &whole, 1);
}

int weft__file_writev(int fd, struct iovec *vector, int count)
{
	while (count > 0) {
		if (vector->iov_len == 0) {
			vector++;
			count--;
			continue;
		}
		ssize_t n = writev(fd, vector, count < IOV_MAX ? count : IOV_MAX);
		if (n < 0 && !wait_writable(fd))
			return -errno;
		for (size_t left = n < 0 ? 0 : (size_t)n; left > 0;) {
			size_t step = left < vector->iov_len ? left : vector->iov_len;
			vector->iov_base = (char *)vector->iov_base + step;
			vector->iov_len -= step;
			left -= step;
			if (vector->iov_len == 0 && left > 0) {
				vector++;
				count--;
			}
		}
	}
	return 0;
}

static int load(int fd, size_t limit, char **data, size_t *length)
{
	size_t used = 0, capacity = 1 << 16;
	char *bytes = malloc(capacity);
	ssize_t n = -ENOMEM;

	while (bytes && (n = weft__file_read(fd, bytes + used, capacity - used - 1)) > 0) {
		used += (size_t)n;
		if (used > limit) {
			n = -EFBIG;
			break;
		}
		if (used + 1 < capacity)
			continue;
		char *larger = realloc(bytes, capacity *= 2);
		if (!larger) {
			n = -ENOMEM;
			break;
		}
		bytes = larger;
	}
	if (n < 0) {
		free(bytes);
		return (int)n;
	}
	bytes[used] = '\0';
	*data = bytes;
	*length = used;
	return 0;
}

int weft__file_load(const char *path, size_t limit, char **data, size_t *length)
{
	int fd = weft__file_open(path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	int rc = load(fd, limit, data, length);
	close(fd);
	return rc;
}

int weft__file_wait(int fd, int stop_fd, int timeout)
{
	struct pollfd p[2] = { { .fd = stop_fd, .events = POLLIN },
			       { .fd = fd, .events = POLLIN } };
	int n;

	do
		n = poll(p, 2, timeout);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return p[0].revents == 0 && p[1].revents != 0;
}
