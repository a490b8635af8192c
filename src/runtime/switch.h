/* SPDX-License-Identifier: MIT */
/*
 * switch.h - changing stacks: the routine and the frame it leaves behind
 *
 * weft__switch() pushes what a called function must preserve, leaves the stack
 * pointer in *save_sp, takes to_sp, pops the same things and returns there.  The
 * struct below is what lies at a saved stack pointer; a fiber that never ran has
 * one that weft__switch_prepare() wrote, which returns into weft__fiber_start.
 *
 * The floating-point environment (rounding, exception masks; not the status
 * flags) goes with the fiber.  A new fiber starts with the default one.
 */
#ifndef WEFT_RUNTIME_SWITCH_H
#define WEFT_RUNTIME_SWITCH_H

#include <stdint.h>

/* The context saved in *save_sp is complete when weft__switch has returned on
 * the other stack, and not before: publish it there. */
void weft__switch(void **save_sp, void *to_sp);

/* Where a new fiber begins: not callable. */
void weft__fiber_start(void);

/* First, because the flags of ConcurrencyKit define __x86_64__ everywhere. */
#if defined(__aarch64__)

struct weft__switch_frame {
	uint64_t x29;
	void (*resume)(void); /* x30 */
	uint64_t fpcr, unused;
	uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
	uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
};

#define WEFT__SWITCH_FRAME(entry, argument)                                    \
	{                                                                      \
		.resume = weft__fiber_start, .x19 = (entry), .x20 = (argument) \
	}

#elif defined(__x86_64__)

struct weft__switch_frame {
	uint32_t mxcsr;
	uint16_t x87_control;
	uint16_t unused;
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*resume)(void);
};

#define WEFT__SWITCH_FRAME(entry, argument)                                                \
	{                                                                                  \
		.mxcsr = 0x1f80, .x87_control = 0x037f, .r13 = (argument), .r12 = (entry), \
		.resume = weft__fiber_start                                                \
	}

#else
#error "weft knows how to switch stacks on x86-64 and aarch64"
#endif

/* Makes a context that calls weft__fiber_main(entry, arg) on the stack below
 * `top`, which is 16-byte aligned; returns its stack pointer. */
static inline void *weft__switch_prepare(void *top, void (*entry)(void *arg), void *arg)
{
	struct weft__switch_frame *frame = (struct weft__switch_frame *)top - 1;

	*frame = (struct weft__switch_frame)WEFT__SWITCH_FRAME((uintptr_t)entry, (uintptr_t)arg);
	return frame;
}

#endif
