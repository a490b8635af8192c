/* SPDX-License-Identifier: MIT */
/*
 * buf.c - bytes that weft has made and the caller frees
 */
#include <weft/buf.h>

#include "async/proc_payload.h"
#include "deque/alloc.h"

void weft_buf_free(struct weft_buf *buf)
{
	if (!buf)
		return;
	if (buf->size > 0 && buf->weft__room == 0)
		weft__payload_unmap(buf->data, buf->size);
	else
		weft__free((void *)(uintptr_t)buf->data, buf->weft__room);
	*buf = (struct weft_buf){ 0 };
}
