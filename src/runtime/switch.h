/* SPDX-License-Identifier: MIT */
/*
 * switch.h - changing stacks: the routine and the frame it leaves behind
 *
 * weft__switch() saves what a called function must preserve on the stack of the
 * caller, leaves the stack pointer in *save_sp, takes to_sp, loads the same
 * things from there and goes on where they say.  The struct below is what lies at
 * a saved stack pointer; a fiber that never ran has one that
 * weft__switch_prepare() wrote, which goes on in weft__fiber_start.
 *
 * The floating-point environment (rounding, exception masks) goes with the
 * fiber.  A new fiber starts with the default one, whoever made it.
 *
 * The routine is not called: the wrapper puts the address to come back to into a
 * register and jumps, and the routine jumps back.  A call would push an entry on
 * the processor's stack of return predictions that belongs to the fiber that was
 * left.  Measured on Zen 5, ns for one switch:
 *
 *	                                 call, ret   call, jmp   jmp, jmp
 *	two fibers, in line                  10.8         4.3        4.6
 *	eight, each in the same yield()       5.4        18.5        5.1
 *	a loop and fibers that yield to it   18.9        18.0       12.1
 *
 * because with call and ret the prediction is right only if both ends are the
 * same place, and with call and jmp the next return of the caller is always
 * mispredicted, and all after it.  Jumping leaves the predictions as they are:
 * right for every frame that both fibers have in common.
 */
#ifndef WEFT_RUNTIME_SWITCH_H
#define WEFT_RUNTIME_SWITCH_H

#include <stdint.h>

#include "runtime/sanitize.h"

/* Where a new fiber begins: not callable. */
void weft__fiber_start(void);

/* Calls fn(arg) on the stack below `top`, which is 16-byte aligned.  A function like
 * any other: it may suspend the fiber meanwhile, and return on another thread. */
int weft__call_on(void *top, int (*fn)(void *arg), void *arg);

/* Calls fn(arg) like any function, on the caller's own stack; but whoever unwinds from
 * there comes to the fiber that was suspended at `sp`, in place of the caller. */
void weft__call_as(void *sp, void (*fn)(void *arg), void *arg);

/* First aarch64, because the flags of ConcurrencyKit define __x86_64__ anywhere. */
#if defined(__aarch64__)

struct weft__switch_frame {
	uint64_t x29;
	void (*resume)(void);
	uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
	uint64_t fpcr, unused;
};

/* What weft__fiber_start looks at; other registers begin with whatever was there. */
WEFT__OF_THREAD static inline void weft__switch_frame_init(struct weft__switch_frame *frame,
							   uintptr_t entry, uintptr_t arg)
{
	frame->x29 = 0;
	frame->fpcr = 0;
	frame->x19 = entry;
	frame->x20 = arg;
}

#ifdef __ARM_FEATURE_SVE
#define WEFT__SWITCH_SVE                                                                          \
	, "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", \
		"p14", "p15", "ffr"
#else
#define WEFT__SWITCH_SVE
#endif

/* hint 36 is bti j, and a nop where nobody checks.  d8 to d15 are saved by the
 * caller, because only the whole of a vector register can be called clobbered. */
#define WEFT__SWITCH_ASM(routine, save, to)                                                       \
	__asm__ volatile("adr x30, 1f\n\tb " routine "\n1:\thint #36"                             \
			 : "+r"(save), "+r"(to)                                                   \
			 :                                                                        \
			 : "memory", "cc", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", \
			   "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30", "v0",   \
			   "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",    \
			   "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21",  \
			   "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",         \
			   "v31" WEFT__SWITCH_SVE)
#define WEFT__SWITCH_SAVE "x0"
#define WEFT__SWITCH_TO	  "x1"

#elif defined(__x86_64__)

struct weft__switch_frame {
	uint32_t mxcsr;
	uint16_t x87_control;
	uint16_t unused;
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*resume)(void);
	char red_zone[128]; /* below its stack pointer a caller may have data */
};

/* What weft__fiber_start looks at; other registers begin with whatever was there. */
WEFT__OF_THREAD static inline void weft__switch_frame_init(struct weft__switch_frame *frame,
							   uintptr_t entry, uintptr_t arg)
{
	frame->rbp = 0;
	frame->mxcsr = 0x1f80;
	frame->x87_control = 0x037f;
	frame->r12 = entry;
	frame->r13 = arg;
}

#ifdef __AVX512F__
#define WEFT__SWITCH_AVX512                                                                      \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",       \
		"xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", \
		"k3", "k4", "k5", "k6", "k7"
#else
#define WEFT__SWITCH_AVX512
#endif

#if defined(__CET__) && (__CET__ & 1)
#define WEFT__SWITCH_TARGET "endbr64"
#else
#define WEFT__SWITCH_TARGET ""
#endif

#define WEFT__SWITCH_ASM(routine, save, to)                                                        \
	__asm__ volatile("leaq 1f(%%rip), %%rdx\n\tjmp " routine "\n1:\t" WEFT__SWITCH_TARGET      \
			 : "+r"(save), "+r"(to)                                                    \
			 :                                                                         \
			 : "memory", "cc", "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0",  \
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
			   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)",    \
			   "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",                            \
			   "st(7)" WEFT__SWITCH_AVX512)
#define WEFT__SWITCH_SAVE "rdi"
#define WEFT__SWITCH_TO	  "rsi"

#else
#error "weft knows how to switch stacks on x86-64 and aarch64"
#endif

/* Returns when somebody switches back to what is now saved in *save_sp.  That is
 * complete when the other side has begun to run: publish it there. */
static inline __attribute__((always_inline)) void weft__switch(void **save_sp, void *to_sp)
{
	register void **save __asm__(WEFT__SWITCH_SAVE) = save_sp;
	register void *to __asm__(WEFT__SWITCH_TO) = to_sp;

	WEFT__SWITCH_ASM("weft__switch_jump", save, to);
}

/* The same, never to come back: saves the stack pointer and nothing else. */
static inline __attribute__((always_inline, noreturn)) void weft__switch_last(void **save_sp,
									      void *to_sp)
{
	register void **save __asm__(WEFT__SWITCH_SAVE) = save_sp;
	register void *to __asm__(WEFT__SWITCH_TO) = to_sp;

	WEFT__SWITCH_ASM("weft__switch_jump_last", save, to);
	__builtin_trap(); /* one instruction, so that the address above is in this function */
}

/* Makes a context that calls weft__fiber_main(entry, arg, top) on the stack below
 * `top`, which is 16-byte aligned; returns its stack pointer. */
WEFT__OF_THREAD static inline void *weft__switch_prepare(void *top, void (*entry)(void *arg),
							 void *arg)
{
	struct weft__switch_frame *frame = (struct weft__switch_frame *)top - 1;

	weft__switch_frame_init(frame, (uintptr_t)entry, (uintptr_t)arg);
	frame->resume = weft__fiber_start;
	return frame;
}

#endif
