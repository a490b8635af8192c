/* SPDX-License-Identifier: MIT */
/*
 * guard.c - whose a guard is
 */
#include "async/guard.h"

#include <linux/membarrier.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COURTSHIP = 256 };

static uint32_t allowed;

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

void weft__guard_register(void)
{
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
		store_relaxed(&allowed, 1);
}

void weft__guard_prepare(void)
{
	if (!load_relaxed(&allowed) && __libc_single_threaded)
		weft__guard_register();
}

/* Takes the object away from its worker (I3).  Should the kernel refuse, which it does
 * not once it has agreed, this is the child of a fork, and the worker is not in it. */
static void take_away(struct weft__guard *g)
{
	unsigned tries = 0;

	store_relaxed(&g->bias, WEFT__GUARD_COLD);
	membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED); /* O1 */
	while (load_acquire(&g->busy)) {	      /* O2 */
		cpu_relax();
		if (++tries % WEFT__SPIN_TRIES == 0)
			sched_yield();
	}
}

static bool is_courted(uintptr_t bias)
{
	return bias & 1;
}

void weft__guard_step(struct weft__guard *g, const void *me)
{
	uintptr_t bias = load_relaxed(&g->bias);
	uintptr_t courted = (uintptr_t)me + 1;

	if (bias == WEFT__GUARD_FRESH && me && load_relaxed(&allowed))
		store_relaxed(&g->bias, courted);
	else if (bias == WEFT__GUARD_FRESH || (is_courted(bias) && (!me || bias != courted)))
		store_relaxed(&g->bias, WEFT__GUARD_COLD);
	else if (!is_courted(bias))
		take_away(g);
	else if (++g->courted == COURTSHIP)
		store_relaxed(&g->bias, (uintptr_t)me);
}
