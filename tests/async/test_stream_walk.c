/* SPDX-License-Identifier: MIT */
/*
 * Everything below a directory, against trees that are made for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "async/stream.h"
#include "deque/alloc.h"
#include "support/virtual.h"

TestSuite(stream_walk, .timeout = 60);

static char root[64];

static void make_root(void)
{
	strcpy(root, "/tmp/weft-walk-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(root), NULL));
	cr_assert(eq(int, chdir(root), 0));
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", root);
	cr_assert(eq(int, chdir("/"), 0));
	cr_assert(eq(int, system(command), 0));
}

static void make_file(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int descriptors(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

/* In the order of their paths, since a directory has none of its own. */
static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void assert_walk(const char *from, const char *want)
{
	static char lines[32][128];
	static char got[4096];
	struct weft_stream *s = weft_walk(from);
	struct weft_entry e;
	size_t n = 0;
	int rc;

	while ((rc = weft_next(s, &e)) > 0)
		snprintf(lines[n++], sizeof *lines, "%s %d %c", e.path, e.depth,
			 e.type == DT_DIR   ? 'd'
			 : e.type == DT_LNK ? 'l'
					    : 'f');
	cr_assert(eq(int, rc, 0));
	weft_stream_destroy(s);
	qsort(lines, n, sizeof *lines, by_text);
	got[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(strcat(got, lines[i]), "\n");
	cr_assert(eq(str, got, (char *)want));
}

Test(stream_walk, all_that_is_there_and_no_link_is_followed)
{
	int64_t live = weft__alloc_live();
	int before;

	make_root();
	before = descriptors();
	mkdir("a", 0700);
	mkdir("a/b", 0700);
	mkdir("a/empty", 0700);
	make_file("a/b/x");
	make_file("a/y");
	make_file("z");
	cr_assert(eq(int, symlink("..", "a/up"), 0));
	assert_walk(".", "./a 1 d\n./a/b 2 d\n./a/b/x 3 f\n./a/empty 2 d\n./a/up 2 l\n./a/y 2 f\n"
			 "./z 1 f\n");
	assert_walk("a/b/", "a/b/x 1 f\n");
	assert_walk("a/empty", "");
	assert_walk("a/up/a/b", "a/up/a/b/x 1 f\n");
	cr_assert(eq(int, descriptors(), before));
	cr_assert(eq(i64, weft__alloc_live(), live));
	remove_root();
}

Test(stream_walk, a_root_that_cannot_be_read_is_an_error)
{
	struct weft_entry e;

	make_root();
	make_file("file");
	static const char *const roots[] = { "missing", "file", "" };
	static const int rcs[] = { -ENOENT, -ENOTDIR, -ENOENT };
	for (int i = 0; i < 3; i++) {
		struct weft_stream *s = weft_walk(roots[i]);
		cr_assert(eq(int, weft_next(s, &e), rcs[i]));
		cr_assert(eq(int, weft_next(s, &e), rcs[i]));
		weft_stream_destroy(s);
	}
	struct weft_stream *s = weft_walk(NULL);
	cr_assert(eq(int, weft_next(s, &e), WEFT_EINVAL));
	weft_stream_destroy(s);
	remove_root();
}

/* A tree with paths beyond PATH_MAX, and deeper than there are descriptors: what is too
 * deep is marked, and the walk comes to its end. */
Test(stream_walk, a_directory_that_cannot_be_read_is_marked_and_passed_over)
{
	enum { DEEP = 60, NAME = 200 };
	struct rlimit few = { 50, 50 };
	char name[NAME + 1];
	struct weft_entry e;
	int rc, deepest = 0, marked = 0, before, room = 0;

	make_root();
	before = descriptors();
	memset(name, 'd', NAME);
	name[NAME] = '\0';
	for (int i = 0; i < DEEP; i++) {
		cr_assert(eq(int, mkdir(name, 0700), 0));
		cr_assert(eq(int, chdir(name), 0));
	}
	cr_assert(eq(int, chdir(root), 0));
	make_file("beside");
	for (int fd = 0; fd < 50; fd++)
		room += fcntl(fd, F_GETFD) < 0;
	cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &few), 0));
	struct weft_stream *s = weft_walk(root);
	bool beside = false;
	while ((rc = weft_next(s, &e)) > 0) {
		beside = beside || strstr(e.path, "/beside");
		deepest = e.depth > deepest ? e.depth : deepest;
		marked += e.rc == -EMFILE;
		cr_assert(e.depth == 1 ||
			  strlen(e.path) == strlen(root) + (NAME + 1) * (size_t)e.depth);
	}
	cr_assert(eq(int, rc, 0));
	cr_assert(beside);
	cr_assert(eq(int, marked, 1));
	cr_assert(eq(int, deepest, room));
	weft_stream_destroy(s);
	cr_assert(eq(int, descriptors(), before));
	remove_root();
}

Test(stream_walk, ST_1_closed_in_the_middle_it_leaves_nothing_open)
{
	int64_t live = weft__alloc_live();
	struct weft_entry e;
	int before;

	make_root();
	before = descriptors();
	mkdir("a", 0700);
	mkdir("a/b", 0700);
	make_file("a/b/x");
	for (int after = 0; after < 3; after++) {
		struct weft_stream *s = weft_walk(".");
		for (int i = 0; i < after; i++)
			cr_assert(eq(int, weft_next(s, &e), 1));
		weft_stream_close(s);
		cr_assert(eq(int, descriptors(), before));
		cr_assert(eq(int, weft_next(s, &e), WEFT_ECLOSED));
		weft_stream_destroy(s);
	}
	for (uint64_t n = 1; n <= 3; n++) {
		weft__alloc_fail_at(n);
		cr_assert(zero(ptr, weft_walk(".")));
		cr_assert(eq(int, descriptors(), before));
	}
	weft__alloc_fail_at(0);
	cr_assert(eq(i64, weft__alloc_live(), live));
	remove_root();
}
