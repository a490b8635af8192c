/* SPDX-License-Identifier: MIT */
/*
 * locks.c - a lock around what is shared, a semaphore around what is scarce
 */
#include <stdio.h>

#include <weft/weft.h>

enum { TASKS = 8, SLOTS = 2 };

static struct weft_lock lock;
static struct weft_sem slots;
static int busy, busiest, done;

static int change_busy(int by)
{
	int rc;

	WEFT_WITH_LOCK(&lock, rc)
	{
		busy += by;
		busiest = busy > busiest ? busy : busiest;
		done += by < 0;
	}
	return rc;
}

static int work(void *arg)
{
	int rc = weft_sem_acquire(arg);

	if (rc != 0)
		return rc; /* no permit was taken */
	rc = change_busy(+1);
	if (rc == 0)
		rc = weft_sleep(WEFT_MS(1));
	if (rc == 0)
		rc = change_busy(-1);
	weft_sem_release(arg);
	return rc;
}

static int all(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = weft_spawn(&g, work, arg);
	return weft_group_close(&g, rc);
}

int main(void)
{
	weft_sem_init(&slots, SLOTS, SLOTS);
	int rc = weft_run_sync(all, &slots);
	printf("%d done, no more than %d at a time: %s\n", done, busiest, weft_strerror(rc));
	return rc != 0;
}
