/* SPDX-License-Identifier: MIT */
/*
 * stress_channel.c - every item is received exactly once
 *
 * Producers and consumers meet in two channels, of any capacity, by single calls,
 * by calls for many, by calls that do not wait and by selects.  Some have a deadline
 * that cuts their calls off: what was then not sent is sent again, what was received
 * counts.  Selects send and receive at once, so producers face consumers that are
 * producers.  One plain thread takes part on either side.
 *
 * Each item is one bit; whoever receives it sets the bit and must find it unset.
 */
#include <limits.h>
#include <string.h>

#include <weft/weft.h>

#include "deque/atomic.h"
#include "support/stress.h"

enum {
	TASKS = 12,	   /* producers, and as many consumers */
	EACH = 300,	   /* items of a producer */
	THREADS_EACH = 50, /* few: each wait of a thread is two switches of the kernel's */
	ITEMS = TASKS * EACH + THREADS_EACH,
	MANY = 7,
};

static struct weft_channel c[2];
static uint64_t room[2][16];
static uint64_t received[(ITEMS + 63) / 64];
static uint64_t count, cut_off, selects;
static uint32_t producing;

static void got(uint64_t item)
{
	STRESS_CHECK(item < ITEMS);
	uint64_t bit = UINT64_C(1) << (item % 64);
	STRESS_CHECK(!(or_seqcst(&received[item / 64], bit) & bit));
	add_seqcst(&count, 1);
}

static void got_many(const uint64_t *items, ptrdiff_t n)
{
	for (ptrdiff_t i = 0; i < n; i++)
		got(items[i]);
}

static void expect(ptrdiff_t rc)
{
	STRESS_CHECK(rc >= 0 || rc == WEFT_ECANCELED || rc == WEFT_ECLOSED || rc == WEFT_EAGAIN);
	if (rc == WEFT_ECANCELED)
		add_seqcst(&cut_off, 1);
}

/* Sends, or receives what others send.  1 when it was sent. */
static int send_or_receive(struct weft__rng *rng, const uint64_t *item)
{
	uint64_t in[2];
	uint64_t out = *item;
	unsigned first = (unsigned)weft__rng_below(rng, 2);
	struct weft_select_case k[4] = {
		{ .channel = &c[first], .op = WEFT_SELECT_SEND, .item = &out },
		{ .channel = &c[!first], .op = WEFT_SELECT_RECV, .item = &in[0] },
		{ .channel = &c[!first], .op = WEFT_SELECT_SEND, .item = &out },
		{ .channel = &c[first], .op = WEFT_SELECT_RECV, .item = &in[1] },
	};
	int at = weft_select(k, 4);

	add_seqcst(&selects, 1);
	expect(at);
	if (at < 0)
		return 0;
	STRESS_CHECK(k[at].rc == 0); /* it is not closed while anybody sends */
	if (k[at].op == WEFT_SELECT_RECV)
		got(*(uint64_t *)k[at].item);
	return k[at].op == WEFT_SELECT_SEND;
}

/* How many of the n items were sent: some, or none. */
static size_t send_somehow(struct weft__rng *rng, const uint64_t *items, size_t n)
{
	struct weft_channel *to = &c[weft__rng_below(rng, 2)];
	ptrdiff_t rc;

	switch (weft__rng_below(rng, 4)) {
	case 0:
		rc = weft_channel_send_many(to, items, n < MANY ? n : MANY);
		expect(rc);
		return rc > 0 ? (size_t)rc : 0;
	case 1:
		return (size_t)send_or_receive(rng, items);
	case 2:
		rc = weft_channel_try_send(to, items);
		break;
	default:
		rc = weft_channel_send(to, items);
	}
	expect(rc);
	return rc == 0;
}

/* The last producer closes. */
static void produced(void)
{
	if (add_seqcst(&producing, (uint32_t)-1) != 1)
		return;
	weft_channel_close(&c[0]);
	weft_channel_close(&c[1]);
}

static void produce_all(struct weft__rng *rng, uint64_t first, size_t n, bool deadlines)
{
	uint64_t items[EACH];

	for (size_t i = 0; i < n; i++)
		items[i] = first + i;
	for (size_t done = 0; done < n;) {
		struct weft_scope scope;
		if (!deadlines || weft__rng_below(rng, 3)) {
			done += send_somehow(rng, items + done, n - done);
			continue;
		}
		weft_scope_enter(&scope, .timeout = (int64_t)weft__rng_below(rng, 20000));
		done += send_somehow(rng, items + done, n - done);
		weft_scope_leave(&scope, 0);
	}
	produced();
}

static int produce(void *arg)
{
	uint64_t index = (uint64_t)(uintptr_t)arg;
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + index);
	produce_all(&rng, index * EACH, EACH, true);
	return 0;
}

/* Waits at no channel but its own, or at both: else all might wait at the one and all
 * producers at the other. */
static ptrdiff_t receive_somehow(struct weft__rng *rng, unsigned own)
{
	uint64_t items[MANY], other = 0;
	struct weft_select_case k[2] = {
		{ .channel = &c[own], .item = &items[0] },
		{ .channel = &c[!own], .item = &other },
	};
	ptrdiff_t rc;

	switch (weft__rng_below(rng, 4)) {
	case 0:
		rc = weft_channel_recv_many(&c[own], items, MANY);
		got_many(items, rc);
		return rc;
	case 1:
		rc = weft_select(k, 2);
		if (rc < 0 || k[rc].rc != 0)
			return rc < 0 ? rc : k[rc].rc;
		got(rc ? other : items[0]);
		return 0;
	case 2:
		rc = weft_channel_try_recv(&c[!own], items);
		break;
	default:
		rc = weft_channel_recv(&c[own], items);
	}
	if (rc == 0)
		got(items[0]);
	return rc;
}

static bool is_over(void)
{
	return weft_channel_is_closed(&c[0]) && weft_channel_is_closed(&c[1]) &&
	       weft_channel_length(&c[0]) == 0 && weft_channel_length(&c[1]) == 0;
}

static void consume_all(struct weft__rng *rng, unsigned own, bool deadlines, long calls)
{
	for (long i = 0; i < calls && !is_over(); i++) {
		struct weft_scope scope;
		if (!deadlines || weft__rng_below(rng, 3)) {
			expect(receive_somehow(rng, own));
			continue;
		}
		weft_scope_enter(&scope, .timeout = (int64_t)weft__rng_below(rng, 20000));
		expect(receive_somehow(rng, own));
		weft_scope_leave(&scope, 0);
		weft_yield(); /* without deadlines nobody else may get to run */
	}
}

static int consume(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + 1000 + (uint64_t)(uintptr_t)arg);
	consume_all(&rng, (uintptr_t)arg % 2, true, LONG_MAX);
	return 0;
}

static int all(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	(void)arg;
	for (uintptr_t i = 0; i < TASKS && rc == 0; i++) {
		rc = weft_spawn(&g, produce, (void *)i);
		if (rc == 0)
			rc = weft_spawn(&g, consume, (void *)i);
	}
	return weft_group_close(&g, rc);
}

static void thread(unsigned index)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + 2000 + index);
	if (index == 0)
		produce_all(&rng, TASKS * EACH, THREADS_EACH, false);
	else
		consume_all(&rng, 0, false, THREADS_EACH);
}

static void round_of(struct weft_runtime *rt, struct weft__rng *rng)
{
	struct stress_thread threads[2];

	for (int i = 0; i < 2; i++)
		weft_channel_init(&c[i], room[i], sizeof(uint64_t), weft__rng_below(rng, 17));
	memset(received, 0, sizeof received);
	count = 0;
	producing = TASKS + 1;
	stress_start(threads, 2, thread);
	STRESS_CHECK(weft_runtime_run(rt, all, NULL) == 0);
	stress_join(threads, 2);
	STRESS_CHECK(count == ITEMS);
	for (int i = 0; i < 2; i++)
		weft_channel_fini(&c[i]);
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;
	struct weft__rng rng;
	long rounds;

	stress_begin(argc, argv);
	weft__rng_init(&rng, stress_seed);
	rounds = 20 * stress_scale;
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	for (long i = 0; i < rounds; i++)
		round_of(rt, &rng);
	weft_runtime_destroy(rt);
	printf("%ld rounds of %d items; %" PRIu64 " calls cut off, %" PRIu64 " selects\n", rounds,
	       ITEMS, cut_off, selects);
	return 0;
}
