/* SPDX-License-Identifier: MIT */
/*
 * proc_frame.h - what goes over the socket between a process and its worker
 *
 *	[ header | payload            | reference of the function ]
 *	  40 bytes   when it is small   JOB only, <= 4.5 KiB
 *
 * The socket is SOCK_SEQPACKET: a frame arrives whole or not at all, so there is
 * no half-read state in which a dead or hostile worker could leave the parent,
 * and a send is done or was not begun.
 *
 *	parent                        worker
 *	  JOB    ------------------->           run this
 *	         <-------------------  ASK      may I have room for n bytes?
 *	  GRANT  ------------------->           here it is: a memfd; or rc says why not
 *	         <-------------------  ANSWER   rc and n bytes
 *
 * A payload of LARGE bytes and more is not in the frame but in a sealed memfd
 * (proc_payload.h).  Both memfds are the parent's: descriptors go from the parent
 * to the worker and never back.  The parent receives without a control buffer, so
 * the kernel throws away whatever a hostile worker attaches.
 *
 * A frame is believed after weft__frame_check, and then only as far as the sender
 * may say such a thing now: see proc.c.
 *
 *   threads    any; nothing is shared.
 *   errors     -EPROTO.
 */
#ifndef WEFT_ASYNC_PROC_FRAME_H
#define WEFT_ASYNC_PROC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define WEFT__FRAME_MAGIC   0x54464557u /* "WEFT" in memory, on little-endian machines */
#define WEFT__FRAME_VERSION 1

enum {
	WEFT__FRAME_REF_MAX = 4096 + 512, /* a path and what belongs to it */
	WEFT__FRAME_LARGE = 64 * 1024,	  /* payloads this large are in a memfd */
};

/* No answer is larger: a size that does not fit is refused before anything is
 * computed with it. */
#define WEFT__FRAME_SIZE_MAX ((uint64_t)1 << 40)

enum weft__frame_kind {
	WEFT__FRAME_JOB = 1,
	WEFT__FRAME_GRANT,
	WEFT__FRAME_ASK,
	WEFT__FRAME_ANSWER,
};

struct weft__frame {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	uint64_t job;	 /* never 0 */
	uint32_t worker; /* which start of a worker is meant */
	int32_t rc;	 /* GRANT, ANSWER */
	uint32_t ref;	 /* bytes of the reference: JOB */
	uint32_t zero;
	uint64_t size; /* bytes of the payload; ASK: of the answer to come */
};

_Static_assert(sizeof(struct weft__frame) == 40, "no padding goes over the wire");

/* The largest message. */
#define WEFT__FRAME_MAX (sizeof(struct weft__frame) + WEFT__FRAME_REF_MAX + WEFT__FRAME_LARGE)

/* The bytes of the payload that are inside of the frame. */
static inline size_t weft__frame_inline(const struct weft__frame *frame)
{
	if (frame->kind == WEFT__FRAME_ASK || frame->kind == WEFT__FRAME_GRANT)
		return 0;
	return frame->size < WEFT__FRAME_LARGE ? (size_t)frame->size : 0;
}

/* Copies the header out of a message of `length` bytes, and says whether the two
 * agree.  *frame is written in any case. */
int weft__frame_check(struct weft__frame *frame, const void *message, size_t length);

/* Sends a frame on `fd` with one call; `memfd` goes along unless it is -1.  0, or
 * a negated errno: -EAGAIN when a non-blocking socket is full, -EPIPE when the other
 * side is gone. */
int weft__frame_send(int fd, const struct weft__frame *frame, const void *ref, const void *payload,
		     int memfd);

#endif
