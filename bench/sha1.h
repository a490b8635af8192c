/* SPDX-License-Identifier: MIT */
/*
 * sha1.h - SHA-1 of messages that fit one block, after FIPS 180-4
 *
 * For the random numbers of the unbalanced tree search (uts.h): a node's number
 * is the hash of its parent's and of its place among the children.  No use for
 * anything that must be safe.
 */
#ifndef BENCH_SHA1_H
#define BENCH_SHA1_H

#include <stdint.h>

enum {
	SHA1_WORDS = 5,	       /* of a hash */
	SHA1_BLOCK = 16,       /* words of a block */
	SHA1_MESSAGE_MAX = 13, /* words: the end mark and the length take the rest */
};

static inline uint32_t sha1_rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* The message schedule, kept in a ring of 16 words. */
static inline uint32_t sha1_next(uint32_t *w, int t)
{
	uint32_t x = w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15];
	return w[t & 15] = sha1_rotate(x, 1);
}

static inline void sha1_round(uint32_t *v, uint32_t f, uint32_t k, uint32_t w)
{
	uint32_t x = sha1_rotate(v[0], 5) + f + v[4] + k + w;

	v[4] = v[3];
	v[3] = v[2];
	v[2] = sha1_rotate(v[1], 30);
	v[1] = v[0];
	v[0] = x;
}

static inline void sha1_rounds(uint32_t *v, uint32_t *w)
{
	for (int t = 0; t < 16; t++)
		sha1_round(v, (v[1] & v[2]) | (~v[1] & v[3]), 0x5a827999, w[t]);
	for (int t = 16; t < 20; t++)
		sha1_round(v, (v[1] & v[2]) | (~v[1] & v[3]), 0x5a827999, sha1_next(w, t));
	for (int t = 20; t < 40; t++)
		sha1_round(v, v[1] ^ v[2] ^ v[3], 0x6ed9eba1, sha1_next(w, t));
	for (int t = 40; t < 60; t++)
		sha1_round(v, (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), 0x8f1bbcdc,
			   sha1_next(w, t));
	for (int t = 60; t < 80; t++)
		sha1_round(v, v[1] ^ v[2] ^ v[3], 0xca62c1d6, sha1_next(w, t));
}

/* `message` is n <= SHA1_MESSAGE_MAX words, as big-endian bytes would give
 * them; so is `hash`, which may be where the message was.  Never inlined, which
 * compilers would do for some callers and not for others. */
static __attribute__((noinline)) void sha1(uint32_t *hash, const uint32_t *message, int n)
{
	uint32_t w[SHA1_BLOCK] = { 0 };
	uint32_t h[SHA1_WORDS] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint32_t v[SHA1_WORDS];

	for (int i = 0; i < n; i++)
		w[i] = message[i];
	w[n] = 0x80000000;
	w[SHA1_BLOCK - 1] = (uint32_t)n * 32;
	for (int i = 0; i < SHA1_WORDS; i++)
		v[i] = h[i];
	sha1_rounds(v, w);
	for (int i = 0; i < SHA1_WORDS; i++)
		hash[i] = h[i] + v[i];
}

#endif
