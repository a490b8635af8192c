/* SPDX-License-Identifier: MIT */
/*
 * input.c - reading, and cutting into slices
 *
 *	block   [ cut already ][ at ... filled ) room ]
 *	                         whole records   | the head of one
 *
 * next() makes sure that the bytes that the slice may reach to are there, or the
 * end of the file, and only then looks for the cut: what it finds is then a
 * function of the input.  When the block has no room the uncut bytes move to a
 * new one, larger if it takes that to hold one record; a larger one that holds
 * nothing else grows where it is.  Files are read and never
 * mapped: a file that shrinks is a short read here and no SIGBUS.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weft/error.h>

#include "file.h"
#include "say.h"

/* A file is not worth starting in the last bytes of a block. */
#define ROOM_FOR_A_FILE ((size_t)1 << 16)

/* A pipe that holds more is read in fewer calls. */
#define PIPE_SIZE (1 << 20)

static bool is_stdin(const char *name)
{
	return !strcmp(name, "-");
}

/* Closed, or not for reading: main() leaves it so when it was closed. */
static bool can_read_stdin(void)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

/* 0 or what is wrong with the input. */
static int check(const char *name, struct stat *status)
{
	if (is_stdin(name) && !can_read_stdin())
		return -EBADF;
	if (is_stdin(name) ? fstat(STDIN_FILENO, status) : stat(name, status))
		return -errno;
	if (S_ISDIR(status->st_mode))
		return -EISDIR;
	if (!is_stdin(name) && faccessat(AT_FDCWD, name, R_OK, AT_EACCESS))
		return -errno;
	return 0;
}

bool weft__input_check(struct weft__input *in)
{
	bool fine = true, known = true;

	in->size = 0;
	for (size_t i = 0; i < in->config.count; i++) {
		struct stat status = { 0 };
		int rc = check(in->config.names[i], &status);
		if (rc < 0)
			weft__say("%s: %s", in->config.names[i], strerror(-rc));
		fine = fine && rc == 0;
		known = known && S_ISREG(status.st_mode);
		in->size += (uint64_t)status.st_size;
	}
	if (!known)
		in->size = 0;
	return fine;
}

bool weft__input_is(const struct weft__input *in, const struct stat *status)
{
	for (size_t i = 0; i < in->config.count; i++) {
		struct stat s;
		if (check(in->config.names[i], &s) == 0 && s.st_dev == status->st_dev &&
		    s.st_ino == status->st_ino)
			return true;
	}
	return false;
}

void weft__input_init(struct weft__input *in, const struct weft__input_config *config,
		      unsigned workers)
{
	*in = (struct weft__input){
		.config = *config,
		.fd = -1,
		.skip = config->skip,
		.limit = config->limit,
	};
	weft__block_pool_init(&in->pool, workers + 2);
}

static void close_source(struct weft__input *in)
{
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	in->fd = -1;
}

void weft__input_fini(struct weft__input *in)
{
	close_source(in);
	weft__block_put(in->block);
	weft__block_pool_fini(&in->pool);
}

__attribute__((format(printf, 2, 3))) static enum weft__input_result failed(struct weft__input *in,
									    const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(in->message, sizeof in->message, format, values);
	va_end(values);
	in->ended = true;
	return WEFT__INPUT_FAILED;
}

static const char *source_name(const struct weft__input *in)
{
	return in->config.names[in->source];
}

static enum weft__input_result open_source(struct weft__input *in)
{
	const char *name = source_name(in);
	int fd = is_stdin(name) ? STDIN_FILENO : weft__file_open(name, O_RDONLY, 0);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return failed(in, "%s", strerror(fd < 0 ? -fd : errno));
	in->fd = fd;
	in->regular = S_ISREG(status.st_mode);
	in->expected = in->regular ? (uint64_t)status.st_size : 0;
	in->eof = in->dry = in->dropping = false;
	in->read = in->offset = in->skipped = 0;
	if (in->regular) {
		/* Standard input may have been read already. */
		off_t at = lseek(fd, 0, SEEK_CUR);
		in->offset = in->read = at > 0 ? (uint64_t)at : 0;
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	} else {
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
	}
	return WEFT__INPUT_SLICE;
}

/* Steps over `n` uncut bytes. */
static void advance(struct weft__input *in, size_t n)
{
	in->at += n;
	in->offset += n;
	in->position += n;
}

/* One byte of the block stays behind the last record, for its NUL. */
static void end_source(struct weft__input *in)
{
	close_source(in);
	in->source++;
	if (!in->block)
		return;
	if (in->filled < in->block->capacity)
		in->filled++;
	in->at = in->filled;
}

/* Moves the uncut bytes to a block that has room for `need` of them. */
static int move(struct weft__input *in, size_t need)
{
	size_t left = in->block ? in->filled - in->at : 0;
	size_t capacity = need > WEFT__BLOCK_SIZE ? need + need / 2 : need;
	if (in->at == 0 && weft__block_grow(&in->block, capacity))
		return 0;
	struct weft__block *block = weft__block_get(&in->pool, capacity);

	if (!block)
		return WEFT_ENOMEM;
	if (left)
		memcpy(block->bytes, in->block->bytes + in->at, left);
	weft__block_put(in->block);
	in->block = block;
	in->at = 0;
	in->filled = left;
	return 0;
}

static bool has_room(const struct weft__input *in, size_t need)
{
	if (!in->block || in->at + need > in->block->capacity)
		return false;
	return in->filled > in->at || in->block->capacity - in->filled >= ROOM_FOR_A_FILE;
}

/* One read, into a block that can hold `need` uncut bytes.  1, or 0 when told to
 * stop. */
static int fill(struct weft__input *in, size_t need)
{
	if (!has_room(in, need) && move(in, need) < 0)
		return WEFT_ENOMEM;
	for (;;) {
		if (!in->regular) {
			int ready = weft__file_wait(in->fd, in->config.stop_fd, -1);
			if (ready <= 0)
				return ready;
		}
		ssize_t n = weft__file_read(in->fd, in->block->bytes + in->filled,
					    in->block->capacity - in->filled);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return (int)n;
		in->eof = n == 0;
		in->filled += (size_t)n;
		in->read += (uint64_t)n;
		atomic_fetch_add_explicit(&in->got, (uint64_t)n, memory_order_relaxed);
		break;
	}
	in->dry = in->config.live && !in->regular &&
		  weft__file_wait(in->fd, in->config.stop_fd, 0) == 0;
	return 1;
}

/* The input before the slice decides how long the slice may be. */
static size_t target(const struct weft__input *in)
{
	uint64_t share = in->position / in->config.share;

	return share < WEFT__BLOCK_SIZE ? (size_t)share : WEFT__BLOCK_SIZE;
}

/* Empty lines in front of a stanza are not part of it. */
static void skip_empty_lines(struct weft__input *in)
{
	while (in->at < in->filled && in->block->bytes[in->at] == '\n')
		advance(in, 1);
}

/* The record in front has no end in the bytes at hand: are these too many? */
static bool is_too_long(struct weft__input *in)
{
	const struct weft__record_format *format = in->config.format;

	if (format->kind == WEFT__RECORD_BLANK)
		skip_empty_lines(in);
	size_t n = in->filled - in->at;
	return format->kind != WEFT__RECORD_FIXED && n > in->config.max_record &&
	       n - in->config.max_record > format->length;
}

/* The file ended before the size that it had when it was opened. */
static bool has_shrunk(const struct weft__input *in)
{
	return in->eof && in->regular && in->read < in->expected;
}

/* The length of the next slice if the bytes at hand tell it, else 0. */
static size_t try_slice(struct weft__input *in, size_t want, size_t *scanned)
{
	size_t n = in->filled - in->at;

	if (in->eof && n < want && !has_shrunk(in))
		return n;
	if (n == 0 || (n < want && !in->dry && !in->eof))
		return 0;
	size_t cut =
		weft__record_cut(in->config.format, in->block->bytes + in->at, n, want, scanned);
	return cut == 0 && in->eof && !has_shrunk(in) ? n : cut;
}

/* Finds the end of the next slice.  1 with *length, which is 0 when the file has
 * no more and when the record in front is too long (in->dropping is set then);
 * 0 when told to stop. */
static int find_slice(struct weft__input *in, size_t *length)
{
	size_t want = target(in), scanned = 0;

	for (;;) {
		size_t n = in->filled - in->at, at = in->at;

		*length = try_slice(in, want, &scanned);
		if (*length > 0 || in->eof)
			return 1;
		in->dropping = n >= want && is_too_long(in);
		if (in->dropping)
			return 1;
		if (in->at != at)
			scanned = 0;
		int rc = fill(in, n < want ? want : n + 1);
		if (rc <= 0)
			return rc;
	}
}

/* Reads on to the end of a record that is too long to keep. */
static int drop_record(struct weft__input *in)
{
	size_t overlap = in->config.format->length - 1;

	while (in->dropping) {
		size_t n = in->filled - in->at, scanned = 0;
		size_t cut = weft__record_cut(in->config.format, in->block->bytes + in->at, n, 0,
					      &scanned);
		if (cut > 0 || in->eof) {
			advance(in, cut > 0 ? cut : n);
			in->dropping = false;
			break;
		}
		advance(in, n > overlap ? n - overlap : 0);
		int rc = fill(in, WEFT__BLOCK_SIZE / 2);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

/* Leaves out what --skip and --limit say. */
static void apply_window(struct weft__input *in, struct weft__slice *slice)
{
	const struct weft__record_format *format = in->config.format;
	uint64_t count;

	if (in->skip > 0) {
		char *begin = weft__record_skip(format, slice->begin, slice->end, in->skip, &count);
		in->skip -= count;
		in->skipped += count;
		slice->offset += (uint64_t)(begin - slice->begin);
		slice->begin = begin;
	}
	if (in->limit != UINT64_MAX) {
		slice->end = weft__record_skip(format, slice->begin, slice->end, in->limit, &count);
		in->limit -= count;
	}
}

static void take_slice(struct weft__input *in, size_t length, struct weft__slice *slice)
{
	char *begin = in->block->bytes + in->at;

	*slice = (struct weft__slice){
		.block = in->block,
		.begin = begin,
		.end = begin + length,
		.name = source_name(in),
		.source = in->source,
		.offset = in->offset,
	};
	apply_window(in, slice);
	if (slice->begin < slice->end) {
		slice->skipped = in->skipped;
		in->skipped = 0;
	}
	weft__block_ref(in->block);
	advance(in, length);
}

/* A slice that says where the reader is and holds nothing. */
static void take_nothing(struct weft__input *in, struct weft__slice *slice)
{
	*slice = (struct weft__slice){
		.name = source_name(in),
		.source = in->source,
		.offset = in->offset,
		.skipped = in->skipped,
	};
	in->skipped = 0;
}

/* A place in the order for a record that is too long to be there. */
static void take_too_long(struct weft__input *in, struct weft__slice *slice)
{
	if (in->skip > 0) {
		in->skip--;
		in->skipped++;
		return;
	}
	if (in->limit != UINT64_MAX)
		in->limit--;
	take_nothing(in, slice);
	slice->too_long = true;
}

/* The end of a file, which may have come too early. */
static enum weft__input_result finish_source(struct weft__input *in)
{
	if (has_shrunk(in))
		return failed(in, "shrank while it was read, from %llu to %llu bytes",
			      (unsigned long long)in->expected, (unsigned long long)in->read);
	end_source(in);
	return WEFT__INPUT_SLICE;
}

/* One step: a slice, or WEFT__INPUT_SLICE with an empty one to go on with. */
static enum weft__input_result step(struct weft__input *in, struct weft__slice *slice)
{
	size_t length = 0;

	if (in->fd < 0)
		return open_source(in);
	int rc = in->dropping ? drop_record(in) : 1;
	if (rc > 0)
		rc = find_slice(in, &length);
	if (rc < 0)
		return failed(in, "%s", strerror(-rc));
	if (rc == 0)
		return WEFT__INPUT_END;
	if (length > 0)
		take_slice(in, length, slice);
	else if (in->dropping)
		take_too_long(in, slice);
	else
		return finish_source(in);
	return WEFT__INPUT_SLICE;
}

enum weft__input_result weft__input_next(struct weft__input *in, struct weft__slice *slice)
{
	for (;;) {
		*slice = (struct weft__slice){ 0 };
		if (in->ended || in->limit == 0 || in->source == in->config.count)
			return WEFT__INPUT_END;
		enum weft__input_result result = step(in, slice);
		if (result == WEFT__INPUT_FAILED)
			take_nothing(in, slice);
		if (result != WEFT__INPUT_SLICE || slice->too_long || slice->begin < slice->end)
			return result;
		weft__block_put(slice->block);
	}
}
