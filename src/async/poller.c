/* SPDX-License-Identifier: MIT */
/*
 * poller.c - who waits for which descriptor
 */
#include "async/poller.h"

#include "async/events.h"

void weft__poller_init(struct weft__poller *poller)
{
	*poller = (struct weft__poller){ 0 };
}

void weft__poller_fini(struct weft__poller *poller)
{
	(void)poller;
}

void weft__poller_ready(struct weft_runtime *rt, uint64_t data, uint32_t events)
{
	(void)rt, (void)data, (void)events;
}
