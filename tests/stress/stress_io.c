/* SPDX-License-Identifier: MIT */
/*
 * stress_io.c - descriptors that are ready, cancelled, closed and used again at once
 *
 *   players    hand a counter to and fro over a pair of sockets.  Now and then a read
 *              has a deadline of some microseconds and is tried again: a cancel that
 *              takes a byte with it, or a byte that comes twice, breaks the count.
 *   storm      opens a pipe, waits for it, writes to it, closes it by close() or
 *              weft_close, all over and all over again: every number stands for many
 *              files, and half of the waits are given up just when the event comes.
 *   closers    close a socket under its reader, who must hear of it.
 */
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>
#include <weft/weft.h>

#include "support/stress.h"

enum { PLAYERS = 8, STORMS = 8, CLOSERS = 4, ROUNDS = 300 };

static uint64_t volleys, given_up, storms, closed;

/* --- players ----------------------------------------------------------- */

struct table {
	int ends[2];
	uint64_t plain; /* on purpose: the byte carries it */
};

/* A byte, however often the read is cut short. */
static char patient_read(int fd, struct weft__rng *rng)
{
	char byte = 0;

	for (;;) {
		struct weft_scope s;
		int64_t timeout = weft__rng_below(rng, 2) ? WEFT_US(1 + weft__rng_below(rng, 30))
							  : WEFT_SEC(1000);
		STRESS_CHECK(weft_scope_enter(&s, .timeout = timeout) == 0);
		int rc = (int)weft_read(fd, &byte, 1);
		rc = weft_scope_leave(&s, rc);
		if (rc == 1)
			return byte;
		STRESS_CHECK(rc == WEFT_ETIMEDOUT);
		add_seqcst(&given_up, 1);
	}
}

static void play(struct table *t, int side)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uintptr_t)t + (unsigned)side);
	for (uint64_t i = 0; i < ROUNDS * (uint64_t)stress_scale; i++) {
		if (side == 1 || i > 0) {
			char got = patient_read(t->ends[side], &rng);
			uint64_t turn = 2 * i + (side ? 1 : 0);
			STRESS_CHECK(got == (char)turn);
			STRESS_CHECK(t->plain == turn);
		}
		char byte = (char)++t->plain;
		STRESS_CHECK(weft_write(t->ends[side], &byte, 1) == 1);
		add_seqcst(&volleys, 1);
	}
}

static int play_white(void *arg)
{
	play(arg, 0);
	return 0;
}

static int play_black(void *arg)
{
	play(arg, 1);
	return 0;
}

/* --- storm ------------------------------------------------------------- */

struct gust {
	int ends[2];
	bool with_deadline;
	int got;
};

static int gust_reader(void *arg)
{
	struct gust *g = arg;
	struct weft_scope s;
	int64_t timeout = g->with_deadline ? WEFT_US(5) : WEFT_SEC(1000);
	char byte;

	STRESS_CHECK(weft_scope_enter(&s, .timeout = timeout) == 0);
	g->got = (int)weft_read(g->ends[0], &byte, 1);
	g->got = weft_scope_leave(&s, g->got);
	return 0;
}

static int gust_writer(void *arg)
{
	struct gust *g = arg;

	weft_yield();
	STRESS_CHECK(weft_write(g->ends[1], "x", 1) == 1);
	return 0;
}

static int storm(void *arg)
{
	struct weft__rng rng;

	weft__rng_init(&rng, stress_seed + (uintptr_t)arg);
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		struct gust gust = { .with_deadline = weft__rng_below(&rng, 2) };
		struct weft_group g;
		int kept = -1;

		STRESS_CHECK(pipe2(gust.ends, weft__rng_below(&rng, 2) ? O_NONBLOCK : 0) == 0);
		if (weft__rng_below(&rng, 4) == 0)
			kept = dup(gust.ends[0]); /* the file outlives its number */
		STRESS_CHECK(weft_group_open(&g, .name = "gust") == 0);
		STRESS_CHECK(weft_spawn(&g, gust_reader, &gust) == 0);
		STRESS_CHECK(weft_spawn(&g, gust_writer, &gust) == 0);
		STRESS_CHECK(weft_group_close(&g, 0) == 0);
		STRESS_CHECK(gust.got == 1 || (gust.with_deadline && gust.got == WEFT_ETIMEDOUT));
		int rc = weft__rng_below(&rng, 2) ? close(gust.ends[0]) : weft_close(gust.ends[0]);
		STRESS_CHECK(rc == 0);
		STRESS_CHECK(close(gust.ends[1]) == 0);
		if (kept >= 0)
			close(kept);
		add_seqcst(&storms, 1);
	}
	return 0;
}

/* --- closers ----------------------------------------------------------- */

static int read_until_closed(void *arg)
{
	struct gust *g = arg;
	char byte;

	g->got = (int)weft_read(g->ends[0], &byte, 1);
	return 0;
}

/* The reader waits, is about to, or has not begun: then it finds the number closed, and
 * nothing that another opens in its place has anything to read. */
static int close_under_reader(void *arg)
{
	(void)arg;
	for (long i = 0; i < ROUNDS * stress_scale; i++) {
		struct gust gust = { .got = 0 };
		struct weft_group g;
		struct weft_scope s;

		STRESS_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, gust.ends) == 0);
		int kept = fcntl(gust.ends[0], F_DUPFD, 10000);
		STRESS_CHECK(kept >= 10000);
		STRESS_CHECK(dup2(kept, kept) == kept);
		STRESS_CHECK(weft_scope_enter(&s, .name = "closer") == 0);
		STRESS_CHECK(weft_group_open(&g, .name = "closer") == 0);
		gust.ends[0] = (close(gust.ends[0]), kept); /* a number that nobody else gets */
		STRESS_CHECK(weft_spawn(&g, read_until_closed, &gust) == 0);
		for (long n = i % 5; n > 0; n--)
			weft_yield();
		STRESS_CHECK(weft_close(kept) == 0);
		STRESS_CHECK(weft_group_close(&g, 0) == 0);
		STRESS_CHECK(weft_scope_leave(&s, 0) == 0);
		STRESS_CHECK(gust.got == WEFT_ECLOSED || gust.got == -EBADF);
		STRESS_CHECK(close(gust.ends[1]) == 0);
		add_seqcst(&closed, gust.got == WEFT_ECLOSED);
	}
	return 0;
}

/* --- all together ------------------------------------------------------ */

static struct table tables[PLAYERS];

static int everybody(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "everybody");

	(void)arg;
	for (int i = 0; i < PLAYERS && rc == 0; i++) {
		rc = weft_spawn(&g, play_white, &tables[i]);
		rc = rc ? rc : weft_spawn(&g, play_black, &tables[i]);
	}
	for (uintptr_t i = 0; i < STORMS && rc == 0; i++)
		rc = weft_spawn(&g, storm, (void *)i);
	rc = rc ? rc : weft_spawn(&g, close_under_reader, NULL);
	return weft_group_close(&g, rc);
}

int main(int argc, char **argv)
{
	struct weft_runtime *rt;

	stress_begin(argc, argv);
	for (int i = 0; i < PLAYERS; i++)
		STRESS_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, tables[i].ends) == 0);
	STRESS_CHECK(weft_runtime_create(&rt, .workers = stress_threads) == 0);
	STRESS_CHECK(weft_runtime_run(rt, everybody, NULL) == 0);
	weft_runtime_destroy(rt);
	STRESS_CHECK(volleys == (uint64_t)(2 * PLAYERS * ROUNDS * stress_scale));
	STRESS_CHECK(storms == (uint64_t)(STORMS * ROUNDS * stress_scale));
	printf("%" PRIu64 " volleys, %" PRIu64 " reads given up, %" PRIu64 " storms, %" PRIu64
	       " closed\n",
	       volleys, given_up, storms, closed);
	return 0;
}
