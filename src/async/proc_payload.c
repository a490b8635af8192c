/* SPDX-License-Identifier: MIT */
/*
 * proc_payload.c - sealed memfds
 *
 * Copies go in by write() and not through a mapping: the kernel then fills whole
 * pages without zeroing them first, and no page fault is taken.  Reading maps
 * privately: before Linux 6.7 a shared mapping, even a read-only one, of a file
 * that is sealed against writing was refused.
 */
#include "async/proc_payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	KEEPS_SIZE = F_SEAL_SHRINK | F_SEAL_GROW,
	FOR_GOOD = KEEPS_SIZE | F_SEAL_WRITE | F_SEAL_SEAL,
};

static int make(void)
{
	int fd = memfd_create("weft-payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

/* `fd` when rc is 0; else closes it. */
static int keep(int fd, int rc)
{
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int weft__payload_fill(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t put = pwrite(fd, (const char *)data + done, size - done, (off_t)done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -ENOSPC;
		done += (size_t)put;
	}
	return 0;
}

int weft__payload_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, FOR_GOOD) == 0 ? 0 : -errno;
}

int weft__payload_of(const void *data, size_t size)
{
	int fd = make();
	if (fd < 0)
		return fd;

	int rc = weft__payload_fill(fd, data, size);
	return keep(fd, rc == 0 ? weft__payload_seal(fd) : rc);
}

int weft__payload_room(size_t size)
{
	int fd = make();
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, KEEPS_SIZE) != 0)
		return keep(fd, -errno);
	return fd;
}

static int check(int fd, size_t size)
{
	struct stat file;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPROTO;
	if (fstat(fd, &file) != 0)
		return -errno;
	return file.st_size >= 0 && (uint64_t)file.st_size >= size ? 0 : -EPROTO;
}

int weft__payload_map(int fd, size_t size, const void **data)
{
	int rc = check(fd, size);
	if (rc != 0)
		return rc;

	void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*data = at;
	return 0;
}

int weft__payload_map_room(int fd, size_t size, void **data)
{
	int rc = check(fd, size);
	if (rc != 0)
		return rc;

	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	madvise(at, size, MADV_DONTFORK); /* or a child that a job leaves would keep it */
	*data = at;
	return 0;
}

void weft__payload_unmap(const void *data, size_t size)
{
	munmap((void *)(uintptr_t)data, size);
}
