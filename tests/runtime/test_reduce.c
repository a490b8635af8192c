/* SPDX-License-Identifier: MIT */
/*
 * test_reduce.c - weft_reduce: the same bits whoever computes them
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "deque/alloc.h"
#include "deque/rng.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(reduce, .timeout = 120);

/* A reduction, what it reads, and what came of it. */
struct job {
	const struct weft_reducer *reducer;
	size_t begin, end, grain;
	void *arg, *result;
	size_t failed;
	int rc;
};

static int reduce(void *arg)
{
	struct job *j = arg;

	if (weft__worker_self())
		grow_old();
	j->rc = weft_reduce(j->begin, j->end, j->reducer, j->result, j->arg, .grain = j->grain,
			    .failed = &j->failed);
	return 0;
}

/* On so many workers; 0: outside of any task. */
static int reduce_on(unsigned workers, struct job *j)
{
	return workers ? run_on(workers, reduce, j) : reduce(j);
}

/* --- floating point ---------------------------------------------------- */

enum { NUMBERS = 200000 };

static double numbers[NUMBERS];

/* Of magnitudes so different that no two orders of adding them agree. */
static void draw_numbers(void)
{
	struct weft__rng rng;

	weft__rng_init(&rng, 1);
	for (size_t i = 0; i < NUMBERS; i++) {
		double x = (double)weft__rng_below(&rng, 1000000) - 500000;
		numbers[i] = x * (double)(UINT64_C(1) << weft__rng_below(&rng, 60));
	}
}

static void sum_init(void *acc, void *arg)
{
	(void)arg;
	*(double *)acc = 0;
}

static int sum_fold(void *acc, struct weft_range *r, void *arg)
{
	(void)arg;
	for (size_t i = r->begin; i < r->end; i++)
		*(double *)acc += numbers[i];
	return 0;
}

static void sum_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(double *)acc += *(const double *)right;
}

static const struct weft_reducer sum = { sizeof(double), sum_init, sum_fold, sum_join };

static double sum_on(unsigned workers, size_t n, size_t grain)
{
	double result = -1;
	struct job j = { &sum, 0, n, grain, NULL, &result, 0, 1 };

	cr_assert(eq(int, reduce_on(workers, &j), 0));
	cr_assert(eq(int, j.rc, 0));
	return result;
}

static void expect_equal_bits(size_t n, size_t grain)
{
	double outside = sum_on(0, n, grain);

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		double inside = sum_on(worker_counts[i], n, grain);
		cr_expect(eq(int, memcmp(&inside, &outside, sizeof inside), 0),
			  "%zu numbers, grain %zu, %u workers: %a and %a", n, grain,
			  worker_counts[i], inside, outside);
	}
}

Test(reduce, the_bits_are_equal_on_any_number_of_workers)
{
	static const size_t sizes[] = {
		0,   1,	   2,	 3,    63,    64,    65,    127,    129,
		500, 1000, 1023, 1025, 32768, 32769, 65537, 100003, NUMBERS
	};

	draw_numbers();
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		expect_equal_bits(sizes[i], 0);
	expect_equal_bits(100003, 1000);
	expect_equal_bits(1000, 1);
	expect_equal_bits(1000, SIZE_MAX);
	expect_equal_bits(1000, 5000);
}

/* The numbers are such that the test above would notice. */
Test(reduce, another_order_gives_other_bits)
{
	double forwards = 0, backwards = 0;

	draw_numbers();
	for (size_t i = 0; i < NUMBERS; i++) {
		forwards += numbers[i];
		backwards += numbers[NUMBERS - 1 - i];
	}
	cr_expect(ne(int, memcmp(&forwards, &backwards, sizeof forwards), 0));
}

/* --- the order of joining ---------------------------------------------- */

/* x -> a x + b, composed from left to right: associative, and not commutative. */
struct affine {
	uint64_t a, b;
};

static struct affine compose(struct affine f, struct affine g)
{
	return (struct affine){ f.a * g.a, g.a * f.b + g.b };
}

static struct affine item(size_t i)
{
	return (struct affine){ 2 * i + 3, i * i + 1 };
}

static void affine_init(void *acc, void *arg)
{
	(void)arg;
	*(struct affine *)acc = (struct affine){ 1, 0 };
}

static int affine_fold(void *acc, struct weft_range *r, void *arg)
{
	struct affine *f = acc;

	(void)arg;
	for (size_t i = r->begin; i < r->end; i++)
		*f = compose(*f, item(i));
	return 0;
}

static void affine_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(struct affine *)acc = compose(*(struct affine *)acc, *(const struct affine *)right);
}

static const struct weft_reducer affine = { sizeof(struct affine), affine_init, affine_fold,
					    affine_join };

static struct affine affine_serial(size_t begin, size_t end)
{
	struct affine f = { 1, 0 };

	for (size_t i = begin; i < end; i++)
		f = compose(f, item(i));
	return f;
}

static void expect_serial(struct weft_runtime *rt, size_t begin, size_t n)
{
	struct affine want = affine_serial(begin, begin + n), got = { 0, 0 };
	struct job j = { &affine, begin, begin + n, 0, NULL, &got, 0, 1 };

	if (rt)
		weft_runtime_run(rt, reduce, &j);
	else
		reduce(&j);
	cr_assert(eq(int, j.rc, 0));
	cr_assert(eq(u64, got.a, want.a), "%zu items from %zu", n, begin);
	cr_assert(eq(u64, got.b, want.b), "%zu items from %zu", n, begin);
}

Test(reduce, accumulators_are_joined_in_the_order_of_the_indices)
{
	for (size_t n = 0; n <= 1000; n++)
		expect_serial(NULL, 3, n);
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct weft_runtime *rt;
		cr_assert(eq(int, weft_runtime_create(&rt, .workers = worker_counts[i]), 0));
		for (size_t n = 0; n <= 1000; n++)
			expect_serial(rt, 3, n);
		expect_serial(rt, SIZE_MAX - 1000000, 1000000);
		weft_runtime_destroy(rt);
	}
}

/* --- accumulators ------------------------------------------------------ */

Test(reduce, an_empty_range_gives_what_init_makes)
{
	struct affine got = { 0, 0 };
	struct job j = { &affine, 5, 5, 0, NULL, &got, 0, 1 };

	cr_assert(eq(int, reduce_on(0, &j), 0));
	cr_expect(eq(int, j.rc, 0));
	cr_expect(eq(u64, got.a, 1));
	got.a = 0;
	cr_assert(eq(int, reduce_on(2, &j), 0));
	cr_expect(eq(int, j.rc, 0));
	cr_expect(eq(u64, got.a, 1));
}

/* An accumulator of any size: the count in its first and its last byte, modulo
 * 256.  `arg` is its size. */
static uint32_t crooked;

static void wide_init(void *acc, void *arg)
{
	memset(acc, 0, *(size_t *)arg);
	if ((uintptr_t)acc % alignof(max_align_t) != 0)
		add_seqcst(&crooked, 1);
}

static int wide_fold(void *acc, struct weft_range *r, void *arg)
{
	unsigned char *a = acc;

	if ((uintptr_t)acc % alignof(max_align_t) != 0)
		add_seqcst(&crooked, 1);
	a[0] += (unsigned char)(r->end - r->begin);
	a[*(size_t *)arg - 1] = a[0];
	return 0;
}

static void wide_join(void *acc, const void *right, void *arg)
{
	size_t last = *(size_t *)arg - 1;
	unsigned char *a = acc;
	const unsigned char *b = right;

	if ((uintptr_t)right % alignof(max_align_t) != 0)
		add_seqcst(&crooked, 1);
	a[last] = (unsigned char)(a[last] + b[last]);
	if (last > 0)
		a[0] = (unsigned char)(a[0] + b[0]);
}

static void expect_wide(size_t size, size_t n)
{
	struct weft_reducer wide = { size, wide_init, wide_fold, wide_join };
	unsigned char *result = aligned_alloc(64, (size + 63) / 64 * 64);
	struct job j = { &wide, 0, n, 0, &size, result, 0, 1 };

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		cr_assert(eq(int, reduce_on(worker_counts[i], &j), 0));
		cr_expect(eq(int, j.rc, 0), "%zu bytes", size);
		cr_expect(eq(u8, result[0], (unsigned char)n), "%zu bytes", size);
		cr_expect(eq(u8, result[size - 1], (unsigned char)n), "%zu bytes", size);
	}
	free(result);
}

Test(reduce, accumulators_of_any_size_are_aligned_for_any_type)
{
	int64_t before = weft__alloc_live();
	static const size_t sizes[] = { 1, 7, 16, 1000, 1024, 1025, 2048, 5000, 1 << 20 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		expect_wide(sizes[i], 1000);
	cr_expect(eq(u32, crooked, 0));
	cr_expect(eq(i64, weft__alloc_live(), before));
}

/* --- too little memory ------------------------------------------------- */

/* Each allocation of the tree fails once. */
static int reduce_sweep(void *arg)
{
	struct job *j = arg;
	int wrong = 0;

	for (uint64_t n = 1;; n++) {
		int64_t before = weft__alloc_live();
		memset(j->result, 'x', 2048);
		weft__alloc_fail_at(n);
		reduce(j);
		bool failed = weft__alloc_failures() != 0;
		weft__alloc_fail_at(0);
		wrong += j->rc != (failed ? WEFT_ENOMEM : 0);
		wrong += failed &&
			 (((char *)j->result)[0] != 'x' || ((char *)j->result)[2047] != 'x');
		wrong += weft__alloc_live() != before;
		if (!failed)
			return n > 6 ? wrong : -1; /* the tree is 6 deep */
	}
}

Test(reduce, without_memory_for_large_accumulators_it_is_enomem_and_the_result_untouched)
{
	size_t size = 2048;
	struct weft_reducer wide = { size, wide_init, wide_fold, wide_join };
	_Alignas(64) char result[2048];
	struct job j = { &wide, 0, 1000, 0, &size, result, 0, 1 };

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		cr_expect(eq(int, run_on(worker_counts[i], reduce_sweep, &j), 0));
}

/* --- errors ------------------------------------------------------------ */

struct failing {
	size_t fails[2]; /* two items that do */
	bool say_which;
};

static int code_of(size_t i)
{
	return -5000 - (int)i;
}

static int fail_fold(void *acc, struct weft_range *r, void *arg)
{
	const struct failing *f = arg;

	++*(double *)acc;
	for (size_t i = r->begin; i < r->end; i++) {
		if (i != f->fails[0] && i != f->fails[1])
			continue;
		if (f->say_which)
			r->begin = i;
		return code_of(i);
	}
	return 0;
}

static const struct weft_reducer fail = { sizeof(double), sum_init, fail_fold, sum_join };

static void expect_failure(unsigned workers, struct failing f, size_t n)
{
	double result = 1.5;
	struct job j = { &fail, 0, n, 0, &f, &result, 4711, 1 };
	size_t lowest = f.fails[0] < f.fails[1] ? f.fails[0] : f.fails[1];

	cr_assert(eq(int, reduce_on(workers, &j), 0));
	cr_expect(eq(int, j.rc, code_of(lowest)), "%zu of %zu", lowest, n);
	if (f.say_which)
		cr_expect(eq(sz, j.failed, lowest), "%zu of %zu", lowest, n);
	else
		cr_expect(le(sz, j.failed, lowest), "%zu of %zu", lowest, n);
	cr_expect(not(result < 1.5 || result > 1.5), "the result is untouched");
}

Test(reduce, the_failed_item_with_the_lowest_index_is_returned_and_the_result_untouched)
{
	static const unsigned workers[] = { 0, 1, 2, 8 };

	for (size_t i = 0; i < COUNT_OF(workers); i++) {
		expect_failure(workers[i], (struct failing){ { 999, 0 }, true }, 1000);
		expect_failure(workers[i], (struct failing){ { 500, 501 }, true }, 1000);
		expect_failure(workers[i], (struct failing){ { 777, 333 }, true }, 1000);
		expect_failure(workers[i], (struct failing){ { 777, 333 }, false }, 1000);
		expect_failure(workers[i], (struct failing){ { 70000, 99999 }, true }, 100000);
	}
}

Test(reduce, failed_is_left_alone_when_nothing_failed)
{
	double result;
	struct failing none = { { SIZE_MAX, SIZE_MAX }, true };
	struct job j = { &fail, 0, 1000, 0, &none, &result, 4711, 1 };

	cr_assert(eq(int, reduce_on(0, &j), 0));
	cr_expect(eq(int, j.rc, 0));
	cr_assert(eq(int, reduce_on(2, &j), 0));
	cr_expect(eq(int, j.rc, 0));
	cr_expect(eq(sz, j.failed, 4711));
}

/* --- arguments --------------------------------------------------------- */

static int refuse(void *arg)
{
	struct weft_reducer no_size = sum, too_large = sum, no_init = sum, no_fold = sum,
			    no_join = sum;
	struct weft_for_opts old = { .size = sizeof old - 1 };
	double result = 1.5;
	int *wrong = arg;

	no_size.size = 0;
	too_large.size = (1 << 20) + 1;
	no_init.init = NULL;
	no_fold.fold = NULL;
	no_join.join = NULL;
	*wrong += weft_reduce(2, 1, &sum, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, NULL, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &no_size, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &too_large, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &no_init, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &no_fold, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &no_join, &result, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce(0, 1, &sum, NULL, NULL) != WEFT_EINVAL;
	*wrong += weft_reduce_opt(0, 1, &sum, &result, NULL, &old) != WEFT_EINVAL;
	*wrong += result < 1.5 || result > 1.5;
	return 0;
}

Test(reduce, a_reducer_that_is_not_whole_is_einval)
{
	int wrong = 0;

	refuse(&wrong);
	cr_expect(eq(int, wrong, 0), "outside");
	cr_expect(eq(int, run_on(2, refuse, &wrong), 0));
	cr_expect(eq(int, wrong, 0), "inside");
}
