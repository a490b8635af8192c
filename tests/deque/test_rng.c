/* SPDX-License-Identifier: MIT */
/*
 * test_rng.c - what deque/rng.h promises, one promise a test
 */
#include "deque/rng.h"
#include "support/assert.h"

#include <criterion/criterion.h>

TestSuite(rng, .timeout = 60);

Test(rng, the_same_seed_gives_the_same_numbers)
{
	struct weft__rng a, b;

	weft__rng_init(&a, 42);
	weft__rng_init(&b, 42);
	for (int i = 0; i < 1000; i++)
		cr_assert(eq(u64, weft__rng_next(&a), weft__rng_next(&b)));
}

Test(rng, neighbouring_seeds_share_nothing)
{
	struct weft__rng a, b;
	int same_bits = 0;

	weft__rng_init(&a, 0);
	weft__rng_init(&b, 1);
	for (int i = 0; i < 1000; i++)
		same_bits += __builtin_popcountll(~(weft__rng_next(&a) ^ weft__rng_next(&b)));
	/* 32,000 +- 126; ten deviations. */
	cr_expect(same_bits > 30740 && same_bits < 33260, "%d of 64000", same_bits);
}

Test(rng, every_bit_is_even)
{
	struct weft__rng rng;
	int ones[64] = { 0 };

	weft__rng_init(&rng, 7);
	for (int i = 0; i < 10000; i++) {
		uint64_t v = weft__rng_next(&rng);

		for (int bit = 0; bit < 64; bit++)
			ones[bit] += (int)(v >> bit & 1);
	}
	/* 5,000 +- 50; ten deviations. */
	for (int bit = 0; bit < 64; bit++)
		cr_expect(ones[bit] > 4500 && ones[bit] < 5500, "bit %d: %d", bit, ones[bit]);
}

Test(rng, below_stays_below_and_reaches_all)
{
	struct weft__rng rng;
	int count[7] = { 0 };

	weft__rng_init(&rng, 3);
	for (int i = 0; i < 7000; i++) {
		uint64_t v = weft__rng_below(&rng, 7);

		cr_assert(lt(u64, v, 7));
		count[v]++;
	}
	/* 1,000 +- 29; ten deviations. */
	for (int i = 0; i < 7; i++)
		cr_expect(count[i] > 700 && count[i] < 1300, "%d: %d", i, count[i]);
}

Test(rng, below_one_is_zero)
{
	struct weft__rng rng;

	weft__rng_init(&rng, 3);
	for (int i = 0; i < 100; i++)
		cr_expect(eq(u64, weft__rng_below(&rng, 1), 0));
}
