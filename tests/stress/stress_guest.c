/* SPDX-License-Identifier: MIT */
/*
 * stress_guest.c - a runtime ends while a thread that woke its last task is still in its call
 *
 * Each round makes a runtime whose root waits for something that a plain thread does, and
 * ends it as soon as the root has returned.  The thread loses its CPU where that hurts
 * most: it has made the root ready, and is about to look for a worker that sleeps.  What
 * it touches then must be there still; AddressSanitizer and ThreadSanitizer know.
 *
 * Linked with --wrap=weft__idle_notify.
 */
#include <weft/weft.h>

#include "runtime/idle.h"
#include "support/stress.h"

static __thread bool is_guest;

bool __real_weft__idle_notify(struct weft_runtime *rt);
bool __wrap_weft__idle_notify(struct weft_runtime *rt);

bool __wrap_weft__idle_notify(struct weft_runtime *rt)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	if (is_guest)
		nanosleep(&moment, NULL);
	return __real_weft__idle_notify(rt);
}

/* --- what the root waits for --------------------------------------------- */

struct wish {
	void (*fulfil)(struct wish *wish);
	struct weft_event *event;
	struct weft_channel *channel;
	struct weft_sem *sem;
	struct weft_portal *portal;
	struct weft_future future;
};

static struct wish *wanted;

static int say(struct wish *wish)
{
	store_release(&wanted, wish);
	return 0;
}

static void set(struct wish *wish)
{
	weft_event_set(wish->event);
}

static int wait_for_event(void *arg)
{
	struct weft_event event;
	struct wish *wish = arg;

	weft_event_init(&event);
	wish->fulfil = set;
	wish->event = &event;
	say(wish);
	return weft_event_wait(&event);
}

static void post(struct wish *wish)
{
	weft_sem_release(wish->sem);
}

static int wait_for_sem(void *arg)
{
	struct weft_sem sem;
	struct wish *wish = arg;

	weft_sem_init(&sem, 0, 1);
	wish->fulfil = post;
	wish->sem = &sem;
	say(wish);
	return weft_sem_acquire(&sem);
}

static void send_one(struct wish *wish)
{
	int one = 1;

	STRESS_CHECK(weft_channel_send(wish->channel, &one) == 0);
}

static int wait_for_item(void *arg)
{
	struct weft_channel channel;
	struct wish *wish = arg;
	int item = 0;

	STRESS_CHECK(weft_channel_init(&channel, NULL, sizeof item, 0) == 0);
	wish->fulfil = send_one;
	wish->channel = &channel;
	say(wish);
	int rc = weft_channel_recv(&channel, &item);
	STRESS_CHECK(item == 1);
	weft_channel_fini(&channel);
	return rc;
}

static int be_called(void *arg)
{
	weft_event_set(arg);
	return 0;
}

static void call(struct wish *wish)
{
	STRESS_CHECK(weft_from_thread_nowait(wish->portal, be_called, wish->event, &wish->future) ==
		     0);
}

static int wait_for_call(void *arg)
{
	struct weft_portal portal;
	struct weft_event event;
	struct wish *wish = arg;

	weft_event_init(&event);
	STRESS_CHECK(weft_portal_open(&portal) == 0);
	wish->fulfil = call;
	wish->event = &event;
	wish->portal = &portal;
	say(wish);
	STRESS_CHECK(weft_event_wait(&event) == 0);
	STRESS_CHECK(weft_future_wait(&wish->future, NULL) == 0);
	return weft_portal_close(&portal, 0);
}

/* --- rounds -------------------------------------------------------------- */

static uint64_t rounds;

static void fulfil_often(unsigned self)
{
	struct wish *wish;

	(void)self;
	is_guest = true;
	for (uint64_t i = 0; i < rounds; i++) {
		while (!(wish = load_acquire(&wanted)))
			sched_yield();
		store_relaxed(&wanted, (struct wish *)NULL);
		wish->fulfil(wish);
	}
}

int main(int argc, char **argv)
{
	static weft_fn *const waits[] = { wait_for_event, wait_for_sem, wait_for_item,
					  wait_for_call };
	struct stress_thread guest;

	stress_begin(argc, argv);
	rounds = 200 * (uint64_t)stress_scale;
	stress_start(&guest, 1, fulfil_often);
	for (uint64_t i = 0; i < rounds; i++) {
		static struct wish wish;
		struct weft_runtime *rt;

		STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
		STRESS_CHECK(weft_runtime_run(rt, waits[i % 4], &wish) == 0);
		weft_runtime_destroy(rt);
	}
	stress_join(&guest, 1);
	printf("%" PRIu64 " runtimes ended\n", rounds);
	return 0;
}
