/* SPDX-License-Identifier: MIT */
/*
 * switch_x86_64.S - changing stacks on x86-64 (System V ABI)
 *
 *	weft__switch_jump: rdi save_sp, rsi to_sp, rdx where to come back to
 *
 * What it leaves on the stack is struct weft__switch_frame of switch.h, where the
 * reason for jumping in and out is.
 *
 * MXCSR is loaded always and the x87 control word only if it differs.  Measured
 * on Zen 5: stmxcsr 1.5 ns, ldmxcsr nothing on top of it, fldcw 0.3 ns; comparing
 * MXCSR as well costs 2 ns, because the value just stored must come back before
 * the comparison, and on other processors fldcw is the slow one.  A rounding mode
 * lives in both words: SSE code looks at one, long double at the other.
 *
 * The tables for unwinding hold at every instruction, and what is true before the
 * stacks are exchanged is true after, because the frame is the same.  So a
 * debugger follows a running fiber to its start, and a suspended one when given
 * its saved stack pointer and weft__switch_resume.
 *
 * Indirect branch tracking is respected (endbr64 at every target).  A shadow
 * stack is not switched: Linux gives one only to programs whose every object says
 * that it can live with it, and this one does not say so.
 */
#if defined(__CET__) && (__CET__ & 1)
#define BRANCH_TARGET endbr64
#else
#define BRANCH_TARGET
#endif

#define RED_ZONE 128

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

	.text
	.globl	weft__switch_jump
	.hidden	weft__switch_jump
	.type	weft__switch_jump, @function
	.balign	64
weft__switch_jump:
	.cfi_startproc
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rdx
	leaq	-RED_ZONE(%rsp), %rsp
	.cfi_adjust_cfa_offset RED_ZONE
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rip, 0
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
	movzwl	4(%rsp), %eax
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp

	.globl	weft__switch_resume
	.hidden	weft__switch_resume
weft__switch_resume:
	cmpw	%ax, 4(%rsp)
	jne	.Lother_x87_control
.Lsame_x87_control:
	ldmxcsr	(%rsp)
	addq	$8, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -8
	restore	r15
	restore	r14
	restore	r13
	restore	r12
	restore	rbx
	restore	rbp
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rdx
	leaq	RED_ZONE(%rsp), %rsp
	.cfi_adjust_cfa_offset -RED_ZONE
	jmp	*%rdx

.Lother_x87_control:
	.cfi_restore_state
	fldcw	4(%rsp)
	jmp	.Lsame_x87_control
	.cfi_endproc
	.size	weft__switch_jump, . - weft__switch_jump

/* As above, but nobody will come back.  The caller's frame is dead, so the control
 * word may lie in its red zone. */
	.globl	weft__switch_jump_last
	.hidden	weft__switch_jump_last
	.type	weft__switch_jump_last, @function
	.balign	16
weft__switch_jump_last:
	.cfi_startproc
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rdx
	fnstcw	-8(%rsp)
	movzwl	-8(%rsp), %eax
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	.cfi_def_cfa_offset 64 + RED_ZONE
	.cfi_rel_offset rip, 56
	.cfi_rel_offset rbp, 48
	.cfi_rel_offset rbx, 40
	.cfi_rel_offset r12, 32
	.cfi_rel_offset r13, 24
	.cfi_rel_offset r14, 16
	.cfi_rel_offset r15, 8
	jmp	weft__switch_resume
	.cfi_endproc
	.size	weft__switch_jump_last, . - weft__switch_jump_last

/* The first code of a fiber, with the stack pointer at its control block, which is
 * 16-byte aligned.  It has no caller, and says so: rbp, which is 0, ends a chain of frames, and an undefined
 * return address ends an unwinding by tables. */
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
	movq	%rsp, %rdx
	call	weft__fiber_main
	ud2
	.cfi_endproc
	.size	weft__fiber_start, . - weft__fiber_start

	.hidden	weft__fiber_main

/* void weft__call_as(void *sp, void (*fn)(void *arg), void *arg): an ordinary call, but
 * the tables say that its caller is what was saved at `sp`. */
	.globl	weft__call_as
	.hidden	weft__call_as
	.type	weft__call_as, @function
	.balign	16
weft__call_as:
	.cfi_startproc
	BRANCH_TARGET
	save	rbx
	movq	%rdi, %rbx
	.cfi_remember_state
	.cfi_def_cfa rbx, 64 + RED_ZONE
	.cfi_rel_offset rip, 56
	.cfi_rel_offset rbp, 48
	.cfi_rel_offset rbx, 40
	.cfi_rel_offset r12, 32
	.cfi_rel_offset r13, 24
	.cfi_rel_offset r14, 16
	.cfi_rel_offset r15, 8
	movq	%rdx, %rdi
	call	*%rsi
	.cfi_restore_state
	restore	rbx
	ret
	.cfi_endproc
	.size	weft__call_as, . - weft__call_as

/* int weft__call_on(void *top, weft_fn *fn, void *arg): an ordinary call, on the stack
 * below `top`, which is 16-byte aligned.  gdb takes a frame that lies the wrong way
 * round for a corrupt stack, unless the function is called __morestack, hence the
 * second name for the place of the call. */
	.globl	weft__call_on
	.hidden	weft__call_on
	.type	weft__call_on, @function
	.balign	16
weft__call_on:
	.cfi_startproc
	BRANCH_TARGET
	save	rbp
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	%rdi, %rsp
	movq	%rdx, %rdi
	.type	__morestack, @function
__morestack:
	call	*%rsi
	movq	%rbp, %rsp
	.cfi_def_cfa_register rsp
	restore	rbp
	ret
	.cfi_endproc
	.size	weft__call_on, . - weft__call_on
	.size	__morestack, . - __morestack

#if defined(__CET__) && (__CET__ & 1)
/* GNU_PROPERTY_X86_FEATURE_1_AND = IBT */
	.section .note.gnu.property, "a"
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0
#endif

	.section .note.GNU-stack, "", @progbits
