/* SPDX-License-Identifier: MIT */
/*
 * async.h - what this floor keeps for a runtime
 */
#ifndef WEFT_ASYNC_ASYNC_H
#define WEFT_ASYNC_ASYNC_H

#include "async/clock.h"
#include "async/events.h"
#include "async/poller.h"
#include "async/process.h"
#include "async/quiet.h"
#include "async/records.h"
#include "async/thread_pool.h"
#include "async/tree.h"
#include "async/watch.h"

struct weft__async {
	struct weft__clock clock;
	struct weft__events events;
	struct weft__poller poller;
	struct weft__walker walker;
	struct weft__records records; /* of spawned tasks */
	struct weft__quiet quiet;
	struct weft__watchman watchman;
	struct weft__timer grace;	  /* of a shutdown */
	struct weft_thread_pool pool;	  /* for blocking calls that name none */
	struct weft__processes processes; /* for jobs that name no pool */
	uint64_t retries;		  /* calls of weft_retry: each has its own random numbers */
};

#endif
