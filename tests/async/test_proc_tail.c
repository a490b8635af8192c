/* SPDX-License-Identifier: MIT */
/*
 * test_proc_tail.c - what async/proc_tail.h promises, one promise a test
 */
#include "async/proc_tail.h"
#include "support/assert.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

static struct weft__tail tail;
static char text[2 * WEFT__TAIL_SIZE];
static int ends[2];

static void setup(void)
{
	weft__tail_init(&tail);
	cr_assert(eq(int, pipe2(ends, O_NONBLOCK), 0));
}

TestSuite(proc_tail, .init = setup, .timeout = 10);

Test(proc_tail, what_is_short_is_kept)
{
	weft__tail_add(&tail, "hello ", 6);
	weft__tail_add(&tail, "world", 5);
	cr_expect(eq(sz, weft__tail_text(&tail, text, sizeof(text)), 11));
	cr_expect(eq(str, text, "hello world"));
}

Test(proc_tail, the_newest_bytes_are_kept_whatever_the_pieces)
{
	static char all[5 * WEFT__TAIL_SIZE];

	for (size_t piece = 1; piece <= sizeof(all); piece += 97) {
		weft__tail_init(&tail);
		for (size_t i = 0; i < sizeof(all); i++)
			all[i] = (char)('a' + i % 23);
		for (size_t i = 0; i < sizeof(all); i += piece)
			weft__tail_add(&tail, all + i,
				       piece < sizeof(all) - i ? piece : sizeof(all) - i);
		cr_assert(eq(sz, weft__tail_text(&tail, text, sizeof(text)), WEFT__TAIL_SIZE));
		cr_assert(eq(int,
			     memcmp(text, all + sizeof(all) - WEFT__TAIL_SIZE, WEFT__TAIL_SIZE), 0),
			  "pieces of %zu", piece);
	}
}

Test(proc_tail, a_small_buffer_gets_the_last_bytes)
{
	weft__tail_add(&tail, "hello world", 11);
	cr_expect(eq(sz, weft__tail_text(&tail, text, 6), 5));
	cr_expect(eq(str, text, "world"));
	cr_expect(eq(sz, weft__tail_text(&tail, text, 1), 0));
}

Test(proc_tail, draining_ends_with_the_pipe)
{
	cr_expect(weft__tail_drain(&tail, ends[0]));
	cr_assert(eq(int, (int)write(ends[1], "last", 4), 4));
	cr_expect(weft__tail_drain(&tail, ends[0]));
	close(ends[1]);
	cr_expect(not(weft__tail_drain(&tail, ends[0])));
	weft__tail_text(&tail, text, sizeof(text));
	cr_expect(eq(str, text, "last"));
}
