/* SPDX-License-Identifier: MIT */
/*
 * test_scan.c - weft_scan: prefix sums that agree with a loop
 */
#include <weft/weft.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "deque/alloc.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(scan, .timeout = 120);

enum { MOST = 100003 };

static const size_t sizes[] = { 0, 1, 2, 3, 10, 63, 64, 65, 127, 1000, 4099, 65536, MOST };

/* Strings of digits as numbers to base 10 modulo 2^64, with their length: joining
 * is associative and not commutative. */
struct digits {
	uint64_t value, power;
};

static uint64_t digit(size_t i)
{
	return (i * 7 + 3) % 10;
}

static void digits_init(void *acc, void *arg)
{
	(void)arg;
	*(struct digits *)acc = (struct digits){ 0, 1 };
}

static void append(struct digits *d, uint64_t value, uint64_t power)
{
	d->value = d->value * power + value;
	d->power *= power;
}

/* What a scan reads and writes. */
struct job {
	size_t begin, end, grain;
	bool exclusive;
	uint64_t *out; /* of index begin, ...; holds the digits when the scan begins */
	size_t fails_in_fold, fails_in_emit;
	struct digits total;
	size_t failed;
	int rc;
};

static int code_of(size_t i)
{
	return -5000 - (int)i;
}

static int digits_fold(void *acc, struct weft_range *r, void *arg)
{
	const struct job *j = arg;

	for (size_t i = r->begin; i < r->end; i++) {
		if (i == j->fails_in_fold) {
			r->begin = i;
			return code_of(i);
		}
		append(acc, j->out[i - j->begin], 10);
	}
	return 0;
}

static void digits_join(void *acc, const void *right, void *arg)
{
	const struct digits *d = right;

	(void)arg;
	append(acc, d->value, d->power);
}

/* Over the input: reads the digit, then writes the prefix in its place. */
static int digits_emit(void *acc, struct weft_range *r, void *arg)
{
	struct job *j = arg;
	struct digits *d = acc;

	for (size_t i = r->begin; i < r->end; i++) {
		uint64_t *place = &j->out[i - j->begin];
		uint64_t before = d->value;

		if (i == j->fails_in_emit) {
			r->begin = i;
			return code_of(i);
		}
		append(d, *place, 10);
		*place = j->exclusive ? before : d->value;
	}
	return 0;
}

static const struct weft_reducer digits = { sizeof(struct digits), digits_init, digits_fold,
					    digits_join };

static int scan(void *arg)
{
	struct job *j = arg;

	if (weft__worker_self())
		grow_old();
	j->rc = weft_scan(j->begin, j->end, &digits, digits_emit, &j->total, j, .grain = j->grain,
			  .failed = &j->failed);
	return 0;
}

static int scan_on(unsigned workers, struct job *j)
{
	for (size_t i = j->begin; i < j->end; i++)
		j->out[i - j->begin] = digit(i);
	return workers ? run_on(workers, scan, j) : scan(j);
}

static struct job new_job(size_t begin, size_t n)
{
	static uint64_t out[MOST];

	return (struct job){ .begin = begin,
			     .end = begin + n,
			     .out = out,
			     .fails_in_fold = SIZE_MAX,
			     .fails_in_emit = SIZE_MAX,
			     .total = { 4711, 4711 },
			     .failed = 4711,
			     .rc = 1 };
}

/* --- the result -------------------------------------------------------- */

static void expect_serial(unsigned workers, size_t begin, size_t n, size_t grain, bool exclusive)
{
	struct job j = new_job(begin, n);
	struct digits serial = { 0, 1 };

	j.grain = grain;
	j.exclusive = exclusive;
	cr_assert(eq(int, scan_on(workers, &j), 0));
	cr_assert(eq(int, j.rc, 0));
	for (size_t i = begin; i < begin + n; i++) {
		uint64_t before = serial.value;
		append(&serial, digit(i), 10);
		cr_assert(eq(u64, j.out[i - begin], exclusive ? before : serial.value),
			  "item %zu of %zu on %u", i, n, workers);
	}
	cr_assert(eq(u64, j.total.value, serial.value));
	cr_assert(eq(u64, j.total.power, serial.power));
	cr_assert(eq(sz, j.failed, 4711));
}

static void expect_all_sizes(unsigned workers, bool exclusive)
{
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		expect_serial(workers, 5, sizes[i], 0, exclusive);
	expect_serial(workers, 0, 5000, 1000, exclusive);
	expect_serial(workers, 0, 100, 1, exclusive);
	expect_serial(workers, 3, 100, SIZE_MAX, exclusive);
}

Test(scan, an_inclusive_scan_is_that_of_a_loop)
{
	expect_all_sizes(0, false);
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		expect_all_sizes(worker_counts[i], false);
}

Test(scan, an_exclusive_scan_is_that_of_a_loop)
{
	expect_all_sizes(0, true);
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		expect_all_sizes(worker_counts[i], true);
}

/* --- floating point ---------------------------------------------------- */

static double in[MOST], out[2][MOST];

static void sum_init(void *acc, void *arg)
{
	(void)arg;
	*(double *)acc = 0;
}

static int sum_fold(void *acc, struct weft_range *r, void *arg)
{
	(void)arg;
	for (size_t i = r->begin; i < r->end; i++)
		*(double *)acc += in[i];
	return 0;
}

static void sum_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(double *)acc += *(const double *)right;
}

static int sum_emit(void *acc, struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		((double *)arg)[i] = *(double *)acc += in[i];
	return 0;
}

static const struct weft_reducer sum = { sizeof(double), sum_init, sum_fold, sum_join };

static int sum_all(void *arg)
{
	if (weft__worker_self())
		grow_old();
	return weft_scan(0, MOST, &sum, sum_emit, NULL, arg);
}

Test(scan, the_bits_are_equal_on_any_number_of_workers)
{
	for (size_t i = 0; i < MOST; i++)
		in[i] = (double)((i * 2654435761u) % 1000003) / (double)(1 + i % 977);
	cr_assert(eq(int, sum_all(out[0]), 0));
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		cr_assert(eq(int, run_on(worker_counts[i], sum_all, out[1]), 0));
		cr_expect(eq(int, memcmp(out[0], out[1], sizeof out[0]), 0), "%u workers",
			  worker_counts[i]);
	}
}

/* --- errors ------------------------------------------------------------ */

static void expect_failure(unsigned workers, size_t in_fold, size_t in_emit)
{
	struct job j = new_job(7, 1000);
	size_t item = in_fold != SIZE_MAX ? in_fold : in_emit;

	j.fails_in_fold = in_fold;
	j.fails_in_emit = in_emit;
	cr_assert(eq(int, scan_on(workers, &j), 0));
	cr_expect(eq(int, j.rc, code_of(item)));
	cr_expect(le(sz, j.failed, item));
	cr_expect(gt(sz, j.failed + 1000 / 64 + 1, item), "the block of the item");
	cr_expect(eq(u64, j.total.value, 4711), "the total is untouched");
	if (in_fold != SIZE_MAX)
		cr_expect(eq(u64, j.out[0], digit(7)), "nothing was emitted");
}

Test(scan, an_error_of_either_pass_is_returned_with_its_block)
{
	static const unsigned workers[] = { 0, 1, 2, 8 };

	for (size_t i = 0; i < COUNT_OF(workers); i++) {
		for (size_t item = 7; item < 1007; item += 111) {
			expect_failure(workers[i], item, SIZE_MAX);
			expect_failure(workers[i], SIZE_MAX, item);
		}
	}
}

Test(scan, without_memory_it_is_enomem_and_nothing_is_emitted)
{
	struct job j = new_job(0, 1000);
	int64_t before = weft__alloc_live();

	weft__alloc_fail_at(1);
	cr_assert(eq(int, scan_on(0, &j), 0));
	weft__alloc_fail_at(0);
	cr_expect(eq(int, j.rc, WEFT_ENOMEM));
	cr_expect(eq(u64, j.total.value, 4711));
	cr_expect(eq(u64, j.out[0], digit(0)));
	cr_expect(eq(i64, weft__alloc_live(), before));
	cr_assert(eq(int, scan_on(2, &j), 0));
	cr_expect(eq(int, j.rc, 0));
	cr_expect(eq(i64, weft__alloc_live(), before));
}

static int refuse(void *arg)
{
	struct weft_reducer part = digits;
	struct weft_for_opts old = { .size = sizeof old - 1 };
	int *wrong = arg;
	struct digits total = { 4711, 4711 };

	part.join = NULL;
	*wrong += weft_scan(2, 1, &digits, digits_emit, &total, NULL) != WEFT_EINVAL;
	*wrong += weft_scan(0, 1, NULL, digits_emit, &total, NULL) != WEFT_EINVAL;
	*wrong += weft_scan(0, 1, &part, digits_emit, &total, NULL) != WEFT_EINVAL;
	*wrong += weft_scan(0, 1, &digits, NULL, &total, NULL) != WEFT_EINVAL;
	*wrong += weft_scan_opt(0, 1, &digits, digits_emit, &total, NULL, &old) != WEFT_EINVAL;
	*wrong += total.value != 4711;
	return 0;
}

Test(scan, arguments_that_make_no_sense_are_einval)
{
	int wrong = 0;

	refuse(&wrong);
	cr_expect(eq(int, wrong, 0), "outside");
	cr_expect(eq(int, run_on(2, refuse, &wrong), 0));
	cr_expect(eq(int, wrong, 0), "inside");
}
