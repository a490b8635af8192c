/* SPDX-License-Identifier: MIT */
/* fib.h - what bench/fib.c and its peers compute */
#ifndef BENCH_FIB_H
#define BENCH_FIB_H

struct fib {
	long n, out;
};

#endif
