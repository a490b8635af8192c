/* SPDX-License-Identifier: MIT */
/*
 * stream_exec.c - what another program writes
 *
 *	task: weft_exec( program > pipe )      pipe -> lines or blocks -> reader
 *
 * The task keeps the end that is written to until the program is gone, so the text ends
 * after both, and how the program ended is known when its text ends.
 *
 * A close takes the pipe away first: a program that ignores the signal it gets then fails
 * at its next write.
 */
#include <weft/exec.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "async/stream_stage.h"
#include "runtime/runtime.h"

struct program {
	struct weft_stream *text;
	struct weft__crew crew;
	struct weft_exec_opts opts; /* .out_fd: the end that is written to, -1: closed */
	struct weft_exec_result *result, unwanted;
	bool begun;
	int rc; /* of the task, before it closes its end */
};

/* --- beside the reader --------------------------------------------------------- */

static void close_end(struct program *p)
{
	if (p->opts.out_fd >= 0)
		close(p->opts.out_fd);
	p->opts.out_fd = -1;
}

static int run(void *arg)
{
	struct program *p = arg;
	int rc = weft_exec_opt(p->result, &p->opts);

	if (rc == 0 && (p->result->signo != 0 || p->result->exit_code != 0))
		rc = WEFT_ECRASHED;
	store_release(&p->rc, rc);
	close_end(p);
	return 0;
}

/* --- the reader ------------------------------------------------------------------ */

static int begin(struct program *p)
{
	if (p->begun)
		return 0;
	p->begun = true;
	return weft__crew_start(&p->crew, run, p, "exec");
}

static int program_next(void *state, void *item)
{
	struct program *p = state;
	int rc = weft_checkpoint();

	rc = rc ? rc : begin(p);
	rc = rc ? rc : weft__next(p->text, item);
	return rc ? rc : load_acquire(&p->rc);
}

static void program_close(void *state)
{
	struct program *p = state;

	weft_stream_close(p->text);
	weft__crew_close(&p->crew);
	close_end(p);
}

/* --- making it -------------------------------------------------------------------- */

/* The end that is written to is not 0, which says "as here". */
static int open_pipe(int *in, int *out)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	*in = ends[0];
	*out = fcntl(ends[1], F_DUPFD_CLOEXEC, 1);
	int rc = *out < 0 ? -errno : 0;
	close(ends[1]);
	if (rc != 0)
		close(ends[0]);
	return rc;
}

static struct weft_stream *program(struct weft_stream *text, int out,
				   struct weft_exec_result *result, const struct weft_exec_opts *o)
{
	static const struct weft_stream_ops ops = { .next = program_next,
						    .close = program_close,
						    .name = "exec" };
	void *state;
	struct weft_stream *s = weft__stream_new(&ops, sizeof(struct weft_text),
						 sizeof(struct program), &state, &text, 1);

	if (!s) {
		close(out);
		return NULL;
	}
	struct program *p = state;
	p->text = text;
	p->opts = *o;
	p->opts.out_fd = out;
	p->result = result ? result : &p->unwanted;
	int rc = weft__crew_open(&p->crew);
	return rc ? weft__stillborn(s, rc) : s;
}

static int check(const struct weft_exec_opts *o)
{
	if (!o || o->size < sizeof *o || o->out || o->out_fd != 0)
		return WEFT_EINVAL;
	return weft__forked() ? WEFT_ESHUTDOWN : 0;
}

struct weft_stream *weft_exec_lines_opt(size_t longest, struct weft_exec_result *result,
					const struct weft_exec_opts *o)
{
	int in = -1, out = -1;
	int rc = check(o);

	rc = rc ? rc : open_pipe(&in, &out);
	if (rc != 0)
		return weft_from_error(rc, sizeof(struct weft_text));
	return program(weft_from_lines(in, longest, true), out, result, o);
}

struct weft_stream *weft_exec_blocks_opt(size_t size, struct weft_exec_result *result,
					 const struct weft_exec_opts *o)
{
	int in = -1, out = -1;
	int rc = size > 0 ? check(o) : WEFT_EINVAL;

	rc = rc ? rc : open_pipe(&in, &out);
	if (rc != 0)
		return weft_from_error(rc, sizeof(struct weft_text));
	return program(weft_from_blocks(in, size, true), out, result, o);
}
