/* SPDX-License-Identifier: MIT */
/*
 * stress_eventcount.c - no wake-up is lost, and the wake-up carries the data
 *
 * Two shapes.  In the first, two threads hand one plain number to and fro, and
 * only the event counts stand between them: a lost wake-up hangs, and an edge that
 * is missing is a data race for ThreadSanitizer (O1).  In the second, several
 * threads bring work to one sleeper by the handshake of eventcount.h, now and
 * then with a notify too many: a lost wake-up hangs, and the work must add up.
 * The time limit of the test is what notices a hang.
 */
#include "deque/eventcount.h"
#include "support/stress.h"

/* First shape. */
static struct weft__ec turn_of[2];
static uint64_t number; /* plain on purpose */
static uint64_t turns;

static void wait_for_turn(unsigned self, uint64_t turn)
{
	uint32_t ticket = (uint32_t)(turn / 2);

	/* The number of notifies so far is known, so the ticket is too. */
	weft__ec_wait(&turn_of[self], ticket);
	STRESS_CHECK(weft__ec_prepare(&turn_of[self]) == ticket + 1);
}

static void hand_over(unsigned self)
{
	for (uint64_t turn = self; turn < turns; turn += 2) {
		wait_for_turn(self, turn);
		STRESS_CHECK(number == turn);
		number++;
		weft__ec_notify(&turn_of[1 - self]);
	}
}

static void run_hand_over(void)
{
	struct stress_thread threads[2];

	turns = 2 * 25000 * (uint64_t)stress_scale;
	weft__ec_init(&turn_of[0]);
	weft__ec_init(&turn_of[1]);
	weft__ec_notify(&turn_of[0]);
	stress_start(threads, 2, hand_over);
	stress_join(threads, 2);
	STRESS_CHECK(number == turns);
}

/* Second shape. */
static struct weft__ec bell;
static uint32_t asleep;
static uint64_t work, bringers, each;

static void bring(unsigned self)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + self);
	for (uint64_t i = 0; i < each; i++) {
		(void)add_seqcst(&work, 1);
		fence_seqcst(); /* pairs with that of sleep_for_work */
		if (load_relaxed(&asleep) || weft__rng_below(&rng, 8) == 0)
			weft__ec_notify(&bell);
		for (uint64_t n = weft__rng_below(&rng, 64); n > 0; n--)
			cpu_relax();
	}
	(void)add_seqcst(&bringers, (uint64_t)-1);
	weft__ec_notify(&bell);
}

static bool work_is_there(void)
{
	return load_relaxed(&work) != 0 || load_relaxed(&bringers) == 0;
}

static bool sleep_for_work(void)
{
	uint32_t ticket = weft__ec_prepare(&bell);
	bool slept = false;

	store_relaxed(&asleep, 1);
	fence_seqcst(); /* pairs with that of bring */
	if (!work_is_there()) {
		weft__ec_wait(&bell, ticket);
		slept = true;
	}
	store_relaxed(&asleep, 0);
	return slept;
}

static void run_bringers(void)
{
	struct stress_thread threads[STRESS_THREADS_MAX];
	uint64_t done = 0, sleeps = 0;

	each = 300000 * (uint64_t)stress_scale / stress_threads;
	bringers = stress_threads;
	weft__ec_init(&bell);
	stress_start(threads, stress_threads, bring);
	while (load_relaxed(&bringers) != 0 || load_relaxed(&work) != 0) {
		sleeps += sleep_for_work();
		done += exchange_acqrel(&work, 0);
	}
	stress_join(threads, stress_threads);
	done += work;
	STRESS_CHECK(done == each * stress_threads);
	printf("%" PRIu64 " turns, %" PRIu64 " brought, %" PRIu64 " sleeps\n", turns, done, sleeps);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	run_hand_over();
	run_bringers();
	return 0;
}
