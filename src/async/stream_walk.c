/* SPDX-License-Identifier: MIT */
/*
 * stream_walk.c - everything below a directory
 *
 * A stack of open directories, the innermost on top.  A directory is opened in the
 * moment it is put out, by its name in the one it lies in: so the entry can say that it
 * cannot be read, a path may be longer than PATH_MAX, and nobody who exchanges it for
 * a symbolic link meanwhile leads the walk astray.
 *
 *	path     root / a / b / name         of the entry put out last
 *	levels    0     1   2                each knows how much of the path is its own
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "async/stream.h"
#include "deque/alloc.h"

struct level {
	DIR *dir;
	size_t length; /* of its path */
};

struct walk {
	int rc; /* of the root: why it cannot be read */
	unsigned asked;
	struct level *levels;
	size_t depth, levels_room;
	char *path;
	size_t path_room;
};

/* What reads errno does not suspend: it belongs to the thread. */
static __attribute__((noinline)) int open_dir(int at, const char *name, int flags, DIR **dir)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | flags);

	if (fd < 0)
		return -errno;
	*dir = fdopendir(fd);
	if (*dir)
		return 0;
	close(fd);
	return WEFT_ENOMEM;
}

/* 1 and *e, 0 at the end, an error. */
static __attribute__((noinline)) int read_dir(DIR *dir, const struct dirent **e)
{
	do {
		errno = 0;
		*e = readdir(dir);
		if (!*e)
			return -errno;
	} while (strcmp((*e)->d_name, ".") == 0 || strcmp((*e)->d_name, "..") == 0);
	return 1;
}

static unsigned char type_of(DIR *dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return DT_UNKNOWN;
	return (unsigned char)IFTODT(st.st_mode);
}

/* Room for `need` bytes in *memory, which has *room. */
static int grow(void *memory, size_t *room, size_t need)
{
	size_t more = *room ? *room : 256;
	void *was, *is;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	memcpy(&was, memory, sizeof was);
	is = weft__alloc(more);
	if (!is)
		return WEFT_ENOMEM;
	if (*room)
		memcpy(is, was, *room);
	weft__free(was, *room);
	memcpy(memory, &is, sizeof is);
	*room = more;
	return 0;
}

/* Room for one entry of the directory on top, whatever it is. */
static int make_room(struct walk *w)
{
	size_t length = w->levels[w->depth - 1].length;
	int rc = grow(&w->levels, &w->levels_room, (w->depth + 1) * sizeof *w->levels);

	return rc ? rc : grow(&w->path, &w->path_room, length + 1 + sizeof(struct dirent));
}

static void push(struct walk *w, DIR *dir, size_t length)
{
	w->levels[w->depth++] = (struct level){ dir, length };
}

static void pop(struct walk *w)
{
	closedir(w->levels[--w->depth].dir);
}

/* The path of the entry; its length. */
static size_t put_path(struct walk *w, const char *name)
{
	size_t length = w->levels[w->depth - 1].length;
	size_t n = strlen(name);

	w->path[length++] = '/';
	memcpy(w->path + length, name, n + 1);
	return length + n;
}

static void put_out(struct walk *w, const struct dirent *e, struct weft_entry *entry)
{
	DIR *top = w->levels[w->depth - 1].dir, *dir;
	size_t length = put_path(w, e->d_name);

	*entry = (struct weft_entry){
		.path = w->path,
		.type = type_of(top, e),
		.depth = (int)w->depth,
	};
	if (entry->type != DT_DIR)
		return;
	entry->rc = open_dir(dirfd(top), e->d_name, O_NOFOLLOW, &dir);
	if (entry->rc == 0)
		push(w, dir, length);
}

static int walk_next(void *state, void *item)
{
	struct walk *w = state;
	int rc = w->rc ? w->rc : weft__stream_ask(&w->asked);

	while (rc == 0 && w->depth > 0) {
		const struct dirent *e;
		rc = make_room(w);
		if (rc == 0)
			rc = read_dir(w->levels[w->depth - 1].dir, &e);
		if (rc > 0)
			put_out(w, e, item);
		else if (rc == 0)
			pop(w);
	}
	return rc;
}

static void walk_close(void *state)
{
	struct walk *w = state;

	while (w->depth > 0)
		pop(w);
}

static void walk_destroy(void *state)
{
	struct walk *w = state;

	weft__free(w->levels, w->levels_room);
	weft__free(w->path, w->path_room);
}

/* "/" and "a/" lose their slash: one is put before each name. */
static int walk_open(struct walk *w, const char *root)
{
	size_t length = strlen(root);
	DIR *dir;
	int rc = grow(&w->path, &w->path_room, length + 1);

	if (rc == 0)
		rc = grow(&w->levels, &w->levels_room, sizeof *w->levels);
	if (rc != 0)
		return rc;
	memcpy(w->path, root, length + 1);
	w->rc = open_dir(AT_FDCWD, root, 0, &dir);
	while (length > 0 && root[length - 1] == '/')
		length--;
	if (w->rc == 0)
		push(w, dir, length);
	return 0;
}

struct weft_stream *weft_walk(const char *root)
{
	static const struct weft_stream_ops ops = {
		.next = walk_next, .close = walk_close, .destroy = walk_destroy, .name = "walk"
	};
	void *state;

	if (!root)
		return weft_from_error(WEFT_EINVAL, sizeof(struct weft_entry));
	struct weft_stream *s = weft__stream_new(&ops, sizeof(struct weft_entry),
						 sizeof(struct walk), &state, NULL, 0);
	if (s && walk_open(state, root) != 0) {
		weft_stream_destroy(s);
		return NULL;
	}
	return s;
}
