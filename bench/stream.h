/* SPDX-License-Identifier: MIT */
/* stream.h - what stream.c shares with its peers */
#ifndef WEFT_BENCH_STREAM_H
#define WEFT_BENCH_STREAM_H

struct stream_job {
	long n;		/* items: 0, 1 ... */
	long sources;	/* of a merge, with n / sources items each */
	unsigned turns; /* of work for an item */
	long sum;	/* of what came out */
};

#endif
