/* SPDX-License-Identifier: MIT */
/*
 * stream_channel.c - what is received from a channel
 */
#include "async/channel.h"
#include "async/stream.h"

static int channel_next(void *state, void *item)
{
	int rc = weft_channel_recv(*(struct weft_channel **)state, item);

	return rc == 0 ? 1 : rc == WEFT_ECLOSED ? 0 : rc;
}

struct weft_stream *weft_from_channel(struct weft_channel *channel, size_t size)
{
	static const struct weft_stream_ops ops = { .next = channel_next, .name = "channel" };
	void *state;

	if (!channel || weft__channel_of(channel)->item_size != size)
		return weft_from_error(WEFT_EINVAL, size);
	struct weft_stream *s = weft__stream_new(&ops, size, sizeof channel, &state, NULL, 0);
	if (s)
		*(struct weft_channel **)state = channel;
	return s;
}
