/* SPDX-License-Identifier: MIT */
/*
 * poller.c - who waits for which descriptor
 *
 *	blocks[fd / 1024] --> entry[fd % 1024]: lock, serial, closes, waiters
 *	                                                                 |
 *	                         on their strands' stacks:  waiter <-> waiter
 *
 * Who waits puts itself into the entry of the number and registers with epoll what
 * all waiters of the number want together, for one event (EPOLLONESHOT).  The event
 * thread hands an event to all who want it, and registers anew what the others want.
 *
 * Invariants, each of an entry and under its lock
 *
 *   I1  While there are waiters, the kernel has one registration of the number, with
 *       all that they want, and with `serial`; or its event is on the way to the event
 *       thread.  An event of any other serial is stale and is dropped.
 *       A close takes the registration away; weft_close looks after it once more.
 *   I2  serial changes with every registration, and only when that succeeded: a
 *       failed one leaves the earlier one, and its waiters, as they were.
 *   I3  A waiter is taken out before it is claimed: who has won a claim of a waiter
 *       that is not parked yet may not touch it any more.
 *
 * Orderings
 *
 *   O1  a fresh block -> who finds it    release of blocks[i] => acquire.
 *   O2  ready -> the waiter              the claim: O1 of wait.c.
 *
 * What the application does to numbers.  It closes a descriptor, by close() as often
 * as by weft_close, and the next open has the same number.  The kernel keeps
 * registrations by file and number, and so the new file has none: MOD fails, and ADD
 * follows.  A file that lives on elsewhere (dup, a child process) stays registered
 * under the old number and may yet fire once; I1 drops that.  So the entry never
 * remembers what is registered, and every wait asks the kernel: one epoll_ctl.
 *
 * The call into the kernel is made with the entry's lock held, which else would not
 * be right for a spin lock.  It is the lock of one number, wanted by its other waiters
 * and by the event thread when it has an event of that number; epoll_ctl itself waits
 * for no more than the event thread's copying of events.  Without the lock two waiters
 * could register in one order and be recorded in the other.
 *
 * Rejected
 *
 *   Edge-triggered registration once in a descriptor's life, with bits of readiness on
 *   our side (Go, tokio).  It saves that epoll_ctl, 1.6 us of the 26 us of CPU of a round
 *   of bench/echo (6 %), and needs to be told of every close: after a close() behind our
 *   back a wait for the reused number hangs.  Go and tokio own the descriptor; we do not.
 *   Waking one waiter an event: it may not take all that came, or be cancelled between
 *   its wake-up and its read, and then the rest waits beside a ready descriptor.
 */
#include "async/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/io.h>

#include "async/async.h"
#include "async/events.h"
#include "async/quiet.h"
#include "async/wait.h"
#include "deque/alloc.h"
#include "deque/sanitizer.h"
#include "runtime/runtime.h"

_Static_assert(WEFT_READABLE == EPOLLIN && WEFT_PRIORITY == EPOLLPRI && WEFT_WRITABLE == EPOLLOUT,
	       "the kernel's bits are ours");

enum { TRIES = 16 }; /* of registering a number that changes its file meanwhile */

struct weft__fd {
	struct weft__spin lock;
	uint32_t serial;	   /* of the registration */
	uint32_t closes;	   /* weft_close of this number */
	struct weft__list waiters; /* oldest first */
};

struct waiter {
	struct weft__list link;
	struct weft__strand *strand;
	uint64_t ticket;
	uint32_t wanted, ready;
};

/* The pollers of all runtimes: a close concerns them all. */
static struct weft__list pollers = { &pollers, &pollers };
static struct weft__spin pollers_lock;

void weft__poller_init(struct weft__poller *poller)
{
	*poller = (struct weft__poller){ 0 };
	weft__spin_lock(&pollers_lock);
	weft__list_push_back(&pollers, &poller->link);
	weft__spin_unlock(&pollers_lock);
}

void weft__poller_fini(struct weft__poller *poller)
{
	weft__spin_lock(&pollers_lock);
	weft__list_remove(&poller->link);
	weft__spin_unlock(&pollers_lock);
	for (int i = 0; i < WEFT__FD_CHUNKS; i++)
		weft__free(poller->blocks[i], WEFT__FD_CHUNK * sizeof(struct weft__fd));
}

/* --- the table --------------------------------------------------------- */

/* NULL when nobody has asked for the number or one near it yet. */
static struct weft__fd *entry_at(struct weft__poller *poller, int fd)
{
	struct weft__fd *block = load_acquire(&poller->blocks[fd / WEFT__FD_CHUNK]); /* O1 */

	return block ? &block[fd % WEFT__FD_CHUNK] : NULL;
}

static struct weft__fd *block_new(void)
{
	struct weft__fd *block = weft__alloc(WEFT__FD_CHUNK * sizeof *block);

	for (int i = 0; block && i < WEFT__FD_CHUNK; i++) {
		block[i] = (struct weft__fd){ 0 };
		weft__list_init(&block[i].waiters);
	}
	return block;
}

static struct weft__fd *entry_make(struct weft__poller *poller, int fd)
{
	struct weft__fd **at = &poller->blocks[fd / WEFT__FD_CHUNK];
	struct weft__fd *mine = block_new();

	if (!mine)
		return NULL;
	weft__spin_lock(&poller->lock);
	struct weft__fd *block = load_relaxed(at);
	if (!block)
		store_release(at, mine); /* O1 */
	weft__spin_unlock(&poller->lock);
	if (block)
		weft__free(mine, WEFT__FD_CHUNK * sizeof *mine);
	return entry_at(poller, fd);
}

int weft__poller_find(struct weft_runtime *rt, int fd, struct weft__fd **entry, uint32_t *closes)
{
	struct weft__poller *poller = &rt->async->poller;

	if (fd < 0)
		return -EBADF;
	if (fd >= WEFT__FD_CHUNK * WEFT__FD_CHUNKS)
		return WEFT_ENOMEM;
	*entry = entry_at(poller, fd);
	if (WEFT_UNLIKELY(!*entry))
		*entry = entry_make(poller, fd);
	if (!*entry)
		return WEFT_ENOMEM;
	*closes = load_relaxed(&(*entry)->closes);
	return 0;
}

/* --- waiting ----------------------------------------------------------- */

static struct waiter *waiter_of(struct weft__list *link)
{
	return WEFT__CONTAINER(link, struct waiter, link);
}

static uint32_t wanted_by_all(struct weft__fd *e)
{
	uint32_t wanted = 0;

	weft__list_for_each (node, &e->waiters)
		wanted |= waiter_of(node)->wanted;
	return wanted;
}

/* Registers what the waiters want (I1, I2).  With the lock held.  Not by the function of
 * that name: to ThreadSanitizer a number that another thread closes just then is a race, and
 * here it is what weft_close promises to bear. */
__attribute__((noinline)) WEFT__OF_THREAD static int arm(int epoll, struct weft__fd *e, int fd)
{
	uint32_t serial = e->serial + 1;
	struct epoll_event event = {
		.events = wanted_by_all(e) | EPOLLONESHOT,
		.data.u64 = (uint64_t)serial << 32 | (uint32_t)fd,
	};
	int op = EPOLL_CTL_MOD, rc = 0;

	for (int i = 0; i < TRIES; i++) {
		rc = syscall(SYS_epoll_ctl, epoll, op, fd, &event) == 0 ? 0 : -errno;
		if (rc != -ENOENT && rc != -EEXIST)
			break;
		op = rc == -ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	}
	if (rc == 0)
		e->serial = serial;
	return rc;
}

static int enlist(struct weft_runtime *rt, int fd, struct weft__fd *e, uint32_t closes,
		  struct waiter *me)
{
	int rc = WEFT_ECLOSED;

	weft__spin_lock(&e->lock);
	if (load_relaxed(&e->closes) == closes) {
		weft__list_push_back(&e->waiters, &me->link);
		rc = arm(rt->async->events.epoll, e, fd);
		if (rc != 0)
			weft__list_remove(&me->link);
	}
	weft__spin_unlock(&e->lock);
	return rc;
}

/* A wait that nobody granted is over. */
static void leave(struct weft__fd *e, struct waiter *me)
{
	weft__spin_lock(&e->lock);
	weft__list_remove(&me->link);
	weft__spin_unlock(&e->lock);
}

/* Until the event comes the world outside will make something run. */
static unsigned park(struct weft__strand *s, int fd)
{
	weft__quiet_hold(s->runtime);
	unsigned code = weft__wait_park(s, "descriptor", (const void *)(intptr_t)fd);
	weft__quiet_release(s->runtime);
	return code;
}

int weft__poller_wait(struct weft__strand *s, int fd, struct weft__fd *e, uint32_t closes,
		      uint32_t wanted)
{
	struct waiter me = { .strand = s, .wanted = wanted };
	int rc = weft__forked() ? WEFT_ESHUTDOWN : weft__events_start(s->runtime);

	if (rc == 0)
		rc = weft__wait_begin(s, WEFT__ABORTABLE);
	if (rc != 0)
		return rc;
	me.ticket = weft__wait_ticket(s);
	rc = enlist(s->runtime, fd, e, closes, &me);
	if (rc != 0) {
		weft__wait_end(s);
		return rc;
	}
	unsigned code = park(s, fd);
	if (code == WEFT__GRANTED)
		return (int)me.ready; /* O2 */
	leave(e, &me);
	return weft__code_error(code);
}

/* --- waking ------------------------------------------------------------ */

/* Ends the waits of those whom `events` concerns, all when it is ~0, and makes them
 * ready quietly.  With the lock held. */
static unsigned end_waits(struct weft__fd *e, uint32_t events, unsigned code)
{
	unsigned woken = 0;

	weft__list_for_each (node, &e->waiters) {
		struct waiter *w = waiter_of(node);
		struct weft__strand *s = w->strand;
		uint32_t ready = events & w->wanted;
		if (!ready)
			continue;
		w->ready = ready;
		weft__list_remove(node); /* I3 */
		if (weft__claim(s, w->ticket, code) != WEFT__CLAIM_PARKED)
			continue;
		weft__resume_quietly(s);
		woken++;
	}
	return woken;
}

void weft__poller_ready(struct weft_runtime *rt, uint64_t data, uint32_t events)
{
	int fd = (int)(uint32_t)data;
	struct weft__fd *e = entry_at(&rt->async->poller, fd);

	if (events & (EPOLLERR | EPOLLHUP))
		events = UINT32_MAX; /* the next call on it will say which */
	weft__spin_lock(&e->lock);
	if (e->serial == data >> 32) { /* I1 */
		end_waits(e, events, WEFT__GRANTED);
		/* Who is left when the number cannot be registered waits for a file that
		 * was closed. */
		if (!weft__list_is_empty(&e->waiters) && arm(rt->async->events.epoll, e, fd) != 0)
			end_waits(e, UINT32_MAX, WEFT__CLOSED);
	}
	weft__spin_unlock(&e->lock);
}

static struct weft_runtime *close_in(struct weft__fd *e, int fd)
{
	struct weft_runtime *rt = NULL;

	(void)fd;
	weft__spin_lock(&e->lock);
	store_relaxed(&e->closes, load_relaxed(&e->closes) + 1);
	if (!weft__list_is_empty(&e->waiters))
		rt = waiter_of(weft__list_front(&e->waiters))->strand->runtime;
	if (end_waits(e, UINT32_MAX, WEFT__CLOSED) == 0)
		rt = NULL;
	weft__spin_unlock(&e->lock);
	return rt;
}

/* Those who came since close_in, while the number was open: the kernel has forgotten them.
 * They wait for the file that has the number now, or hear that there is none. */
static struct weft_runtime *closed_in(struct weft__fd *e, int fd)
{
	struct weft_runtime *rt = NULL;

	weft__spin_lock(&e->lock);
	if (!weft__list_is_empty(&e->waiters)) {
		rt = waiter_of(weft__list_front(&e->waiters))->strand->runtime;
		if (arm(rt->async->events.epoll, e, fd) == 0 ||
		    end_waits(e, UINT32_MAX, WEFT__CLOSED) == 0)
			rt = NULL;
	}
	weft__spin_unlock(&e->lock);
	return rt;
}

/* A runtime that is found here stays while the lock is held: fini waits for that. */
static void tell_all(int fd, struct weft_runtime *(*tell)(struct weft__fd *e, int fd))
{
	if (fd >= WEFT__FD_CHUNK * WEFT__FD_CHUNKS)
		return;
	weft__spin_lock(&pollers_lock);
	weft__list_for_each (node, &pollers) {
		struct weft__poller *poller = WEFT__CONTAINER(node, struct weft__poller, link);
		struct weft__fd *e = entry_at(poller, fd);
		struct weft_runtime *rt = e ? tell(e, fd) : NULL;
		if (rt)
			weft__idle_notify(rt);
	}
	weft__spin_unlock(&pollers_lock);
}

void weft__poller_close(int fd)
{
	tell_all(fd, close_in);
}

void weft__poller_closed(int fd)
{
	tell_all(fd, closed_in);
}
