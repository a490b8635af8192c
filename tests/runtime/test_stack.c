/* SPDX-License-Identifier: MIT */
/*
 * test_stack.c - where stacks come from, what guards them, what they hold at rest
 *
 * Whether a page is guarded or resident is asked of the kernel, so no test dies
 * to find out; dying is in test_overflow.c.
 */
#include "runtime/stack.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/stackmap.h"
#include "support/assert.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* What stack.c keeps of a trimmed stack, and how many stay warm in the pool. */
#define KEEP (64 * KIB)
#define WARM 1024

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__stack **stacks;
static size_t count;

static void begin(size_t size)
{
	cr_assert(eq(int, weft__stack_pool_init(&pool, size), 0));
	weft__stack_cache_init(&cache, &pool);
}

static void end(void)
{
	weft__stack_cache_fini(&cache);
	weft__stack_pool_fini(&pool);
	free(stacks);
}

TestSuite(stack, .timeout = 100);

/* A stack in use has a stack pointer. */
static struct weft__stack *get(void)
{
	struct weft__stack *stack = weft__stack_get(&cache);

	if (stack)
		stack->sp = stack;
	return stack;
}

/* Takes up to `n` stacks. */
static void get_all(size_t n)
{
	stacks = calloc(n, sizeof(*stacks));
	for (count = 0; count < n; count++)
		if (!(stacks[count] = get()))
			break;
}

static void put_all(void)
{
	for (size_t i = 0; i < count; i++)
		weft__stack_put(&cache, stacks[i]);
}

/* The kernel refuses to read from a guard. */
static bool is_guarded(const char *address)
{
	static int fds[2] = { -1, -1 };
	char byte;

	if (fds[0] < 0 && pipe(fds))
		abort();
	if (write(fds[1], address, 1) < 0)
		return errno == EFAULT;
	return read(fds[0], &byte, 1) != 1;
}

/* Bytes of [low, top) that take up memory. */
static size_t resident(const char *low, const char *top)
{
	size_t page = (size_t)getpagesize();
	uintptr_t first = (uintptr_t)low & ~(page - 1);
	size_t pages = ((uintptr_t)top - first + page - 1) / page, n = 0;
	unsigned char *in = malloc(pages);

	if (mincore((void *)first, pages * page, in))
		abort();
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	free(in);
	return n * page;
}

static size_t mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t lines = 0;

	for (int c; (c = getc(maps)) != EOF;)
		lines += c == '\n';
	fclose(maps);
	return lines;
}

static void ask_for_heavy_guards(void)
{
	setenv("WEFT_STACK_GUARD", "mprotect", 1);
	cr_assert(not(weft__stackmap_light_guards()));
}

/* --- what a stack is ------------------------------------------------------ */

Test(stack, has_the_size_that_was_asked_for_and_its_head_on_a_cache_line)
{
	begin(100 * KIB + 1);
	struct weft__stack *stack = get();

	size_t size = (size_t)((char *)stack - stack->low);
	cr_expect(eq(sz, pool.size, 104 * KIB));
	cr_expect(ge(sz, size, 101 * KIB));
	cr_expect(le(sz, size, 104 * KIB));
	cr_expect(zero(sz, (uintptr_t)stack % 64));
	weft__stack_put(&cache, stack);
	end();
}

Test(stack, can_be_written_to_its_lowest_byte_and_not_below)
{
	begin(64 * KIB);
	get_all(2);
	char *low = stacks[1]->low;

	memset(low, 1, (size_t)((char *)stacks[1] - low));
	cr_expect(is_guarded(low - 1));
	cr_expect(is_guarded(low - 64 * KIB), "frames of 64 KiB cannot jump it");
	cr_expect(not(is_guarded(low)));
	put_all();
	end();
}

Test(stack, overlaps_no_other)
{
	begin(16 * KIB);
	get_all(1000);
	cr_assert(eq(sz, count, 1000));

	for (size_t i = 0; i < count; i++)
		memset(stacks[i]->low, (int)i, (size_t)((char *)stacks[i] - stacks[i]->low));
	for (size_t i = 0; i < count; i++) {
		cr_assert(eq(chr, stacks[i]->low[0], (char)i), "stack %zu", i);
		cr_assert(eq(chr, ((char *)stacks[i])[-1], (char)i), "stack %zu", i);
	}
	put_all();
	end();
}

/* Else a shallow fiber would take two pages. */
Test(stack, leaves_half_a_page_below_each_head)
{
	begin(16 * KIB);
	get_all(64);

	for (size_t i = 0; i < count; i++)
		cr_expect(ge(sz, (uintptr_t)stacks[i] % 4096, 2048), "stack %zu", i);
	put_all();
	end();
}

/* --- caches ----------------------------------------------------------------- */

Test(stack, put_into_another_cache_is_found_there)
{
	struct weft__stack_cache other;

	begin(16 * KIB);
	weft__stack_cache_init(&other, &pool);
	struct weft__stack *stack = get();
	weft__stack_put(&other, stack);

	cr_expect(eq(ptr, weft__stack_get(&other), stack));
	weft__stack_put(&other, stack);
	weft__stack_cache_fini(&other);
	end();
}

Test(stack, of_a_cache_that_ended_is_used_again)
{
	struct weft__stack_cache other;

	begin(16 * KIB);
	weft__stack_cache_init(&other, &pool);
	struct weft__stack *stack = weft__stack_get(&other);
	weft__stack_put(&other, stack);
	weft__stack_cache_fini(&other);

	cr_expect(eq(ptr, get(), stack));
	weft__stack_put(&cache, stack);
	end();
}

static void expect_count(size_t in_use, size_t highest)
{
	size_t now, most;

	weft__stack_pool_count(&pool, &now, &most);
	cr_expect(eq(sz, now, in_use));
	cr_expect(eq(sz, most, highest));
}

Test(stack, count_forgets_a_cache_that_ended)
{
	struct weft__stack_cache other;

	begin(16 * KIB);
	weft__stack_cache_init(&other, &pool);
	weft__stack_cache_fini(&other);
	other.count = 1; /* nobody looks any more */
	struct weft__stack *stack = get();

	expect_count(1, 1);
	weft__stack_put(&cache, stack);
	end();
}

Test(stack, count_tells_how_many_are_in_use_and_were)
{
	begin(16 * KIB);
	expect_count(0, 0);
	get_all(500);
	expect_count(500, 500);
	put_all();
	expect_count(0, 500);
	stacks[0] = get();
	expect_count(1, 500);
	weft__stack_put(&cache, stacks[0]);
	end();
}

/* --- guards ------------------------------------------------------------------ */

Test(stack, twenty_thousand_live_with_a_guard_each)
{
	size_t n = 20000;

	if (!weft__stackmap_light_guards())
		cr_skip_test("this kernel has no MADV_GUARD_INSTALL");
	begin(MIB);
	size_t before = mappings();
	get_all(n);
	cr_assert(eq(sz, count, n));

	for (size_t i = 0; i < n; i += 997)
		cr_assert(is_guarded(stacks[i]->low - 1), "stack %zu", i);
	cr_expect(lt(sz, mappings(), before + 100));
	put_all();
	end();
}

Test(stack, without_light_guards_is_guarded_by_mprotect)
{
	ask_for_heavy_guards();
	begin(64 * KIB);
	size_t before = mappings();
	get_all(200);
	cr_assert(eq(sz, count, 200));

	cr_expect(ge(sz, mappings(), before + 200));
	for (size_t i = 0; i < count; i++) {
		cr_expect(is_guarded(stacks[i]->low - 1), "stack %zu", i);
		cr_expect(not(is_guarded(stacks[i]->low)), "stack %zu", i);
	}
	put_all();
	end();
}

/* mlockall() makes the kernel refuse light guards. */
Test(stack, in_locked_memory_is_guarded_all_the_same)
{
	if (WEFT__ASAN || mlockall(MCL_FUTURE | MCL_ONFAULT))
		cr_skip_test("memory cannot be locked here");
	begin(16 * KIB);
	struct weft__stack *stack = get();
	cr_assert(ne(ptr, stack, NULL));

	cr_expect(is_guarded(stack->low - 1));
	weft__stack_put(&cache, stack);
	end();
}

/* --- limits --------------------------------------------------------------------- */

static size_t max_map_count(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	size_t n = 0;

	if (!file || fscanf(file, "%zu", &n) != 1)
		n = SIZE_MAX;
	if (file)
		fclose(file);
	return n;
}

Test(stack, none_is_left_when_the_mappings_are_and_the_reason_names_the_limit)
{
	if (max_map_count() > 100000)
		cr_skip_test("vm.max_map_count is too high to reach");
	ask_for_heavy_guards();
	begin(16 * KIB);
	stacks = calloc(100000, sizeof(*stacks));
	while (count < 100000 && (stacks[count] = get()))
		count++;
	const char *error = weft__stack_error();
	struct weft__stack *again = NULL;
	if (count) {
		weft__stack_put(&cache, stacks[--count]);
		again = get();
		weft__stack_put(&cache, again);
	}
	put_all();
	/* Only now, with mappings to spare, may anything be printed. */
	weft__stack_cache_fini(&cache);
	weft__stack_pool_fini(&pool);

	cr_expect(gt(sz, count, 10000));
	cr_expect(lt(sz, count, 60000));
	cr_expect(ne(ptr, strstr(error, "vm.max_map_count"), NULL), "%s", error);
	cr_expect(ne(ptr, strstr(error, "WEFT_STACK_SIZE"), NULL), "%s", error);
	cr_expect(ne(ptr, again, NULL), "a stack that was given back can be had");
	free(stacks);
}

Test(stack, none_is_left_without_address_space_and_the_reason_says_so)
{
	struct rlimit limit, tight;

	if (WEFT__ASAN)
		cr_skip_test("AddressSanitizer needs all the address space");
	begin(8 * MIB);
	getrlimit(RLIMIT_AS, &limit);
	tight = limit;
	tight.rlim_cur = 400 * MIB;
	stacks = calloc(100, sizeof(*stacks));
	cr_assert(zero(int, setrlimit(RLIMIT_AS, &tight)));
	while (count < 100 && (stacks[count] = get()))
		count++;
	setrlimit(RLIMIT_AS, &limit);

	/* Far fewer than the first mapping should have held, and as many as fit. */
	cr_expect(ge(sz, count, 16));
	cr_expect(lt(sz, count, 50));
	cr_expect(ne(ptr, strstr(weft__stack_error(), "WEFT_STACK_SIZE"), NULL));
	cr_expect(ne(ptr, strstr(weft__stack_error(), "address space"), NULL));
	cr_expect(ne(ptr, get(), NULL), "more can be had when there is room again");
	put_all();
	end();
}

/* --- memory ---------------------------------------------------------------------- */

/* As a deep call does. */
static void use_all_of(struct weft__stack *stack)
{
	memset(stack->low, 1, (size_t)((char *)stack - stack->low));
}

static size_t resident_of(struct weft__stack *stack)
{
	return resident(stack->low, (char *)stack);
}

Test(stack, takes_one_page_until_it_is_used)
{
	begin(MIB);
	struct weft__stack *stack = get();

	cr_expect(eq(sz, resident_of(stack), (size_t)getpagesize()));
	weft__stack_put(&cache, stack);
	end();
}

Test(stack, keeps_its_pages_in_a_cache_until_that_is_trimmed)
{
	begin(MIB);
	struct weft__stack *stack = get();
	use_all_of(stack);
	weft__stack_put(&cache, stack);

	cr_expect(ge(sz, resident_of(stack), MIB - 4096));
	weft__stack_cache_trim(&cache);
	cr_expect(ge(sz, resident_of(stack), KEEP));
	cr_expect(le(sz, resident_of(stack), KEEP + 4096));
	end();
}

Test(stack, is_trimmed_again_after_each_use)
{
	begin(MIB);
	for (int i = 0; i < 3; i++) {
		struct weft__stack *stack = get();
		use_all_of(stack);
		weft__stack_put(&cache, stack);
		weft__stack_cache_trim(&cache);
		cr_expect(le(sz, resident_of(stack), KEEP + 4096), "use %d", i);
	}
	end();
}

Test(stack, smaller_than_what_is_kept_is_left_alone)
{
	begin(32 * KIB);
	struct weft__stack *stack = get();
	use_all_of(stack);
	weft__stack_put(&cache, stack);
	weft__stack_cache_trim(&cache);

	cr_expect(ge(sz, resident_of(stack), 28 * KIB));
	end();
}

static size_t resident_of_all(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += resident(stacks[i]->low, stacks[i]->low + pool.size);
	return sum;
}

/* The lows are noted while the heads are there. */
static char **lows_of_all(void)
{
	char **lows = calloc(count, sizeof(*lows));

	for (size_t i = 0; i < count; i++)
		lows[i] = stacks[i]->low;
	return lows;
}

Test(stack, that_flows_over_into_the_pool_is_trimmed)
{
	begin(MIB);
	get_all(WEFT__STACK_CACHED + 1);
	for (size_t i = 0; i < count; i++)
		use_all_of(stacks[i]);
	put_all();

	/* Half of the cache went. */
	cr_expect(
		le(sz, resident_of_all(), WEFT__STACK_CACHED / 2 * MIB + count * (KEEP + 8 * KIB)));
	end();
}

static size_t resident_at(char *const *lows)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += resident(lows[i], lows[i] + pool.size);
	return sum;
}

Test(stack, some_stay_warm_in_the_pool_however_often_they_are_used)
{
	begin(64 * KIB);
	get_all(500);
	for (int i = 0; i < 10; i++) {
		put_all();
		for (size_t j = 0; j < count; j++)
			stacks[j] = get();
	}
	char **lows = lows_of_all();
	put_all();
	while (weft__stack_pool_purge(&pool))
		continue;
	size_t sum = resident_at(lows);
	free(lows);

	cr_expect(ge(sz, sum, 500 * 4096));
	end();
}

#define MANY 20000

Test(stack, thousands_at_rest_hold_next_to_nothing_once_there_is_time)
{
	begin(64 * KIB);
	get_all(MANY);
	cr_assert(eq(sz, count, MANY));
	char **lows = lows_of_all();
	put_all();
	size_t before = resident_at(lows);
	while (weft__stack_pool_purge(&pool))
		continue;
	size_t after = resident_at(lows);
	free(lows);

	cr_expect(ge(sz, before, MANY * 4096));
	cr_expect(le(sz, after, (WARM + WEFT__STACK_CACHED + MANY / 200) * 4096));
	end();
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (struct weft__stack *const *)a;
	uintptr_t y = (uintptr_t) * (struct weft__stack *const *)b;

	return x < y ? -1 : x > y;
}

Test(stack, thousands_at_rest_come_back_each_once_and_guarded)
{
	begin(64 * KIB);
	get_all(MANY);
	qsort(stacks, count, sizeof(*stacks), by_address);
	struct weft__stack **first = stacks;
	put_all();
	for (int i = 0; i < MANY / 64; i++)
		weft__stack_pool_purge(&pool); /* about half of them */
	get_all(MANY);
	qsort(stacks, count, sizeof(*stacks), by_address);

	cr_assert(eq(sz, count, MANY));
	for (size_t i = 0; i < count; i++) {
		cr_assert(eq(ptr, stacks[i], first[i]));
		cr_assert(is_guarded(stacks[i]->low - 1), "stack %zu", i);
		cr_assert(not(is_guarded(stacks[i]->low)), "stack %zu", i);
	}
	expect_count(MANY, MANY);
	put_all();
	free(first);
	end();
}

Test(stack, nothing_stays_mapped_after_the_pool)
{
	begin(64 * KIB);
	get_all(100);
	char *low = stacks[50]->low;
	put_all();
	end();

	unsigned char in;
	cr_expect(eq(int, mincore((void *)((uintptr_t)low & ~(uintptr_t)4095), 1, &in), -1));
	cr_expect(eq(int, errno, ENOMEM));
}

/* --- after a fault ----------------------------------------------------------------- */

static struct weft__stack *overflowed(const char *address, const char *sp)
{
	size_t size = 0;
	struct weft__stack *stack =
		weft__stack_overflowed((uintptr_t)address, (uintptr_t)sp, &size);

	cr_expect(eq(sz, size, stack ? pool.size : 0));
	return stack;
}

Test(stack, an_overflow_is_a_fault_in_the_guard_of_the_stack_one_is_on)
{
	begin(64 * KIB);
	get_all(3);
	struct weft__stack *stack = stacks[1];
	char *low = stack->low, *guard = low - pool.guard;

	cr_expect(eq(ptr, overflowed(low - 1, low), stack));
	cr_expect(eq(ptr, overflowed(low - 1, low - 1), stack));
	cr_expect(eq(ptr, overflowed(low - 8, low + 40), stack));
	cr_expect(eq(ptr, overflowed(guard, guard), stack));

	cr_expect(eq(ptr, overflowed(low, low), NULL), "no guard");
	cr_expect(eq(ptr, overflowed((char *)stack, low), NULL), "no guard");
	cr_expect(eq(ptr, overflowed(guard - 1, guard), NULL), "the slot below");
	cr_expect(eq(ptr, overflowed(low - 1, guard - 1), NULL), "another's stack pointer");
	cr_expect(eq(ptr, overflowed(low - 1, stacks[2]->low), NULL), "another's stack pointer");
	cr_expect(eq(ptr, overflowed(NULL, low), NULL), "NULL");
	put_all();
	end();
	cr_expect(eq(ptr, overflowed(low - 1, low), NULL), "unmapped");
}

/* More mappings than a block of the list has entries: 300 pools at once. */
Test(stack, is_found_among_many_mappings)
{
	static struct weft__stack_pool pools[300];
	static struct weft__stack_cache caches[300];
	static struct weft__stack *tops[300];
	size_t size;

	for (int i = 0; i < 300; i++) {
		weft__stack_pool_init(&pools[i], 16 * KIB);
		weft__stack_cache_init(&caches[i], &pools[i]);
		tops[i] = weft__stack_get(&caches[i]);
		cr_assert(ne(ptr, tops[i], NULL));
	}
	for (int i = 0; i < 300; i++) {
		uintptr_t low = (uintptr_t)tops[i]->low;
		cr_expect(eq(ptr, weft__stack_overflowed(low - 1, low, &size), tops[i]));
		weft__stack_put(&caches[i], tops[i]);
		weft__stack_cache_fini(&caches[i]);
		weft__stack_pool_fini(&pools[i]);
		cr_expect(eq(ptr, weft__stack_overflowed(low - 1, low, &size), NULL));
	}
}
