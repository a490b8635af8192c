/* SPDX-License-Identifier: MIT */
/*
 * overflow.h - a fiber that overflows its stack is named before the process dies
 *
 * A handler of SIGSEGV and SIGBUS recognises a fault in the guard of the stack
 * that the faulting thread runs on, and reports the fiber, the size and the
 * setting to raise.  Every other fault is the previous handler's, as if this one
 * did not exist.
 *
 *   threads    install: any, once per process.  thread_init and thread_fini: on
 *              each thread that runs fibers, by itself.
 *   memory     an alternate signal stack for each thread that has none.
 *   errors     WEFT_ENOMEM: overflows then still end the process, unnamed.
 *   blocking   none.
 */
#ifndef WEFT_RUNTIME_OVERFLOW_H
#define WEFT_RUNTIME_OVERFLOW_H

/* Installs the handlers; later calls do nothing.  0. */
int weft__overflow_install(void);

/* Gives the calling thread a stack to run the handler on, unless it has one. */
int weft__overflow_thread_init(void);
void weft__overflow_thread_fini(void);

#endif
