/* SPDX-License-Identifier: MIT */
/* thread.c - a thread is born with the signal mask of the one that starts it */
#include "runtime/thread.h"

#include <signal.h>

int weft__thread_create(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	sigset_t blocked, old;

	sigfillset(&blocked);
	for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	int rc = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void weft__thread_hear(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
