/* SPDX-License-Identifier: MIT */
/*
 * weft/local.h - task locals: values that reach whoever runs inside
 *
 * A request id, a logger, a tenant: what every function below needs and no one wants
 * to hand through.  A binding holds while a function runs; children that are spawned
 * meanwhile inherit it for their whole life, and so do blocking calls and functions
 * run on a task's behalf.  Nobody sees what somebody else binds later.
 *
 *	static const struct weft_key request = { "request" };
 *
 *	weft_with_local(&request, &id, handle, arg);
 *	...
 *	int *id = weft_local(&request);
 *
 *   threads    anywhere; in a plain thread there are no bindings but those it makes
 *              inside of weft_with_local by itself: none.
 *   memory     the key is its address.  The value is the caller's; it must stay until
 *              every task that inherited it has ended, or `drop` is called then.
 *   errors     WEFT_ENOMEM, WEFT_ENOTASK, or what fn returned.
 */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_key {
	const char *name;	   /* for reports */
	void (*drop)(void *value); /* nobody has the binding any more; or NULL */
};

/* Runs fn(arg) with key bound to value. */
WEFT_API int weft_with_local(const struct weft_key *key, void *value, weft_fn *fn, void *arg);

/* The value that is bound here, NULL when none is. */
WEFT_API void *weft_local(const struct weft_key *key);

WEFT_END_DECLS

#endif
