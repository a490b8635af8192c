/* SPDX-License-Identifier: MIT */
/*
 * token.c - a table of slots with generations
 *
 * One lock for all: tokens are for crossing a border, a few a request.  The cancel
 * marks the scope and pins its node under the lock, and walks without it.
 */
#include "async/token.h"

#include <pthread.h>

#include <weft/error.h>

#include "async/scope.h"
#include "deque/alloc.h"
#include "runtime/runtime.h"

struct slot {
	struct weft__scope *scope; /* NULL: free */
	uint32_t generation;
	uint32_t next; /* free slot + 1 */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static uint32_t count, free_slot; /* + 1; 0: none */

static int grow(void)
{
	uint32_t more = count ? count * 2 : 64;
	struct slot *larger = weft__alloc(more * sizeof *larger);

	if (!larger)
		return WEFT_ENOMEM;
	for (uint32_t i = 0; i < more; i++)
		larger[i] =
			i < count ? slots[i] : (struct slot){ NULL, 1, i + 1 < more ? i + 2 : 0 };
	free_slot = count + 1;
	weft__free(slots, count * sizeof *slots);
	slots = larger;
	count = more;
	return 0;
}

int weft__token_new(struct weft__scope *s, struct weft_token *token)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (s->token == 0) {
		rc = free_slot ? 0 : grow();
		if (rc == 0) {
			s->token = free_slot;
			slots[s->token - 1].scope = s;
			free_slot = slots[s->token - 1].next;
		}
	}
	if (rc == 0)
		*token = (struct weft_token){ s->token - 1, slots[s->token - 1].generation };
	pthread_mutex_unlock(&lock);
	return rc;
}

void weft__token_end(uint32_t slot)
{
	pthread_mutex_lock(&lock);
	slots[slot].scope = NULL;
	slots[slot].generation++;
	slots[slot].next = free_slot;
	free_slot = slot + 1;
	pthread_mutex_unlock(&lock);
}

/* With the lock held: the scope that the token names. */
static struct weft__scope *scope_of(struct weft_token token)
{
	if (token.slot >= count || slots[token.slot].generation != token.generation)
		return NULL;
	return slots[token.slot].scope;
}

bool weft_token_cancel_because(struct weft_token token, int code, const char *message)
{
	struct weft_reason reason = {
		.kind = WEFT_REASON_EXPLICIT,
		.code = code,
		.message = message,
		.source = weft__strand_name(weft__strand_self()),
	};

	if (weft__forked())
		return false;
	pthread_mutex_lock(&lock);
	struct weft__scope *s = scope_of(token);
	bool fresh = s && weft__scope_mark(s, &reason);
	if (fresh)
		weft__scope_pin(s);
	pthread_mutex_unlock(&lock);
	if (!fresh)
		return false;
	weft__scope_spread(s);
	weft__scope_unpin(s);
	return true;
}

bool weft_token_cancel(struct weft_token token)
{
	return weft_token_cancel_because(token, WEFT_ECANCELED, NULL);
}
