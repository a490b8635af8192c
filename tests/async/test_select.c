/* SPDX-License-Identifier: MIT */
/*
 * test_select.c - exactly one case happens
 */
#include <criterion/criterion.h>
#include <string.h>

#include <weft/weft.h>

#include "support/assert.h"
#include "support/tasks.h"
#include "support/workers.h"

TestSuite(select, .timeout = 60);

enum { PENDING = -1 }; /* no index, and no code that select returns */

/* A select over up to four channels, in a task of its own. */
struct choice {
	struct weft_select_case k[4];
	size_t n;
	int item[4];
	int chosen;
	struct weft_task task;
};

static struct weft_channel c[4];
static int room[4][2];
static struct choice a, b;
static struct weft_group g;
static int seen[8];

static int run(weft_fn *fn)
{
	struct weft_runtime *rt;
	int rc = weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL);

	if (rc != 0)
		return rc;
	rc = weft_runtime_run(rt, fn, NULL);
	weft_runtime_destroy(rt);
	return rc;
}

/* begin() does that. */
static void fresh(void)
{
}

static void begin(size_t capacity)
{
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < 4; i++)
		weft_channel_init(&c[i], room[i], sizeof(int), capacity);
	weft_group_open(&g);
}

static int end(void)
{
	int rc = weft_group_close(&g, 0);

	for (int i = 0; i < 4; i++)
		weft_channel_fini(&c[i]);
	return rc;
}

static void add(struct choice *x, struct weft_channel *ch, enum weft_select_op op, int item)
{
	x->item[x->n] = item;
	x->k[x->n] = (struct weft_select_case){ .channel = ch, .op = op, .item = &x->item[x->n] };
	x->n++;
}

static void add_recv(struct choice *x, struct weft_channel *ch)
{
	add(x, ch, WEFT_SELECT_RECV, 0);
}

static void add_send(struct choice *x, struct weft_channel *ch, int item)
{
	add(x, ch, WEFT_SELECT_SEND, item);
}

static int choose(void *arg)
{
	struct choice *x = arg;

	x->chosen = weft_select(x->k, x->n);
	return 0;
}

/* In a task of its own, until it waits. */
static void start(struct choice *x)
{
	x->chosen = PENDING;
	weft_spawn(&g, choose, x, .task = &x->task);
	weft_wait_all_blocked();
}

static bool is_idle(struct weft_channel *ch)
{
	int item = 1;

	return weft_channel_try_recv(ch, &item) == WEFT_EAGAIN &&
	       (weft_channel_capacity(ch) || weft_channel_try_send(ch, &item) == WEFT_EAGAIN);
}

/* --- without waiting ---------------------------------------------------------- */

static int lowest(void *arg)
{
	(void)arg;
	begin(1);
	int item = 7;
	weft_channel_try_send(&c[1], &item);
	weft_channel_try_send(&c[2], &item);
	add_recv(&a, &c[0]);
	add_recv(&a, &c[2]);
	add_recv(&a, &c[1]);
	seen[0] = weft_select(a.k, a.n);
	seen[1] = (int)weft_channel_length(&c[1]);
	seen[2] = (int)weft_channel_length(&c[2]);
	return end();
}

WorkersTest(select, of_several_that_can_happen_it_is_the_lowest_index)
{
	cr_expect(eq(int, run(lowest), 0));
	cr_expect(eq(int, seen[0], 1));
	cr_expect(eq(int, a.k[1].rc, 0));
	cr_expect(eq(int, a.item[1], 7));
	cr_expect(eq(int, seen[1], 1));
	cr_expect(eq(int, seen[2], 0));
}

Test(select, try_select_waits_for_nothing)
{
	struct choice x = { .n = 0 };
	int got = 0;

	begin(1);
	add_recv(&x, &c[0]);
	cr_expect(eq(int, weft_try_select(x.k, x.n), WEFT_EAGAIN));
	add_send(&x, &c[1], 4);
	cr_expect(eq(int, weft_try_select(x.k, x.n), 1));
	cr_expect(eq(int, weft_try_select(x.k, x.n), WEFT_EAGAIN));
	cr_expect(eq(int, weft_channel_try_recv(&c[1], &got), 0));
	cr_expect(eq(int, got, 4));
}

Test(select, a_select_that_could_never_end_is_refused)
{
	struct choice x = { .n = 0 };

	cr_expect(eq(int, weft_select(x.k, 0), WEFT_EINVAL));
	add_recv(&x, NULL);
	add_send(&x, NULL, 1);
	cr_expect(eq(int, weft_select(x.k, x.n), WEFT_EINVAL));
	cr_expect(eq(int, weft_try_select(x.k, x.n), WEFT_EINVAL));
}

Test(select, a_case_without_a_channel_never_happens)
{
	struct choice x = { .n = 0 };

	begin(1);
	add_recv(&x, NULL);
	add_send(&x, &c[0], 1);
	cr_expect(eq(int, weft_select(x.k, x.n), 1));
}

Test(select, a_closed_channel_is_a_case_that_happens)
{
	struct choice x = { .n = 0 };

	begin(1);
	weft_channel_close(&c[1]);
	add_recv(&x, &c[0]);
	add_recv(&x, &c[1]);
	cr_expect(eq(int, weft_select(x.k, x.n), 1));
	cr_expect(eq(int, x.k[1].rc, WEFT_ECLOSED));
	x.n = 0;
	add_send(&x, &c[1], 1);
	cr_expect(eq(int, weft_select(x.k, x.n), 0));
	cr_expect(eq(int, x.k[0].rc, WEFT_ECLOSED));
}

/* --- waiting -------------------------------------------------------------------- */

static int mixed(void *arg)
{
	(void)arg;
	begin(0);
	add_recv(&a, &c[2]);
	add_send(&a, &c[0], 10);
	add_recv(&a, &c[1]);
	start(&a);
	seen[0] = a.chosen;
	seen[1] = weft_channel_recv(&c[0], &seen[2]);
	weft_wait_all_blocked();
	seen[3] = is_idle(&c[0]) && is_idle(&c[1]) && is_idle(&c[2]);
	return end();
}

WorkersTest(select, a_select_of_sends_and_receives_does_the_one_that_can)
{
	cr_expect(eq(int, run(mixed), 0));
	cr_expect(eq(int, seen[0], PENDING));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.k[1].rc, 0));
	cr_expect(eq(int, seen[1], 0));
	cr_expect(eq(int, seen[2], 10));
	cr_expect(seen[3]);
}

/* Two partners come before the select has run: the second finds nobody. */
static int one_only(void *arg)
{
	int item = 3;

	(void)arg;
	begin(0);
	add_recv(&a, &c[0]);
	add_recv(&a, &c[1]);
	start(&a);
	seen[0] = weft_channel_try_send(&c[1], &item);
	seen[1] = weft_channel_try_send(&c[0], &item);
	seen[2] = weft_channel_try_send(&c[1], &item);
	return end();
}

WorkersTest(select, one_case_happens_and_no_other)
{
	cr_expect(eq(int, run(one_only), 0));
	cr_expect(eq(int, seen[0], 0));
	cr_expect(eq(int, seen[1], WEFT_EAGAIN));
	cr_expect(eq(int, seen[2], WEFT_EAGAIN));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.item[0], 0));
	cr_expect(eq(int, a.item[1], 3));
}

static int passed_over(void *arg)
{
	int item = 3;

	(void)arg;
	begin(0);
	add_recv(&a, &c[0]);
	add_recv(&a, &c[1]);
	add_recv(&b, &c[0]);
	start(&a);
	start(&b);
	seen[0] = weft_channel_try_send(&c[1], &item); /* a is served, and still first in c[0] */
	seen[1] = weft_channel_try_send(&c[0], &item);
	return end();
}

WorkersTest(select, a_select_served_elsewhere_is_passed_over)
{
	cr_expect(eq(int, run(passed_over), 0));
	cr_expect(eq(int, seen[0], 0));
	cr_expect(eq(int, seen[1], 0));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, b.chosen, 0));
	cr_expect(eq(int, b.item[0], 3));
}

static int facing(void *arg)
{
	(void)arg;
	begin(0);
	add_send(&a, &c[0], 1);
	add_recv(&a, &c[1]);
	add_send(&b, &c[1], 2);
	add_recv(&b, &c[0]);
	start(&a);
	start(&b);
	seen[0] = is_idle(&c[0]) && is_idle(&c[1]);
	return end();
}

WorkersTest(select, two_selects_that_face_each_other_exchange_one_item)
{
	cr_expect(eq(int, run(facing), 0));
	cr_expect(eq(int, b.chosen, 0));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.item[1], 2));
	cr_expect(eq(int, b.item[1], 0));
	cr_expect(seen[0]);
}

static int itself(void *arg)
{
	(void)arg;
	begin(0);
	add_send(&a, &c[0], 1);
	add_recv(&a, &c[0]);
	add_recv(&a, &c[0]);
	start(&a);
	seen[0] = a.chosen;
	int item = 8;
	seen[1] = weft_channel_try_send(&c[0], &item);
	seen[2] = weft_channel_try_send(&c[0], &item);
	return end();
}

WorkersTest(select, a_select_does_not_meet_itself)
{
	cr_expect(eq(int, run(itself), 0));
	cr_expect(eq(int, seen[0], PENDING));
	cr_expect(eq(int, seen[1], 0));
	cr_expect(eq(int, seen[2], WEFT_EAGAIN));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.item[1], 8));
	cr_expect(eq(int, a.item[2], 0));
}

/* Waiting senders of a full buffer, among them a select. */
static int into_room(void *arg)
{
	int item = 1;

	(void)arg;
	begin(1);
	weft_channel_try_send(&c[0], &item);
	weft_channel_try_send(&c[1], &item);
	add_send(&a, &c[0], 2);
	add_send(&a, &c[1], 3);
	start(&a);
	weft_channel_recv(&c[1], &seen[0]);
	seen[1] = weft_channel_try_send(&c[1], &item);
	weft_channel_recv(&c[1], &seen[2]);
	return end();
}

WorkersTest(select, SY24_a_select_that_waits_to_send_owns_the_place)
{
	cr_expect(eq(int, run(into_room), 0));
	cr_expect(eq(int, seen[0], 1));
	cr_expect(eq(int, seen[1], WEFT_EAGAIN));
	cr_expect(eq(int, seen[2], 3));
	cr_expect(eq(int, a.chosen, 1));
}

static int closed_meanwhile(void *arg)
{
	(void)arg;
	begin(0);
	add_recv(&a, &c[0]);
	add_recv(&a, &c[1]);
	add_send(&b, &c[2], 1);
	add_send(&b, &c[1], 1);
	start(&a);
	start(&b); /* they meet in c[1] */
	start(&a);
	weft_channel_close(&c[1]);
	seen[0] = is_idle(&c[0]);
	return end();
}

WorkersTest(select, a_close_is_what_happens)
{
	cr_expect(eq(int, run(closed_meanwhile), 0));
	cr_expect(eq(int, b.chosen, 1));
	cr_expect(eq(int, b.k[1].rc, 0));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.k[1].rc, WEFT_ECLOSED));
	cr_expect(seen[0]);
}

/* --- cancelling -------------------------------------------------------------------- */

static int cancelled(void *arg)
{
	int item = 3;

	(void)arg;
	begin(0);
	add_recv(&a, &c[0]);
	add_send(&a, &c[1], 1);
	start(&a);
	weft_task_cancel(a.task);
	seen[0] = weft_channel_try_send(&c[0], &item); /* before it has run */
	weft_wait_all_blocked();
	seen[1] = weft_channel_try_recv(&c[1], &item);
	seen[2] = item;
	return end();
}

WorkersTest(select, ST20_a_cancelled_select_did_nothing)
{
	cr_expect(eq(int, run(cancelled), 0));
	cr_expect(eq(int, a.chosen, WEFT_ECANCELED));
	cr_expect(eq(int, seen[0], WEFT_EAGAIN));
	cr_expect(eq(int, seen[1], WEFT_EAGAIN));
	cr_expect(eq(int, seen[2], 3));
	cr_expect(eq(int, a.item[0], 0));
}

static int served_first(void *arg)
{
	int item = 3;

	(void)arg;
	begin(0);
	add_recv(&a, &c[1]);
	add_recv(&a, &c[0]);
	start(&a);
	seen[0] = weft_channel_try_send(&c[0], &item);
	weft_task_cancel(a.task);
	return end();
}

WorkersTest(select, ST20_a_select_served_before_the_cancel_has_its_item)
{
	cr_expect(eq(int, run(served_first), 0));
	cr_expect(eq(int, seen[0], 0));
	cr_expect(eq(int, a.chosen, 1));
	cr_expect(eq(int, a.item[1], 3));
}

/* --- many ----------------------------------------------------------------------------- */

enum { MANY = 300 };

static int many(void *arg)
{
	struct weft_channel *ch = arg;
	struct weft_select_case k[MANY];
	int got[MANY], wrong = 0;

	for (int i = 0; i < MANY; i++)
		weft_channel_init(&ch[i], &got[i], sizeof(int), 1);
	/* In no order of the addresses; each channel twice. */
	for (int i = 0; i < MANY; i++)
		k[i] = (struct weft_select_case){ .channel = &ch[i * 7 % (MANY / 2)],
						  .item = &seen[1] };
	for (int i = 0; i < MANY / 2; i++) {
		weft_channel_try_send(&ch[i], &i);
		int at = weft_select(k, MANY);
		wrong += at < 0 || k[at].channel != &ch[i] || seen[1] != i;
	}
	seen[0] = wrong;
	seen[2] = weft_try_select(k, MANY);
	return 0;
}

WorkersTest(select, hundreds_of_cases_are_as_good_as_two)
{
	struct weft_channel ch[MANY];
	struct weft_runtime *rt;

	cr_assert(eq(int,
		     weft_runtime_create(&rt, .workers = test_workers, .clock = WEFT_CLOCK_VIRTUAL),
		     0));
	cr_expect(eq(int, weft_runtime_run(rt, many, ch), 0));
	weft_runtime_destroy(rt);
	cr_expect(eq(int, seen[0], 0));
	cr_expect(eq(int, seen[2], WEFT_EAGAIN));
}
