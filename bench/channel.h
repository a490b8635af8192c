/* SPDX-License-Identifier: MIT */
/* channel.h - what the sides of channel.c share */
#ifndef WEFT_BENCH_CHANNEL_H
#define WEFT_BENCH_CHANNEL_H

struct channel_job {
	long n;	       /* round trips, or items of a stream */
	long capacity; /* of each channel; a power of two for Boost.Fiber */
	long sum;      /* of the items that were received */
};

#endif
