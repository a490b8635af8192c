/* SPDX-License-Identifier: MIT */
/*
 * stress_quiet.c - roots that wait in vain beside roots that do not
 *
 * A virtual clock, and threads that run roots on one runtime.  Some wait for what
 * nobody will do: each is told so.  The others sleep, and are not, however often
 * nothing else could go on the moment before.
 */
#include <unistd.h>

#include <weft/weft.h>

#include "support/stress.h"

enum { IN_VAIN = 2, SLEEPERS = 2, NAPS = 20 };

static struct weft_runtime *runtime;
static uint64_t rounds, told, wronged;
static uint32_t sleepers_left;

static int wait_in_vain(void *arg)
{
	struct weft_event never;

	(void)arg;
	weft_event_init(&never);
	return weft_event_wait(&never);
}

static void deadlock_often(unsigned self)
{
	(void)self;
	while (load_acquire(&sleepers_left) != 0) {
		STRESS_CHECK(weft_runtime_run(runtime, wait_in_vain, NULL) == WEFT_EDEADLK);
		add_seqcst(&told, 1);
	}
}

static int nap(void *arg)
{
	int rc = 0;

	(void)arg;
	for (int i = 0; i < NAPS && rc == 0; i++)
		rc = weft_sleep(WEFT_MS(1));
	return rc;
}

static void sleep_often(unsigned self)
{
	for (uint64_t i = 0; i < rounds; i++) {
		add_seqcst(&wronged, weft_runtime_run(runtime, nap, NULL) != 0);
		for (unsigned k = 0; k < 200 * (1 + self); k++)
			cpu_relax();
	}
	add_seqcst(&sleepers_left, (uint32_t)-1);
}

int main(int argc, char **argv)
{
	struct stress_thread in_vain[IN_VAIN], sleepers[SLEEPERS];

	stress_begin(argc, argv);
	rounds = 1000 * (uint64_t)stress_scale;
	sleepers_left = SLEEPERS;
	int err = dup(2);
	STRESS_CHECK(freopen("/dev/null", "w", stderr)); /* the reports */
	STRESS_CHECK(weft_runtime_create(&runtime, .workers = stress_threads,
					 .clock = WEFT_CLOCK_VIRTUAL,
					 .on_deadlock = WEFT_DEADLOCK_FAIL) == 0);
	stress_start(in_vain, IN_VAIN, deadlock_often);
	stress_start(sleepers, SLEEPERS, sleep_often);
	stress_join(sleepers, SLEEPERS);
	stress_join(in_vain, IN_VAIN);
	weft_runtime_destroy(runtime);
	dup2(err, 2);
	STRESS_CHECK(wronged == 0);
	printf("%d x %" PRIu64 " slept, %" PRIu64 " told\n", SLEEPERS, rounds, told);
	return 0;
}
