/* SPDX-License-Identifier: MIT */
/*
 * sort_stripes.c - one cut of a quicksort by several workers
 *
 * The piece is divided in stripes, and each is cut on its own:
 *
 *	[ low | high ][ low | high ][ low | high ]
 *	        ^^^^    ^^^ ! ^^^^    ^^^
 *
 * The cut of the whole belongs at `!`.  As many high elements lie before it as low
 * ones after it, so these are swapped, the i-th with the i-th, again in parallel:
 * about half of all when they are random.  A stable sort must keep the order; it
 * moves all, by way of its buffer.
 *
 * The number of stripes is fixed.  Whether one worker cuts them or many is
 * decided while they run, as in every loop.
 */
#include "runtime/sort.h"

enum {
	STRIPES = WEFT__SORT_STRIPES,
};

struct stripes {
	const struct weft__sort_piece *p;
	const void *pivot;
	bool equal;
	size_t low[STRIPES + 1]; /* low elements: of each stripe, then of all before it */
};

/* Chosen elements of the piece, in runs.  They are numbered from 0 on. */
struct chosen {
	size_t runs;
	size_t begin[STRIPES]; /* where each run lies in the piece */
	size_t end[STRIPES];   /* the number after that of its last element */
};

struct exchange {
	const struct weft__sort_piece *p;
	struct chosen high, low; /* on the wrong side */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t stripe_begin(const struct stripes *t, size_t i)
{
	return t->p->n / STRIPES * i + smaller(i, t->p->n % STRIPES);
}

static int split_stripes(struct weft_range *r, void *arg)
{
	struct stripes *t = arg;

	for (size_t i = r->begin; i < r->end; i++) {
		size_t begin = stripe_begin(t, i), end = stripe_begin(t, i + 1);
		struct weft__sort_piece p = weft__sort_part(t->p, begin, end);
		t->low[i] = p.s->split(p.s, p.v, p.n, t->pivot, t->equal, p.spare);
	}
	return 0;
}

/* low[i] = the low elements of all stripes before i. */
static void sum_up(struct stripes *t)
{
	size_t sum = 0;

	for (size_t i = 0; i <= STRIPES; i++) {
		size_t low = t->low[i];
		t->low[i] = sum;
		sum += low;
	}
}

/* --- by swaps ------------------------------------------------------------ */

static size_t chosen_count(const struct chosen *c)
{
	return c->runs ? c->end[c->runs - 1] : 0;
}

static void choose(struct chosen *c, size_t begin, size_t end)
{
	if (begin >= end)
		return;
	c->begin[c->runs] = begin;
	c->end[c->runs] = chosen_count(c) + end - begin;
	c->runs++;
}

/* Where number i is, and in *run how many from there on lie in a row. */
static size_t find(const struct chosen *c, size_t i, size_t *run)
{
	size_t k = 0;

	while (c->end[k] <= i)
		k++;
	*run = c->end[k] - i;
	return c->begin[k] + i - (k ? c->end[k - 1] : 0);
}

static int exchange_some(struct weft_range *r, void *arg)
{
	struct exchange *x = arg;
	size_t size = x->p->s->type.size;

	for (size_t i = r->begin, n; i < r->end; i += n) {
		size_t high_run, low_run;
		size_t high = find(&x->high, i, &high_run), low = find(&x->low, i, &low_run);
		n = smaller(r->end - i, smaller(high_run, low_run));
		weft__sort_swap(x->p->v + high * size, x->p->v + low * size, n * size);
	}
	return 0;
}

static int exchange(const struct stripes *t)
{
	struct exchange x = { .p = t->p };
	size_t cut = t->low[STRIPES];

	for (size_t i = 0; i < STRIPES; i++) {
		size_t begin = stripe_begin(t, i), end = stripe_begin(t, i + 1);
		size_t middle = begin + t->low[i + 1] - t->low[i];
		choose(&x.high, middle, smaller(end, cut));
		choose(&x.low, begin > cut ? begin : cut, middle);
	}
	return weft_for_opt(0, chosen_count(&x.high), exchange_some, &x, NULL);
}

/* --- in order ------------------------------------------------------------ */

static int gather_stripes(struct weft_range *r, void *arg)
{
	struct stripes *t = arg;
	size_t size = t->p->s->type.size;
	char *spare = t->p->spare;

	for (size_t i = r->begin; i < r->end; i++) {
		size_t begin = stripe_begin(t, i), n = stripe_begin(t, i + 1) - begin;
		size_t low_at = t->low[i], low = t->low[i + 1] - low_at;
		size_t high_at = t->low[STRIPES] + begin - low_at;
		const char *v = t->p->v + begin * size;
		memcpy(spare + low_at * size, v, low * size);
		memcpy(spare + high_at * size, v + low * size, (n - low) * size);
	}
	return 0;
}

static int bring_back(struct weft_range *r, void *arg)
{
	const struct stripes *t = arg;
	size_t size = t->p->s->type.size;

	memcpy(t->p->v + r->begin * size, t->p->spare + r->begin * size,
	       (r->end - r->begin) * size);
	return 0;
}

static int gather(struct stripes *t)
{
	const struct weft__sort_piece *p = t->p;
	int rc = weft_for_opt(0, STRIPES, gather_stripes, t, NULL);

	if (rc < 0)
		return rc;
	rc = weft_for_opt(0, p->n, bring_back, t, NULL);
	if (rc < 0) /* cancelled: half of the old order and half of the new one is neither */
		memcpy(p->v, p->spare, p->n * p->s->type.size);
	return rc;
}

int weft__sort_split_striped(const struct weft__sort_piece *p, const void *pivot, bool equal,
			     size_t *low)
{
	struct stripes t = { .p = p, .pivot = pivot, .equal = equal };

	int rc = weft_for_opt(0, STRIPES, split_stripes, &t, NULL);
	if (rc < 0)
		return rc;
	sum_up(&t);
	*low = t.low[STRIPES];
	return p->s->stable ? gather(&t) : exchange(&t);
}
