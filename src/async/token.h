/* SPDX-License-Identifier: MIT */
/*
 * token.h - names of scopes for those who do not run inside
 *
 *   threads    any.
 *   memory     a table of the process that grows with the number of scopes that have
 *              a token at one time, and is kept.
 */
#ifndef WEFT_ASYNC_TOKEN_H
#define WEFT_ASYNC_TOKEN_H

#include <weft/scope.h>

struct weft__scope;

/* The scope's token, made at the first call.  WEFT_ENOMEM. */
int weft__token_new(struct weft__scope *s, struct weft_token *token);

/* The scope is being left: from here on the token names nothing.  A cancel under way
 * has pinned the scope's node. */
void weft__token_end(uint32_t slot);

#endif
