/* SPDX-License-Identifier: MIT */
/*
 * sort.c - quicksort on several workers, for any type
 *
 *   C. A. R. Hoare.  Quicksort.  The Computer Journal, 1962.
 *   O. Peters.  Pattern-defeating quicksort.  2021.
 *
 * The loops that touch every element are made for the type, in weft/sort.h; how
 * they are put together is here, once for all types.  A piece is cut in two
 * around a pivot until few elements are left:
 *
 *	[   less than the pivot   |   not less   ]     usual
 *	[ equal: done |          greater         ]     when nothing is less
 *
 * The second cut is made when the first has found nothing less, and so k distinct
 * values take O(n log k).
 *
 * In parallel: the two sides of a cut are forked when a worker is hungry.  The
 * first cuts alone would leave the others waiting, so a piece of more than a quarter
 * of the array is cut in stripes (sort_stripes.c).  That leaves equal elements in
 * another order than a plain cut, and the result shall not depend on who sorted what:
 * so it is done whether or not somebody is hungry, but for stable sorts, which have
 * one result only.  It costs 4 % on one worker; down to a sixteenth it would be 8 %.
 *
 * The worst case: the pivot is the median of about sqrt(n) elements, found
 * recursively.  A cut that leaves more than 7/8 on one side is bad luck; after
 * log2(n) of these the piece goes to a heap sort, or to a merge sort when stable.
 * This also ends the sort when `less` contradicts itself.
 *
 * Not done: sample sort with many buckets (M. Axtmann, S. Witt, D. Ferizovic, P.
 * Sanders.  Engineering in-place sorting algorithms.  2022).  It saves passes
 * over memory for much more code, and the passes here do not wait for memory:
 * 10^7 random uint32 took it 225 ms on one core of a Zen 5, and this 140.
 */
#include "runtime/sort.h"

#include <weft/error.h>

#include <stdalign.h>

#include "deque/alloc.h"

enum {
	FORK_MIN = 2048,	  /* elements: some 25 us, where a steal takes 1 or 2 */
	STRIPED_MIN = 256 * 1024, /* bytes: some 30 us */
	SHARES = 4,		  /* more than one of these is cut by all workers */
	PROBE = 64,		  /* elements that are looked at before all are */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t few(const struct weft_sorter *s)
{
	return WEFT_SORT_FEW(s->type.size);
}

static bool is_less(const struct weft_sorter *s, const char *a, const char *b)
{
	return s->type.less(a, b, s->type.arg);
}

void weft__sort_swap(char *a, char *b, size_t bytes)
{
	char t[256];

	while (bytes > 0) {
		size_t n = smaller(bytes, sizeof(t));
		memcpy(t, a, n);
		memcpy(a, b, n);
		memcpy(b, t, n);
		a += n;
		b += n;
		bytes -= n;
	}
}

/* --- when luck has run out ---------------------------------------------- */

static void sift_down(const struct weft_sorter *s, char *v, size_t i, size_t n)
{
	size_t size = s->type.size;

	for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
		if (child + 1 < n && is_less(s, v + child * size, v + (child + 1) * size))
			child++;
		if (!is_less(s, v + i * size, v + child * size))
			return;
		weft__sort_swap(v + i * size, v + child * size, size);
		i = child;
	}
}

void weft__sort_heap(const struct weft_sorter *s, char *v, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(s, v, i, n);
	while (n-- > 1) {
		weft__sort_swap(v, v + n * s->type.size, s->type.size);
		sift_down(s, v, 0, n);
	}
}

static void merge_sort(const struct weft__sort_piece *p)
{
	size_t size = p->s->type.size, left_bytes = p->n / 2 * size;
	struct weft__sort_piece left = weft__sort_part(p, 0, p->n / 2),
				right = weft__sort_part(p, p->n / 2, p->n);

	if (p->n <= few(p->s)) {
		p->s->few(p->s, p->v, p->n);
		return;
	}
	merge_sort(&left);
	merge_sort(&right);

	const char *l = p->spare, *l_end = p->spare + left_bytes;
	const char *r = right.v, *r_end = right.v + right.n * size;
	char *out = p->v;

	memcpy(p->spare, p->v, left_bytes);
	for (; l < l_end && r < r_end; out += size) {
		const char **next = is_less(p->s, r, l) ? &r : &l;
		memmove(out, *next, size);
		*next += size;
	}
	memcpy(out, l, (size_t)(l_end - l));
}

/* --- cuts ------------------------------------------------------------------ */

/* What is to be sorted yet: the elements before `left` and those from `right` on. */
struct cut {
	size_t left, right;
};

/* The median of a, b and c; each stands for n elements from there on, and is first
 * replaced by their median, found in the same way, while they are many. */
static const char *median(const struct weft_sorter *s, const char *a, const char *b, const char *c,
			  size_t n)
{
	if (n >= 8) {
		size_t step = n / 8 * s->type.size;
		a = median(s, a, a + 4 * step, a + 7 * step, n / 8);
		b = median(s, b, b + 4 * step, b + 7 * step, n / 8);
		c = median(s, c, c + 4 * step, c + 7 * step, n / 8);
	}
	return s->median(s, a, b, c);
}

static const char *choose_pivot(const struct weft__sort_piece *p)
{
	size_t step = p->n / 8 * p->s->type.size;

	return median(p->s, p->v, p->v + 4 * step, p->v + 7 * step, p->n / 8);
}

static bool is_for_all(const struct weft__sort_piece *p)
{
	return p->n > p->whole / SHARES && p->n * p->s->type.size >= STRIPED_MIN &&
	       (!p->s->stable || weft_hungry());
}

static int split(const struct weft__sort_piece *p, const char *pivot, bool equal, size_t *low)
{
	if (is_for_all(p))
		return weft__sort_split_striped(p, pivot, equal, low);
	*low = p->s->split(p->s, p->v, p->n, pivot, equal, p->spare);
	return 0;
}

static int cut_piece(const struct weft__sort_piece *p, struct cut *c)
{
	alignas(WEFT_SORT_WIDE) char pivot[WEFT_SORT_WIDE]; /* no narrow type is aligned to more */

	memcpy(pivot, choose_pivot(p), p->s->type.size);
	int rc = split(p, pivot, false, &c->left);
	c->right = c->left;
	if (rc == 0 && c->left == 0)
		rc = split(p, pivot, true, &c->right);
	return rc;
}

/* --- pieces ---------------------------------------------------------------- */

static bool is_bad_luck(const struct weft__sort_piece *p, struct cut c)
{
	size_t most = p->n - p->n / 8;

	return c.left > most || p->n - c.right > most;
}

static void sort_slowly(const struct weft__sort_piece *p)
{
	if (p->s->stable)
		merge_sort(p);
	else
		weft__sort_heap(p->s, p->v, p->n);
}

static int sort_piece(void *arg);

/* Forks, or else sorts the smaller side and leaves the larger in *p, which keeps
 * the stack low. */
static int sort_sides(struct weft__sort_piece *p, struct cut c)
{
	struct weft__sort_piece left = weft__sort_part(p, 0, c.left),
				right = weft__sort_part(p, c.right, p->n);

	if (p->n >= FORK_MIN && weft_hungry()) {
		p->n = 0;
		return weft_both(sort_piece, &left, sort_piece, &right);
	}
	bool left_first = left.n < right.n;
	*p = left_first ? right : left;
	return sort_piece(left_first ? &left : &right);
}

static int sort_piece(void *arg)
{
	struct weft__sort_piece *p = arg;

	while (p->n > few(p->s)) {
		struct cut c = { 0, 0 };

		if (p->luck == 0) {
			sort_slowly(p);
			return 0;
		}
		int rc = cut_piece(p, &c);
		if (rc < 0)
			return rc;
		p->luck -= is_bad_luck(p, c);
		rc = sort_sides(p, c);
		if (rc < 0)
			return rc;
	}
	p->s->few(p->s, p->v, p->n);
	return 0;
}

/* --- arrays that are in order, or in reverse ------------------------------ */

struct order {
	const struct weft__sort_piece *p;
	bool down;
};

static int check_some(struct weft_range *r, void *arg)
{
	struct order *o = arg;
	const struct weft_sorter *s = o->p->s;
	size_t n = r->end - r->begin + 1;

	const char *v = o->p->v + (r->begin - 1) * s->type.size;
	return s->run(s, v, n, o->down) == n ? 0 : WEFT_ECANCELED;
}

static bool is_run(const struct weft__sort_piece *p, bool down)
{
	struct order o = { p, down };
	size_t probe = smaller(p->n, PROBE);

	return p->s->run(p->s, p->v, probe, down) == probe &&
	       weft_for_opt(1, p->n, check_some, &o, NULL) == 0;
}

/* Inlined where size is a constant. */
WEFT_SORT_INLINE_ int reverse_some(const struct weft__sort_piece *p, struct weft_range r,
				   size_t size)
{
	char t[WEFT_SORT_WIDE];

	for (size_t i = r.begin; i < r.end; i++) {
		char *a = p->v + i * size, *b = p->v + (p->n - 1 - i) * size;
		memcpy(t, a, size);
		memcpy(a, b, size);
		memcpy(b, t, size);
	}
	return 0;
}

static int reverse_piece(struct weft_range *r, void *arg)
{
	const struct weft__sort_piece *p = arg;

	switch (p->s->type.size) {
	case 4:
		return reverse_some(p, *r, 4);
	case 8:
		return reverse_some(p, *r, 8);
	default:
		return reverse_some(p, *r, p->s->type.size);
	}
}

/* --- the whole ------------------------------------------------------------ */

static unsigned log2_of(size_t n)
{
	return 63 - (unsigned)__builtin_clzll(n);
}

int weft__sort_narrow(const struct weft_sorter *s, void *v, size_t n)
{
	struct weft__sort_piece p = { s, v, n, NULL, n, log2_of(n) };

	if (n <= few(s)) {
		s->few(s, v, n);
		return 0;
	}
	if (is_run(&p, false))
		return 0;
	if (is_run(&p, true))
		return weft_for_opt(0, n / 2, reverse_piece, &p, NULL);
	if (s->stable && !(p.spare = weft__alloc(n * s->type.size)))
		return WEFT_ENOMEM;

	char *spare = p.spare;
	int rc = sort_piece(&p);
	weft__free(spare, n * s->type.size);
	return rc;
}

int weft_sort_with(const struct weft_sorter *s, void *base, size_t n)
{
	if (n < 2)
		return 0;
	return s->type.size > WEFT_SORT_WIDE ? weft__sort_wide(s, base, n)
					     : weft__sort_narrow(s, base, n);
}
