/* SPDX-License-Identifier: MIT */
/*
 * io.c - system calls that suspend the task where they would wait
 *
 * A call is tried at once, in a way that cannot wait; only after EAGAIN does the task
 * wait for the descriptor and try again.  Trying first is right for what is ready
 * most of the time, as answers are, and loses nothing: registering looks at the
 * descriptor once more (poller.c).
 *
 * How a read or write is kept from waiting
 *
 *	preadv2, RWF_NOWAIT      sockets and pipes (Linux 6.4), files in the page cache
 *	recvmsg, MSG_DONTWAIT    sockets
 *	read                     whatever is nonblocking
 *	poll, then read          the rest; a write of at most PIPE_BUF bytes, for which a
 *	                         pipe that poll() calls writable has room
 *
 * each when the one before does not apply.  Setting O_NONBLOCK would be one call less,
 * but is a state of the open file: a shell and its children share that of a terminal.
 *
 * What epoll refuses, regular files, is always ready, and read as it is: from a disk
 * that holds the worker.
 *
 * errno belongs to the thread.  Whatever reads it is a function of its own that does
 * not suspend and is never inlined into one that does: those named *_now.
 */
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <weft/error.h>

#include "async/async.h"
#include "async/poller.h"
#include "async/wait.h"
#include "deque/sanitizer.h"
#include "runtime/runtime.h"

#define NOW __attribute__((noinline)) WEFT__OF_THREAD

/* What is to be done, and by whom. */
struct call {
	/* A count, or a negated errno; -EAGAIN: wait for `wanted`. */
	ssize_t (*now)(struct call *c);
	int fd;
	uint32_t wanted;
	bool plain; /* waiting in the kernel is all right */
	int flags;
	const struct iovec *pieces;
	int count;
	struct sockaddr *address; /* of accept */
	socklen_t *length;

	struct weft__strand *strand; /* NULL: a plain thread */
	struct weft__fd *entry;
	uint32_t closes;
};

/* --- waiting ----------------------------------------------------------- */

/* What is ready of `wanted` within so many milliseconds, -1: for ever; 0: nothing. */
NOW static int poll_now(int fd, uint32_t wanted, int timeout)
{
	struct pollfd p = { .fd = fd, .events = (short)wanted };
	int n;

	do
		n = poll(&p, 1, timeout);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	if (p.revents & (POLLERR | POLLHUP))
		return (int)wanted;
	return p.revents & (int)wanted;
}

static int begin(struct call *c)
{
	c->strand = weft__strand_self();
	c->plain = !c->strand;
	if (!c->strand)
		return c->fd < 0 ? -EBADF : 0;
	int rc = weft__point(c->strand);
	if (rc != 0)
		return rc;
	return weft__poller_find(c->strand->runtime, c->fd, &c->entry, &c->closes);
}

/* What is ready, or an error. */
static int wait_ready(struct call *c)
{
	if (!c->strand)
		return poll_now(c->fd, c->wanted, -1);
	int rc = weft__poller_wait(c->strand, c->fd, c->entry, c->closes, c->wanted);
	if (rc != -EPERM)
		return rc;
	c->plain = true;
	return (int)c->wanted;
}

/* After begin(). */
static ssize_t try_and_wait(struct call *c)
{
	for (;;) {
		ssize_t rc = c->now(c);
		if (rc == -EINTR)
			continue;
		if (rc != -EAGAIN)
			return rc;
		int ready = wait_ready(c);
		if (ready < 0)
			return ready;
	}
}

static ssize_t run(struct call *c)
{
	int rc = begin(c);

	return rc ? rc : try_and_wait(c);
}

int weft_wait_fd(int fd, int events)
{
	int known = WEFT_READABLE | WEFT_WRITABLE | WEFT_PRIORITY;
	struct call c = { .fd = fd, .wanted = (uint32_t)events };

	if (events == 0 || (events & ~known))
		return WEFT_EINVAL;
	int rc = begin(&c);
	if (rc == 0 && c.strand)
		rc = poll_now(fd, c.wanted, 0);
	return rc != 0 ? rc : wait_ready(&c);
}

/* --- reading and writing ----------------------------------------------- */

static ssize_t result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* The kernel or the file knows no such way; try another. */
static bool is_refused(ssize_t rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EPERM || rc == -ENOTSOCK;
}

NOW static bool is_nonblocking_now(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (flags & O_NONBLOCK); /* an error will show again */
}

/* ThreadSanitizer does not know preadv2, and what goes through a pipe is ordered. */
NOW static ssize_t read_without_wait(struct call *c)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)c->pieces,
				  .msg_iovlen = (size_t)c->count };
	ssize_t rc = -ENOSYS;

	if (!WEFT__TSAN)
		rc = result(preadv2(c->fd, c->pieces, c->count, -1, RWF_NOWAIT));
	if (is_refused(rc))
		rc = result(recvmsg(c->fd, &message, MSG_DONTWAIT));
	return rc;
}

NOW static ssize_t read_now(struct call *c)
{
	ssize_t rc = c->plain ? -ENOSYS : read_without_wait(c);

	if (!is_refused(rc))
		return rc;
	if (!c->plain && !is_nonblocking_now(c->fd)) {
		int ready = poll_now(c->fd, POLLIN, 0);
		if (ready <= 0)
			return ready < 0 ? ready : -EAGAIN;
	}
	return result(readv(c->fd, c->pieces, c->count));
}

NOW static ssize_t write_without_wait(struct call *c)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)c->pieces,
				  .msg_iovlen = (size_t)c->count };
	ssize_t rc = result(sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));

	if (rc == -ENOTSOCK && !WEFT__TSAN)
		rc = result(pwritev2(c->fd, c->pieces, c->count, -1, RWF_NOWAIT));
	return rc;
}

/* The first bytes, as many as a writable pipe has room for. */
NOW static ssize_t write_little(struct call *c)
{
	int ready = poll_now(c->fd, POLLOUT, 0);
	int i = 0;

	if (ready <= 0)
		return ready < 0 ? ready : -EAGAIN;
	while (i < c->count - 1 && c->pieces[i].iov_len == 0)
		i++;
	size_t n = c->pieces[i].iov_len;
	return result(write(c->fd, c->pieces[i].iov_base, n < PIPE_BUF ? n : PIPE_BUF));
}

NOW static ssize_t write_now(struct call *c)
{
	ssize_t rc = c->plain ? -ENOSYS : write_without_wait(c);

	if (!is_refused(rc))
		return rc;
	if (!c->plain && !is_nonblocking_now(c->fd))
		return write_little(c);
	return result(writev(c->fd, c->pieces, c->count));
}

ssize_t weft_readv(int fd, const struct iovec *pieces, int count)
{
	struct call c = { .now = read_now, .fd = fd, .wanted = WEFT_READABLE };

	if (!pieces || count < 1)
		return WEFT_EINVAL;
	c.pieces = pieces;
	c.count = count;
	return run(&c);
}

ssize_t weft_writev(int fd, const struct iovec *pieces, int count)
{
	struct call c = { .now = write_now, .fd = fd, .wanted = WEFT_WRITABLE };

	if (!pieces || count < 1)
		return WEFT_EINVAL;
	c.pieces = pieces;
	c.count = count;
	return run(&c);
}

ssize_t weft_read(int fd, void *buffer, size_t n)
{
	struct iovec piece = { buffer, n };
	return weft_readv(fd, &piece, 1);
}

ssize_t weft_write(int fd, const void *buffer, size_t n)
{
	struct iovec piece = { (void *)(uintptr_t)buffer, n };
	return weft_writev(fd, &piece, 1);
}

/* CO-4: what has happened is not undone by a cancel that comes later. */
static ssize_t in_full(ssize_t (*some)(int fd, const struct iovec *pieces, int count), int fd,
		       void *buffer, size_t n)
{
	size_t done = 0;

	do {
		struct iovec piece = { (char *)buffer + done, n - done };
		ssize_t rc = some(fd, &piece, 1);
		if (rc < 0 && (rc != WEFT_ECANCELED || done == 0))
			return rc;
		if (rc <= 0)
			break;
		done += (size_t)rc;
	} while (done < n);
	return (ssize_t)done;
}

ssize_t weft_read_full(int fd, void *buffer, size_t n)
{
	return in_full(weft_readv, fd, buffer, n);
}

ssize_t weft_write_full(int fd, const void *buffer, size_t n)
{
	return in_full(weft_writev, fd, (void *)(uintptr_t)buffer, n);
}

/* --- sockets ----------------------------------------------------------- */

NOW static ssize_t recv_now(struct call *c)
{
	int flags = c->plain ? c->flags : c->flags | MSG_DONTWAIT;
	return result(recv(c->fd, c->pieces->iov_base, c->pieces->iov_len, flags));
}

NOW static ssize_t send_now(struct call *c)
{
	int flags = c->plain ? c->flags : c->flags | MSG_DONTWAIT;
	return result(send(c->fd, c->pieces->iov_base, c->pieces->iov_len, flags | MSG_NOSIGNAL));
}

ssize_t weft_recv(int fd, void *buffer, size_t n, int flags)
{
	struct iovec piece = { buffer, n };
	struct call c = { .now = recv_now, .fd = fd, .wanted = WEFT_READABLE, .flags = flags };

	if (flags & MSG_OOB)
		c.wanted = WEFT_PRIORITY;
	c.pieces = &piece;
	return run(&c);
}

ssize_t weft_send(int fd, const void *buffer, size_t n, int flags)
{
	struct iovec piece = { (void *)(uintptr_t)buffer, n };
	struct call c = { .now = send_now, .fd = fd, .wanted = WEFT_WRITABLE, .flags = flags };

	c.pieces = &piece;
	return run(&c);
}

NOW static ssize_t accept_now(struct call *c)
{
	ssize_t rc;

	do
		rc = result(accept4(c->fd, c->address, c->length, SOCK_NONBLOCK | SOCK_CLOEXEC));
	while (rc == -ECONNABORTED || rc == -EPROTO);
	return rc;
}

int weft_accept(int fd, struct sockaddr *address, socklen_t *length)
{
	struct call c = { .now = accept_now, .fd = fd, .wanted = WEFT_READABLE };
	int rc = begin(&c);

	if (rc == 0)
		rc = weft_nonblocking(fd);
	c.address = address;
	c.length = length;
	return rc ? rc : (int)try_and_wait(&c);
}

/* Again after the wait: 0 and EISCONN say that it is done, other errors why not. */
NOW static ssize_t connect_now(struct call *c)
{
	ssize_t rc = result(connect(c->fd, c->address, *c->length));

	if (rc == -EINPROGRESS || rc == -EALREADY)
		return -EAGAIN;
	return rc == -EISCONN ? 0 : rc;
}

NOW static void disconnect_now(int fd)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(fd, &nobody, sizeof nobody) != 0) {
		/* A socket that cannot be called off is not connecting. */
	}
}

static ssize_t connect_and_wait(struct call *c)
{
	ssize_t rc = begin(c);

	if (rc == 0 && c->strand)
		rc = weft_nonblocking(c->fd);
	if (rc == 0)
		rc = c->now(c);
	while (rc == -EINTR || (rc == -EAGAIN && c->address->sa_family != AF_UNIX)) {
		int ready = wait_ready(c);
		if (ready == WEFT_ECANCELED)
			disconnect_now(c->fd);
		if (ready < 0)
			return ready;
		rc = c->now(c);
	}
	return rc;
}

int weft_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	struct call c = { .now = connect_now, .fd = fd, .wanted = WEFT_WRITABLE };

	if (!address || length < sizeof address->sa_family)
		return WEFT_EINVAL;
	c.address = (struct sockaddr *)(uintptr_t)address;
	c.length = &length;
	return (int)connect_and_wait(&c);
}

/* --- descriptors ------------------------------------------------------- */

NOW int weft_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		flags = fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return flags < 0 ? -errno : 0;
}

/* EINTR: it is closed all the same. */
NOW static int close_now(int fd)
{
	return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

int weft_close(int fd)
{
	if (fd < 0)
		return -EBADF;
	if (weft__forked())
		return close_now(fd);
	weft__poller_close(fd);
	int rc = close_now(fd);
	weft__poller_closed(fd);
	return rc;
}
