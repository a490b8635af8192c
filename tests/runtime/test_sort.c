/* SPDX-License-Identifier: MIT */
/*
 * test_sort.c - what weft/sort.h promises, and the untyped weft_sort
 *
 * Most tests sort by all bytes of an element: then there is one right answer, and
 * qsort knows it.  Random choices come from fixed seeds.  Races are in
 * stress/stress_sort.c.
 */
#include <weft/sort.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "deque/alloc.h"
#include "deque/rng.h"
#include "runtime/sort.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(sort, .timeout = 100);

/* --- arrays ------------------------------------------------------------- */

enum shape {
	RANDOM,
	SORTED,
	DESCENDING,
	DESCENDING_PAIRS,
	EQUAL,
	TWO_VALUES,
	FEW_VALUES,
	ORGAN_PIPE,
	SAWTOOTH,
	NEARLY_SORTED,
	LAST_OUT_OF_PLACE,
	SHAPES,
};

static uint32_t element(enum shape shape, uint32_t i, uint32_t n, struct weft__rng *rng)
{
	uint32_t random = (uint32_t)weft__rng_next(rng);

	switch (shape) {
	case SORTED:
		return i;
	case DESCENDING:
		return n - i;
	case DESCENDING_PAIRS:
		return n - i / 2;
	case EQUAL:
		return 7;
	case TWO_VALUES:
		return random % 2;
	case FEW_VALUES:
		return random % 17;
	case ORGAN_PIPE:
		return i < n / 2 ? i : n - i;
	case SAWTOOTH:
		return i % 100;
	case NEARLY_SORTED:
		return random % 64 == 0 ? random % n : i;
	case LAST_OUT_OF_PLACE:
		return i + 1 < n ? i + 1 : 0;
	default:
		return random;
	}
}

static void fill(uint32_t *v, size_t n, enum shape shape, uint64_t seed)
{
	struct weft__rng rng;

	weft__rng_init(&rng, seed);
	for (size_t i = 0; i < n; i++)
		v[i] = element(shape, (uint32_t)i, (uint32_t)n, &rng);
}

/* Memory that ends where the array does, so that AddressSanitizer sees a step
 * over the end. */
static void *allocate(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	cr_assert(p != NULL);
	return p;
}

static void *copy_of(const void *v, size_t bytes)
{
	return memcpy(allocate(bytes), v, bytes);
}

static size_t compared; /* calls of `less` that count */

static bool less_u32(const uint32_t *a, const uint32_t *b)
{
	compared++;
	return *a < *b;
}

static bool untyped_less_u32(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_u32(a, b);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

WEFT_SORT(sort_u32, uint32_t, less_u32)
WEFT_SORT_STABLE(sort_u32_stable, uint32_t, less_u32)

static int sort_u32_untyped(uint32_t *v, size_t n)
{
	return weft_sort(v, n, sizeof(*v), untyped_less_u32, NULL);
}

typedef int sort_u32_fn(uint32_t *v, size_t n);

static sort_u32_fn *const sorts[] = { sort_u32, sort_u32_stable, sort_u32_untyped };

static void expect_sorted(sort_u32_fn *sort, const uint32_t *v, size_t n, const char *what)
{
	uint32_t *got = copy_of(v, n * sizeof(*v));
	uint32_t *want = copy_of(v, n * sizeof(*v));

	qsort(want, n, sizeof(*want), compare_u32);
	cr_expect(eq(int, sort(got, n), 0));
	cr_assert(memcmp(got, want, n * sizeof(*v)) == 0, "%s, %zu elements", what, n);
	free(got);
	free(want);
}

/* --- order --------------------------------------------------------------- */

Test(sort, every_array_of_six_small_numbers)
{
	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		for (uint32_t code = 0; code < 46656; code++) {
			uint32_t v[6];
			for (uint32_t i = 0, rest = code; i < 6; i++, rest /= 6)
				v[i] = rest % 6;
			expect_sorted(sorts[s], v, 6, "base 6");
		}
}

Test(sort, every_array_of_up_to_twelve_zeros_and_ones)
{
	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		for (uint32_t n = 0; n <= 12; n++)
			for (uint32_t bits = 0; bits < 1u << n; bits++) {
				uint32_t v[12];
				for (uint32_t i = 0; i < n; i++)
					v[i] = bits >> i & 1;
				expect_sorted(sorts[s], v, n, "bits");
			}
}

Test(sort, every_size_up_to_a_thousand_in_every_shape)
{
	uint32_t v[1000];

	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		for (enum shape shape = 0; shape < SHAPES; shape++)
			for (size_t n = 0; n <= COUNT_OF(v); n += n < 100 ? 1 : 7) {
				fill(v, n, shape, n);
				expect_sorted(sorts[s], v, n, "shape");
			}
}

Test(sort, large_arrays_in_every_shape)
{
	enum { N = 200000 };
	uint32_t *v = allocate(N * sizeof(*v));

	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		for (enum shape shape = 0; shape < SHAPES; shape++) {
			fill(v, N, shape, s);
			expect_sorted(sorts[s], v, N, "large");
		}
	free(v);
}

Test(sort, nothing_is_read_of_an_empty_array)
{
	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		cr_expect(eq(int, sorts[s](NULL, 0), 0));
}

/* --- elements of all sizes ------------------------------------------------ */

static bool less_bytes(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, *(size_t *)arg) < 0;
}

static size_t bytes_of_element;

static int compare_bytes(const void *a, const void *b)
{
	return memcmp(a, b, bytes_of_element);
}

/* Few values a byte, so that elements differ early, late, or not at all. */
static unsigned char *random_bytes(size_t bytes, uint64_t seed)
{
	unsigned char *v = allocate(bytes);
	struct weft__rng rng;

	weft__rng_init(&rng, seed);
	for (size_t i = 0; i < bytes; i++)
		v[i] = (unsigned char)weft__rng_below(&rng, 3);
	return v;
}

static void expect_bytes_sorted(int (*sort)(void *v, size_t n), size_t size, size_t n)
{
	unsigned char *got = random_bytes(n * size, n);
	unsigned char *want = copy_of(got, n * size);

	bytes_of_element = size;
	qsort(want, n, size, compare_bytes);
	cr_expect(eq(int, sort(got, n), 0));
	cr_assert(memcmp(got, want, n * size) == 0, "%zu elements of %zu bytes", n, size);
	free(got);
	free(want);
}

static int sort_bytes(void *v, size_t n)
{
	return weft_sort(v, n, bytes_of_element, less_bytes, &bytes_of_element);
}

Test(sort, untyped_elements_of_any_size)
{
	static const size_t counts[] = { 1, 2, 5, 33, 500 };

	for (size_t size = 1; size < 300; size++)
		for (size_t i = 0; i < COUNT_OF(counts); i++) {
			bytes_of_element = size;
			expect_bytes_sorted(sort_bytes, size, counts[i]);
		}
}

#define BYTES(size)                                                                         \
	struct bytes_##size {                                                               \
		unsigned char byte[size];                                                   \
	};                                                                                  \
	static bool less_##size(const struct bytes_##size *a, const struct bytes_##size *b) \
	{                                                                                   \
		return memcmp(a, b, size) < 0;                                              \
	}                                                                                   \
	WEFT_SORT(sort_##size, struct bytes_##size, less_##size)                            \
	WEFT_SORT_STABLE(sort_stable_##size, struct bytes_##size, less_##size)              \
	static int any_##size(void *v, size_t n)                                            \
	{                                                                                   \
		return sort_##size(v, n);                                                   \
	}                                                                                   \
	static int any_stable_##size(void *v, size_t n)                                     \
	{                                                                                   \
		return sort_stable_##size(v, n);                                            \
	}

#define EXPECT_BYTES(size)                                       \
	for (size_t n = 0; n < 1000; n = n * 3 / 2 + 1) {        \
		expect_bytes_sorted(any_##size, size, n);        \
		expect_bytes_sorted(any_stable_##size, size, n); \
	}

BYTES(1)
BYTES(2)
BYTES(3)
BYTES(8)
BYTES(12)
BYTES(16)
BYTES(24)
BYTES(31)
BYTES(33)
BYTES(64)
BYTES(65)
BYTES(255)
BYTES(256)
BYTES(257)
BYTES(3000)

Test(sort, typed_elements_from_one_byte_to_three_thousand){
	EXPECT_BYTES(1) EXPECT_BYTES(2) EXPECT_BYTES(3) EXPECT_BYTES(8) EXPECT_BYTES(12)
		EXPECT_BYTES(16) EXPECT_BYTES(24) EXPECT_BYTES(31) EXPECT_BYTES(33) EXPECT_BYTES(64)
			EXPECT_BYTES(65) EXPECT_BYTES(255) EXPECT_BYTES(256) EXPECT_BYTES(257)
				EXPECT_BYTES(3000)
}

/* A pointer type, and a macro for less. */
#define LESS_TEXT(a, b) (strcmp(*(a), *(b)) < 0)
WEFT_SORT(sort_texts, const char *, LESS_TEXT)

	Test(sort, pointers_by_what_they_point_to)
{
	const char *v[] = { "weft", "warp", "loom", "", "yarn", "shuttle" };

	cr_expect(eq(int, sort_texts(v, COUNT_OF(v)), 0));
	for (size_t i = 1; i < COUNT_OF(v); i++)
		cr_expect(strcmp(v[i - 1], v[i]) < 0);
}

struct aligned {
	_Alignas(128) uint32_t key;
};

static size_t misaligned;

static bool less_aligned(const struct aligned *a, const struct aligned *b)
{
	misaligned += (uintptr_t)a % _Alignof(struct aligned) != 0;
	misaligned += (uintptr_t)b % _Alignof(struct aligned) != 0;
	return a->key < b->key;
}

WEFT_SORT(sort_aligned, struct aligned, less_aligned)
WEFT_SORT_STABLE(sort_aligned_stable, struct aligned, less_aligned)

static bool untyped_less_16(const void *a, const void *b, void *arg)
{
	(void)arg;
	misaligned += (uintptr_t)a % 16 != 0;
	misaligned += (uintptr_t)b % 16 != 0;
	return *(const uint64_t *)a < *(const uint64_t *)b;
}

static bool untyped_less_aligned(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_aligned(a, b);
}

Test(sort, less_sees_aligned_elements)
{
	enum { N = 500 };
	struct aligned *v = aligned_alloc(128, N * sizeof(*v));

	cr_assert(v != NULL);
	for (int way = 0; way < 4; way++) {
		struct weft__rng rng;
		weft__rng_init(&rng, 1);
		for (size_t i = 0; i < N; i++)
			v[i].key = (uint32_t)weft__rng_next(&rng);
		if (way == 0)
			cr_expect(eq(int, sort_aligned(v, N), 0));
		else if (way == 1)
			cr_expect(eq(int, sort_aligned_stable(v, N), 0));
		else if (way == 2)
			cr_expect(eq(int, weft_sort(v, N, 128, untyped_less_aligned, NULL), 0));
		else
			cr_expect(eq(int, weft_sort(v, N, 16, untyped_less_16, NULL), 0));
		cr_expect(eq(sz, misaligned, 0), "way %d", way);
	}
	free(v);
}

/* --- stability ------------------------------------------------------------ */

struct numbered {
	uint32_t key, number;
};

static bool less_key(const struct numbered *a, const struct numbered *b)
{
	return a->key < b->key;
}

WEFT_SORT_STABLE(sort_numbered, struct numbered, less_key)

struct numbered_wide {
	struct numbered k;
	char wide[WEFT_SORT_WIDE];
};

static bool less_key_wide(const struct numbered_wide *a, const struct numbered_wide *b)
{
	return a->k.key < b->k.key;
}

WEFT_SORT_STABLE(sort_numbered_wide, struct numbered_wide, less_key_wide)

static bool in_stable_order(struct numbered a, struct numbered b)
{
	return a.key < b.key || (a.key == b.key && a.number < b.number);
}

static void expect_stable(enum shape shape, size_t n)
{
	uint32_t *keys = allocate(n * sizeof(*keys));
	struct numbered *v = allocate(n * sizeof(*v));

	fill(keys, n, shape, n);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct numbered){ keys[i] % 1000, (uint32_t)i };
	cr_expect(eq(int, sort_numbered(v, n), 0));
	for (size_t i = 1; i < n; i++)
		cr_assert(in_stable_order(v[i - 1], v[i]), "shape %d, %zu elements", shape, n);
	free(keys);
	free(v);
}

Test(sort, a_stable_sort_keeps_the_order_of_equals)
{
	for (enum shape shape = 0; shape < SHAPES; shape++) {
		for (size_t n = 0; n < 200; n++)
			expect_stable(shape, n);
		expect_stable(shape, 50000);
	}
}

Test(sort, a_stable_sort_keeps_the_order_of_wide_equals)
{
	enum { N = 300 };
	struct numbered_wide *v = allocate(N * sizeof(*v));

	for (uint32_t i = 0; i < N; i++)
		v[i].k = (struct numbered){ i * 7919 % 10, i };
	cr_expect(eq(int, sort_numbered_wide(v, N), 0));
	for (size_t i = 1; i < N; i++)
		cr_assert(in_stable_order(v[i - 1].k, v[i].k));
	free(v);
}

/* --- a less that contradicts itself --------------------------------------- */

enum lie {
	ALWAYS,
	NEVER,
	AT_RANDOM,
	IN_A_CIRCLE,
	OR_EQUAL,
	LIES,
};

static enum lie lie;
static struct weft__rng liar;

static bool less_lie(const uint32_t *a, const uint32_t *b)
{
	switch (lie) {
	case ALWAYS:
		return true;
	case NEVER:
		return false;
	case AT_RANDOM:
		return weft__rng_next(&liar) % 2;
	case IN_A_CIRCLE:
		return (*b - *a) % 3 == 1;
	default:
		return *a <= *b;
	}
}

static bool untyped_less_lie(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_lie(a, b);
}

WEFT_SORT(sort_lie, uint32_t, less_lie)
WEFT_SORT_STABLE(sort_lie_stable, uint32_t, less_lie)

static int sort_lie_untyped(uint32_t *v, size_t n)
{
	return weft_sort(v, n, sizeof(*v), untyped_less_lie, NULL);
}

struct wide_u32 {
	uint32_t key;
	char wide[WEFT_SORT_WIDE];
};

static bool less_lie_wide(const struct wide_u32 *a, const struct wide_u32 *b)
{
	return less_lie(&a->key, &b->key);
}

WEFT_SORT(sort_lie_wide, struct wide_u32, less_lie_wide)

static int sort_lie_through_pointers(uint32_t *v, size_t n)
{
	struct wide_u32 *wide = allocate(n * sizeof(*wide));

	for (size_t i = 0; i < n; i++)
		wide[i].key = v[i];
	int rc = sort_lie_wide(wide, n);
	for (size_t i = 0; i < n; i++)
		v[i] = wide[i].key;
	free(wide);
	return rc;
}

Test(sort, a_less_that_contradicts_itself_loses_no_element)
{
	static sort_u32_fn *const lied_to[] = { sort_lie, sort_lie_stable, sort_lie_untyped,
						sort_lie_through_pointers };

	weft__rng_init(&liar, 1);
	for (size_t s = 0; s < COUNT_OF(lied_to); s++)
		for (lie = 0; lie < LIES; lie++)
			for (size_t n = 0; n < 3000; n += n < 70 ? 1 : 613) {
				uint32_t *v = allocate(n * sizeof(*v));
				for (uint32_t i = 0; i < n; i++)
					v[i] = i;
				cr_expect(eq(int, lied_to[s](v, n), 0));
				qsort(v, n, sizeof(*v), compare_u32);
				for (uint32_t i = 0; i < n; i++)
					cr_assert(v[i] == i, "sort %zu, lie %d, %zu elements", s,
						  lie, n);
				free(v);
			}
}

/* --- how many comparisons -------------------------------------------------- */

static double log2_of(size_t n)
{
	double bits = 0;

	for (; n > 1; n /= 2)
		bits++;
	return bits;
}

Test(sort, an_array_in_order_is_looked_at_once)
{
	enum { N = 10000 };
	static const enum shape shapes[] = { SORTED, EQUAL, DESCENDING };
	uint32_t v[N];

	for (size_t s = 0; s < COUNT_OF(sorts); s++)
		for (size_t i = 0; i < COUNT_OF(shapes); i++) {
			fill(v, N, shapes[i], 0);
			compared = 0;
			cr_expect(eq(int, sorts[s](v, N), 0));
			cr_expect(le(sz, compared, N + 200), "shape %d", shapes[i]);
		}
}

Test(sort, random_elements_take_little_more_than_n_log_n_comparisons)
{
	enum { N = 1 << 17 };
	uint32_t *v = allocate(N * sizeof(*v));

	for (size_t s = 0; s < COUNT_OF(sorts); s++) {
		fill(v, N, RANDOM, s);
		compared = 0;
		cr_expect(eq(int, sorts[s](v, N), 0));
		cr_expect(lt(dbl, (double)compared, 1.15 * N * 17), "%.2f n log n",
			  (double)compared / N / 17);
	}
	free(v);
}

Test(sort, few_values_take_few_passes)
{
	enum { N = 100000 };
	uint32_t *v = allocate(N * sizeof(*v));

	for (size_t s = 0; s < COUNT_OF(sorts); s++) {
		fill(v, N, FEW_VALUES, s);
		compared = 0;
		cr_expect(eq(int, sorts[s](v, N), 0));
		cr_expect(lt(dbl, (double)compared, N * (log2_of(17) + 4)), "%.2f n",
			  (double)compared / N);
	}
	free(v);
}

/*
 * The adversary of M. D. McIlroy (A killer adversary for quicksort, 1999): values
 * are decided while the sort asks, so that each pivot turns out to be among the
 * least.  What it leaves behind is then an ordinary array that does the same again.
 */
static struct {
	uint32_t *value;
	uint32_t gas, next, candidate;
} foe;

static bool less_foe(const uint32_t *a, const uint32_t *b)
{
	compared++;
	if (foe.value[*a] == foe.gas && foe.value[*b] == foe.gas)
		foe.value[*a == foe.candidate ? *a : *b] = foe.next++;
	if (foe.value[*a] == foe.gas)
		foe.candidate = *a;
	else if (foe.value[*b] == foe.gas)
		foe.candidate = *b;
	return foe.value[*a] < foe.value[*b];
}

WEFT_SORT(sort_foe, uint32_t, less_foe)
WEFT_SORT_STABLE(sort_foe_stable, uint32_t, less_foe)

static bool less_foe_numbered(const struct numbered *a, const struct numbered *b)
{
	return less_foe(&a->key, &b->key);
}

WEFT_SORT_STABLE(sort_foe_numbered, struct numbered, less_foe_numbered)

/* Readies the foe for the keys 0 .. n - 1. */
static void meet_foe(uint32_t n)
{
	foe.value = allocate(n * sizeof(*foe.value));
	for (uint32_t i = 0; i < n; i++)
		foe.value[i] = n;
	foe.gas = n;
	foe.value[1] = 0; /* not in order already */
	foe.next = 1;
	foe.candidate = 0;
	compared = 0;
}

Test(sort, the_worst_case_stays_n_log_n)
{
	enum { N = 1 << 16 };
	static sort_u32_fn *const foes[] = { sort_foe, sort_foe_stable };
	uint32_t *v = allocate(N * sizeof(*v));

	for (size_t s = 0; s < COUNT_OF(foes); s++) {
		fill(v, N, SORTED, 0);
		meet_foe(N);
		cr_expect(eq(int, foes[s](v, N), 0));
		cr_expect(lt(dbl, (double)compared, 4.0 * N * 16), "%.2f n log n against the foe",
			  (double)compared / N / 16);
		compared = 0;
		expect_sorted(sorts[s], foe.value, N, "what the foe left");
		cr_expect(lt(dbl, (double)compared, 4.0 * N * 16), "%.2f n log n after the foe",
			  (double)compared / N / 16);
		free(foe.value);
	}
	free(v);
}

Test(sort, the_worst_case_keeps_the_order_of_equals)
{
	enum { N = 1 << 16 };
	struct numbered *v = allocate(N * sizeof(*v));

	for (uint32_t i = 0; i < N; i++)
		v[i] = (struct numbered){ i % (N / 2), i };
	meet_foe(N / 2);
	cr_expect(eq(int, sort_foe_numbered(v, N), 0));
	for (size_t i = 0; i < N; i++)
		v[i].key = foe.value[v[i].key];
	for (size_t i = 1; i < N; i++)
		cr_assert(in_stable_order(v[i - 1], v[i]));
	free(foe.value);
	free(v);
}

/* --- errors and memory ------------------------------------------------------ */

Test(sort, untyped_refuses_arguments_that_make_no_sense)
{
	uint32_t v[] = { 2, 1 };

	cr_expect(eq(int, weft_sort(v, 2, 4, NULL, NULL), WEFT_EINVAL));
	cr_expect(eq(int, weft_sort(v, 2, 0, untyped_less_u32, NULL), WEFT_EINVAL));
	cr_expect(eq(int, weft_sort(NULL, 2, 4, untyped_less_u32, NULL), WEFT_EINVAL));
	cr_expect(eq(u32, v[0], 2));
}

static bool less_through_arg(const void *a, const void *b, void *arg)
{
	const uint32_t *rank = arg;

	return rank[*(const uint32_t *)a] < rank[*(const uint32_t *)b];
}

Test(sort, untyped_hands_its_argument_to_less)
{
	uint32_t v[] = { 0, 1, 2 }, rank[] = { 2, 0, 1 };

	cr_expect(eq(int, weft_sort(v, 3, sizeof(*v), less_through_arg, rank), 0));
	cr_expect(eq(u32, v[0], 1));
	cr_expect(eq(u32, v[1], 2));
	cr_expect(eq(u32, v[2], 0));
}

Test(sort, a_stable_sort_without_memory_changes_nothing)
{
	uint32_t v[100], before[100];

	fill(v, 100, RANDOM, 1);
	memcpy(before, v, sizeof(v));
	weft__alloc_fail_at(1);
	cr_expect(eq(int, sort_u32_stable(v, 100), WEFT_ENOMEM));
	cr_expect(memcmp(v, before, sizeof(v)) == 0);
	cr_expect(eq(int, sort_u32_stable(v, 100), 0));
}

Test(sort, a_stable_sort_of_wide_elements_without_memory_changes_nothing)
{
	enum { N = 100 };
	struct numbered_wide *v = allocate(N * sizeof(*v));

	for (uint64_t failing = 1; failing <= 2; failing++) {
		for (uint32_t i = 0; i < N; i++)
			v[i].k = (struct numbered){ i * 7919 % 101, i };
		weft__alloc_fail_at(failing);
		cr_expect(eq(int, sort_numbered_wide(v, N), WEFT_ENOMEM));
		weft__alloc_fail_at(0);
		for (uint32_t i = 0; i < N; i++)
			cr_assert(eq(u32, v[i].k.number, i));
	}
	free(v);
}

Test(sort, few_elements_take_no_memory)
{
	uint32_t v[32];

	fill(v, 32, RANDOM, 1);
	weft__alloc_fail_from(1);
	cr_expect(eq(int, sort_u32_stable(v, 32), 0));
	weft__alloc_fail_from(0);
	for (size_t i = 1; i < 32; i++)
		cr_expect(le(u32, v[i - 1], v[i]));
}

Test(sort, wide_elements_are_sorted_without_memory)
{
	weft__alloc_fail_from(1);
	expect_bytes_sorted(any_257, 257, 700);
	expect_bytes_sorted(any_3000, 3000, 100);
	weft__alloc_fail_from(0);
}

Test(sort, all_memory_is_given_back)
{
	int64_t before = weft__alloc_live();

	for (size_t s = 0; s < COUNT_OF(sorts); s++) {
		uint32_t v[1000];
		fill(v, 1000, RANDOM, 1);
		cr_expect(eq(int, sorts[s](v, 1000), 0));
	}
	expect_bytes_sorted(any_257, 257, 700);
	expect_bytes_sorted(any_stable_257, 257, 700);
	cr_expect(eq(i64, weft__alloc_live(), before));
}

/* --- a cut in stripes --------------------------------------------------------- */

static bool untyped_less_key(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_key(a, b);
}

static size_t split_numbered(const struct weft_sorter *s, void *v, size_t n, const void *pivot,
			     bool equal, void *spare)
{
	struct numbered aside;
	struct weft_sort_pass p = { s->type, pivot, equal, s->stable ? spare : (char *)&aside };

	return weft_sort_split(v, n, s->stable, p);
}

static bool is_low(struct numbered x, struct numbered pivot, bool equal)
{
	return equal ? x.key <= pivot.key : x.key < pivot.key;
}

static size_t count_low(const struct numbered *v, size_t n, struct numbered pivot, bool equal)
{
	size_t low = 0;

	for (size_t i = 0; i < n; i++)
		low += is_low(v[i], pivot, equal);
	return low;
}

static void expect_striped(bool stable, bool equal, size_t n, uint32_t range, uint32_t at)
{
	struct weft_sorter s = { .type = { sizeof(struct numbered), untyped_less_key, NULL },
				 .stable = stable,
				 .split = split_numbered };
	struct numbered *v = allocate(n * sizeof(*v)), *spare = allocate(n * sizeof(*v));
	struct numbered pivot = { at, 0 };
	struct weft__rng rng;
	unsigned char *seen = calloc(n, 1);
	size_t low;

	weft__rng_init(&rng, n + range);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct numbered){ (uint32_t)weft__rng_below(&rng, range), (uint32_t)i };
	size_t want = count_low(v, n, pivot, equal);
	struct weft__sort_piece p = { &s, (char *)v, n, stable ? (char *)spare : NULL, n, 0 };

	cr_expect(eq(int, weft__sort_split_striped(&p, &pivot, equal, &low), 0));
	cr_assert(eq(sz, low, want));
	cr_assert(eq(sz, count_low(v, low, pivot, equal), low));
	for (size_t i = 0; i < n; i++)
		cr_assert(eq(int, seen[v[i].number]++, 0));
	for (size_t i = 1; stable && i < n; i++)
		cr_assert(i == low || v[i - 1].number < v[i].number);
	free(v);
	free(spare);
	free(seen);
}

Test(sort, a_cut_in_stripes_is_a_cut)
{
	static const size_t sizes[] = { WEFT__SORT_STRIPES, WEFT__SORT_STRIPES + 1, 1000, 20011 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		for (uint32_t at = 0; at <= 10; at++)
			for (int kind = 0; kind < 4; kind++)
				expect_striped(kind & 1, kind & 2, sizes[i], 10, at);
}

/* --- on several workers ---------------------------------------------------------- */

struct task {
	sort_u32_fn *sort;
	uint32_t *v;
	size_t n;
};

static int sort_task(void *arg)
{
	struct task *t = arg;

	grow_old();
	return t->sort(t->v, t->n);
}

static bool less_plain(const uint32_t *a, const uint32_t *b)
{
	return *a < *b;
}

static bool untyped_less_plain(const void *a, const void *b, void *arg)
{
	(void)arg;
	return less_plain(a, b);
}

WEFT_SORT(sort_plain, uint32_t, less_plain)
WEFT_SORT_STABLE(sort_plain_stable, uint32_t, less_plain)

static int sort_plain_untyped(uint32_t *v, size_t n)
{
	return weft_sort(v, n, sizeof(*v), untyped_less_plain, NULL);
}

Test(sort, tasks_sort_on_any_number_of_workers)
{
	enum { N = 300000 };
	static sort_u32_fn *const plain[] = { sort_plain, sort_plain_stable, sort_plain_untyped };
	uint32_t *v = allocate(N * sizeof(*v)), *want = allocate(N * sizeof(*v));

	for (enum shape shape = 0; shape < SHAPES; shape++) {
		fill(want, N, shape, 1);
		qsort(want, N, sizeof(*want), compare_u32);
		for (size_t s = 0; s < COUNT_OF(plain); s++)
			for (size_t w = 0; w < COUNT_OF(worker_counts); w++) {
				struct task t = { plain[s], v, N };
				fill(v, N, shape, 1);
				cr_expect(eq(int, run_on(worker_counts[w], sort_task, &t), 0));
				cr_assert(memcmp(v, want, N * sizeof(*v)) == 0,
					  "shape %d, sort %zu, %u workers", shape, s,
					  worker_counts[w]);
			}
	}
	free(v);
	free(want);
}

WEFT_SORT(sort_by_key, struct numbered, less_key)

static int sort_by_key_task(void *arg)
{
	struct numbered *v = arg;

	grow_old();
	return sort_by_key(v, 200000);
}

Test(sort, the_result_is_the_same_on_any_number_of_workers)
{
	enum { N = 200000 };
	struct numbered *v = allocate(N * sizeof(*v)), *want = allocate(N * sizeof(*v));

	for (uint32_t i = 0; i < N; i++)
		want[i] = (struct numbered){ i * 7919 % 1000, i };
	memcpy(v, want, N * sizeof(*v));
	cr_expect(eq(int, sort_by_key(want, N), 0));

	struct numbered *input = copy_of(v, N * sizeof(*v));
	for (size_t w = 0; w < COUNT_OF(worker_counts); w++) {
		memcpy(v, input, N * sizeof(*v));
		cr_expect(eq(int, run_on(worker_counts[w], sort_by_key_task, v), 0));
		cr_expect(memcmp(v, want, N * sizeof(*v)) == 0, "%u workers", worker_counts[w]);
	}
	free(input);
	free(v);
	free(want);
}
