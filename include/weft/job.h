/* SPDX-License-Identifier: MIT */
/*
 * weft/job.h - what a job of `weft map` is written against
 *
 * A job is a C file that includes this header and defines map().  `weft map
 * long.c *.txt` compiles it and calls map() for every line of the files, on all
 * cores; what it emits comes out in the order of the input.
 *
 *	#include <weft/job.h>
 *
 *	int map(struct weft_job *job, const char *line, size_t length)
 *	{
 *		return length > 80 ? weft_emitf(job, "%s\n", line) : 0;
 *	}
 *
 * A reduction adds a state.  weft cuts the input into parts, gives each a state
 * of its own, and merges them in the order of the input; where the cuts are
 * depends on the input alone, so the result has the same bits on any number of
 * cores and in every run.
 *
 *	struct counts { size_t lines, bytes; };
 *	WEFT_STATE(struct counts);
 *
 *	int map(struct weft_job *job, const char *line, size_t length)
 *	{
 *		struct counts *part = weft_state(job);
 *		part->lines++;
 *		part->bytes += length;
 *		return 0;
 *	}
 *
 *	int merge(struct weft_job *job, struct counts *total, struct counts *part)
 *	{
 *		total->lines += part->lines;
 *		total->bytes += part->bytes;
 *		return 0;
 *	}
 *
 *	int finish(struct weft_job *job, struct counts *total)
 *	{
 *		return weft_emitf(job, "%zu %zu\n", total->lines, total->bytes);
 *	}
 *
 *   threads    map() and init() run on several threads at once; start(), merge()
 *              and finish() run alone.  What start() writes, all can read.
 *   memory     a record is lent until map() returns.  States are weft's; what
 *              hangs on them is the job's.
 *   errors     each function returns 0, or anything else when it failed, best
 *              with `return weft_fail(job, "why")`.  Emitting returns non-zero
 *              when the output is gone: pass it on.
 *   linking    nothing to link: all calls go through the job.
 */
#ifndef WEFT_JOB_H
#define WEFT_JOB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Which form of this header a compiled job was built with. */
#define WEFT_JOB_ABI 1

#define WEFT_JOB_API __attribute__((visibility("default")))
#ifdef __cplusplus
#define WEFT_JOB_C extern "C" WEFT_JOB_API
extern "C" {
#else
#define WEFT_JOB_C extern WEFT_JOB_API
#endif

struct weft_job;

/*
 * What the job defines.
 */

/* One record.  record[length] is a NUL that does not belong to it, so that the
 * string functions of C can be used on text; the record itself may hold NULs. */
WEFT_JOB_API int map(struct weft_job *job, const char *record, size_t length);

/* Optional: once, before the first record: the place to read arguments and
 * fill globals.  It may emit. */
WEFT_JOB_API int start(struct weft_job *job);

/* The state of a part, zeroed by weft.  To be followed by a semicolon.
 *
 *   init      optional: makes an empty state of a zeroed one
 *   merge     adds `part` to `total`, to which all before it has been added, and
 *             frees what hangs on `part`; the struct itself is weft's.  May not
 *             emit
 *   finish    once, after the last record and only if none failed the run.
 *             It may emit
 *
 * A job without a state may define finish too; `total` is NULL then. */
#define WEFT_STATE(type)                                                     \
	WEFT_JOB_C int init(struct weft_job *job, type *state);              \
	WEFT_JOB_C int merge(struct weft_job *job, type *total, type *part); \
	WEFT_JOB_C int finish(struct weft_job *job, type *total);            \
	WEFT_JOB_C const size_t weft_state_size;                             \
	const size_t weft_state_size = sizeof(type)

/*
 * What the job calls, with the job that it was given.
 */

/* Private: the way back into weft. */
struct weft_job_calls {
	int (*emit)(struct weft_job *job, const void *data, size_t length);
	int (*emit_format)(struct weft_job *job, const char *format, va_list values);
	int (*fail)(struct weft_job *job, const char *format, va_list values);
	const char *(*arg)(struct weft_job *job, const char *key);
};

/* Private: read it through the calls below. */
struct weft_job {
	const struct weft_job_calls *calls;
	char *out, *out_end; /* room for output */
	void *state;
	const char *input;
	uint64_t offset;
};

/* Puts `length` bytes out. */
static inline int weft_emit(struct weft_job *job, const void *data, size_t length)
{
	if (__builtin_expect(length > (size_t)(job->out_end - job->out), 0))
		return job->calls->emit(job, data, length);
	__builtin_memcpy(job->out, data, length);
	job->out += length;
	return 0;
}

/* The same for a string. */
static inline int weft_emits(struct weft_job *job, const char *text)
{
	return weft_emit(job, text, __builtin_strlen(text));
}

/* The same as printf. */
__attribute__((format(printf, 2, 3))) static inline int weft_emitf(struct weft_job *job,
								   const char *format, ...)
{
	va_list values;

	va_start(values, format);
	int rc = job->calls->emit_format(job, format, values);
	va_end(values);
	return rc;
}

/* Says why this record, or this step, failed; -1, to be returned. */
__attribute__((format(printf, 2, 3))) static inline int weft_fail(struct weft_job *job,
								  const char *format, ...)
{
	va_list values;

	va_start(values, format);
	int rc = job->calls->fail(job, format, values);
	va_end(values);
	return rc;
}

/* The value of `--set key=value`, or NULL; "" for a mere `--set key`.  Lasts as
 * long as the run. */
static inline const char *weft_arg(struct weft_job *job, const char *key)
{
	return job->calls->arg(job, key);
}

/* In map(): the state of the part that the record belongs to. */
static inline void *weft_state(struct weft_job *job)
{
	return job->state;
}

/* In map(): the name of the file that the record comes from, "-" for standard
 * input; and where in it the record begins, in bytes. */
static inline const char *weft_input(struct weft_job *job)
{
	return job->input;
}

static inline uint64_t weft_offset(struct weft_job *job)
{
	return job->offset;
}

#ifdef __cplusplus
}
#endif

/* Private: read when the job is loaded. */
WEFT_JOB_C __attribute__((weak)) const unsigned weft_job_abi;
const unsigned weft_job_abi = WEFT_JOB_ABI;

#endif
