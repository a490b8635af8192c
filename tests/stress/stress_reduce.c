/* SPDX-License-Identifier: MIT */
/*
 * stress_reduce.c - reductions and scans of drawn sizes, several at once, always the
 * same bits
 *
 * Each round draws a range, a grain and the size of the accumulator, computes the
 * reduction outside of any task, and then inside, beside other threads that do the
 * same, with folds that now and then yield or run a loop of their own.  Every
 * index is folded once: it is counted.  Then a scan over the same range, whose
 * every prefix is compared.
 */
#include <string.h>

#include <weft/weft.h>

#include "support/stress.h"

enum { MOST = 40000, THREADS = 3, WORDS_MAX = 300 };

/* Affine maps modulo 2^64, x -> a x + b: joining them is associative and not
 * commutative.  Repeated over the accumulator, to make it as large as drawn. */
struct map {
	uint64_t a, b;
};

struct job {
	struct weft_reducer reducer;
	size_t begin, end, grain;
	uint64_t seed;
	size_t maps; /* in an accumulator */
	bool parallel;
	uint8_t *folds;	 /* of each index of the range */
	uint64_t *total; /* the prefixes, up to each index */
	struct map result[WORDS_MAX / 2];
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185u;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44du;
	return x ^ x >> 33;
}

static struct map compose(struct map f, struct map g)
{
	return (struct map){ f.a * g.a, g.a * f.b + g.b };
}

static struct map item(const struct job *j, size_t i)
{
	uint64_t r = mix(j->seed ^ mix(i));

	return (struct map){ r | 1, r >> 7 };
}

static void init(void *acc, void *arg)
{
	struct map *f = acc;
	const struct job *j = arg;

	for (size_t k = 0; k < j->maps; k++)
		f[k] = (struct map){ 1, k };
}

static int look_around(struct weft_range *r, void *arg)
{
	(void)r, (void)arg;
	return 0;
}

/* What a fold may do beside folding. */
static int disturb(const struct job *j, uint64_t choice)
{
	if (choice % 64 == 1)
		weft_yield();
	if (choice % 256 == 2)
		return weft_for(0, 100, look_around, (void *)(uintptr_t)j);
	return 0;
}

static void step(const struct job *j, struct map *f, size_t i)
{
	struct map g = item(j, i);

	for (size_t k = 0; k < j->maps; k++)
		f[k] = compose(f[k], g);
}

static int fold(void *acc, struct weft_range *r, void *arg)
{
	struct job *j = arg;
	int rc = j->parallel ? disturb(j, mix(j->seed + r->begin)) : 0;

	for (size_t i = r->begin; i < r->end; i++) {
		step(j, acc, i);
		j->folds[i - j->begin]++;
	}
	return rc;
}

/* Composed from the left, the k that init began with is in each b; that of the right
 * side is taken out again. */
static void join(void *acc, const void *right, void *arg)
{
	struct map *f = acc;
	const struct map *g = right;
	const struct job *j = arg;

	for (size_t k = 0; k < j->maps; k++) {
		struct map plain = { g[k].a, g[k].b - g[k].a * k };
		f[k] = compose(f[k], plain);
	}
}

static int emit(void *acc, struct weft_range *r, void *arg)
{
	struct job *j = arg;
	struct map *f = acc;

	for (size_t i = r->begin; i < r->end; i++) {
		step(j, f, i);
		j->total[i - j->begin] = f[j->maps - 1].b;
	}
	return j->parallel ? disturb(j, mix(j->seed - r->begin)) : 0;
}

static int run_reduce(void *arg)
{
	struct job *j = arg;

	return weft_reduce(j->begin, j->end, &j->reducer, j->result, j, .grain = j->grain);
}

static int run_scan(void *arg)
{
	struct job *j = arg;

	return weft_scan(j->begin, j->end, &j->reducer, emit, NULL, j, .grain = j->grain);
}

static struct job draw(struct weft__rng *rng, uint8_t *folds, uint64_t *total)
{
	size_t maps = weft__rng_below(rng, 8) ? 1 : 1 + weft__rng_below(rng, WORDS_MAX / 2);
	size_t most = maps > 1 ? 1000 : MOST;
	size_t begin = weft__rng_below(rng, 100);
	size_t n = weft__rng_below(rng, weft__rng_below(rng, 2) ? most : 100);

	return (struct job){ .reducer = { maps * sizeof(struct map), init, fold, join },
			     .begin = begin,
			     .end = begin + n,
			     .grain = weft__rng_below(rng, 4) ? 0 : weft__rng_below(rng, 500),
			     .seed = weft__rng_below(rng, UINT64_C(1) << 60),
			     .maps = maps,
			     .folds = folds,
			     .total = total };
}

/* Every index `times` times. */
static void check_folds(const struct job *j, unsigned times)
{
	for (size_t i = 0; i < j->end - j->begin; i++)
		STRESS_CHECK(j->folds[i] == times);
}

static uint64_t folded;

static void run_round(struct weft__rng *rng, uint8_t *folds, uint64_t *totals[2])
{
	struct job outside = draw(rng, folds, totals[0]);
	struct job inside = outside;
	size_t n = outside.end - outside.begin;

	inside.total = totals[1];
	inside.parallel = true;
	memset(folds, 0, n);
	STRESS_CHECK(run_reduce(&outside) == 0);
	check_folds(&outside, 1);
	STRESS_CHECK(weft_run_sync(run_reduce, &inside) == 0);
	check_folds(&inside, 2);
	STRESS_CHECK(memcmp(outside.result, inside.result, outside.reducer.size) == 0);

	STRESS_CHECK(run_scan(&outside) == 0);
	STRESS_CHECK(weft_run_sync(run_scan, &inside) == 0);
	check_folds(&inside, 4);
	STRESS_CHECK(memcmp(totals[0], totals[1], n * sizeof *totals[0]) == 0);
	STRESS_CHECK(n == 0 || totals[1][n - 1] == inside.result[inside.maps - 1].b);
	add_seqcst(&folded, 4 * n);
}

static void run_rounds(unsigned self)
{
	uint64_t *totals[2] = { malloc(MOST * sizeof(uint64_t)), malloc(MOST * sizeof(uint64_t)) };
	uint8_t *folds = malloc(MOST);
	struct weft__rng rng;

	STRESS_CHECK(totals[0] && totals[1] && folds);
	weft__rng_init(&rng, stress_seed + self);
	for (long i = 0; i < 60 * stress_scale; i++)
		run_round(&rng, folds, totals);
	free(totals[0]);
	free(totals[1]);
	free(folds);
}

int main(int argc, char **argv)
{
	struct stress_thread threads[THREADS];

	stress_begin(argc, argv);
	stress_start(threads, THREADS, run_rounds);
	stress_join(threads, THREADS);
	STRESS_CHECK(weft_shutdown(WEFT_NEVER) == 0);
	printf("%" PRIu64 " items folded\n", folded);
	return 0;
}
