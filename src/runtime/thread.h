/* SPDX-License-Identifier: MIT */
/*
 * thread.h - threads of the library's own
 */
#ifndef WEFT_RUNTIME_THREAD_H
#define WEFT_RUNTIME_THREAD_H

#include <pthread.h>

/* Starts a thread that leaves signals to the threads of the application, but for those
 * that tell of a fault of its own.  0 or an errno. */
int weft__thread_create(pthread_t *thread, void *(*main)(void *arg), void *arg);

/* The calling thread, one of those, takes this signal too. */
void weft__thread_hear(int signal);

#endif
