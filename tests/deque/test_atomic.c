/* SPDX-License-Identifier: MIT */
/*
 * test_atomic.c - what deque/atomic.h promises of values; orders are for the
 * model checker and aarch64_barriers.sh
 */
#include "deque/atomic.h"
#include "support/assert.h"

#include <criterion/criterion.h>

TestSuite(atomic, .timeout = 60);

/* Criterion reads the first word of what it is given; operations are macros that
 * begin with a parenthesis. */
static bool holds(bool x)
{
	return x;
}

/* Every operation on a type, between two values of it. */
#define TEST_TYPE(name, type, low, high)                                                       \
	Test(atomic, name)                                                                     \
	{                                                                                      \
		type around[3] = { low, low, low };                                            \
		type *v = &around[1];                                                          \
                                                                                               \
		store_relaxed(v, high);                                                        \
		cr_expect(holds(load_relaxed(v) == (high)));                                   \
		store_release(v, low);                                                         \
		cr_expect(holds(load_acquire(v) == (low)));                                    \
		cr_expect(holds(exchange_acqrel(v, high) == (low)));                           \
		cr_expect(holds(exchange_seqcst(v, low) == (high)));                           \
		cr_expect(holds(!cas_seqcst(v, high, high)));                                  \
		cr_expect(holds(*v == (low)));                                                 \
		cr_expect(holds(cas_seqcst(v, low, high)));                                    \
		cr_expect(holds(*v == (high)));                                                \
		cr_expect(holds(around[0] == (low) && around[2] == (low)), "neighbours stay"); \
	}

static int thing;

TEST_TYPE(works_on_uint8, uint8_t, 1, 0xff)
TEST_TYPE(works_on_bool, bool, false, true)
TEST_TYPE(works_on_uint32, uint32_t, 1, UINT32_MAX)
TEST_TYPE(works_on_int32, int32_t, INT32_MIN, -1)
TEST_TYPE(works_on_int64, int64_t, INT64_MIN, -1)
TEST_TYPE(works_on_uint64, uint64_t, 1, UINT64_MAX)
TEST_TYPE(works_on_size, size_t, 0, SIZE_MAX)
TEST_TYPE(works_on_pointers, int *, NULL, &thing)

/* Constants of this range make ck_pr emit what no assembler takes. */
TEST_TYPE(takes_constants_over_31_bits, uint64_t, 0x80000000u, 0xffffffffu)

Test(atomic, add_returns_the_old_value_and_wraps)
{
	uint8_t byte = 255;
	uint32_t word = UINT32_MAX;
	int64_t wide = -1;
	uint64_t big = 5;

	cr_expect(eq(u8, add_seqcst(&byte, 2), 255));
	cr_expect(eq(u8, byte, 1));
	cr_expect(eq(u32, add_seqcst(&word, 2), UINT32_MAX));
	cr_expect(eq(u32, word, 1));
	cr_expect(eq(i64, add_seqcst(&wide, -5), -1));
	cr_expect(eq(i64, wide, -6));
	cr_expect(eq(u64, add_seqcst(&big, (uint64_t)-1), 5));
	cr_expect(eq(u64, big, 4));
}

Test(atomic, or_and_and_return_the_old_value)
{
	uint64_t bits = UINT64_C(1) << 63;

	cr_expect(eq(u64, or_seqcst(&bits, 3), UINT64_C(1) << 63));
	cr_expect(eq(u64, and_seqcst(&bits, 2), (UINT64_C(1) << 63) | 3));
	cr_expect(eq(u64, bits, 2));
}

/* A comparison of more than the byte would see the neighbours or rubbish. */
Test(atomic, a_byte_is_compared_as_a_byte)
{
	uint8_t byte = 0x80;

	for (int rubbish = 0; rubbish < 0x10000; rubbish += 0x100) {
		cr_assert(holds(
			cas_seqcst(&byte, (uint8_t)(rubbish | 0x80), (uint8_t)(rubbish | 0x7f))));
		cr_assert(eq(u8, byte, 0x7f));
		byte = 0x80;
	}
}

Test(atomic, arguments_are_evaluated_once)
{
	uint64_t v[4] = { 0 }, *p = v;
	uint64_t n = 0;

	store_relaxed(p++, ++n);
	store_release(p++, ++n);
	(void)exchange_seqcst(p++, ++n);
	(void)add_seqcst(p++, ++n);
	cr_expect(eq(ptr, p, v + 4));
	for (uint64_t i = 0; i < 4; i++)
		cr_expect(eq(u64, v[i], i + 1));
	p = v;
	(void)cas_seqcst(p++, 1, ++n);
	cr_expect(eq(ptr, p, v + 1));
	cr_expect(eq(u64, v[0], 5));
}

Test(atomic, a_load_has_the_type_of_the_object_without_const)
{
	const int64_t number = -3;
	int *const pointer = &thing;

	cr_expect(_Generic(load_relaxed(&number), int64_t : 1, default : 0));
	cr_expect(_Generic(load_acquire(&pointer), int * : 1, default : 0));
	cr_expect(eq(i64, load_acquire(&number), -3));
}

Test(atomic, operations_nest)
{
	int64_t a = 4, b = 0;

	store_release(&b, exchange_seqcst(&a, add_seqcst(&a, 1)));
	cr_expect(eq(i64, a, 4));
	cr_expect(eq(i64, b, 5));
}

Test(atomic, fence_and_relax_leave_memory_alone)
{
	uint64_t a[2] = { 1, 2 };

	fence_seqcst();
	cpu_relax();
	cr_expect(a[0] == 1 && a[1] == 2);
}
