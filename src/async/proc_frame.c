/* SPDX-License-Identifier: MIT */
/*
 * proc_frame.c - frames: checking one, sending one
 */
#include "async/proc_frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int check_kind(const struct weft__frame *frame)
{
	if (frame->kind < WEFT__FRAME_JOB || frame->kind > WEFT__FRAME_ANSWER)
		return -EPROTO;
	if ((frame->kind == WEFT__FRAME_JOB) != (frame->ref != 0))
		return -EPROTO;
	return frame->ref > WEFT__FRAME_REF_MAX ? -EPROTO : 0;
}

int weft__frame_check(struct weft__frame *frame, const void *message, size_t length)
{
	memset(frame, 0, sizeof(*frame));
	if (length < sizeof(*frame) || length > WEFT__FRAME_MAX)
		return -EPROTO;
	memcpy(frame, message, sizeof(*frame));

	if (frame->magic != WEFT__FRAME_MAGIC || frame->version != WEFT__FRAME_VERSION)
		return -EPROTO;
	if (frame->job == 0 || frame->zero != 0 || frame->size > WEFT__FRAME_SIZE_MAX)
		return -EPROTO;
	if (check_kind(frame) != 0)
		return -EPROTO;
	return length == sizeof(*frame) + frame->ref + weft__frame_inline(frame) ? 0 : -EPROTO;
}

/* Makes `message` carry one descriptor; `room` is for the control message. */
static void attach(struct msghdr *message, void *room, size_t size, int fd)
{
	memset(room, 0, size);
	message->msg_control = room;
	message->msg_controllen = size;

	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
}

int weft__frame_send(int fd, const struct weft__frame *frame, const void *ref, const void *payload,
		     int memfd)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	struct iovec parts[] = {
		{ (void *)(uintptr_t)frame, sizeof(*frame) },
		{ (void *)(uintptr_t)payload, weft__frame_inline(frame) },
		{ (void *)(uintptr_t)ref, frame->ref },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
	ssize_t sent;

	if (memfd >= 0)
		attach(&message, room, sizeof(room), memfd);
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}
