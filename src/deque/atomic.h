/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - the atomic operations of weft, named by the order they promise
 *
 *	load_relaxed(p)                   store_relaxed(p, v)
 *	load_acquire(p)                   store_release(p, v)
 *	exchange_acqrel(p, v)             the old value
 *	exchange_seqcst(p, v)             the old value; a full barrier
 *	cas_seqcst(p, expected, desired)  true when *p was `expected` and now is
 *	                                  `desired`, and then a full barrier; false
 *	                                  promises no order at all
 *	add_seqcst(p, v)                  the old value; a full barrier
 *	or_seqcst(p, v), and_seqcst(p, v) the same, on 64 bits
 *	fence_seqcst()                    a full barrier
 *	cpu_relax()                       says that the caller spins
 *
 * `p` points to a plain object of 1, 4 or 8 bytes, integer or pointer, aligned
 * by its type; every access of several threads to it goes through here.  The
 * operations are macros that keep the type of *p; each argument is evaluated
 * once.  "A full barrier" means that no access before it, atomic or not, is
 * ordered after one behind it, store-load included.
 *
 * Three back-ends, one for each thing that has to understand the code:
 *
 *   release    atomic_ck.h: ck_pr of ConcurrencyKit and its fences.
 *   sanitizer  atomic_builtin.h: the compiler's __atomic, with the order on the
 *              access.  ThreadSanitizer sees neither inline assembly nor
 *              stand-alone fences, and reports races that are none with either.
 *              Chosen by itself under a sanitizer, or by WEFT_ATOMIC_BUILTIN.
 *   model      model_atomic.h: a model checker turns every operation into a
 *              step of its scheduler.  Chosen by WEFT_MODEL.  The header is
 *              found on the include path of the model build, and defines every
 *              name of the list above, under the same rules, and futex_wait
 *              and futex_wake of futex.h.
 *
 * The code above the back-ends is the same in all three.  For that it keeps to
 * what all three can express: plain memory is published by a release on a
 * variable and an acquire of it, never by a fence; fences are only for
 * store-load pairs between atomic variables.
 *
 * What ConcurrencyKit 0.7.1 does that one would not guess, and what we do:
 *
 *   - Read-modify-writes are full barriers on x86-64 and relaxed on aarch64.
 *     Ours add the fences on aarch64.
 *   - ck_pr_fence_memory is mfence on x86-64: 20 ns, where any locked
 *     instruction orders the same accesses in 5 ns.  fence_seqcst is a locked
 *     add of nothing to a word of the stack.
 *   - Which fences are real is decided by ck_md.h, which the configure script of
 *     ConcurrencyKit writes for the machine it runs on.  A cross compiler that
 *     finds the header of the build machine takes x86-64's memory model for
 *     aarch64's and turns nearly every fence into nothing.  We correct the
 *     setting before ck_pr.h sees it, and call the fence_strict forms, which are
 *     real everywhere.
 *   - On aarch64 the 8-bit and 16-bit compare-and-swap compare the whole
 *     register with what ldxrb extended: rubbish in the upper bits of the
 *     operand makes it skip the store and report success.  Ours compares bytes
 *     with the compiler's.
 *   - ck_pr_store_64 and ck_pr_store_ptr do not assemble on x86-64 when the
 *     compiler knows that the value is 0x80000000 .. 0xffffffff.  Ours hide the
 *     value from it.
 *   - pkg-config adds -D__x86_64__, which breaks a cross build for aarch64:
 *     there, take the include path and not the flags.
 *   - ck_ec sleeps with time-outs: see eventcount.c.  The consumer of ck_ring,
 *     ck_stack's batch pop, ck_epoch_begin, ck_fifo_mpmc and ck_hp lack fences
 *     on weakly ordered machines: weft does not use them.
 */
#ifndef WEFT_DEQUE_ATOMIC_H
#define WEFT_DEQUE_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deque/sanitizer.h"

#if WEFT__SANITIZED && !defined(WEFT_ATOMIC_BUILTIN)
#define WEFT_ATOMIC_BUILTIN 1
#endif

#if defined(WEFT_MODEL)
#include "model_atomic.h"
#elif defined(WEFT_ATOMIC_BUILTIN)
#include "deque/atomic_builtin.h"
#else
#include "deque/atomic_ck.h"
#endif

#endif
