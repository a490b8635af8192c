/* SPDX-License-Identifier: MIT */
/*
 * switch_aarch64.S - changing stacks on aarch64 (AAPCS64)
 *
 *	weft__switch_jump: x0 save_sp, x1 to_sp, x30 where to come back to
 *
 * What it leaves on the stack is struct weft__switch_frame of switch.h, where the
 * reason for jumping in and out is.  Its first two words are a frame record, so a
 * chain of frame pointers leads out of a suspended fiber as well.
 *
 * FPCR is written only when it differs, because writing it drains the pipeline.
 * The vector registers are saved by the caller.  The return address is not
 * signed: it is not on the stack of a running fiber, and functions around the
 * switch sign their own.
 *
 * The tables for unwinding hold at every instruction, as on x86-64.
 */
	.macro save_pair a, b, offset
	stp	x\a, x\b, [sp, #\offset]
	.cfi_rel_offset x\a, \offset
	.cfi_rel_offset x\b, \offset + 8
	.endm

	.macro restore_pair a, b, offset
	ldp	x\a, x\b, [sp, #\offset]
	.cfi_restore x\a
	.cfi_restore x\b
	.endm

#define FRAME 112

	.text
	.globl	weft__switch_jump
	.hidden	weft__switch_jump
	.type	weft__switch_jump, %function
	.balign	64
weft__switch_jump:
	.cfi_startproc
	stp	x29, x30, [sp, #-FRAME]!
	.cfi_def_cfa_offset FRAME
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	save_pair 19, 20, 16
	save_pair 21, 22, 32
	save_pair 23, 24, 48
	save_pair 25, 26, 64
	save_pair 27, 28, 80
	mrs	x9, fpcr
	str	x9, [sp, #96]
	str	x29, [x0]
	mov	sp, x1

	.globl	weft__switch_resume
	.hidden	weft__switch_resume
weft__switch_resume:
	ldr	x10, [sp, #96]
	cmp	x9, x10
	b.ne	.Lother_fpcr
.Lsame_fpcr:
	.cfi_remember_state
	restore_pair 27, 28, 80
	restore_pair 25, 26, 64
	restore_pair 23, 24, 48
	restore_pair 21, 22, 32
	restore_pair 19, 20, 16
	ldp	x29, x16, [sp], #FRAME
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_register x30, x16
	br	x16

.Lother_fpcr:
	.cfi_restore_state
	msr	fpcr, x10
	b	.Lsame_fpcr
	.cfi_endproc
	.size	weft__switch_jump, . - weft__switch_jump

/* As above, but nobody will come back. */
	.globl	weft__switch_jump_last
	.hidden	weft__switch_jump_last
	.type	weft__switch_jump_last, %function
	.balign	16
weft__switch_jump_last:
	.cfi_startproc
	mov	x10, sp
	str	x10, [x0]
	mrs	x9, fpcr
	mov	sp, x1
	.cfi_def_cfa_offset FRAME
	.irp	i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	.cfi_rel_offset 19 + \i, 16 + 8 * \i
	.endr
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	b	weft__switch_resume
	.cfi_endproc
	.size	weft__switch_jump_last, . - weft__switch_jump_last

/* The first code of a fiber, with the stack pointer at its control block, which is
 * 16-byte aligned.  It has no caller, and says so: x29 is 0 and ends a
 * chain of frames, and an undefined return address ends an unwinding by tables. */
	.globl	weft__fiber_start
	.hidden	weft__fiber_start
	.type	weft__fiber_start, %function
	.balign	16
weft__fiber_start:
	.cfi_startproc
	.cfi_undefined x30
	hint	#34 /* bti c */
	mov	x0, x19
	mov	x1, x20
	mov	x2, sp
	bl	weft__fiber_main
	brk	#1
	.cfi_endproc
	.size	weft__fiber_start, . - weft__fiber_start

	.hidden	weft__fiber_main

/* void weft__call_as(void *sp, void (*fn)(void *arg), void *arg): an ordinary call, but
 * the tables say that its caller is what was saved at `sp`. */
	.globl	weft__call_as
	.hidden	weft__call_as
	.type	weft__call_as, %function
	.balign	16
weft__call_as:
	.cfi_startproc
	hint	#34 /* bti c */
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	str	x19, [sp, #16]
	.cfi_rel_offset x19, 16
	mov	x29, sp
	mov	x19, x0
	.cfi_remember_state
	.cfi_def_cfa x19, FRAME
	.irp	i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	.cfi_rel_offset 19 + \i, 16 + 8 * \i
	.endr
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x0, x2
	blr	x1
	.cfi_restore_state
	ldr	x19, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_def_cfa_offset 0
	.cfi_restore x19
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	weft__call_as, . - weft__call_as

/* int weft__call_on(void *top, weft_fn *fn, void *arg): an ordinary call, on the stack
 * below `top`, which is 16-byte aligned.  gdb takes a frame that lies the wrong way
 * round for a corrupt stack, unless the function is called __morestack, hence the
 * second name for the place of the call. */
	.globl	weft__call_on
	.hidden	weft__call_on
	.type	weft__call_on, %function
	.balign	16
weft__call_on:
	.cfi_startproc
	hint	#34 /* bti c */
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	sp, x0
	mov	x0, x2
	.type	__morestack, %function
__morestack:
	blr	x1
	mov	sp, x29
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], #16
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	weft__call_on, . - weft__call_on
	.size	__morestack, . - __morestack

#ifdef __ARM_FEATURE_BTI_DEFAULT
/* GNU_PROPERTY_AARCH64_FEATURE_1_AND = BTI, PAC */
	.section .note.gnu.property, "a"
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 3, 0
#endif

	.section .note.GNU-stack, "", %progbits
