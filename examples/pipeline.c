/* SPDX-License-Identifier: MIT */
/*
 * pipeline.c - three stages, each a task, with channels between them
 *
 * A stage ends when the channel before it is closed and empty.
 */
#include <stdio.h>

#include <weft/weft.h>

enum { LAST = 1000, ROOM = 16 };

struct pipeline {
	struct weft_channel numbers, squares;
	unsigned number_room[ROOM], square_room[ROOM];
	unsigned long sum;
};

WEFT_TASK(count, struct pipeline, p)
{
	for (unsigned i = 1; i <= LAST; i++)
		weft_channel_send(&p->numbers, &i);
	weft_channel_close(&p->numbers);
	return 0;
}

WEFT_TASK(square, struct pipeline, p)
{
	unsigned n;

	while (weft_channel_recv(&p->numbers, &n) == 0)
		weft_channel_send(&p->squares, &(unsigned){ n * n });
	weft_channel_close(&p->squares);
	return 0;
}

WEFT_TASK(run, struct pipeline, p)
{
	struct weft_group g;
	unsigned n;
	weft_channel_init(&p->numbers, p->number_room, sizeof n, ROOM);
	weft_channel_init(&p->squares, p->square_room, sizeof n, ROOM);

	int rc = weft_group_open(&g);
	if (rc == 0 && (rc = weft_spawn(&g, count, p)) == 0)
		rc = weft_spawn(&g, square, p);
	while (rc == 0 && weft_channel_recv(&p->squares, &n) == 0)
		p->sum += n;
	return weft_group_close(&g, rc);
}

int main(void)
{
	struct pipeline p = { .sum = 0 };

	if (weft_run_sync(run, &p) == 0)
		printf("1 + 4 + 9 + ... + %d^2 = %lu\n", LAST, p.sum);
	return 0;
}
