/* SPDX-License-Identifier: MIT */
/*
 * signal.c - waiting for signals
 *
 * A signalfd that lives as long as one wait.  What it reads is pending for the process
 * or for the thread that reads; the threads of weft are sent nothing of their own, so
 * it does not matter which one that is.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>

#include "deque/sanitizer.h"

int weft_signal_block(const sigset_t *set)
{
	return set ? -pthread_sigmask(SIG_BLOCK, set, NULL) : WEFT_EINVAL;
}

__attribute__((noinline)) WEFT__OF_THREAD static int open_now(const sigset_t *set)
{
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int weft_signal(const sigset_t *set, struct signalfd_siginfo *info)
{
	struct signalfd_siginfo local;

	if (!set)
		return WEFT_EINVAL;
	if (!info)
		info = &local;
	int rc = weft_check(); /* before there is a descriptor (CO-3) */
	if (rc != 0)
		return rc;
	int fd = open_now(set);
	if (fd < 0)
		return fd;
	ssize_t n = weft_read(fd, info, sizeof *info);
	weft_close(fd);
	return n < 0 ? (int)n : (int)info->ssi_signo;
}
