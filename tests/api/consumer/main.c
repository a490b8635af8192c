/* SPDX-License-Identifier: MIT */
/* A user's program, in C. */
#include <weft/weft.h>

#include <stdio.h>
#include <string.h>

static int square(struct weft_range *r, void *arg)
{
	long *numbers = (long *)arg;

	for (size_t i = r->begin; i < r->end; i++)
		numbers[i] *= numbers[i];
	return 0;
}

static int task(void *arg)
{
	return weft_for(0, 1000, square, arg);
}

int main(void)
{
	long numbers[1000];
	long sum = 0;

	for (int i = 0; i < 1000; i++)
		numbers[i] = i;
	if (weft_run_sync(task, numbers) != 0)
		return 1;
	for (int i = 0; i < 1000; i++)
		sum += numbers[i];
	printf("%ld %d\n", sum, strcmp(weft_version(), WEFT_VERSION));
	return 0;
}
