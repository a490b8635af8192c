/* SPDX-License-Identifier: MIT */
/*
 * order.c - the ring of parts in flight
 *
 * Invariants, all under the lock
 *
 *   I1  head <= tail <= head + capacity; part n, for head < n <= tail, is in slot
 *       n % capacity.
 *   I2  The part head + 1, if there is one, is with a lane that maps it, or is
 *       done and `delivering` says that a lane is on its way to it.
 *   I3  Only the lane that set `delivering` moves head, and it does not clear
 *       the flag while the part behind head is done.
 *   I4  Nobody in I2 waits for room: who maps holds its part already and who
 *       delivers needs none.  So head moves, and waiting for it ends.
 *
 * Waiting is on a futex, counted under the lock, and not on a condition variable:
 * that of glibc 2.36 can lose a wake-up (bug 25847).
 */
#include "order.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Output that may wait for the head before claiming stops. */
#define HELD_MOST ((size_t)64 << 20)

/* Parts delivered at once: one write for many, and most of the ring stays free for those
 * that map meanwhile. */
#define BATCH	       64
#define BATCHES_A_RING 8

/* A buffer larger than this is given back rather than kept. */
#define SPARE_LARGEST ((size_t)4 << 20)

bool weft__order_init(struct weft__order *order, uint64_t capacity, unsigned workers,
		      weft__deliver_fn *deliver, void *arg)
{
	*order = (struct weft__order){
		.ring = calloc(capacity, sizeof *order->ring),
		.capacity = capacity,
		.spare = calloc(2 * (size_t)workers, sizeof *order->spare),
		.spare_most = 2 * workers,
		.deliver = deliver,
		.arg = arg,
	};
	pthread_mutex_init(&order->lock, NULL);
	return order->ring && order->spare;
}

void weft__order_fini(struct weft__order *order)
{
	for (uint64_t i = 0; order->ring && i < order->capacity; i++) {
		weft__buffer_fini(&order->ring[i].out);
		weft__buffer_fini(&order->ring[i].notes);
	}
	while (order->spare_count > 0)
		weft__buffer_fini(&order->spare[--order->spare_count]);
	free(order->ring);
	free(order->spare);
	pthread_mutex_destroy(&order->lock);
}

/* With the lock held: lets all who wait look again. */
static void announce(struct weft__order *order)
{
	atomic_fetch_add_explicit(&order->events, 1, memory_order_relaxed);
	if (order->waiting > 0)
		syscall(SYS_futex, &order->events, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* With the lock held, which is given up meanwhile: waits for an announcement. */
static void wait_event(struct weft__order *order)
{
	uint32_t seen = atomic_load_explicit(&order->events, memory_order_relaxed);

	order->waiting++;
	pthread_mutex_unlock(&order->lock);
	syscall(SYS_futex, &order->events, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	pthread_mutex_lock(&order->lock);
	order->waiting--;
}

static struct weft__part *slot(struct weft__order *order, uint64_t number)
{
	return &order->ring[number % order->capacity];
}

static bool has_room(const struct weft__order *order)
{
	if (order->head == order->tail)
		return true;
	return order->tail - order->head < order->capacity && order->held < HELD_MOST;
}

bool weft__order_wait_room(struct weft__order *order)
{
	pthread_mutex_lock(&order->lock);
	while (!order->over && !has_room(order))
		wait_event(order);
	bool fine = !order->over;
	pthread_mutex_unlock(&order->lock);
	return fine;
}

struct weft__part *weft__order_append(struct weft__order *order, const struct weft__slice *slice)
{
	pthread_mutex_lock(&order->lock);
	uint64_t number = ++order->tail;
	struct weft__part *part = slot(order, number);
	*part = (struct weft__part){ .number = number, .slice = *slice };
	if (order->spare_count > 0)
		part->out = order->spare[--order->spare_count];
	pthread_mutex_unlock(&order->lock);
	return part;
}

/* With the lock held: the finished parts behind head, oldest first. */
static unsigned collect(struct weft__order *order, struct weft__part **parts)
{
	uint64_t share = order->capacity / BATCHES_A_RING, most = share < BATCH ? share : BATCH;
	unsigned n = 0;

	if (most == 0)
		most = 1;
	while (n < most && order->head + n < order->tail && slot(order, order->head + n + 1)->done)
		parts[n] = slot(order, order->head + n + 1), n++;
	return n;
}

/* What a finished part keeps until it is delivered: in large pages all of a buffer is there,
 * used or not. */
static size_t bytes_of(const struct weft__part *part)
{
	return part->out.capacity + part->notes.capacity;
}

/* With the lock held: the part is delivered, and its slot free. */
static void retire(struct weft__order *order, struct weft__part *part)
{
	order->held -= bytes_of(part);
	part->done = false;
	part->out.used = 0;
	if (part->out.data && part->out.capacity <= SPARE_LARGEST &&
	    order->spare_count < order->spare_most) {
		order->spare[order->spare_count++] = part->out;
		part->out = (struct weft__buffer){ 0 };
	}
	weft__buffer_fini(&part->out);
	weft__buffer_fini(&part->notes);
	free(part->state); /* behind the cut: nobody has merged it */
	part->state = NULL;
}

/* With the lock held, which is given up while the parts are delivered. */
static void deliver(struct weft__order *order, struct weft__part **parts, unsigned n)
{
	bool over = order->over;

	pthread_mutex_unlock(&order->lock);
	over = over || !order->deliver(parts, n, order->arg);
	pthread_mutex_lock(&order->lock);
	order->over = order->over || over;
	for (unsigned i = 0; i < n; i++)
		retire(order, parts[i]);
	order->head += n;
	announce(order);
}

void weft__order_finish(struct weft__order *order, struct weft__part *part)
{
	struct weft__part *parts[BATCH];
	unsigned n;

	pthread_mutex_lock(&order->lock);
	part->done = true;
	order->held += bytes_of(part);
	if (!order->delivering) {
		order->delivering = true;
		while ((n = collect(order, parts)) > 0)
			deliver(order, parts, n);
		order->delivering = false;
	}
	pthread_mutex_unlock(&order->lock);
}

static bool is_head(const struct weft__order *order, const struct weft__part *part)
{
	return order->head + 1 == part->number;
}

static bool may_write(const struct weft__order *order, const struct weft__part *part)
{
	return order->unordered ? !order->writing : is_head(order, part);
}

bool weft__order_acquire_output(struct weft__order *order, const struct weft__part *part)
{
	pthread_mutex_lock(&order->lock);
	while (!order->over && !may_write(order, part))
		wait_event(order);
	bool fine = !order->over;
	order->writing = order->writing || fine;
	pthread_mutex_unlock(&order->lock);
	return fine;
}

void weft__order_release_output(struct weft__order *order)
{
	pthread_mutex_lock(&order->lock);
	order->writing = false;
	announce(order);
	pthread_mutex_unlock(&order->lock);
}

bool weft__order_await_head(struct weft__order *order, const struct weft__part *part)
{
	pthread_mutex_lock(&order->lock);
	while (!order->over && !is_head(order, part))
		wait_event(order);
	bool fine = !order->over;
	pthread_mutex_unlock(&order->lock);
	return fine;
}

void weft__order_end(struct weft__order *order)
{
	pthread_mutex_lock(&order->lock);
	order->over = true;
	announce(order);
	pthread_mutex_unlock(&order->lock);
}
