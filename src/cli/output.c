/* SPDX-License-Identifier: MIT */
/* output.c - write aside, then rename */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "say.h"

/* A file without a name, in the directory of the target; it vanishes with its
 * last descriptor, whatever happens to us. */
static int open_unnamed(const char *target, mode_t mode)
{
	char *copy = strdup(target);
	int fd = copy ? weft__file_open(dirname(copy), O_TMPFILE | O_WRONLY, mode) : -ENOMEM;

	free(copy);
	return fd;
}

/* A name beside the target that nobody has; attempt() returns -EEXIST when
 * somebody does. */
static int find_name(struct weft__output *out, int (*attempt)(const char *name, void *arg),
		     void *arg)
{
	int rc = -EEXIST;

	for (unsigned i = 0; rc == -EEXIST && i < 1000; i++) {
		free(out->aside);
		if (asprintf(&out->aside, "%s.weft-%ld-%u", out->target, (long)getpid(), i) < 0) {
			out->aside = NULL;
			return -ENOMEM;
		}
		rc = attempt(out->aside, arg);
	}
	if (rc < 0) {
		free(out->aside);
		out->aside = NULL;
	}
	return rc;
}

static int create(const char *name, void *mode)
{
	return weft__file_open(name, O_WRONLY | O_CREAT | O_EXCL, *(mode_t *)mode);
}

static int give_name(const char *name, void *fd)
{
	char self[64];

	snprintf(self, sizeof self, "/proc/self/fd/%d", *(int *)fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int open_aside(struct weft__output *out, const struct stat *old)
{
	mode_t mode = old ? old->st_mode & 07777 : 0666;
	int fd = open_unnamed(out->target, mode);

	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
		fd = find_name(out, create, &mode);
	if (fd >= 0 && old)
		fchmod(fd, mode); /* past the umask; without it the mode is narrower */
	return fd;
}

bool weft__output_open(struct weft__output *out, const char *path)
{
	struct stat old;

	*out = (struct weft__output){ .fd = STDOUT_FILENO, .name = "standard output" };
	if (!path)
		return true;
	out->name = path;
	bool exists = stat(path, &old) == 0;
	if (exists && !S_ISREG(old.st_mode)) {
		out->fd = weft__file_open(path, O_WRONLY, 0);
	} else {
		/* A link stays, and what it leads to is replaced. */
		out->target = exists ? realpath(path, NULL) : strdup(path);
		out->fd = out->target ? open_aside(out, exists ? &old : NULL) : -ENOMEM;
	}
	if (out->fd < 0)
		weft__say("%s: %s", path, strerror(-out->fd));
	return out->fd >= 0;
}

int weft__output_write(struct weft__output *out, struct iovec *vector, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += vector[i].iov_len;
	int rc = weft__file_writev(out->fd, vector, count);
	if (rc == 0)
		atomic_fetch_add_explicit(&out->written, n, memory_order_relaxed);
	return rc;
}

static void forget(struct weft__output *out)
{
	free(out->target);
	free(out->aside);
	out->target = out->aside = NULL;
}

int weft__output_commit(struct weft__output *out)
{
	int rc = 0;

	if (out->target && !out->aside)
		rc = find_name(out, give_name, &out->fd);
	/* A file system may keep the bad news until the file is closed. */
	if (close(out->fd) && rc == 0)
		rc = -errno;
	out->fd = -1;
	if (rc == 0 && out->target && rename(out->aside, out->target))
		rc = -errno;
	if (rc < 0 && out->aside)
		unlink(out->aside);
	forget(out);
	return rc;
}

void weft__output_abandon(struct weft__output *out)
{
	if (out->fd > STDERR_FILENO)
		close(out->fd);
	if (out->aside)
		unlink(out->aside);
	forget(out);
}
