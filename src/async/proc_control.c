/* SPDX-License-Identifier: MIT */
/*
 * proc_control.c - messages between a process and its server
 */
#include "async/proc_control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deque/check.h"

int weft__control_send(int fd, struct weft__control *message, const int *fds, unsigned count)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(WEFT__CONTROL_FDS * sizeof(int))] = { 0 };
	struct iovec part = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;

	weft__assert(count <= WEFT__CONTROL_FDS);
	message->magic = WEFT__CONTROL_MAGIC;
	if (count > 0) {
		header.msg_control = room;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *control = CMSG_FIRSTHDR(&header);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(control), fds, count * sizeof(int));
	}
	do
		sent = sendmsg(fd, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void close_all(int fds[WEFT__CONTROL_FDS])
{
	for (unsigned i = 0; i < WEFT__CONTROL_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* The room admits WEFT__CONTROL_FDS descriptors; the kernel drops the others, and
 * says so. */
static void take_fds(struct msghdr *header, int fds[WEFT__CONTROL_FDS])
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);

	if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
		return;
	size_t size = control->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(control),
	       size < sizeof(int) * WEFT__CONTROL_FDS ? size : sizeof(int) * WEFT__CONTROL_FDS);
}

int weft__control_receive(int fd, struct weft__control *message, int fds[WEFT__CONTROL_FDS])
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(WEFT__CONTROL_FDS * sizeof(int))];
	struct iovec part = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room) };
	ssize_t got;

	for (unsigned i = 0; i < WEFT__CONTROL_FDS; i++)
		fds[i] = -1;
	/* ECONNRESET says, once, that the other side has ended without reading all;
	 * what it sent before comes after. */
	do
		got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	take_fds(&header, fds);
	if (got == sizeof(*message) && message->magic == WEFT__CONTROL_MAGIC &&
	    !(header.msg_flags & MSG_TRUNC))
		return 1;
	close_all(fds);
	return got == 0 ? 0 : -EPROTO;
}
