/* SPDX-License-Identifier: MIT */
/*
 * stream_source.c - streams out of memory and functions
 */
#include <string.h>

#include "async/stream.h"

/* --- arrays ------------------------------------------------------------- */

struct array {
	const char *at, *end;
	size_t size;
	unsigned asked;
};

/* Most items are a word. */
static inline void copy(void *to, const void *from, size_t size)
{
	if (size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, size);
}

static int array_next(void *state, void *item)
{
	struct array *a = state;
	int rc;

	if (a->at == a->end)
		return 0;
	rc = weft__stream_ask(&a->asked);
	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	copy(item, a->at, a->size);
	a->at += a->size;
	return 1;
}

struct weft_stream *weft_from_array(const void *items, size_t n, size_t size)
{
	static const struct weft_stream_ops ops = { .next = array_next, .name = "array" };
	void *state;

	if (size == 0 || (n && !items))
		return weft_from_error(WEFT_EINVAL, size);
	struct weft_stream *s = weft__stream_new(&ops, size, sizeof(struct array), &state, NULL, 0);
	if (s)
		*(struct array *)state =
			(struct array){ items, (const char *)items + n * size, size, 0 };
	return s;
}

/* --- functions ----------------------------------------------------------- */

struct function {
	weft_generate_fn *fn;
	void *arg;
	unsigned asked;
};

static int function_next(void *state, void *item)
{
	struct function *f = state;
	int rc = weft__stream_ask(&f->asked);

	return rc ? rc : f->fn(item, f->arg);
}

struct weft_stream *weft_from_function(weft_generate_fn *fn, void *arg, size_t size)
{
	static const struct weft_stream_ops ops = { .next = function_next, .name = "function" };
	void *state;

	if (!fn)
		return weft_from_error(WEFT_EINVAL, size);
	struct weft_stream *s =
		weft__stream_new(&ops, size, sizeof(struct function), &state, NULL, 0);
	if (s)
		*(struct function *)state = (struct function){ fn, arg, 0 };
	return s;
}

/* --- ranges ---------------------------------------------------------------- */

struct range {
	int64_t at, end, step;
	unsigned asked;
};

static int range_next(void *state, void *item)
{
	struct range *r = state;
	int rc;

	if (r->step > 0 ? r->at >= r->end : r->at <= r->end)
		return 0;
	rc = weft__stream_ask(&r->asked);
	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	memcpy(item, &r->at, sizeof r->at);
	if (__builtin_add_overflow(r->at, r->step, &r->at))
		r->at = r->end;
	return 1;
}

struct weft_stream *weft_from_range(int64_t begin, int64_t end, int64_t step)
{
	static const struct weft_stream_ops ops = { .next = range_next, .name = "range" };
	void *state;

	if (step == 0)
		return weft_from_error(WEFT_EINVAL, sizeof(int64_t));
	struct weft_stream *s =
		weft__stream_new(&ops, sizeof(int64_t), sizeof(struct range), &state, NULL, 0);
	if (s)
		*(struct range *)state = (struct range){ begin, end, step, 0 };
	return s;
}

/* --- nothing, and errors ----------------------------------------------------- */

static int over_next(void *state, void *item)
{
	(void)item;
	return *(int *)state;
}

static struct weft_stream *over(int rc, size_t size)
{
	static const struct weft_stream_ops ops = { .next = over_next, .name = "nothing" };
	void *state;
	struct weft_stream *s = weft__stream_new(&ops, size, sizeof(int), &state, NULL, 0);

	if (s)
		*(int *)state = rc;
	return s;
}

struct weft_stream *weft_from_nothing(size_t size)
{
	return over(0, size);
}

struct weft_stream *weft_from_error(int rc, size_t size)
{
	return over(rc < 0 ? rc : WEFT_EINVAL, size);
}
