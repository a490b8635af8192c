/* SPDX-License-Identifier: MIT */
/*
 * weft/sort.h - typed parallel sorts
 *
 *	static bool by_age(const struct person *a, const struct person *b)
 *	{
 *		return a->age < b->age;
 *	}
 *	WEFT_SORT(sort_people, struct person, by_age)
 *
 *	int rc = sort_people(people, n);
 *
 * WEFT_SORT(name, type, less) defines `static int name(type *base, size_t n)`,
 * which sorts in place and does not keep the order of equal elements;
 * WEFT_SORT_STABLE keeps it.  `less(a, b)`, a function or a macro, gets two
 * `type const *` and tells whether *a must come before *b; the compiler inlines
 * it.  `type` is anything that memcpy may copy.
 *
 * O(n log n) for every input, O(n) for one that is sorted or strictly
 * descending.  A `less` that contradicts itself gets the same elements in some
 * order: none is lost or doubled, and nothing outside of the array is touched.
 * The result depends on the array and on `less` alone, not on the number of
 * workers: also where equal elements end up.
 *
 *   threads    anywhere; in parallel inside a task, serially outside.  `less`
 *              may run on several workers at once, on elements that lie in the
 *              array or in memory of the sort.
 *   memory     some 10 KiB of stack; a stable sort of more than 32 elements
 *              also a buffer as large as the array.  Elements of more than
 *              WEFT_SORT_WIDE bytes are sorted through pointers, 8 bytes for
 *              each (stable: 16), and then moved once.
 *   errors     0.  WEFT_ENOMEM from a stable sort without its memory, and the
 *              array is as it was; WEFT_SORT does without, at worst slowly.
 *              WEFT_ESHUTDOWN as weft_both: the array is then of no use.
 *              WEFT_ECANCELED: it has the same elements, in some order.
 *   blocking   as weft_both.
 */
#ifndef WEFT_SORT_H
#define WEFT_SORT_H

#include <stdbool.h>
#include <string.h>

#include <weft/base.h>
#include <weft/fork.h>

#define WEFT_SORT(name, type, less)	   WEFT_SORT_DEFINE_(name, type, less, false)
#define WEFT_SORT_STABLE(name, type, less) WEFT_SORT_DEFINE_(name, type, less, true)

/* Bytes of an element from which on moving it costs more than following a
 * pointer to it. */
#define WEFT_SORT_WIDE 256

/*
 * The rest is private.  Here are the loops that must know the type: one pass of
 * quicksort, and the sort of a few elements.  The library puts them together,
 * on several workers (src/runtime/sort.c).
 *
 * The functions are written for elements of `size` bytes and inlined where size
 * and less are constants: memcpy becomes a move, less no call.  None has a
 * branch on the outcome of a comparison, which on random data would be
 * mispredicted every other time, at 15 cycles.
 */

WEFT_BEGIN_DECLS

/* How many elements of so many bytes `few` sorts: its two buffers take 4 KiB. */
#define WEFT_SORT_FEW(size) ((size) <= 64 ? 32 : (size) <= 2048 ? 2048 / (size) : 1)

/* What is compared, and how. */
struct weft_sort_type {
	size_t size;
	weft_less_fn *less;
	void *arg;
};

/* A type and the loops made for it; NULL for a wide one. */
struct weft_sorter {
	struct weft_sort_type type;
	bool stable;

	/* Brings the elements of v that are less than the pivot, or not more
	 * when `equal`, to the front and tells how many they are.  The pivot may
	 * lie in v; `spare` has room for n elements when the sort is stable. */
	size_t (*split)(const struct weft_sorter *s, void *v, size_t n, const void *pivot,
			bool equal, void *spare);

	/* Sorts up to WEFT_SORT_FEW(size) elements, stably. */
	void (*few)(const struct weft_sorter *s, void *v, size_t n);

	/* The middle one of three. */
	const void *(*median)(const struct weft_sorter *s, const void *a, const void *b,
			      const void *c);

	/* How many elements from the first on are, each, less than the one
	 * before (down) or not less (up). */
	size_t (*run)(const struct weft_sorter *s, const void *v, size_t n, bool down);
};

WEFT_API int weft_sort_with(const struct weft_sorter *sorter, void *base, size_t n);

#define WEFT_SORT_INLINE_ static inline __attribute__((always_inline))

WEFT_SORT_INLINE_ bool weft_sort_less(const char *a, const char *b, struct weft_sort_type t)
{
	return t.less(a, b, t.arg);
}

/* yes ? a : b, never as a branch. */
WEFT_SORT_INLINE_ const char *weft_sort_select(bool yes, const char *a, const char *b)
{
#if defined(__clang__)
	return __builtin_unpredictable(yes) ? a : b;
#elif defined(__x86_64__)
	__asm__("testb %2, %2\n\tcmovne %1, %0" : "+r"(b) : "r"(a), "q"(yes) : "cc");
	return b;
#else
	return b + ((a - b) & -(ptrdiff_t)yes);
#endif
}

/* One element, perhaps onto itself.  Of a known size memcpy becomes moves, for
 * which that is as good as any place; memmove of gcc 12 would be a call. */
WEFT_SORT_INLINE_ void weft_sort_copy(char *to, const char *from, size_t size)
{
	if (__builtin_constant_p(size))
		memcpy(to, from, size);
	else
		memmove(to, from, size);
}

/* One pass of quicksort.  pivot is outside of the array; room has space for one
 * element or, for a stable pass, for all. */
struct weft_sort_pass {
	struct weft_sort_type type;
	const char *pivot;
	bool equal;
	char *room;
};

/* Does x belong to the front? */
WEFT_SORT_INLINE_ bool weft_sort_is_low(const char *x, struct weft_sort_pass p)
{
	return p.equal ? !weft_sort_less(p.pivot, x, p.type) : weft_sort_less(x, p.pivot, p.type);
}

/*
 * The first `low` elements of v are low, those from there to x are not.  Two
 * moves an element, whatever the comparison says: the first one is kept aside,
 * which leaves a hole before x (O. Peters, L. Bergdoll: Branchless Lomuto
 * partitioning, 2023).
 */
WEFT_SORT_INLINE_ size_t weft_sort_split_plain(char *v, size_t n, struct weft_sort_pass p)
{
	size_t size = p.type.size, low = 0;
	char *last = v + (n - 1) * size;

	memcpy(p.room, v, size);
#pragma GCC unroll 4
	for (size_t i = 1; i < n; i++) {
		char *x = v + i * size;
		bool is_low = weft_sort_is_low(x, p);
		weft_sort_copy(x - size, v + low * size, size);
		weft_sort_copy(v + low * size, x, size);
		low += is_low;
	}
	weft_sort_copy(last, v + low * size, size);
	memcpy(v + low * size, p.room, size);
	return low + weft_sort_is_low(p.room, p);
}

/* Writes each element to both sides and keeps one; what is not low gathers in
 * p.room and follows at the end. */
WEFT_SORT_INLINE_ size_t weft_sort_split_stable(char *v, size_t n, struct weft_sort_pass p)
{
	size_t size = p.type.size, low = 0;

#pragma GCC unroll 4
	for (size_t i = 0; i < n; i++) {
		const char *x = v + i * size;
		bool is_low = weft_sort_is_low(x, p);
		memcpy(p.room + (i - low) * size, x, size);
		weft_sort_copy(v + low * size, x, size);
		low += is_low;
	}
	memcpy(v + low * size, p.room, (n - low) * size);
	return low;
}

/* A loop of its own for each kind of pass. */
WEFT_SORT_INLINE_ size_t weft_sort_split(char *v, size_t n, bool stable, struct weft_sort_pass p)
{
	if (p.equal) {
		p.equal = true;
		return stable ? weft_sort_split_stable(v, n, p) : weft_sort_split_plain(v, n, p);
	}
	return stable ? weft_sort_split_stable(v, n, p) : weft_sort_split_plain(v, n, p);
}

/* Sorts four elements of v into out.  Whatever less says, each is written once. */
WEFT_SORT_INLINE_ void weft_sort_four(const char *v, char *out, struct weft_sort_type t)
{
	const char *w = v + 2 * t.size;
	bool swap = weft_sort_less(v + t.size, v, t), swap_w = weft_sort_less(w + t.size, w, t);
	const char *a = v + swap * t.size, *b = v + !swap * t.size;
	const char *c = w + swap_w * t.size, *d = w + !swap_w * t.size;

	/* a <= b and c <= d */
	bool c_first = weft_sort_less(c, a, t), b_last = weft_sort_less(d, b, t);
	const char *first = weft_sort_select(c_first, c, a);
	const char *last = weft_sort_select(b_last, b, d);
	const char *x = weft_sort_select(c_first, a, weft_sort_select(b_last, c, b));
	const char *y = weft_sort_select(b_last, d, weft_sort_select(c_first, b, c));
	bool y_first = weft_sort_less(y, x, t);

	memcpy(out, first, t.size);
	memcpy(out + t.size, weft_sort_select(y_first, y, x), t.size);
	memcpy(out + 2 * t.size, weft_sort_select(y_first, x, y), t.size);
	memcpy(out + 3 * t.size, last, t.size);
}

/* As weft_sort_four, with three. */
WEFT_SORT_INLINE_ void weft_sort_three(const char *v, char *out, struct weft_sort_type t)
{
	bool swap = weft_sort_less(v + t.size, v, t);
	const char *a = v + swap * t.size, *b = v + !swap * t.size, *c = v + 2 * t.size;
	bool c_first = weft_sort_less(c, a, t);
	bool b_last = weft_sort_less(c, b, t) | c_first;

	memcpy(out, weft_sort_select(c_first, c, a), t.size);
	memcpy(out + t.size, weft_sort_select(c_first, a, weft_sort_select(b_last, c, b)), t.size);
	memcpy(out + 2 * t.size, weft_sort_select(b_last, b, c), t.size);
}

/* n <= 4 */
WEFT_SORT_INLINE_ void weft_sort_leaf(const char *v, size_t n, char *out, struct weft_sort_type t)
{
	if (n == 4) {
		weft_sort_four(v, out, t);
	} else if (n == 3) {
		weft_sort_three(v, out, t);
	} else if (n == 2) {
		bool swap = weft_sort_less(v + t.size, v, t);
		memcpy(out, v + swap * t.size, t.size);
		memcpy(out + t.size, v + !swap * t.size, t.size);
	} else if (n == 1) {
		memcpy(out, v, t.size);
	}
}

/*
 * Merges the sorted halves of v, n / 2 and n - n / 2 elements, into out, from
 * both ends to the middle: two chains of comparisons side by side, and no look
 * for the end of a half, since n / 2 steps cannot leave one (L. Bergdoll, O.
 * Peters: driftsort, 2024).  When the ends do not meet, less contradicts itself,
 * and out gets v as it is.
 */
WEFT_SORT_INLINE_ void weft_sort_merge(const char *v, size_t n, char *out, struct weft_sort_type t)
{
	size_t half = n / 2;
	const char *left = v, *right = v + half * t.size;
	const char *left_end = right - t.size, *right_end = v + (n - 1) * t.size;
	char *front = out, *back = out + (n - 1) * t.size;

	for (size_t i = 0; i < half; i++) {
		bool is_right = weft_sort_less(right, left, t);
		memcpy(front, weft_sort_select(is_right, right, left), t.size);
		right += is_right * t.size;
		left += !is_right * t.size;
		front += t.size;

		bool is_left = weft_sort_less(right_end, left_end, t);
		memcpy(back, weft_sort_select(is_left, left_end, right_end), t.size);
		left_end -= is_left * t.size;
		right_end -= !is_left * t.size;
		back -= t.size;
	}
	if (n % 2) {
		bool is_left = left <= left_end;
		memcpy(front, is_left ? left : right, t.size);
		left += is_left * t.size;
		right += !is_left * t.size;
	}
	if (WEFT_UNLIKELY(left != left_end + t.size || right != right_end + t.size))
		memcpy(out, v, n * t.size);
}

/* n <= 8.  `spare` has room for n. */
WEFT_SORT_INLINE_ void weft_sort_eight(const char *v, size_t n, char *out, char *spare,
				       struct weft_sort_type t)
{
	size_t half = n / 2;

	weft_sort_leaf(v, half, spare, t);
	weft_sort_leaf(v + half * t.size, n - half, spare + half * t.size, t);
	weft_sort_merge(spare, n, out, t);
}

/* A small merge sort.  `a` and `b` have room for n. */
WEFT_SORT_INLINE_ void weft_sort_few(char *v, size_t n, char *a, char *b, struct weft_sort_type t)
{
	size_t parts = n > 16 ? 4 : n > 8 ? 2 : 1, half = n / 2 * t.size;

	if (n < 2)
		return;
	for (size_t i = 0; i < parts; i++) {
		size_t begin = i * n / parts, end = (i + 1) * n / parts;
		weft_sort_eight(v + begin * t.size, end - begin, a + begin * t.size, b, t);
	}
	if (parts == 4) {
		weft_sort_merge(a, n / 2, b, t);
		weft_sort_merge(a + half, n - n / 2, b + half, t);
		weft_sort_merge(b, n, v, t);
	} else if (parts == 2) {
		weft_sort_merge(a, n, v, t);
	} else {
		memcpy(v, a, n * t.size);
	}
}

WEFT_SORT_INLINE_ const char *weft_sort_median(const char *a, const char *b, const char *c,
					       struct weft_sort_type t)
{
	bool a_b = weft_sort_less(a, b, t), a_c = weft_sort_less(a, c, t);
	bool b_c = weft_sort_less(b, c, t);

	return weft_sort_select(a_b != a_c, a, weft_sort_select(a_b != b_c, c, b));
}

WEFT_SORT_INLINE_ size_t weft_sort_run(const char *v, size_t n, bool down, struct weft_sort_type t)
{
	size_t i = 1;

	while (i < n && weft_sort_less(v + i * t.size, v + (i - 1) * t.size, t) == down)
		i++;
	return i;
}

WEFT_END_DECLS

#define WEFT_SORT_LOOP_(type, loop) (sizeof(type) <= WEFT_SORT_WIDE ? loop : NULL)

#define WEFT_SORT_DEFINE_(name, type, less, stable)                                                \
	static inline bool name##_less_(const void *a, const void *b, void *arg)                   \
	{                                                                                          \
		(void)arg;                                                                         \
		return less((type const *)a, (type const *)b);                                     \
	}                                                                                          \
	WEFT_SORT_LOOPS_(name, type, name##_less_, NULL, stable)                                   \
	static int name(type *base, size_t n)                                                      \
	{                                                                                          \
		static const struct weft_sorter sorter = {                                         \
			{ sizeof(type), name##_less_, NULL },  stable,                             \
			WEFT_SORT_LOOP_(type, name##_split_),  WEFT_SORT_LOOP_(type, name##_few_), \
			WEFT_SORT_LOOP_(type, name##_median_), WEFT_SORT_LOOP_(type, name##_run_), \
		};                                                                                 \
		return weft_sort_with(&sorter, base, n);                                           \
	}

/* The loops for one type.  less_ and arg_ may come from `s`. */
#define WEFT_SORT_LOOPS_(name, type, less_, arg_, stable)                                          \
	static size_t name##_split_(const struct weft_sorter *s, void *v, size_t n,                \
				    const void *pivot, bool equal, void *spare)                    \
	{                                                                                          \
		type middle;                                                                       \
		type aside;                                                                        \
		struct weft_sort_pass p = { { sizeof(type), less_, arg_ },                         \
					    (char *)&middle,                                       \
					    equal,                                                 \
					    stable ? (char *)spare : (char *)&aside };             \
		(void)s;                                                                           \
		memcpy(&middle, pivot, sizeof(type));                                              \
		return weft_sort_split((char *)v, n, stable, p);                                   \
	}                                                                                          \
	static void name##_few_(const struct weft_sorter *s, void *v, size_t n)                    \
	{                                                                                          \
		type a[WEFT_SORT_FEW(sizeof(type))];                                               \
		type b[WEFT_SORT_FEW(sizeof(type))];                                               \
		struct weft_sort_type t = { sizeof(type), less_, arg_ };                           \
		(void)s;                                                                           \
		weft_sort_few((char *)v, n, (char *)a, (char *)b, t);                              \
	}                                                                                          \
	static const void *name##_median_(const struct weft_sorter *s, const void *a,              \
					  const void *b, const void *c)                            \
	{                                                                                          \
		struct weft_sort_type t = { sizeof(type), less_, arg_ };                           \
		(void)s;                                                                           \
		return weft_sort_median((const char *)a, (const char *)b, (const char *)c, t);     \
	}                                                                                          \
	static size_t name##_run_(const struct weft_sorter *s, const void *v, size_t n, bool down) \
	{                                                                                          \
		struct weft_sort_type t = { sizeof(type), less_, arg_ };                           \
		(void)s;                                                                           \
		return weft_sort_run((const char *)v, n, down, t);                                 \
	}

#endif
