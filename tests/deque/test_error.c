/* SPDX-License-Identifier: MIT */
/*
 * test_error.c - what weft/error.h and weft/version.h promise, one promise a test
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include <weft/error.h>
#include <weft/version.h>

#include "support/assert.h"

TestSuite(error, .timeout = 60);

static const int codes[] = {
	WEFT_EPERM,  WEFT_EINTR,   WEFT_EIO,	   WEFT_EAGAIN,	   WEFT_ENOMEM,
	WEFT_EINVAL, WEFT_EDEADLK, WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_ESHUTDOWN,
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

Test(error, each_code_of_weft_has_words_of_its_own)
{
	for (size_t i = 0; i < CODES; i++) {
		cr_expect(ne(str, (char *)weft_strerror(codes[i]), "unknown error"));
		for (size_t k = 0; k < i; k++)
			cr_expect(ne(str, (char *)weft_strerror(codes[i]),
				     (char *)weft_strerror(codes[k])));
	}
}

Test(error, codes_of_weft_are_said_in_weft_s_words)
{
	cr_expect(eq(str, (char *)weft_strerror(WEFT_ECANCELED), "cancelled: it did not happen"));
}

Test(error, any_errno_has_words)
{
	cr_expect(eq(str, (char *)weft_strerror(-ENOENT), "No such file or directory"));
}

Test(error, zero_is_success)
{
	cr_expect(eq(str, (char *)weft_strerror(0), "success"));
}

Test(error, what_is_no_code_is_unknown)
{
	static const int wrong[] = { 1, ENOENT, -4000, -4095, -4096, INT_MIN, INT_MAX };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect(eq(str, (char *)weft_strerror(wrong[i]), "unknown error"), "%d",
			  wrong[i]);
}

Test(error, no_sentence_ends_in_a_full_stop)
{
	for (size_t i = 0; i < CODES; i++) {
		const char *words = weft_strerror(codes[i]);

		cr_expect(words[strlen(words) - 1] != '.');
	}
}

Test(error, the_library_is_of_the_version_of_its_headers)
{
	char numbers[32];

	snprintf(numbers, sizeof(numbers), "%d.%d.%d", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR,
		 WEFT_VERSION_PATCH);
	cr_expect(eq(str, (char *)weft_version(), WEFT_VERSION));
	cr_expect(eq(str, WEFT_VERSION, numbers));
}
