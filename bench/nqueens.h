/* SPDX-License-Identifier: MIT */
/* nqueens.h - what bench/nqueens.c and its peers compute */
#ifndef BENCH_NQUEENS_H
#define BENCH_NQUEENS_H

#include <stdbool.h>
#include <string.h>

enum { QUEENS_MAX = 16 };

struct nqueens {
	int n;
	long out;
};

/* Rows 0 .. rows - 1 have a queen each; it stands in column at[row]. */
struct board {
	int n, rows;
	signed char at[QUEENS_MAX];
};

/* *next = b and a queen in `column` of the next row; false when another one
 * attacks it. */
static inline bool place(struct board *next, const struct board *b, int column)
{
	next->n = b->n;
	next->rows = b->rows + 1;
	memcpy(next->at, b->at, sizeof(b->at));
	next->at[b->rows] = (signed char)column;

	for (int row = 0; row < b->rows; row++) {
		int apart = b->at[row] - column;
		int away = b->rows - row;
		if (apart == 0 || apart == away || apart == -away)
			return false;
	}
	return true;
}

#endif
