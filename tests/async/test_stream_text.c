/* SPDX-License-Identifier: MIT */
/*
 * Lines and blocks out of descriptors, and back into them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "async/stream.h"
#include "deque/alloc.h"
#include "deque/rng.h"
#include "support/virtual.h"

TestSuite(stream_text, .timeout = 60);

static int file_of(const char *data, size_t n)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	cr_assert(ge(int, fd, 0));
	cr_assert(eq(sz, (size_t)write(fd, data, n), n));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Of a stream over `data` these lines come, separated by '|', and then rc. */
static void lines(const char *data, size_t n, size_t longest, const char *want, int rc)
{
	char got[256] = "";
	size_t length = 0;
	struct weft_stream *s = weft_from_lines(file_of(data, n), longest, true);
	struct weft_text line;
	int last;

	while ((last = weft_next(s, &line)) > 0) {
		memcpy(got + length, line.data, line.length);
		length += line.length;
		got[length++] = '|';
	}
	cr_assert(eq(int, last, rc), "%s", data);
	cr_assert(eq(int, weft_next(s, &line), rc));
	cr_assert(eq(sz, length, strlen(want)));
	cr_assert(eq(int, memcmp(got, want, length), 0), "%s is not %s", got, want);
	weft_stream_destroy(s);
}

#define LINES(text, longest, want, rc) lines(text, sizeof text - 1, longest, want, rc)

Test(stream_text, lines_are_what_is_between_newlines)
{
	LINES("", 0, "", 0);
	LINES("\n", 0, "|", 0);
	LINES("a", 0, "a|", 0);
	LINES("a\n", 0, "a|", 0);
	LINES("a\n\nb", 0, "a||b|", 0);
	LINES("ab\r\nc\n", 0, "ab\r|c|", 0);
}

Test(stream_text, a_line_that_is_too_long_is_an_error_that_stays)
{
	LINES("abc\nabcd\n", 4, "abc|abcd|", 0);
	LINES("abc\nabcde\nx\n", 4, "abc|", -EMSGSIZE);
	LINES("abc\nabcd", 4, "abc|abcd|", 0);
	LINES("abc\nabcde", 4, "abc|", -EMSGSIZE);
}

Test(stream_text, a_line_may_hold_any_bytes)
{
	struct weft_stream *s = weft_from_lines(file_of("a\0b\n\0\n", 6), 0, true);
	struct weft_text line;

	cr_assert(eq(int, weft_next(s, &line), 1));
	cr_assert(eq(sz, line.length, 3));
	cr_assert(eq(int, memcmp(line.data, "a\0b", 3), 0));
	cr_assert(eq(int, weft_next(s, &line), 1));
	cr_assert(eq(sz, line.length, 1));
	cr_assert(eq(int, weft_next(s, &line), 0));
	weft_stream_destroy(s);
}

Test(stream_text, the_descriptor_is_closed_with_the_stream_or_borrowed)
{
	int fd = file_of("a\n", 2);

	weft_stream_destroy(weft_from_lines(fd, 0, false));
	cr_assert(ge(int, fcntl(fd, F_GETFD), 0));
	struct weft_stream *s = weft_from_lines(fd, 0, true);
	weft_stream_close(s);
	cr_assert(eq(int, fcntl(fd, F_GETFD), -1));
	weft_stream_destroy(s);
}

Test(stream_text, ST_3_the_descriptor_is_owned_also_when_a_stream_cannot_be_made)
{
	int64_t live = weft__alloc_live();

	for (uint64_t n = 1; n <= 2; n++) {
		int fd = file_of("a\n", 2);
		weft__alloc_fail_at(n);
		cr_assert(zero(ptr, weft_from_lines(fd, 0, true)));
		cr_assert(eq(int, fcntl(fd, F_GETFD), -1));
	}
	weft__alloc_fail_at(0);
	int fd = file_of("a\n", 2);
	struct weft_stream *s = weft_from_blocks(fd, 0, true);
	struct weft_text text;
	cr_assert(eq(int, fcntl(fd, F_GETFD), -1));
	cr_assert(eq(int, weft_next(s, &text), WEFT_EINVAL));
	weft_stream_destroy(s);
	cr_assert(eq(i64, weft__alloc_live(), live));
}

Test(stream_text, an_error_of_the_descriptor_is_the_streams)
{
	struct weft_stream *s = weft_from_lines(-1, 0, false);
	struct weft_text line;

	cr_assert(eq(int, weft_next(s, &line), -EBADF));
	weft_stream_destroy(s);
}

/* --- random text, in random pieces ---------------------------------------- */

enum { BYTES = 600000 };

struct feed {
	int in, out;
	const char *data;
	uint64_t seed;
	bool right;
	int cancels;
};

static char data[BYTES];

static void make_text(struct weft__rng *rng)
{
	size_t rare = 1 + weft__rng_below(rng, 200000);

	for (size_t i = 0; i < BYTES; i++)
		data[i] = weft__rng_below(rng, rare) ? (char)weft__rng_below(rng, 256) : '\n';
}

static int feeds(void *arg)
{
	struct feed *f = arg;
	struct weft__rng rng;
	ssize_t n = 0;

	weft__rng_init(&rng, f->seed);
	for (size_t at = 0; at < BYTES; at += (size_t)n) {
		size_t piece = 1 + weft__rng_below(&rng, 30000);
		piece = piece < BYTES - at ? piece : BYTES - at;
		n = weft_write(f->out, f->data + at, piece);
		if (n < 0)
			return (int)n;
		weft_yield();
	}
	return weft_close(f->out);
}

/* Reads under a scope that is cancelled already every other time. */
static int next_or_cancelled(struct feed *f, struct weft_stream *s, struct weft_text *line)
{
	struct weft_scope scope;
	int rc;

	weft_scope_enter(&scope);
	weft_scope_cancel(&scope);
	rc = weft_next(s, line);
	int left = weft_scope_leave(&scope, rc);
	if (rc != WEFT_ECANCELED)
		return left;
	f->cancels++;
	return weft_next(s, line);
}

static int reads(void *arg)
{
	struct feed *f = arg;
	struct weft_stream *s = weft_from_lines(f->in, BYTES, true);
	struct weft_text line;
	size_t at = 0;
	int rc;

	f->right = true;
	while ((rc = next_or_cancelled(f, s, &line)) > 0) {
		f->right = f->right && at + line.length <= BYTES &&
			   memcmp(f->data + at, line.data, line.length) == 0 &&
			   !memchr(line.data, '\n', line.length);
		at += line.length;
		f->right = f->right && (at == BYTES || f->data[at] == '\n');
		at += at < BYTES;
	}
	f->right = f->right && at == BYTES;
	weft_stream_destroy(s);
	return rc;
}

static int feed_and_read(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc == 0)
		rc = weft_spawn(&g, feeds, arg);
	if (rc == 0)
		rc = reads(arg);
	return weft_group_close(&g, rc);
}

Test(stream_text, ST_2_no_byte_is_lost_by_a_cancel)
{
	const char *given = getenv("WEFT_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : 1;

	for (uint64_t seed = first; seed < first + (given ? 1 : 10); seed++) {
		struct weft__rng rng;
		int ends[2];

		cr_assert(eq(int, pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0));
		weft__rng_init(&rng, seed);
		make_text(&rng);
		struct feed f = { .in = ends[0], .out = ends[1], .data = data, .seed = seed };
		cr_assert(eq(int, run_on(1, feed_and_read, &f), 0), "WEFT_SEED=%lu", seed);
		cr_assert(f.right, "WEFT_SEED=%lu", seed);
		cr_assert(gt(int, f.cancels, 0));
	}
}

/* --- to a descriptor ---------------------------------------------------------- */

static int copies(int from, int to, size_t block, const char *end, size_t room)
{
	struct weft_stream *s =
		block ? weft_from_blocks(from, block, false) : weft_from_lines(from, BYTES, false);
	int rc = weft_stream_to_fd(s, to, end, room);

	weft_stream_destroy(s);
	return rc;
}

static void assert_copied(int to)
{
	static char back[BYTES + 1];

	lseek(to, 0, SEEK_SET);
	cr_assert(eq(i64, (int64_t)read(to, back, sizeof back), BYTES));
	cr_assert(eq(int, memcmp(data, back, BYTES), 0));
	close(to);
}

Test(stream_text, what_is_read_is_what_is_written)
{
	static const size_t rooms[] = { 0, 1, 100, 65536 };
	struct weft__rng rng;

	weft__rng_init(&rng, 5);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = weft__rng_below(&rng, 100) ? 'x' : '\n';
	data[BYTES - 1] = '\n';
	for (size_t i = 0; i < COUNT_OF(rooms); i++) {
		int from = file_of(data, BYTES), to = file_of("", 0);
		cr_assert(eq(int, copies(from, to, 0, "\n", rooms[i]), 0));
		assert_copied(to);
		lseek(from, 0, SEEK_SET);
		to = file_of("", 0);
		cr_assert(eq(int, copies(from, to, 1000, NULL, rooms[i]), 0));
		assert_copied(to);
		close(from);
	}
}

Test(stream_text, a_descriptor_that_takes_nothing_is_an_error)
{
	int from = file_of("a\nb\n", 4);
	int to = open("/dev/full", O_WRONLY | O_CLOEXEC);

	cr_assert(eq(int, copies(from, to, 0, "\n", 0), -ENOSPC));
	lseek(from, 0, SEEK_SET);
	cr_assert(eq(int, copies(from, to, 0, "\n", 100), -ENOSPC));
	struct weft_stream *s = weft_from_range(0, 5, 1);
	cr_assert(eq(int, weft_stream_to_fd(s, to, "\n", 100), WEFT_EINVAL));
	weft_stream_destroy(s);
}
