/* SPDX-License-Identifier: MIT */
/*
 * stress_report.c - looking at tasks that live on meanwhile
 *
 * Tasks enter scopes and groups, wait, are cancelled and end, some on stacks of their
 * own, some later, since they wait in spite of it; while threads dump the tree, change
 * settings, and short warnings make reports of stalls and of held workers fire at any
 * moment.
 */
#include <stdbool.h>
#include <string.h>

#include <weft/weft.h>

#include "async/lock.h"
#include "support/stress.h"

enum { CHILDREN = 12, DUMPERS = 2 };

static uint32_t stop, stalls, framed;
static struct weft_lock common;
static uint64_t ended, cancelled;

static void on_stall(const struct weft_stall *stall)
{
	STRESS_CHECK(!stall->task || strncmp(stall->task, "child", 5) == 0 ||
		     strcmp(stall->task, "root") == 0);
	add_seqcst(&stalls, 1);
	if (stall->wait && stall->frame_count > 0)
		add_seqcst(&framed, 1);
}

/* A wait that no cancel ends, for something that comes at any moment. */
static void queue_up(void)
{
	struct weft__lock *l = weft__lock_of(&common);
	struct weft__here me = weft__here();

	STRESS_CHECK(weft__lock_acquire_shielded(l, me.strand) == 0);
	for (int i = 0; i < 20000; i++)
		cpu_relax();
	weft_yield();
	STRESS_CHECK(weft_lock_is_mine(&common));
	weft__lock_release(l, weft__here());
}

/* Some notice a cancel late. */
static int child(void *arg)
{
	uintptr_t kind = (uintptr_t)arg;
	struct weft_scope s;
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++) {
		rc = weft_scope_enter(&s, .timeout = kind % 3 ? WEFT_SEC(1) : WEFT_US(20),
				      .name = "child's");
		if (rc == 0)
			rc = weft_scope_leave(&s, weft_sleep(WEFT_US(kind * 10)));
		if (rc == WEFT_ETIMEDOUT)
			rc = 0;
		weft_yield();
	}
	if (kind == 5)
		for (int i = 0; i < 20000; i++)
			cpu_relax();
	if (kind >= 8)
		queue_up();
	add_seqcst(rc == WEFT_ECANCELED ? &cancelled : &ended, 1);
	return rc;
}

static int family(void *arg)
{
	struct weft_group g;
	struct weft_task task;
	int rc = weft_group_open(&g, .name = "family", .timeout = WEFT_US(200));
	char name[16];

	(void)arg;
	snprintf(name, sizeof name, "child");
	for (uintptr_t i = 0; i < CHILDREN && rc == 0; i++)
		rc = weft_spawn(&g, child, (void *)i, .name = name, .task = i == 3 ? &task : NULL,
				.stack_size = i == 4 ? 4 << 20 : 0);
	if (rc == 0)
		weft_task_cancel(task);
	rc = weft_group_close(&g, rc);
	memset(name, 'x', sizeof name - 1); /* nobody looks at it any more */
	return rc == WEFT_ETIMEDOUT ? 0 : rc;
}

static int families(void *arg)
{
	int rc = 0;

	for (long i = 0; i < *(long *)arg && rc == 0; i++)
		rc = family(NULL);
	return rc;
}

static void look(unsigned index)
{
	FILE *out = fopen("/dev/null", "w");

	STRESS_CHECK(out);
	while (!load_acquire(&stop)) {
		weft_dump(out);
		weft_configure(.default_pool_size = index + 1);
		sched_yield();
	}
	fclose(out);
}

int main(int argc, char **argv)
{
	struct stress_thread lookers[DUMPERS];
	long rounds = 100;

	stress_begin(argc, argv);
	rounds *= stress_scale;
	weft_configure(.workers = stress_threads, .stall_warn = WEFT_US(50),
		       .block_warn = WEFT_SEC(2), .on_stall = on_stall);
	stress_start(lookers, DUMPERS, look);
	STRESS_CHECK(weft_run_sync(families, &rounds) == 0);
	STRESS_CHECK(ended + cancelled == (uint64_t)rounds * CHILDREN);
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	store_release(&stop, 1);
	stress_join(lookers, DUMPERS);
	printf("%llu ended, %llu cancelled, %u stalls, %u with frames\n", (unsigned long long)ended,
	       (unsigned long long)cancelled, stalls, framed);
	return 0;
}
