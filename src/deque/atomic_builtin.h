/* SPDX-License-Identifier: MIT */
/*
 * atomic_builtin.h - atomic.h over the compiler's __atomic, for sanitizers
 *
 * The order sits on each access, where ThreadSanitizer looks for it.  On
 * x86-64 a seq_cst read-modify-write is a locked instruction and so a full
 * barrier by itself.  On aarch64 it is not (accesses around it may enter the
 * ldaxr-stlxr pair), hence the instruction of weft__fence_machine: it is for the
 * machine, the sanitizer does not see it and needs no more than the access.
 *
 * fence_seqcst is a locked read-modify-write of a word on the caller's own stack:
 * a full barrier for the machine, and an edge to nobody for the sanitizer, so
 * that it hides no race of an application.  What weft itself publishes never
 * rests on a fence.
 */
#ifndef WEFT_DEQUE_ATOMIC_BUILTIN_H
#define WEFT_DEQUE_ATOMIC_BUILTIN_H

#ifndef WEFT_DEQUE_ATOMIC_H
#error "include deque/atomic.h"
#endif

static inline void weft__fence_machine(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("" ::: "memory");
#elif defined(__aarch64__)
	__asm__ __volatile__("dmb ish" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/* Both let a value through, so that a fence can stand behind an expression. */
static inline uint64_t weft__fenced_value(uint64_t v)
{
	weft__fence_machine();
	return v;
}

static inline void fence_seqcst(void)
{
	uint32_t word = 0;

	(void)__atomic_exchange_n(&word, 1, __ATOMIC_SEQ_CST);
	weft__fence_machine();
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ __volatile__("" ::: "memory");
#endif
}

#define WEFT__VALUE(p) __typeof__(((void)0, *(p)))

/* Statement expressions, for whoever does not want the value. */
#define WEFT__RESULT(old) ({ old; })
#define WEFT__FENCED(p, old)                                          \
	({                                                            \
		weft__fence_machine();                                \
		(WEFT__VALUE(p)) weft__fenced_value((uint64_t)(old)); \
	})

#define load_relaxed(p)	      __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)	      __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_relaxed(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define exchange_acqrel(p, v) WEFT__RESULT(__atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define exchange_seqcst(p, v) WEFT__FENCED(p, __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))
#define add_seqcst(p, v)      WEFT__FENCED(p, __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define cas_seqcst(p, expected, desired)                                             \
	(weft__fence_machine(),                                                      \
	 weft__fenced_value(({                                                       \
		 WEFT__VALUE(p) weft__expected = (expected);                         \
		 __atomic_compare_exchange_n((p), &weft__expected, (desired), false, \
					     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);    \
	 })) != 0)

static inline uint64_t or_seqcst(uint64_t *p, uint64_t bits)
{
	weft__fence_machine();
	return weft__fenced_value(__atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST));
}

static inline uint64_t and_seqcst(uint64_t *p, uint64_t bits)
{
	weft__fence_machine();
	return weft__fenced_value(__atomic_fetch_and(p, bits, __ATOMIC_SEQ_CST));
}

#endif
