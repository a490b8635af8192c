/* SPDX-License-Identifier: MIT */
/*
 * small.c - parallel code on too little work must not be slower than serial code
 *
 *   - an empty loop of 1000, hot: what a loop costs beside its body;
 *   - a loop of 10^2 .. 10^6 items of a nanosecond: the cost of an item should
 *     not depend on how many there are;
 *   - weft_both of two jobs of 0.1 .. 100 us a millisecond after the last
 *     one, when the workers sleep, and right after each other.
 */
#include "small.h"

#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

/* --- loops -------------------------------------------------------------- */

static int empty_body(struct weft_range *r, void *arg)
{
	(void)arg;
	bench_keep(r);
	return 0;
}

static int mix_body(struct weft_range *r, void *arg)
{
	struct small_loop *l = arg;

	for (size_t i = r->begin; i < r->end; i++)
		l->out[i] = small_mix(i);
	return 0;
}

/* Called by a pointer that the compiler does not see through, as weft does. */
static void in_turn(struct small_loop *l, weft_range_fn *body)
{
	for (size_t i = 0; i < l->times; i++) {
		struct weft_range all = { 0, l->n };
		bench_keep(&body);
		body(&all, l);
	}
}

static int in_parallel(struct small_loop *l, weft_range_fn *body)
{
	int rc = 0;

	for (size_t i = 0; i < l->times && rc == 0; i++)
		rc = weft_for(0, l->n, body, l);
	return rc;
}

static void serial_empty(void *arg)
{
	in_turn(arg, empty_body);
}

static int weft_empty(void *arg)
{
	return in_parallel(arg, empty_body);
}

static void serial_mix(void *arg)
{
	in_turn(arg, mix_body);
}

static int weft_mix(void *arg)
{
	return in_parallel(arg, mix_body);
}

static void measure_empty(void)
{
	struct small_loop l = { 1000, bench_quick() ? 100 : 20000, NULL };
	struct bench_row row = { .what = "empty loop of 1000", .items = (double)l.times };

	bench_plain(&row, "serial", serial_empty, &l);
	bench_weft(&row, "weft 1", 1, weft_empty, &l);
	bench_weft(&row, "weft N", 0, weft_empty, &l);
	bench_peer(&row, "tbb static", "small_tbb", "empty_static", 0, &l);
	bench_peer(&row, "tbb auto", "small_tbb", "empty", 0, &l);
	bench_peer(&row, "gomp", "small_gomp", "empty", 0, &l);
	bench_peer(&row, "libomp", "small_libomp", "empty", 0, &l);
	bench_bar(&row, "P9", "weft N", NULL, BENCH_AT_MOST, 180);
	bench_bar(&row, "", "weft N", "tbb static", BENCH_AT_MOST, 1);
	bench_run(&row);
}

/* Before each run: are the results of the last one right? */
static void check(void *arg)
{
	struct small_loop *l = arg;
	uint32_t wrong = 0;

	for (size_t i = 0; i < l->n; i++) {
		wrong |= l->out[i] ^ small_mix(i);
		l->out[i] = 0;
	}
	bench_check(wrong == 0, "loop");
}

static void measure_size(size_t n, size_t items)
{
	char *what = NULL;
	struct small_loop l = { n, items / n, calloc(n, sizeof(*l.out)) };
	struct bench_row row = { .items = (double)(l.times * n), .before = check };

	bench_check(l.out && asprintf(&what, "loops of %zu", n) > 0, "memory");
	serial_mix(&l);
	row.what = what;
	row.before_arg = &l;
	bench_plain(&row, "serial", serial_mix, &l);
	bench_weft(&row, "weft 1", 1, weft_mix, &l);
	bench_weft(&row, "weft N", 0, weft_mix, &l);
	bench_peers(&row, "mix", &l);
	if (n >= 10000) /* below that P9 is a part of the cost that one sees */
		bench_bar(&row, "", "weft N", "serial", BENCH_AT_MOST, 1.05);
	bench_bar(&row, "", "weft N", "tbb", BENCH_AT_MOST, 1);
	bench_bar(&row, "", "weft N", "gomp", BENCH_AT_MOST, 1);
	bench_run(&row);
	check(&l);
	free(l.out);
	free(what);
}

/* --- pairs -------------------------------------------------------------- */

static int compute(void *arg)
{
	small_compute(*(long *)arg);
	return 0;
}

static void pair_in_turn(long steps)
{
	compute(&steps);
	compute(&steps);
}

static void pair_by_both(long steps)
{
	weft_both(compute, &steps, compute, &steps);
}

static void serial_pairs(void *arg)
{
	small_run_pairs(arg, pair_in_turn);
}

static int weft_pairs(void *arg)
{
	small_run_pairs(arg, pair_by_both);
	return 0;
}

enum { ROUNDS = 5, SIDES = 5 };

/* A side and what its pairs took in each round. */
struct side {
	const char *name;
	bench_peer_fn *peer; /* NULL for serial and weft */
	double wall[ROUNDS], cpu[ROUNDS];
};

static void run_pairs(struct side *side, unsigned index, struct small_pairs *p, unsigned round)
{
	small_pause(2e-3); /* the side before may be spinning still */
	if (side->peer)
		side->peer(p, bench_threads());
	else if (index == 0)
		serial_pairs(p);
	else
		bench_check(weft_run_sync(weft_pairs, p) == 0, "weft_both");
	side->wall[round] = bench_median(p->wall, p->count);
	side->cpu[round] = bench_median(p->cpu, p->count);
}

/* Serial first, weft second, then the peers there are; how many in all. */
static unsigned find_sides(struct side *sides)
{
	struct bench_row row = { 0 };
	struct small_pairs none = { 0 };

	sides[0] = (struct side){ .name = "serial" };
	sides[1] = (struct side){ .name = "weft" };
	bench_peers(&row, "pairs", &none);
	for (unsigned i = 0; i < row.side_count; i++)
		sides[2 + i] =
			(struct side){ .name = row.sides[i].name, .peer = row.sides[i].peer };
	return 2 + row.side_count;
}

/* The median of the rounds' ratios of weft to another side. */
static double ratio(const double *weft, const double *other)
{
	double ratios[ROUNDS];
	unsigned rounds = bench_quick() ? 1 : ROUNDS;

	for (unsigned i = 0; i < rounds; i++)
		ratios[i] = weft[i] / other[i];
	return bench_median(ratios, rounds);
}

static void show(const char *what, const char *measure, double value, const char *unit,
		 double limit, const char *id)
{
	char *text = NULL;

	bench_check(asprintf(&text, "%s, %s", what, measure) > 0, "memory");
	bench_value(id, text, value, unit, BENCH_AT_MOST, limit);
	free(text);
}

static void show_pairs(const char *what, double us, double pause, struct side *sides,
		       unsigned count)
{
	unsigned rounds = bench_quick() ? 1 : ROUNDS;
	const char *id = us == 20 ? "P10" : "";
	char *text = NULL;

	show(what, "/ serial", ratio(sides[1].wall, sides[0].wall), "", 1.05, id);
	if (us != 20)
		return;
	for (unsigned i = 2; i < count; i++) {
		bench_check(asprintf(&text, "/ %s", sides[i].name) > 0, "memory");
		show(what, text, ratio(sides[1].wall, sides[i].wall), "", 1, "");
		free(text);
	}
	show(what, "weft", 1e6 * bench_median(sides[1].wall, rounds), "us", pause > 0 ? 40 : 22,
	     id);
	for (unsigned i = 1; i < count; i++)
		show(what, sides[i].name, 1e6 / 2 * bench_median(sides[i].cpu, rounds),
		     "us cpu/job", 90, id);
}

static void measure_pairs(double us, double pause, double steps_per_us)
{
	struct small_pairs p = { .steps = (long)(us * steps_per_us),
				 .count = bench_quick() ? 5 : 50,
				 .pause = pause };
	struct side sides[2 + SIDES];
	unsigned count = find_sides(sides);
	unsigned rounds = bench_quick() ? 1 : ROUNDS;
	char *what = NULL;

	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < count; i++)
			run_pairs(&sides[(i + round) % count], (i + round) % count, &p, round);

	bench_check(asprintf(&what, "2 x %g us %s", us, pause > 0 ? "idle" : "hot") > 0, "memory");
	show_pairs(what, us, pause, sides, count);
	free(what);
}

/* The best of some tries: nobody has interrupted that one. */
static double measure_steps_per_us(void)
{
	const long steps = 100 * 1000;
	double best = 1;

	for (int i = 0; i < 20; i++) {
		double before = bench_now();
		small_compute(steps);
		double took = bench_now() - before;
		best = took < best ? took : best;
	}
	return (double)steps / (best * 1e6);
}

int main(int argc, char **argv)
{
	static const double us[] = { 0.1, 1, 5, 20, 100 };
	bench_begin(argc, argv);

	size_t largest = bench_quick() ? 10 * 1000 : 1000 * 1000;
	double steps_per_us = measure_steps_per_us();

	measure_empty();
	for (size_t n = 100; n <= largest; n *= 10)
		measure_size(n, 4 * largest);
	for (size_t i = 0; i < sizeof(us) / sizeof(*us); i++)
		measure_pairs(us[i], 1e-3, steps_per_us);
	for (size_t i = 0; i < sizeof(us) / sizeof(*us); i++)
		measure_pairs(us[i], 0, steps_per_us);
	weft_shutdown(WEFT_NEVER);
	return bench_end();
}
