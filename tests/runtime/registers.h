/* SPDX-License-Identifier: MIT */
/*
 * registers.h - calling a function with every register set that it must preserve
 *
 * registers_around() puts in[] into the callee-saved registers, calls fn(arg),
 * and writes what it finds in them to out[].  In assembly, because a compiler
 * would keep its own values there.  The including program defines it by naming
 * REGISTERS_AROUND once.
 */
#ifndef WEFT_TESTS_REGISTERS_H
#define WEFT_TESTS_REGISTERS_H

#include <stdint.h>

/* fesetround() without libm: SSE and x87 have a mode each. */
enum rounding {
#if defined(__aarch64__)
	ROUND_NEAREST,
	ROUND_UP,
	ROUND_DOWN,
#else
	ROUND_NEAREST,
	ROUND_DOWN,
	ROUND_UP,
#endif
};

static inline void rounding_set(enum rounding mode)
{
#if defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode << 22));
#else
	uint32_t mxcsr = 0x1f80 | (uint32_t)mode << 13;
	uint16_t x87 = (uint16_t)(0x37f | (uint32_t)mode << 10);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
#endif
}

/* What both say, or -1 when they do not agree. */
static inline int rounding_get(void)
{
#if defined(__aarch64__)
	uint64_t fpcr;
	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	return (int)(fpcr >> 22 & 3);
#else
	uint32_t mxcsr;
	uint16_t x87;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
	int sse = (int)(mxcsr >> 13 & 3);
	return sse == (x87 >> 10 & 3) ? sse : -1;
#endif
}

#if defined(__aarch64__)
#define REGISTERS 19 /* x19 to x29, d8 to d15 */
#else
#define REGISTERS 6 /* rbx, rbp, r12 to r15 */
#endif

void registers_around(void (*fn)(void *arg), void *arg, const uint64_t in[REGISTERS],
		      uint64_t out[REGISTERS]);

#if defined(__aarch64__)
#define REGISTERS_AROUND                              \
	__asm__(".text\n"                             \
		".globl registers_around\n"           \
		".type registers_around, %function\n" \
		"registers_around:\n"                 \
		"hint #34\n"                          \
		"stp x29, x30, [sp, #-176]!\n"        \
		"stp x19, x20, [sp, #16]\n"           \
		"stp x21, x22, [sp, #32]\n"           \
		"stp x23, x24, [sp, #48]\n"           \
		"stp x25, x26, [sp, #64]\n"           \
		"stp x27, x28, [sp, #80]\n"           \
		"stp d8, d9, [sp, #96]\n"             \
		"stp d10, d11, [sp, #112]\n"          \
		"stp d12, d13, [sp, #128]\n"          \
		"stp d14, d15, [sp, #144]\n"          \
		"str x3, [sp, #160]\n"                \
		"mov x9, x0\n"                        \
		"mov x0, x1\n"                        \
		"ldp x19, x20, [x2]\n"                \
		"ldp x21, x22, [x2, #16]\n"           \
		"ldp x23, x24, [x2, #32]\n"           \
		"ldp x25, x26, [x2, #48]\n"           \
		"ldp x27, x28, [x2, #64]\n"           \
		"ldr x29, [x2, #80]\n"                \
		"ldp d8, d9, [x2, #88]\n"             \
		"ldp d10, d11, [x2, #104]\n"          \
		"ldp d12, d13, [x2, #120]\n"          \
		"ldp d14, d15, [x2, #136]\n"          \
		"blr x9\n"                            \
		"ldr x3, [sp, #160]\n"                \
		"stp x19, x20, [x3]\n"                \
		"stp x21, x22, [x3, #16]\n"           \
		"stp x23, x24, [x3, #32]\n"           \
		"stp x25, x26, [x3, #48]\n"           \
		"stp x27, x28, [x3, #64]\n"           \
		"str x29, [x3, #80]\n"                \
		"stp d8, d9, [x3, #88]\n"             \
		"stp d10, d11, [x3, #104]\n"          \
		"stp d12, d13, [x3, #120]\n"          \
		"stp d14, d15, [x3, #136]\n"          \
		"ldp x19, x20, [sp, #16]\n"           \
		"ldp x21, x22, [sp, #32]\n"           \
		"ldp x23, x24, [sp, #48]\n"           \
		"ldp x25, x26, [sp, #64]\n"           \
		"ldp x27, x28, [sp, #80]\n"           \
		"ldp d8, d9, [sp, #96]\n"             \
		"ldp d10, d11, [sp, #112]\n"          \
		"ldp d12, d13, [sp, #128]\n"          \
		"ldp d14, d15, [sp, #144]\n"          \
		"ldp x29, x30, [sp], #176\n"          \
		"ret\n"                               \
		".size registers_around, . - registers_around\n")
#else
#define REGISTERS_AROUND                              \
	__asm__(".text\n"                             \
		".globl registers_around\n"           \
		".type registers_around, @function\n" \
		"registers_around:\n"                 \
		"endbr64\n"                           \
		"pushq %rbx\n"                        \
		"pushq %rbp\n"                        \
		"pushq %r12\n"                        \
		"pushq %r13\n"                        \
		"pushq %r14\n"                        \
		"pushq %r15\n"                        \
		"pushq %rcx\n"                        \
		"movq %rdi, %rax\n"                   \
		"movq %rsi, %rdi\n"                   \
		"movq (%rdx), %rbx\n"                 \
		"movq 8(%rdx), %rbp\n"                \
		"movq 16(%rdx), %r12\n"               \
		"movq 24(%rdx), %r13\n"               \
		"movq 32(%rdx), %r14\n"               \
		"movq 40(%rdx), %r15\n"               \
		"call *%rax\n"                        \
		"popq %rcx\n"                         \
		"movq %rbx, (%rcx)\n"                 \
		"movq %rbp, 8(%rcx)\n"                \
		"movq %r12, 16(%rcx)\n"               \
		"movq %r13, 24(%rcx)\n"               \
		"movq %r14, 32(%rcx)\n"               \
		"movq %r15, 40(%rcx)\n"               \
		"popq %r15\n"                         \
		"popq %r14\n"                         \
		"popq %r13\n"                         \
		"popq %r12\n"                         \
		"popq %rbp\n"                         \
		"popq %rbx\n"                         \
		"ret\n"                               \
		".size registers_around, . - registers_around\n")
#endif

#endif
