/* SPDX-License-Identifier: MIT */
/*
 * match.h - where a byte occurs among the next 64, as a mask
 *
 * Records are short: one look at 64 bytes finds the ends of several, for the
 * price of one call of memchr().
 */
#ifndef WEFT_CLI_MATCH_H
#define WEFT_CLI_MATCH_H

#include <stdint.h>

#define WEFT__MATCH_WIDTH 64

/* Bit i is set when bytes[i] == byte, for i below 64. */
static inline uint64_t weft__match(const char *bytes, char byte);

#if defined(__SSE2__)
#include <emmintrin.h>

static inline uint64_t weft__match(const char *bytes, char byte)
{
	const __m128i wanted = _mm_set1_epi8(byte);
	uint64_t mask = 0;

	for (int i = 0; i < WEFT__MATCH_WIDTH; i += 16) {
		__m128i some = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
		unsigned bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted));
		mask |= (uint64_t)bits << i;
	}
	return mask;
}

#elif defined(__aarch64__)
#include <arm_neon.h>

/* There is no movemask: each byte keeps one bit, and three rounds of adding
 * neighbours bring eight of them together. */
static inline uint64_t weft__match(const char *bytes, char byte)
{
	static const uint8_t bit[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
	const uint8_t *from = (const uint8_t *)bytes;
	const uint8x16_t wanted = vdupq_n_u8((uint8_t)byte), weight = vld1q_u8(bit);
	uint8x16_t a = vandq_u8(vceqq_u8(vld1q_u8(from), wanted), weight);
	uint8x16_t b = vandq_u8(vceqq_u8(vld1q_u8(from + 16), wanted), weight);
	uint8x16_t c = vandq_u8(vceqq_u8(vld1q_u8(from + 32), wanted), weight);
	uint8x16_t d = vandq_u8(vceqq_u8(vld1q_u8(from + 48), wanted), weight);
	uint8x16_t sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));

	sum = vpaddq_u8(sum, sum);
	return vgetq_lane_u64(vreinterpretq_u64_u8(sum), 0);
}

#else

static inline uint64_t weft__match(const char *bytes, char byte)
{
	uint64_t mask = 0;

	for (int i = 0; i < WEFT__MATCH_WIDTH; i++)
		mask |= (uint64_t)(bytes[i] == byte) << i;
	return mask;
}

#endif

#endif
