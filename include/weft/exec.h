/* SPDX-License-Identifier: MIT */
/*
 * weft/exec.h - running another program
 *
 *	char *argv[] = { "sort", "-n", NULL };
 *	struct weft_exec_result r;
 *	struct weft_buf out = { 0 };
 *	int rc = weft_exec(&r, .argv = argv, .input = text, .input_size = size, .out = &out,
 *			   .timeout = WEFT_SEC(5));
 *
 * Returns 0 when the program has run and ended by itself, whatever it exited with:
 * look at r.signo and r.exit_code.  There is no shell between.
 *
 * The program leads a process group of its own.  When it ends, what is left of the group
 * is killed; a program that is to live on makes a session for itself (setsid).  A cancel
 * or deadline of the caller sends SIGTERM to the group, SIGKILL when the grace period is
 * over, and the call returns when the program is gone.
 *
 *   threads    tasks; WEFT_ENOTASK elsewhere, WEFT_ESHUTDOWN in a child of fork().
 *   memory     arguments are borrowed until the call returns.  `out` and `err` are { 0 }
 *              before, for not every error writes them, and the caller's to free, by
 *              weft_buf_free, after errors too.
 *   errors     WEFT_ECANCELED, WEFT_ETIMEDOUT (of .timeout), WEFT_EINVAL, WEFT_ENOMEM;
 *              those of posix_spawn: -ENOENT, -EACCES ...; -EMFILE; -ECHILD when somebody
 *              else has waited for the program, so that nobody knows how it ended.
 *   blocking   suspends the task, and holds its worker for the millisecond that starting
 *              a program takes.
 *   children   the program is a child of this process, waited for by its pidfd alone:
 *              other children are left alone.  A wait() for any child elsewhere in the
 *              application, or SIGCHLD ignored, takes ours away: see -ECHILD.
 */
#ifndef WEFT_EXEC_H
#define WEFT_EXEC_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <weft/base.h>
#include <weft/buf.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

struct weft_exec_result {
	pid_t pid;	      /* 0: it was not started */
	int signo;	      /* the signal that ended it, or 0 */
	int exit_code;	      /* what it exited with, or 0 */
	struct rusage rusage; /* of it and of the children it waited for */
	uint64_t out_total;   /* bytes that it wrote, those that were dropped included */
	uint64_t err_total;
};

struct weft_exec_opts {
	size_t size;	   /* sizeof(struct weft_exec_opts) */
	char *const *argv; /* ends with NULL; argv[0] is looked for in PATH if it has no '/' */
	char *const *env;  /* "NAME=value", ends with NULL; NULL: as here */
	const char *dir;   /* where it starts; NULL: here */

	const void *input; /* its standard input: bytes, */
	size_t input_size;
	int input_fd; /* or a descriptor; neither (0): /dev/null */

	struct weft_buf *out, *err; /* get what it writes; NULL: not captured */
	size_t max_out, max_err;    /* bytes that are kept, the rest is dropped; 0: 16 MiB */
	int out_fd, err_fd;	    /* where it goes if not captured; 0: as here */

	int64_t timeout; /* 0: none */
	int64_t grace;	 /* between SIGTERM and SIGKILL; 0: 1 s */
};

WEFT_API int weft_exec_opt(struct weft_exec_result *result, const struct weft_exec_opts *opts);

/*
 * What a program writes, as a stream (weft/stream.h) of struct weft_text: lines of up to
 * `longest` bytes (0: 1 MiB), or blocks of up to `size`, like those of weft_from_lines and
 * weft_from_blocks.
 *
 *	struct weft_stream *s = weft_exec_lines(0, NULL, .argv = argv);
 *
 * It starts with the first read, and waits while nobody reads on.  The stream ends when
 * the program has, and nobody else holds its output: with 0, with WEFT_ECRASHED when a
 * signal ended it or it exited with another code than 0, or with an error of weft_exec.
 * Closed before, the stream ends the program like a cancel does.
 *
 * *result, if not NULL, is there when the stream has ended or was closed.  It and what the
 * options point to are borrowed until then.  WEFT_EINVAL for .out and .out_fd.
 */
struct weft_stream;
WEFT_API struct weft_stream *weft_exec_lines_opt(size_t longest, struct weft_exec_result *result,
						 const struct weft_exec_opts *opts);
WEFT_API struct weft_stream *weft_exec_blocks_opt(size_t size, struct weft_exec_result *result,
						  const struct weft_exec_opts *opts);

WEFT_END_DECLS

#ifndef __cplusplus
#define WEFT_EXEC_OPTS(...) \
	(&(const struct weft_exec_opts){ .size = sizeof(struct weft_exec_opts), __VA_ARGS__ })
#define weft_exec(result, ...) weft_exec_opt(result, WEFT_EXEC_OPTS(__VA_ARGS__))
#define weft_exec_lines(longest, result, ...) \
	weft_exec_lines_opt(longest, result, WEFT_EXEC_OPTS(__VA_ARGS__))
#define weft_exec_blocks(bytes, result, ...) \
	weft_exec_blocks_opt(bytes, result, WEFT_EXEC_OPTS(__VA_ARGS__))
#endif

#endif
