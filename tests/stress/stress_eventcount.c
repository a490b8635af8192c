/* SPDX-License-Identifier: MIT */
/*
 * stress_eventcount.c - no wake-up is lost, and the wake-up carries the data
 *
 * Two shapes.  In the first, two threads hand one plain number to and fro, and
 * only the event counts stand between them: a lost wake-up hangs, and an edge that
 * is missing is a data race for ThreadSanitizer (O1); a third thread plays the ends
 * of slow notifies (I3), so that a wait that believes in any change returns too
 * early.  In the second, several
 * threads bring work to one sleeper by the handshake of eventcount.h, now and
 * then with a notify too many: a lost wake-up hangs, and the work must add up.
 * The time limit of the test is what notices a hang.
 */
#include "deque/eventcount.h"
#include "deque/futex.h"
#include "support/stress.h"

#define ASLEEP (UINT32_C(1) << 31)

/* First shape. */
static struct weft__ec turn_of[2];
static uint64_t number; /* plain on purpose */
static uint64_t turns;
static uint32_t over;

/* The number of notifies so far is known, so the ticket is too.  The look at the
 * count is relaxed: only the wait may bring the number with it. */
static void wait_for_turn(unsigned self, uint64_t turn)
{
	uint32_t ticket = (uint32_t)(turn / 2);

	weft__ec_wait(&turn_of[self], ticket);
	STRESS_CHECK((load_relaxed(&turn_of[self].word) & ~ASLEEP) == ticket + 1);
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

/* What the end of a notify does, at any time: as if one had been held up between
 * moving the count and clearing the bit (I3). */
static void end_slow_notify(struct weft__ec *ec)
{
	uint32_t word = load_relaxed(&ec->word);

	if ((word & ASLEEP) && cas_seqcst(&ec->word, word, word & ~ASLEEP))
		futex_wake(&ec->word, 1);
}

static void disturb(unsigned self)
{
	unsigned tries = 0;

	(void)self;
	while (!load_relaxed(&over)) {
		end_slow_notify(&turn_of[tries % 2]);
		stress_relax(&tries);
	}
}

static void run_hand_over(void)
{
	struct stress_thread threads[2], disturber;

	turns = 2 * 25000 * (uint64_t)stress_scale;
	weft__ec_init(&turn_of[0]);
	weft__ec_init(&turn_of[1]);
	weft__ec_notify(&turn_of[0]);
	stress_start(threads, 2, hand_over);
	stress_start(&disturber, 1, disturb);
	stress_join(threads, 2);
	store_relaxed(&over, 1);
	stress_join(&disturber, 1);
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
