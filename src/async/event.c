/* SPDX-License-Identifier: MIT */
/*
 * event.c - something that has happened, or not yet (the events of descriptors and time
 * are events.c)
 *
 *   O1  what came before set -> who finds it set     release of `set` => acquire.  Those
 *       who waited have the edge of their claim.
 *   O2  the setter's last touch -> the waiter, who may free the event: it sees `set`,
 *       and then the lock free.  The setter took the lock before it wrote `set`.
 */
#include <weft/error.h>
#include <weft/sync.h>

#include "async/queue.h"

struct weft__event {
	struct weft__queue queue;
	uint32_t set; /* written under the lock of the queue; while it is 1 nobody waits */
};

_Static_assert(sizeof(struct weft__event) <= sizeof(struct weft_event),
	       "struct weft_event is too small");

static struct weft__event *event_of(struct weft_event *e)
{
	return (struct weft__event *)(void *)e;
}

void weft_event_init(struct weft_event *event)
{
	*event_of(event) = (struct weft__event){ 0 };
}

void weft_event_set(struct weft_event *event)
{
	struct weft__event *e = event_of(event);
	struct weft__wakes wakes = { 0 };

	weft__queue_lock(&e->queue);
	store_release(&e->set, 1); /* O1 */
	weft__queue_wake_all(&e->queue, WEFT__GRANTED, &wakes);
	weft__queue_unlock_wake(&e->queue, &wakes);
}

void weft_event_clear(struct weft_event *event)
{
	struct weft__event *e = event_of(event);

	weft__queue_lock(&e->queue);
	store_relaxed(&e->set, 0);
	weft__queue_unlock(&e->queue);
}

bool weft_event_is_set(const struct weft_event *event)
{
	return load_acquire(&((const struct weft__event *)(const void *)event)->set); /* O1 */
}

static __attribute__((noinline)) int wait_for(struct weft__event *e, struct weft__strand *s)
{
	struct weft__waiter me;

	weft__queue_lock(&e->queue);
	if (load_relaxed(&e->set)) {
		weft__queue_unlock(&e->queue);
		return 0;
	}
	int rc = weft__queue_wait(&e->queue, s, &me, WEFT__ABORTABLE, "event", e);
	if (rc == 0)
		return 0;
	weft__queue_withdraw(&e->queue, &me);
	weft__queue_unlock(&e->queue);
	return rc;
}

int weft_event_wait(struct weft_event *event)
{
	struct weft__event *e = event_of(event);
	struct weft__strand *s = weft__strand_self();
	int rc = weft__point_here(s);

	if (WEFT_UNLIKELY(rc != 0))
		return rc;
	if (WEFT_LIKELY(load_acquire(&e->set) && weft__guard_is_free(&e->queue.guard))) /* O1, O2 */
		return 0;
	return wait_for(e, s);
}
