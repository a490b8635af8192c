/* SPDX-License-Identifier: MIT */
/*
 * test_guard.c - whose a guard is
 */
#include <criterion/criterion.h>

#include "async/guard.h"
#include "support/assert.h"

TestSuite(guard, .timeout = 60);

static struct weft__guard guard;
static _Alignas(16) char mine[16], other[16];

static void use(const void *me, int times)
{
	weft__guard_register();
	for (int i = 0; i < times; i++) {
		weft__guard_lock(&guard, me);
		cr_assert(not(weft__guard_is_free(&guard)));
		weft__guard_unlock(&guard);
		cr_assert(weft__guard_is_free(&guard));
	}
}

static bool is_owned_by(const void *me)
{
	return guard.bias == (uintptr_t)me;
}

Test(guard, it_becomes_the_only_users_after_some_time)
{
	use(mine, 100);
	cr_expect(not(is_owned_by(mine)));
	use(mine, 300);
	cr_expect(is_owned_by(mine));
	use(mine, 100);
	cr_expect(is_owned_by(mine));
}

Test(guard, its_owner_enters_without_the_spin_lock)
{
	use(mine, 400);
	weft__guard_lock(&guard, mine);
	cr_expect(eq(int, (int)guard.spin.locked, 0));
	cr_expect(eq(int, (int)guard.busy, 1));
	weft__guard_unlock(&guard);
	cr_expect(eq(int, (int)guard.busy, 0));
}

Test(guard, with_two_users_it_is_nobodys)
{
	use(mine, 100);
	use(other, 1);
	use(mine, 1000);
	cr_expect(is_owned_by((void *)WEFT__GUARD_COLD));
}

Test(guard, a_user_without_a_worker_makes_it_nobodys)
{
	use(NULL, 1);
	use(mine, 1000);
	cr_expect(is_owned_by((void *)WEFT__GUARD_COLD));
}

Test(guard, it_is_taken_away_once_and_never_owned_again)
{
	use(mine, 400);
	use(other, 1);
	cr_expect(is_owned_by((void *)WEFT__GUARD_COLD));
	use(other, 1000);
	use(mine, 1000);
	cr_expect(is_owned_by((void *)WEFT__GUARD_COLD));
}

Test(guard, without_the_kernels_help_it_is_nobodys)
{
	for (int i = 0; i < 1000; i++) { /* nothing was registered */
		weft__guard_lock(&guard, mine);
		weft__guard_unlock(&guard);
	}
	cr_expect(is_owned_by((void *)WEFT__GUARD_COLD));
}
