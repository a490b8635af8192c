/* SPDX-License-Identifier: MIT */
/*
 * test_channel.c - what weft/channel.h promises, one promise a test
 *
 * In virtual time weft_wait_all_blocked() says when everybody waits.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <weft/weft.h>

#include "deque/alloc.h"
#include "support/assert.h"
#include "support/tasks.h"
#include "support/workers.h"

TestSuite(channel, .timeout = 60);

static int run(weft_fn *fn, void *arg)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, arg);
	weft_runtime_destroy(rt);
	return rc;
}

/* One call in a task of its own, and what came of it. */
struct call {
	struct weft_channel *c;
	int item;
	int rc; /* 1: has not returned */
	int turn;
	struct weft_task task;
};

enum { PENDING = 1 };

static uint32_t turns;

static int do_send(void *arg)
{
	struct call *k = arg;

	k->rc = weft_channel_send(k->c, &k->item);
	k->turn = (int)add_seqcst(&turns, 1) + 1;
	return 0;
}

static int do_recv(void *arg)
{
	struct call *k = arg;

	k->rc = weft_channel_recv(k->c, &k->item);
	k->turn = (int)add_seqcst(&turns, 1) + 1;
	return 0;
}

/* Starts calls, one behind the other, until all wait. */
static void start(struct weft_group *g, weft_fn *fn, struct call *calls, int n)
{
	for (int i = 0; i < n; i++) {
		calls[i].rc = PENDING;
		weft_spawn(g, fn, &calls[i], .task = &calls[i].task);
		weft_wait_all_blocked();
	}
}

/* A channel of ints, a group, and what a test saw. */
struct scene {
	struct weft_channel c, d;
	int room[8];
	struct weft_group g;
	struct call k[4];
	int rc[8];
	int got[8];
	size_t length;
};

static struct scene s;

/* open_scene() does that. */
static void fresh(void)
{
}

static void open_scene(size_t capacity)
{
	memset(&s, 0, sizeof s);
	turns = 0;
	weft_channel_init(&s.c, s.room, sizeof(int), capacity);
	weft_channel_init(&s.d, NULL, sizeof(int), 0);
	for (int i = 0; i < 4; i++)
		s.k[i].c = &s.c;
	weft_group_open(&s.g);
}

/* With one worker those who were woken go on in that order. */
static bool took_turn(int i)
{
	return test_workers > 1 || s.k[i].turn == i + 1;
}

static int close_scene(void)
{
	int rc = weft_group_close(&s.g, 0);

	weft_channel_fini(&s.c);
	weft_channel_fini(&s.d);
	return rc;
}

/* --- life ------------------------------------------------------------------ */

Test(channel, init_and_create_refuse_what_cannot_be)
{
	struct weft_channel c, *made = NULL;

	cr_expect(eq(int, weft_channel_init(NULL, NULL, 0, 0), WEFT_EINVAL));
	cr_expect(eq(int, weft_channel_init(&c, NULL, 4, 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_channel_init(&c, &c, SIZE_MAX / 2, 4), WEFT_EINVAL));
	cr_expect(eq(int, weft_channel_create(&made, SIZE_MAX, SIZE_MAX), WEFT_EINVAL));
	weft__alloc_fail_at(1);
	cr_expect(eq(int, weft_channel_create(&made, 4, 1), WEFT_ENOMEM));
	cr_expect(eq(ptr, made, NULL));
	weft__alloc_fail_at(0);
	weft_channel_destroy(NULL);
}

Test(channel, a_created_channel_has_its_own_room)
{
	struct weft_channel *c;
	long got = 0;

	cr_assert(eq(int, weft_channel_create(&c, sizeof(long), 3), 0));
	for (long i = 1; i <= 3; i++)
		cr_expect(eq(int, weft_channel_try_send(c, &i), 0));
	cr_expect(eq(sz, weft_channel_capacity(c), 3));
	cr_expect(eq(int, weft_channel_try_recv(c, &got), 0));
	cr_expect(eq(long, got, 1));
	weft_channel_destroy(c);
}

Test(channel, items_of_any_size_come_out_as_they_went_in)
{
	unsigned char in[64], out[64];

	for (size_t size = 1; size <= sizeof in; size++) {
		struct weft_channel *c;
		cr_assert(eq(int, weft_channel_create(&c, size, 2), 0));
		for (int round = 0; round < 3; round++) {
			memset(in, (int)size + round, sizeof in);
			memset(out, 0, sizeof out);
			cr_expect(eq(int, weft_channel_try_send(c, in), 0));
			cr_expect(eq(int, weft_channel_try_recv(c, out), 0));
			cr_expect(memcmp(in, out, size) == 0);
			cr_expect(size == sizeof out || out[size] == 0);
		}
		weft_channel_destroy(c);
	}
}

/* --- the buffer ------------------------------------------------------------ */

Test(channel, a_buffer_holds_its_capacity_and_keeps_the_order)
{
	struct weft_channel c;
	int room[3], got = 0, next = 0, taken = 0;

	weft_channel_init(&c, room, sizeof(int), 3);
	for (int round = 0; round < 5; round++) { /* over the end of the ring */
		while (weft_channel_try_send(&c, &next) == 0)
			next++;
		cr_expect(eq(sz, weft_channel_length(&c), 3));
		for (int i = 0; i < 2; i++) {
			cr_expect(eq(int, weft_channel_try_recv(&c, &got), 0));
			cr_expect(eq(int, got, taken++));
		}
	}
	cr_expect(eq(int, next, 11));
	weft_channel_fini(&c);
}

Test(channel, an_empty_try_recv_leaves_the_item_alone)
{
	struct weft_channel c;
	int room[1], got = 7;

	weft_channel_init(&c, room, sizeof(int), 1);
	cr_expect(eq(int, weft_channel_try_recv(&c, &got), WEFT_EAGAIN));
	weft_channel_close(&c);
	cr_expect(eq(int, weft_channel_try_recv(&c, &got), WEFT_ECLOSED));
	cr_expect(eq(int, got, 7));
	weft_channel_fini(&c);
}

Test(channel, without_capacity_nothing_is_sent_to_nobody)
{
	struct weft_channel c;
	int item = 1;

	weft_channel_init(&c, NULL, sizeof(int), 0);
	cr_expect(eq(int, weft_channel_try_send(&c, &item), WEFT_EAGAIN));
	cr_expect(eq(int, weft_channel_try_recv(&c, &item), WEFT_EAGAIN));
	cr_expect(eq(sz, weft_channel_length(&c), 0));
	weft_channel_fini(&c);
}

/* --- waiting ---------------------------------------------------------------- */

static int SY24_receiver(void *arg)
{
	open_scene(*(size_t *)arg);
	start(&s.g, do_recv, s.k, 1);
	int item = 5;
	s.rc[0] = weft_channel_try_send(&s.c, &item);
	s.rc[1] = weft_channel_try_recv(&s.c, &s.got[0]); /* before it has run */
	s.rc[2] = s.k[0].rc;
	return close_scene();
}

/* These two look before the task has gone on: one worker. */
Test(channel, SY24_a_receiver_that_waits_owns_the_item)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		cr_expect(eq(int, run(SY24_receiver, &capacity), 0));
		cr_expect(eq(int, s.rc[0], 0));
		cr_expect(eq(int, s.rc[1], WEFT_EAGAIN));
		cr_expect(eq(int, s.rc[2], PENDING));
		cr_expect(eq(int, s.k[0].rc, 0));
		cr_expect(eq(int, s.k[0].item, 5));
	}
}

static int SY24_sender(void *arg)
{
	size_t capacity = *(size_t *)arg;
	int item = 99;

	open_scene(capacity);
	for (int i = 0; i < (int)capacity; i++)
		weft_channel_try_send(&s.c, &i);
	s.k[0].item = (int)capacity;
	start(&s.g, do_send, s.k, 1);
	for (int i = 0; i <= (int)capacity; i++) {
		weft_channel_try_recv(&s.c, &s.got[i]);
		if (i == 0 && capacity)
			s.rc[0] = weft_channel_try_send(&s.c, &item);
	}
	s.rc[1] = s.k[0].rc;
	return close_scene();
}

Test(channel, SY24_a_sender_that_waits_owns_the_place)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		cr_expect(eq(int, run(SY24_sender, &capacity), 0));
		cr_expect(eq(int, s.rc[0], capacity ? WEFT_EAGAIN : 0));
		cr_expect(eq(int, s.rc[1], PENDING));
		cr_expect(eq(int, s.k[0].rc, 0));
		for (int i = 0; i <= (int)capacity; i++)
			cr_expect(eq(int, s.got[i], i));
	}
}

static int fifo_receivers(void *arg)
{
	(void)arg;
	open_scene(2);
	start(&s.g, do_recv, s.k, 4);
	for (int i = 1; i <= 4; i++)
		weft_channel_try_send(&s.c, &i);
	return close_scene();
}

WorkersTest(channel, receivers_are_served_in_the_order_they_came)
{
	cr_expect(eq(int, run(fifo_receivers, NULL), 0));
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int, s.k[i].item, i + 1));
		cr_expect(took_turn(i));
	}
}

static int fifo_senders(void *arg)
{
	(void)arg;
	open_scene(0);
	for (int i = 0; i < 4; i++)
		s.k[i].item = i;
	start(&s.g, do_send, s.k, 4);
	for (int i = 0; i < 4; i++)
		weft_channel_recv(&s.c, &s.got[i]);
	return close_scene();
}

WorkersTest(channel, senders_are_served_in_the_order_they_came)
{
	cr_expect(eq(int, run(fifo_senders, NULL), 0));
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int, s.got[i], i));
		cr_expect(took_turn(i));
	}
}

static int zero_size(void *arg)
{
	size_t capacity = *(size_t *)arg;

	open_scene(0);
	weft_channel_init(&s.c, NULL, 0, capacity);
	for (size_t i = 0; i < capacity; i++)
		s.rc[0] |= weft_channel_send(&s.c, NULL);
	s.rc[1] = weft_channel_try_send(&s.c, NULL);
	start(&s.g, do_send, s.k, 1);
	for (size_t i = 0; i <= capacity; i++)
		s.rc[2] |= weft_channel_recv(&s.c, NULL);
	s.rc[3] = weft_channel_try_recv(&s.c, NULL);
	return close_scene();
}

WorkersTest(channel, SY25_items_of_no_size_are_signals)
{
	for (size_t capacity = 0; capacity <= 3; capacity++) {
		cr_expect(eq(int, run(zero_size, &capacity), 0));
		cr_expect(eq(int, s.rc[0], 0));
		cr_expect(eq(int, s.rc[1], WEFT_EAGAIN));
		cr_expect(eq(int, s.rc[2], 0));
		cr_expect(eq(int, s.rc[3], WEFT_EAGAIN));
		cr_expect(eq(int, s.k[0].rc, 0));
	}
}

/* --- closing ----------------------------------------------------------------- */

static int close_on_receivers(void *arg)
{
	open_scene(*(size_t *)arg);
	start(&s.g, do_recv, s.k, 3);
	weft_channel_close(&s.c);
	weft_channel_close(&s.c);
	for (int i = 0; i < 2; i++)
		s.rc[i] = weft_channel_recv(&s.c, &s.got[0]);
	s.rc[2] = weft_channel_send(&s.c, &s.got[0]);
	return close_scene();
}

WorkersTest(channel, SY25_close_ends_every_receiver_and_stays)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		cr_expect(eq(int, run(close_on_receivers, &capacity), 0));
		for (int i = 0; i < 3; i++) {
			cr_expect(eq(int, s.k[i].rc, WEFT_ECLOSED));
			cr_expect(took_turn(i));
			cr_expect(eq(int, s.rc[i], WEFT_ECLOSED));
		}
	}
}

static int close_on_senders(void *arg)
{
	size_t capacity = *(size_t *)arg;

	open_scene(capacity);
	for (int i = 0; i < (int)capacity; i++)
		weft_channel_try_send(&s.c, &i);
	for (int i = 0; i < 3; i++)
		s.k[i].item = 100;
	start(&s.g, do_send, s.k, 3);
	weft_channel_close(&s.c);
	for (int i = 0; i < (int)capacity; i++)
		s.rc[i] = weft_channel_recv(&s.c, &s.got[i]);
	s.rc[capacity] = weft_channel_recv(&s.c, &s.got[capacity]);
	return close_scene();
}

WorkersTest(channel, SY25_close_ends_every_sender_and_what_was_sent_is_received)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		cr_expect(eq(int, run(close_on_senders, &capacity), 0));
		for (int i = 0; i < 3; i++)
			cr_expect(eq(int, s.k[i].rc, WEFT_ECLOSED));
		for (int i = 0; i < (int)capacity; i++) {
			cr_expect(eq(int, s.rc[i], 0));
			cr_expect(eq(int, s.got[i], i));
		}
		cr_expect(eq(int, s.rc[capacity], WEFT_ECLOSED));
		cr_expect(eq(int, s.got[capacity], 0));
	}
}

Test(channel, closing_an_unused_channel_closes_it)
{
	struct weft_channel c;

	weft_channel_init(&c, NULL, 0, 0);
	cr_expect(not(weft_channel_is_closed(&c)));
	weft_channel_close(&c);
	cr_expect(weft_channel_is_closed(&c));
	cr_expect(eq(int, weft_channel_try_send(&c, NULL), WEFT_ECLOSED));
	weft_channel_fini(&c);
}

/* --- cancelling -------------------------------------------------------------- */

static int cancel_then_send(void *arg)
{
	int item = 3;

	open_scene(*(size_t *)arg);
	start(&s.g, do_recv, s.k, 1);
	weft_task_cancel(s.k[0].task);
	s.rc[0] = weft_channel_try_send(&s.c, &item); /* before it has run */
	s.length = weft_channel_length(&s.c);
	weft_wait_all_blocked();
	s.rc[1] = weft_channel_try_recv(&s.c, &s.got[0]);
	return close_scene();
}

WorkersTest(channel, ST20_a_receiver_cancelled_first_took_nothing)
{
	size_t capacity = 1;

	cr_expect(eq(int, run(cancel_then_send, &capacity), 0));
	cr_expect(eq(int, s.k[0].rc, WEFT_ECANCELED));
	cr_expect(eq(int, s.k[0].item, 0));
	cr_expect(eq(int, s.rc[0], 0));
	cr_expect(eq(sz, s.length, 1));
	cr_expect(eq(int, s.rc[1], 0));
	cr_expect(eq(int, s.got[0], 3));
	capacity = 0;
	cr_expect(eq(int, run(cancel_then_send, &capacity), 0));
	cr_expect(eq(int, s.rc[0], WEFT_EAGAIN));
	cr_expect(eq(int, s.k[0].item, 0));
}

static int send_then_cancel(void *arg)
{
	int item = 3;

	open_scene(*(size_t *)arg);
	start(&s.g, do_recv, s.k, 1);
	s.rc[0] = weft_channel_try_send(&s.c, &item);
	weft_task_cancel(s.k[0].task);
	return close_scene();
}

WorkersTest(channel, ST20_a_receiver_cancelled_second_has_the_item)
{
	for (size_t capacity = 0; capacity <= 1; capacity++) {
		cr_expect(eq(int, run(send_then_cancel, &capacity), 0));
		cr_expect(eq(int, s.rc[0], 0));
		cr_expect(eq(int, s.k[0].rc, 0));
		cr_expect(eq(int, s.k[0].item, 3));
	}
}

/* Senders 10, 20, 30 wait; the first and the second are cancelled. */
static int cancel_senders(void *arg)
{
	bool run_first = *(bool *)arg;

	open_scene(0);
	for (int i = 0; i < 3; i++)
		s.k[i].item = 10 * (i + 1);
	start(&s.g, do_send, s.k, 3);
	weft_task_cancel(s.k[0].task);
	weft_task_cancel(s.k[1].task);
	if (run_first)
		weft_wait_all_blocked();
	s.rc[0] = weft_channel_try_recv(&s.c, &s.got[0]);
	s.rc[1] = weft_channel_try_recv(&s.c, &s.got[1]);
	return close_scene();
}

WorkersTest(channel, CO4_a_cancelled_sender_sent_nothing)
{
	for (int i = 0; i < 2; i++) {
		bool run_first = i;
		cr_expect(eq(int, run(cancel_senders, &run_first), 0));
		cr_expect(eq(int, s.k[0].rc, WEFT_ECANCELED));
		cr_expect(eq(int, s.k[1].rc, WEFT_ECANCELED));
		cr_expect(eq(int, s.k[2].rc, 0));
		cr_expect(eq(int, s.got[0], 30));
		cr_expect(eq(int, s.rc[1], WEFT_EAGAIN));
	}
}

static int entry_check(void *arg)
{
	struct weft_scope scope;
	int item = 1;

	(void)arg;
	open_scene(2);
	weft_channel_try_send(&s.c, &item);
	weft_scope_enter(&scope);
	weft_scope_cancel(&scope);
	s.rc[0] = weft_channel_send(&s.c, &item);
	s.rc[1] = weft_channel_recv(&s.c, &s.got[0]);
	s.rc[2] = (int)weft_channel_send_many(&s.c, &item, 1);
	s.rc[3] = (int)weft_channel_recv_many(&s.c, &s.got[0], 1);
	s.rc[4] = weft_select(&(struct weft_select_case){ .channel = &s.c, .item = s.got }, 1);
	s.length = weft_channel_length(&s.c);
	weft_scope_leave(&scope, 0);
	return close_scene();
}

WorkersTest(channel, CO3_a_cancelled_call_does_nothing_though_it_could)
{
	cr_expect(eq(int, run(entry_check, NULL), 0));
	for (int i = 0; i < 5; i++)
		cr_expect(eq(int, s.rc[i], WEFT_ECANCELED));
	cr_expect(eq(sz, s.length, 1));
	cr_expect(eq(int, s.got[0], 0));
}

static int deadline(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	open_scene(1);
	weft_scope_enter(&scope, .timeout = WEFT_SEC(5));
	s.rc[0] = weft_scope_leave(&scope, weft_channel_recv(&s.c, &s.got[0]));
	return close_scene();
}

WorkersTest(channel, a_deadline_ends_a_receive)
{
	cr_expect(eq(int, run(deadline, NULL), 0));
	cr_expect(eq(int, s.rc[0], WEFT_ETIMEDOUT));
}

/* --- many ---------------------------------------------------------------------- */

struct many {
	int items[6];
	ptrdiff_t n;
};

static int do_send_many(void *arg)
{
	struct many *m = arg;

	m->n = weft_channel_send_many(&s.c, m->items, 6);
	return 0;
}

static int many_through(void *arg)
{
	struct many m = { { 1, 2, 3, 4, 5, 6 }, 0 };
	size_t capacity = *(size_t *)arg;

	open_scene(capacity);
	weft_spawn(&s.g, do_send_many, &m);
	for (size_t got = 0; got < 6;) {
		ptrdiff_t n = weft_channel_recv_many(&s.c, s.got + got, 4);
		s.rc[7] |= n < 1 || n > 4;
		got += (size_t)n;
	}
	int rc = close_scene();
	s.rc[0] = (int)m.n;
	return rc;
}

WorkersTest(channel, many_items_go_through_in_order)
{
	for (size_t capacity = 0; capacity <= 4; capacity++) {
		cr_expect(eq(int, run(many_through, &capacity), 0));
		cr_expect(eq(int, s.rc[0], 6));
		cr_expect(eq(int, s.rc[7], 0));
		for (int i = 0; i < 6; i++)
			cr_expect(eq(int, s.got[i], i + 1));
	}
}

static int many_in_the_middle(void *arg)
{
	struct many m = { { 1, 2, 3, 4, 5, 6 }, 0 };
	bool cancel = *(bool *)arg;
	struct weft_task task;

	open_scene(4);
	weft_spawn(&s.g, do_send_many, &m, .task = &task);
	weft_wait_all_blocked();
	if (cancel)
		weft_task_cancel(task);
	else
		weft_channel_close(&s.c);
	weft_wait_all_blocked();
	s.rc[0] = (int)m.n;
	s.rc[1] = (int)weft_channel_recv_many(&s.c, s.got, 8);
	s.rc[2] = (int)weft_channel_recv_many(&s.c, s.got, 0);
	weft_channel_close(&s.c);
	s.rc[3] = (int)weft_channel_recv_many(&s.c, s.got, 8);
	s.rc[4] = (int)weft_channel_send_many(&s.c, s.got, 8);
	return close_scene();
}

WorkersTest(channel, CO4_what_was_sent_before_the_end_counts)
{
	for (int i = 0; i < 2; i++) {
		bool cancel = i;
		cr_expect(eq(int, run(many_in_the_middle, &cancel), 0));
		cr_expect(eq(int, s.rc[0], 4));
		cr_expect(eq(int, s.rc[1], 4));
		cr_expect(eq(int, s.rc[2], 0));
		cr_expect(eq(int, s.rc[3], WEFT_ECLOSED));
		cr_expect(eq(int, s.rc[4], WEFT_ECLOSED));
	}
}

/* --- threads --------------------------------------------------------------------- */

static void *thread_echo(void *arg)
{
	int item;

	(void)arg;
	while (weft_channel_recv(&s.c, &item) == 0)
		weft_channel_send(&s.d, &item);
	weft_channel_close(&s.d);
	return NULL;
}

Test(channel, plain_threads_may_wait_too)
{
	pthread_t thread;
	int got = 0;

	weft_channel_init(&s.c, NULL, sizeof(int), 0);
	weft_channel_init(&s.d, NULL, sizeof(int), 0);
	pthread_create(&thread, NULL, thread_echo, NULL);
	for (int i = 0; i < 1000; i++) {
		cr_expect(eq(int, weft_channel_send(&s.c, &i), 0));
		cr_expect(eq(int, weft_channel_recv(&s.d, &got), 0));
		cr_expect(eq(int, got, i));
	}
	weft_channel_close(&s.c);
	cr_expect(eq(int, weft_channel_recv(&s.d, &got), WEFT_ECLOSED));
	pthread_join(thread, NULL);
}

/* --- streaming --------------------------------------------------------------------- */

enum { STREAM = 64000 };

static int stream_source(void *arg)
{
	(void)arg;
	for (int i = 0; i < STREAM; i++)
		weft_channel_send(&s.c, &i);
	weft_channel_close(&s.c);
	return 0;
}

static int stream(void *arg)
{
	static int room[64];
	struct weft_stats before, after;
	int item;

	open_scene(0);
	weft_channel_init(&s.c, room, sizeof(int), 64);
	weft_spawn(&s.g, stream_source, NULL);
	weft_stats(-1, &before);
	while (weft_channel_recv(&s.c, &item) == 0)
		s.rc[0]++;
	weft_stats(-1, &after);
	*(uint64_t *)arg = after.switches - before.switches;
	return close_scene();
}

Test(channel, a_stream_through_a_buffer_does_not_switch_for_each_item)
{
	uint64_t switches = 0;

	cr_expect(eq(int, run(stream, &switches), 0));
	cr_expect(eq(int, s.rc[0], STREAM));
	cr_expect(lt(u64, switches, STREAM / 8));
}

/* --- beside others ------------------------------------------------------------------- */

static uint32_t flag, playing;

static int set_flag(void *arg)
{
	(void)arg;
	store_release(&flag, 1);
	return 0;
}

static int hit_back(void *arg)
{
	int item;

	(void)arg;
	while (weft_channel_recv(&s.c, &item) == 0)
		weft_channel_send(&s.d, &item);
	return 0;
}

static int play(void *arg)
{
	int item = 0;

	(void)arg;
	open_scene(0);
	weft_spawn(&s.g, hit_back, NULL);
	while (!load_acquire(&flag)) {
		weft_channel_send(&s.c, &item);
		weft_channel_recv(&s.d, &item);
		store_release(&playing, 1);
	}
	weft_channel_close(&s.c);
	return close_scene();
}

/* CO-5. */
Test(channel, two_that_wake_each_other_do_not_starve_the_rest)
{
	struct weft_runtime *rt;
	struct runner players;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	runner_start(&players, rt, play, NULL);
	until(&playing, 1);
	cr_expect(eq(int, weft_runtime_run(rt, set_flag, NULL), 0));
	cr_expect(eq(int, runner_join(&players), 0));
	weft_runtime_destroy(rt);
}

static int recv_then_flag(void *arg)
{
	do_recv(arg);
	return set_flag(NULL);
}

/* The one that sends does not leave its worker until the other has run. */
static int wake_and_work(void *arg)
{
	int item = 5;

	(void)arg;
	open_scene(0);
	start(&s.g, recv_then_flag, s.k, 1);
	weft_channel_send(&s.c, &item);
	until(&flag, 1);
	return close_scene();
}

Test(channel, a_receiver_that_was_served_runs_though_the_sender_works_on)
{
	cr_expect(eq(int, run_on(2, wake_and_work, NULL), 0));
	cr_expect(eq(int, s.k[0].item, 5));
}
