/* SPDX-License-Identifier: MIT */
/*
 * assert.h - what cr_assert() and cr_expect() take, in a form that compiles fast
 *
 *	cr_expect(eq(int, weft_sleep(0), 0));
 *	cr_assert(rc == 0 || rc == WEFT_EAGAIN, "round %d", i);
 *
 * The names and the shape are those of <criterion/new/assert.h>, whose macros take
 * most of the time that a suite takes to compile.  cr_assert() leaves the test when
 * what it is given does not hold, cr_expect() goes on.
 */
#ifndef WEFT_TESTS_ASSERT_H
#define WEFT_TESTS_ASSERT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#undef cr_assert
#undef cr_expect
#define cr_assert(cond, ...) \
	((cond) ? cri_asserts_passed_incr() : assert_failed(true, #cond, "\n" __VA_ARGS__))
#define cr_expect(cond, ...) \
	((cond) ? cri_asserts_passed_incr() : assert_failed(false, #cond, "\n" __VA_ARGS__))
#define assert_failed(leave, cond, ...) assert_tell(leave, __FILE__, __LINE__, cond, __VA_ARGS__)

#define eq(type, a, b)			compare(eq, type, a, b)
#define ne(type, a, b)			compare(ne, type, a, b)
#define lt(type, a, b)			compare(lt, type, a, b)
#define le(type, a, b)			compare(le, type, a, b)
#define gt(type, a, b)			compare(gt, type, a, b)
#define ge(type, a, b)			compare(ge, type, a, b)
#define zero(type, a)			compare(eq, type, a, 0)
#define not(x) (!(x))

/* The left side is looked at first. */
#define compare(name, type, a, b)                    \
	({                                           \
		assert_##type left_ = (a);           \
		compare_##name##_##type(left_, (b)); \
	})

/* The values of the last comparison that did not hold. */
static char assert_values[512];

__attribute__((cold, unused, format(printf, 1, 2))) static bool assert_differ(const char *format,
									      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(assert_values, sizeof assert_values, format, args);
	va_end(args);
	return false;
}

/* `note` begins with a newline. */
__attribute__((cold, unused, format(printf, 5, 6))) static void
assert_tell(bool leave, const char *file, unsigned line, const char *cond, const char *note, ...)
{
	char noted[512], message[2048];
	va_list args;

	va_start(args, note);
	vsnprintf(noted, sizeof noted, note, args);
	va_end(args);
	snprintf(message, sizeof message, "not true: %s%s%s%s", cond,
		 *assert_values ? "\nvalues: " : "", assert_values, noted[1] ? noted : "");
	*assert_values = '\0';
	criterion_send_assert(&(struct criterion_assert_stats){
		.message = message, .passed = false, .line = line, .file = file });
	if (leave)
		criterion_abort_test();
	criterion_continue_test();
}

#define COMPARE(name, op, type, ctype, format)                                               \
	__attribute__((unused)) static inline bool compare_##name##_##type(ctype a, ctype b) \
	{                                                                                    \
		return a op b || assert_differ(format " " #op " " format, a, b);             \
	}

#define COMPARES(type, ctype, format)        \
	typedef ctype assert_##type;         \
	COMPARE(eq, ==, type, ctype, format) \
	COMPARE(ne, !=, type, ctype, format) \
	COMPARE(lt, <, type, ctype, format)  \
	COMPARE(le, <=, type, ctype, format) \
	COMPARE(gt, >, type, ctype, format)  \
	COMPARE(ge, >=, type, ctype, format)

COMPARES(chr, char, "'%c'")
COMPARES(int, int, "%d")
COMPARES(uint, unsigned, "%u")
COMPARES(long, long, "%ld")
COMPARES(sz, size_t, "%zu")
COMPARES(u8, uint8_t, "%u")
COMPARES(u16, uint16_t, "%u")
COMPARES(u32, uint32_t, "%u")
COMPARES(u64, unsigned long, "%lu")
COMPARES(i64, long, "%ld")
COMPARES(dbl, double, "%.17g")
COMPARES(ldbl, long double, "%.21Lg")
COMPARES(ptr, const volatile void *, "%p")

typedef const char *assert_str;

static inline bool compare_eq_str(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || assert_differ("\"%s\" == \"%s\"", a, b);
}

static inline bool compare_ne_str(const char *a, const char *b)
{
	return strcmp(a, b) != 0 || assert_differ("\"%s\" != \"%s\"", a, b);
}

#endif
