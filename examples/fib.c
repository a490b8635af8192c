/* SPDX-License-Identifier: MIT */
/*
 * fib.c - the expert form: a recursion that forks at every call
 *
 * While no worker is hungry the recursion is the plain one, by value, and the
 * compiler inlines it; the look at the byte is all it pays.  Only for a hungry
 * worker are the arguments put into memory.
 */
#include <stdio.h>

#include <weft/weft.h>

struct fib {
	long n, out;
};

static int fib_task(void *arg);

static long fib_offered(long n)
{
	struct fib l = { .n = n - 1 }, r = { .n = n - 2 };

	weft_both_offered(fib_task, &l, fib_task, &r);
	return l.out + r.out;
}

static long fib(long n)
{
	if (n < 2)
		return n;
	if (weft_hungry())
		return fib_offered(n);
	return fib(n - 1) + fib(n - 2);
}

static int fib_task(void *arg)
{
	struct fib *f = arg;

	f->out = fib(f->n);
	return 0;
}

int main(void)
{
	struct fib f = { .n = 32 };

	if (weft_run_sync(fib_task, &f) != 0)
		return 1;
	printf("fib(%ld) = %ld\n", f.n, f.out);
	return 0;
}
