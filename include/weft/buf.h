/* SPDX-License-Identifier: MIT */
/*
 * weft/buf.h - bytes that weft has made and the caller frees
 *
 *	struct weft_buf out = { 0 };
 *
 *	if (weft_to_process(crunch, in, size, &out) == 0)
 *		use(out.data, out.size);
 *	weft_buf_free(&out);
 *
 * Zeros are an empty one.  A large one is a read-only mapping and not memory of the
 * allocator, so it is for reading.
 *
 *   threads    one at a time.
 *   memory     the struct is the caller's; what it holds is, too, until weft_buf_free.
 *   errors     none.
 *   blocking   no.
 */
#ifndef WEFT_BUF_H
#define WEFT_BUF_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_buf {
	const void *data; /* aligned for any type; NULL when size is 0 */
	size_t size;
	size_t weft__room; /* of the allocation; 0: it is mapped */
};

/* Frees what it holds; it is empty afterwards.  Empty ones and NULL are fine. */
WEFT_API void weft_buf_free(struct weft_buf *buf);

WEFT_END_DECLS

#endif
