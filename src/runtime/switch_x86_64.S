/* SPDX-License-Identifier: MIT */
/*
 * switch_x86_64.S - changing stacks on x86-64 (System V ABI)
 *
 *	void weft__switch(void **save_sp [rdi], void *to_sp [rsi]);
 *
 * What lies at a saved stack pointer is struct weft__switch_frame of switch.h.
 */
#if defined(__CET__) && (__CET__ & 1)
#define BRANCH_TARGET endbr64
#else
#define BRANCH_TARGET
#endif

	.text

	.macro save reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro restore reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

	.globl	weft__switch
	.hidden	weft__switch
	.type	weft__switch, @function
	.balign	64
weft__switch:
	.cfi_startproc
	BRANCH_TARGET
	save	rbp
	save	rbx
	save	r12
	save	r13
	save	r14
	save	r15
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
weft__switch_resume:
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	restore	r15
	restore	r14
	restore	r13
	restore	r12
	restore	rbx
	restore	rbp
	ret
	.cfi_endproc
	.size	weft__switch, . - weft__switch

/* The first code of a fiber, entered by the ret above with the stack pointer
 * 16-byte aligned.  It has no caller, and says so: rbp, which is 0, ends a chain
 * of frames, and an undefined return address ends an unwinding by tables. */
	.globl	weft__fiber_start
	.hidden	weft__fiber_start
	.type	weft__fiber_start, @function
	.balign	16
weft__fiber_start:
	.cfi_startproc
	.cfi_undefined rip
	BRANCH_TARGET
	movq	%r12, %rdi
	movq	%r13, %rsi
	call	weft__fiber_main
	ud2
	.cfi_endproc
	.size	weft__fiber_start, . - weft__fiber_start

	.hidden	weft__fiber_main

	.section .note.GNU-stack, "", @progbits
