/* SPDX-License-Identifier: MIT */
/*
 * sum.c - a reduction of floating-point numbers, with the same bits every time
 *
 * The sum is printed to its last bit: it does not depend on the number of
 * workers, nor on which of them added what.
 */
#include <stdio.h>

#include <weft/weft.h>

static void sum_init(void *acc, void *arg)
{
	(void)arg;
	*(double *)acc = 0;
}

/* acc = acc + the terms of r */
static int sum_fold(void *acc, struct weft_range *r, void *arg)
{
	double sum = *(double *)acc;

	(void)arg;
	for (size_t i = r->begin; i < r->end; i++)
		sum += 1.0 / (double)(i * i);
	*(double *)acc = sum;
	return 0;
}

static void sum_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(double *)acc += *(const double *)right;
}

static int sum_squares(void *arg)
{
	static const struct weft_reducer sum = { sizeof(double), sum_init, sum_fold, sum_join };

	return weft_reduce(1, 10000000, &sum, arg, NULL);
}

int main(void)
{
	double sum;

	if (weft_run_sync(sum_squares, &sum) != 0)
		return 1;
	printf("1/1 + 1/4 + 1/9 + ... = %.17g\n", sum);
	return 0;
}
