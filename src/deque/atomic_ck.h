/* SPDX-License-Identifier: MIT */
/*
 * atomic_ck.h - atomic.h over ck_pr, for release builds
 *
 * On x86-64 every load is an acquire, every store a release and every locked
 * instruction a full barrier, so that the fences below are needed only to hold
 * the compiler, which the "memory" clobber of ck_pr's assembly does already.
 * On aarch64 ck_pr's accesses promise nothing and the fences are:
 *
 *	acquire   ldr; dmb ishld            loads before it, everything after it
 *	release   dmb ish; str
 *	seqcst    dmb ish; ldxr ... stxr; dmb ish
 *
 * A value travels as 64 bits; the size of the object picks the instruction, and
 * the compiler drops the other cases.
 */
#ifndef WEFT_DEQUE_ATOMIC_CK_H
#define WEFT_DEQUE_ATOMIC_CK_H

#ifndef WEFT_DEQUE_ATOMIC_H
#error "include deque/atomic.h"
#endif

#include <ck_md.h>

/* The header of another machine: see atomic.h. */
#if defined(__aarch64__) && !defined(CK_MD_RMO)
#ifdef CK_PR_H
#error "include deque/atomic.h before any header of ConcurrencyKit"
#endif
#undef CK_MD_TSO
#undef CK_MD_PSO
#define CK_MD_RMO
#endif

#include <ck_pr.h>

#define WEFT__ATOMIC_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)

WEFT__ATOMIC_INLINE void weft__fence_acquire(void)
{
	ck_pr_barrier();
}

WEFT__ATOMIC_INLINE void weft__fence_release(void)
{
	ck_pr_barrier();
}

/* Around a read-modify-write, to make it a full barrier. */
WEFT__ATOMIC_INLINE void weft__fence_rmw(void)
{
	ck_pr_barrier();
}

/* The word is below the stack pointer, in the red zone: at the pointer itself a
 * return would wait for it, and a variable in C would cost its function a stack
 * protector. */
WEFT__ATOMIC_INLINE void fence_seqcst(void)
{
	__asm__ __volatile__("lock addl $0, -4(%%rsp)" ::: "memory", "cc");
}

#elif defined(__aarch64__)

WEFT__ATOMIC_INLINE void weft__fence_acquire(void)
{
	ck_pr_fence_strict_load();
}

WEFT__ATOMIC_INLINE void weft__fence_release(void)
{
	ck_pr_fence_strict_release();
}

WEFT__ATOMIC_INLINE void weft__fence_rmw(void)
{
	ck_pr_fence_strict_memory();
}

WEFT__ATOMIC_INLINE void fence_seqcst(void)
{
	ck_pr_fence_strict_memory();
}

#else
#error "atomic_ck.h knows x86-64 and aarch64; define WEFT_ATOMIC_BUILTIN for another machine"
#endif

WEFT__ATOMIC_INLINE void cpu_relax(void)
{
	ck_pr_stall();
}

WEFT__ATOMIC_INLINE uint64_t weft__load(const void *p, size_t size)
{
	switch (size) {
	case 1:
		return ck_pr_load_8((const uint8_t *)p);
	case 4:
		return ck_pr_load_32((const uint32_t *)p);
	default:
		return ck_pr_load_64((const uint64_t *)p);
	}
}

WEFT__ATOMIC_INLINE uint64_t weft__load_acquire(const void *p, size_t size)
{
	uint64_t v = weft__load(p, size);

	weft__fence_acquire();
	return v;
}

WEFT__ATOMIC_INLINE void weft__store(void *p, size_t size, uint64_t v)
{
	/* Hides a constant that ck_pr would make an operand too wide. */
	__asm__("" : "+r"(v));

	switch (size) {
	case 1:
		ck_pr_store_8((uint8_t *)p, (uint8_t)v);
		break;
	case 4:
		ck_pr_store_32((uint32_t *)p, (uint32_t)v);
		break;
	default:
		ck_pr_store_64((uint64_t *)p, v);
	}
}

WEFT__ATOMIC_INLINE void weft__store_release(void *p, size_t size, uint64_t v)
{
	weft__fence_release();
	weft__store(p, size, v);
}

WEFT__ATOMIC_INLINE uint64_t weft__exchange(void *p, size_t size, uint64_t v)
{
	switch (size) {
	case 1:
		return ck_pr_fas_8((uint8_t *)p, (uint8_t)v);
	case 4:
		return ck_pr_fas_32((uint32_t *)p, (uint32_t)v);
	default:
		return ck_pr_fas_64((uint64_t *)p, v);
	}
}

WEFT__ATOMIC_INLINE uint64_t weft__exchange_acqrel(void *p, size_t size, uint64_t v)
{
	weft__fence_release();
	v = weft__exchange(p, size, v);
	weft__fence_acquire();
	return v;
}

WEFT__ATOMIC_INLINE uint64_t weft__exchange_seqcst(void *p, size_t size, uint64_t v)
{
	weft__fence_rmw();
	v = weft__exchange(p, size, v);
	weft__fence_rmw();
	return v;
}

WEFT__ATOMIC_INLINE bool weft__cas_8(uint8_t *p, uint8_t expected, uint8_t desired)
{
#ifdef __aarch64__
	return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
#else
	return ck_pr_cas_8(p, expected, desired);
#endif
}

WEFT__ATOMIC_INLINE bool weft__cas(void *p, size_t size, uint64_t expected, uint64_t desired)
{
	switch (size) {
	case 1:
		return weft__cas_8((uint8_t *)p, (uint8_t)expected, (uint8_t)desired);
	case 4:
		return ck_pr_cas_32((uint32_t *)p, (uint32_t)expected, (uint32_t)desired);
	default:
		return ck_pr_cas_64((uint64_t *)p, expected, desired);
	}
}

WEFT__ATOMIC_INLINE bool weft__cas_seqcst(void *p, size_t size, uint64_t expected, uint64_t desired)
{
	weft__fence_rmw();
	bool won = weft__cas(p, size, expected, desired);
	weft__fence_rmw();
	return won;
}

WEFT__ATOMIC_INLINE uint64_t weft__add(void *p, size_t size, uint64_t v)
{
	switch (size) {
	case 1:
		return ck_pr_faa_8((uint8_t *)p, (uint8_t)v);
	case 4:
		return ck_pr_faa_32((uint32_t *)p, (uint32_t)v);
	default:
		return ck_pr_faa_64((uint64_t *)p, v);
	}
}

WEFT__ATOMIC_INLINE uint64_t weft__add_seqcst(void *p, size_t size, uint64_t v)
{
	weft__fence_rmw();
	v = weft__add(p, size, v);
	weft__fence_rmw();
	return v;
}

/* ck_pr's own or and and do not tell the old value. */
WEFT__ATOMIC_INLINE uint64_t or_seqcst(uint64_t *p, uint64_t bits)
{
	for (;;) {
		uint64_t old = ck_pr_load_64(p);

		if (weft__cas_seqcst(p, sizeof(*p), old, old | bits))
			return old;
	}
}

WEFT__ATOMIC_INLINE uint64_t and_seqcst(uint64_t *p, uint64_t bits)
{
	for (;;) {
		uint64_t old = ck_pr_load_64(p);

		if (weft__cas_seqcst(p, sizeof(*p), old, old & bits))
			return old;
	}
}

/* The type of *p without const; p is not evaluated. */
#define WEFT__VALUE(p) __typeof__(((void)0, *(p)))

/* The size of *p, which must be one that we have instructions for. */
#define WEFT__SIZE(p)                                                                \
	(sizeof(struct {                                                             \
		 int one_four_or_eight                                               \
		     : (sizeof(*(p)) == 1 || sizeof(*(p)) == 4 || sizeof(*(p)) == 8) \
		       ? 1                                                           \
		       : -1;                                                         \
	 }) > 0                                                                      \
		 ? sizeof(*(p))                                                      \
		 : 0)

/* v as 64 bits, after a check that it can be assigned to *p. */
#define WEFT__BITS(p, v) ((void)sizeof(*(p) = (v)), (uint64_t)(WEFT__VALUE(p))(v))

/* A statement expression, for whoever does not want the value. */
#define WEFT__RESULT(p, bits) ({ (WEFT__VALUE(p))(bits); })

#define load_relaxed(p)	      ((WEFT__VALUE(p))weft__load((p), WEFT__SIZE(p)))
#define load_acquire(p)	      ((WEFT__VALUE(p))weft__load_acquire((p), WEFT__SIZE(p)))
#define store_relaxed(p, v)   weft__store((p), WEFT__SIZE(p), (WEFT__BITS(p, v)))
#define store_release(p, v)   weft__store_release((p), WEFT__SIZE(p), (WEFT__BITS(p, v)))
#define exchange_acqrel(p, v) \
	WEFT__RESULT(p, weft__exchange_acqrel((p), WEFT__SIZE(p), (WEFT__BITS(p, v))))
#define exchange_seqcst(p, v) \
	WEFT__RESULT(p, weft__exchange_seqcst((p), WEFT__SIZE(p), (WEFT__BITS(p, v))))
#define add_seqcst(p, v) WEFT__RESULT(p, weft__add_seqcst((p), WEFT__SIZE(p), (WEFT__BITS(p, v))))
#define cas_seqcst(p, expected, desired) \
	weft__cas_seqcst((p), WEFT__SIZE(p), (WEFT__BITS(p, expected)), (WEFT__BITS(p, desired)))

#endif
