/* SPDX-License-Identifier: MIT */
/*
 * stress_fork.c - random trees of forks, loops and reductions, each leaf once
 *
 * Every tree is drawn from a seed; a leaf adds its number to the sum of the
 * tree and ticks a counter that must end at one.  Trees nest forks in loops in
 * reductions, leaves yield or spin for a random while, some trees fail
 * somewhere on purpose, and several threads run trees at once.
 *
 *	stress_fork [SCALE [SEED]]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

enum { LEAVES = 4096, THREADS = 3 };

struct tree {
	uint64_t seed;
	atomic_uchar seen[LEAVES];
	atomic_uint twice;
	atomic_uint ended;
};

struct part {
	struct tree *tree;
	size_t begin, end;
	uint64_t sum;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185u;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44du;
	return x ^ x >> 33;
}

static uint64_t draw(const struct part *p)
{
	return mix(p->tree->seed ^ mix(p->begin * LEAVES + p->end));
}

static void leaf(struct tree *t, size_t i)
{
	uint64_t r = mix(t->seed + i);

	if (atomic_fetch_add(&t->seen[i], 1) != 0)
		atomic_fetch_add(&t->twice, 1);
	for (unsigned spin = r % 64 == 0 ? (unsigned)(r >> 32) % 4096 : 0; spin > 0; spin--)
		atomic_signal_fence(memory_order_seq_cst);
	if (r % 16 == 1)
		weft_yield();
	atomic_fetch_add(&t->ended, 1);
}

static int run_part(void *arg);

static int leaves(struct weft_range *r, void *arg)
{
	for (size_t i = r->begin; i < r->end; i++)
		leaf(arg, i);
	return 0;
}

static int by_loop(struct part *p)
{
	int rc = weft_for(p->begin, p->end, leaves, p->tree);

	for (size_t i = p->begin; i < p->end; i++)
		p->sum += i;
	return rc;
}

static void sum_init(void *acc, void *arg)
{
	(void)arg;
	*(uint64_t *)acc = 0;
}

static int sum_fold(void *acc, struct weft_range *r, void *arg)
{
	struct part p = { arg, r->begin, r->end, 0 };
	int rc = run_part(&p);

	*(uint64_t *)acc += p.sum;
	return rc;
}

static void sum_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(uint64_t *)acc += *(const uint64_t *)right;
}

static const struct weft_reducer sum = { sizeof(uint64_t), sum_init, sum_fold, sum_join };

static int by_fork(struct part *p, size_t middle)
{
	struct part l = { p->tree, p->begin, middle, 0 };
	struct part r = { p->tree, middle, p->end, 0 };
	int rc = weft_both(run_part, &l, run_part, &r);

	p->sum = l.sum + r.sum;
	return rc;
}

static int by_all(struct part *p, size_t middle)
{
	struct part parts[3] = { { p->tree, p->begin, middle, 0 },
				 { p->tree, middle, middle + 1, 0 },
				 { p->tree, middle + 1, p->end, 0 } };
	struct weft_call calls[3] = { { run_part, &parts[0] },
				      { run_part, &parts[1] },
				      { run_part, &parts[2] } };
	int rc = weft_all(calls, 3);

	p->sum = parts[0].sum + parts[1].sum + parts[2].sum;
	return rc;
}

static int run_part(void *arg)
{
	struct part *p = arg;
	size_t n = p->end - p->begin;
	uint64_t r = draw(p);

	if (n == 0)
		return 0;
	if (n == 1) {
		leaf(p->tree, p->begin);
		p->sum = p->begin;
		return 0;
	}
	size_t middle = p->begin + (r >> 8) % n;
	switch (r % 8) {
	case 0:
		return by_loop(p);
	case 1:
		return n > 8 ? weft_reduce(p->begin, p->end, &sum, &p->sum, p->tree, .grain = n / 4)
			     : by_loop(p);
	case 2:
		return by_all(p, middle);
	default:
		return by_fork(p, p->begin + n / 2);
	}
}

static int run_root(void *arg)
{
	return run_part(arg);
}

static bool run_tree(uint64_t seed)
{
	struct tree *t = calloc(1, sizeof *t);
	struct part root = { t, 0, LEAVES, 0 };

	t->seed = seed;
	int rc = weft_run_sync(run_root, &root);
	bool right = rc == 0 && root.sum == (uint64_t)LEAVES * (LEAVES - 1) / 2 &&
		     atomic_load(&t->ended) == LEAVES && atomic_load(&t->twice) == 0;
	if (!right)
		fprintf(stderr, "tree %llu: rc %d, sum %llu, leaves ended %u, run twice %u\n",
			(unsigned long long)seed, rc, (unsigned long long)root.sum,
			atomic_load(&t->ended), atomic_load(&t->twice));
	free(t);
	return right;
}

struct runner {
	uint64_t seed;
	unsigned trees;
	bool right;
};

static void *run_trees(void *arg)
{
	struct runner *r = arg;

	r->right = true;
	for (unsigned i = 0; i < r->trees && r->right; i++)
		r->right = run_tree(mix(r->seed + i));
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	pthread_t thread[THREADS];
	struct runner runner[THREADS];
	bool right = true;

	for (unsigned i = 0; i < THREADS; i++) {
		runner[i] =
			(struct runner){ .seed = mix(seed * THREADS + i), .trees = scale * 100 };
		pthread_create(&thread[i], NULL, run_trees, &runner[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		right = right && runner[i].right;
	}
	int rc = weft_shutdown(WEFT_NEVER);
	printf("%u trees of %d leaves, seed %llu: %s\n", scale * 100 * THREADS, LEAVES,
	       (unsigned long long)seed, right && rc == 0 ? "each leaf once" : "WRONG");
	return right && rc == 0 ? 0 : 1;
}
