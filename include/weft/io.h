/* SPDX-License-Identifier: MIT */
/*
 * weft/io.h - waiting for descriptors, and reading and writing while others run
 *
 * A task that reads from a socket with nothing in it waits; its worker goes on with
 * other tasks.  The calls are those of the system under their own names, with three
 * differences: what would wait suspends the task, errors are returned, and a cancel
 * or a deadline of a scope (weft/scope.h) ends the wait.
 *
 *	while ((n = weft_read(fd, buffer, sizeof buffer)) > 0)
 *		if ((n = weft_write_full(fd, buffer, (size_t)n)) < 0)
 *			break;
 *	weft_close(fd);
 *
 * Sockets, pipes and all else that poll() can wait for do not hold the worker, in
 * blocking mode or not; the mode is left as it is.  What is neither a socket, nor
 * nonblocking, nor known to the kernel as fit for RWF_NOWAIT (a terminal, a FIFO; a
 * pipe before Linux 6.4) may, when somebody else takes what poll() has announced:
 * weft_nonblocking() rules that out.  Regular files are always ready; reading one from
 * a slow disk holds the worker.
 *
 *   threads    everything may be called from any thread; a plain thread waits by
 *              itself, and nothing cancels it.  Any number of tasks may wait for one
 *              descriptor.
 *   memory     the caller's.  A cancelled call does not use its buffer any more.
 *   errors     counts and descriptors are 0 or more; errors are negated errnos or
 *              codes of weft/error.h.  errno means nothing.
 *   cancel     all that wait return WEFT_ECANCELED under a visible cancel, and then
 *              nothing was read, written, accepted, or connected.
 *   blocking   all suspend the task but weft_nonblocking, weft_signal_block and
 *              weft_close, which may take as long as close() does.
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <sys/select.h> /* sigset_t */
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* What to wait for, and what is ready; the values are those of poll(). */
#define WEFT_READABLE 0x001 /* something to read, a connection to accept, or the end */
#define WEFT_PRIORITY 0x002 /* out-of-band data; a change of a file in /sys or /proc */
#define WEFT_WRITABLE 0x004 /* room to write, or connected */

/* Waits until one of `events` holds: those that do, more than 0.  A descriptor that
 * has failed or was hung up is ready for everything, and the next call on it says why.
 * Readiness is a hint: somebody else may take what was there before the caller does,
 * so use the descriptor nonblocking and come back here after -EAGAIN.  All who wait
 * for the same are woken.  Descriptors that poll() can wait for are fine, a pidfd or
 * a timerfd for example; a regular file is always ready.
 * WEFT_EINVAL for no events or unknown ones, -EBADF, WEFT_ECLOSED (weft_close),
 * WEFT_ENOMEM, WEFT_EAGAIN when there is no thread to wait with. */
WEFT_API int weft_wait_fd(int fd, int events);

/* Read, write: as many bytes as the system call gave, which may be fewer than `n`.  0
 * from a read: the end.  A write to what nobody reads is -EPIPE; SIGPIPE reaches a
 * plain thread only, and of a socket nobody. */
WEFT_API ssize_t weft_read(int fd, void *buffer, size_t n);
WEFT_API ssize_t weft_write(int fd, const void *buffer, size_t n);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *pieces, int count);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *pieces, int count);

/* The same again and again until all `n` bytes are there.  Fewer come back at the end
 * of the file, or when a cancel cut it short after some bytes: the next call tells
 * which.  Any other error is returned at once; how far it came is then unknown. */
WEFT_API ssize_t weft_read_full(int fd, void *buffer, size_t n);
WEFT_API ssize_t weft_write_full(int fd, const void *buffer, size_t n);

/* recv() and send(), of sockets; MSG_WAITALL means nothing here. */
WEFT_API ssize_t weft_recv(int fd, void *buffer, size_t n, int flags);
WEFT_API ssize_t weft_send(int fd, const void *buffer, size_t n, int flags);

/* The next connection: a descriptor, nonblocking and close-on-exec.  `address` and
 * `length` as of accept(), or NULL.  Makes `fd` nonblocking, since several may accept.
 * One that was aborted before it was accepted is passed over. */
WEFT_API int weft_accept(int fd, struct sockaddr *address, socklen_t *length);

/* Connects and waits until that is done: 0, or why not.  From a task, makes `fd`
 * nonblocking.  A cancelled attempt is called off.  A Unix socket whose listener has no
 * room gives WEFT_EAGAIN. */
WEFT_API int weft_connect(int fd, const struct sockaddr *address, socklen_t length);

/* Closes the descriptor, after ending every wait of a task for it with WEFT_ECLOSED.
 * One that nobody waits for may as well be closed by close().  Not a cancellation
 * point.  The descriptor is closed whatever comes back: 0, or what close() had to
 * say. */
WEFT_API int weft_close(int fd);

/* Sets O_NONBLOCK, which is a state of the open file and so of all its descriptors, in
 * other processes too. */
WEFT_API int weft_nonblocking(int fd);

/*
 * Signals
 *
 * A signal of the process goes to any thread that does not block it, and only when all
 * do can it be waited for.  The threads of weft block all; so must the main thread, and
 * with it those that it starts: weft_signal_block at the head of main(), before any
 * thread is started.  Blocked signals are inherited by what fork() and exec() make.
 * SIGURG cannot be waited for: the workers keep it open, for reports (weft/runtime.h).
 *
 *	sigset_t set;
 *	sigemptyset(&set);
 *	sigaddset(&set, SIGTERM);
 *	weft_signal_block(&set);
 *	...
 *	int signal = weft_signal(&set, NULL);
 */
WEFT_API int weft_signal_block(const sigset_t *set);

/* Waits for a signal of the set that was sent to the process and takes it: its number.
 * *info (of <sys/signalfd.h>, or NULL) says who sent it.  Several may wait for the same
 * signal; one gets it.  -EMFILE and its like: each wait opens a descriptor. */
struct signalfd_siginfo;
WEFT_API int weft_signal(const sigset_t *set, struct signalfd_siginfo *info);

WEFT_END_DECLS

#endif
