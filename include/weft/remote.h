/* SPDX-License-Identifier: MIT */
/*
 * weft/remote.h - functions that run in another process
 *
 * A function that is to run in a worker process takes bytes and answers with
 * bytes; nothing else passes the border.  WEFT_REMOTE gives it a name by which
 * the other process finds it:
 *
 *	static int shout(const void *in, size_t size, struct weft_reply *reply)
 *	{
 *		char *out = weft_reply_room(reply, size);
 *
 *		if (!out)
 *			return WEFT_ENOMEM;
 *		for (size_t i = 0; i < size; i++)
 *			out[i] = (char)toupper(((const unsigned char *)in)[i]);
 *		return 0;
 *	}
 *	WEFT_REMOTE(shout);
 *
 * A function without a name can be sent as well, by its place in the file that it
 * was loaded from, as long as it comes from a file and the other process loads
 * the same build of it.  Generated code (a callback made by ctypes or libffi) has
 * no file and needs a wrapper in C.
 *
 * The worker runs the start-up code of the program and of its libraries, but not
 * main(): globals hold what initialisers gave them, and not what main() made of
 * them.
 *
 *   threads    weft_remote_add, weft_remote_drop: any.  weft_reply_*: the thread
 *              that runs the function.
 *   memory     `in` is lent until the function returns, and read only.  A reply
 *              and the room in it are weft's.
 *   errors     0 or a negative WEFT_E code; a function's own code goes to the
 *              caller as it is.
 *   blocking   weft_reply_room may wait for the other process.
 */
#ifndef WEFT_REMOTE_H
#define WEFT_REMOTE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The answer that a function is making. */
struct weft_reply;

typedef int weft_remote_fn(const void *in, size_t size, struct weft_reply *reply);

/* Adds a copy of `size` bytes to the answer.  WEFT_ENOMEM; WEFT_EINVAL after
 * weft_reply_room. */
WEFT_API int weft_reply_put(struct weft_reply *reply, const void *data, size_t size);

/* Room for an answer of exactly `size` bytes, to be filled before the function
 * returns.  What was put before is dropped.  NULL when there is no memory, when the
 * caller takes no answer of that size, or when there is room already.  Answers of
 * many megabytes are written where the other process reads them. */
WEFT_API void *weft_reply_room(struct weft_reply *reply, size_t size);

/* A function and its name, on a list of all that the process knows.  The struct
 * stays until it is dropped; everything but name and fn is private. */
struct weft_remote {
	const char *name;
	weft_remote_fn *fn;
	struct weft_remote *next;
};

WEFT_API void weft_remote_add(struct weft_remote *remote);
WEFT_API void weft_remote_drop(struct weft_remote *remote);

/* Registers `fn` under its own name when the file that says so is loaded, and
 * until it is unloaded.  The name is to be unique in its module; where two
 * modules share one, the module decides. */
#define WEFT_REMOTE(fn_)                                                     \
	static struct weft_remote weft_remote_of_##fn_ = { #fn_, fn_, 0 };   \
	__attribute__((constructor)) static void weft_remote_add_##fn_(void) \
	{                                                                    \
		weft_remote_add(&weft_remote_of_##fn_);                      \
	}                                                                    \
	__attribute__((destructor)) static void weft_remote_drop_##fn_(void) \
	{                                                                    \
		weft_remote_drop(&weft_remote_of_##fn_);                     \
	}                                                                    \
	struct weft_remote /* takes the semicolon */

/* Only for programs linked with -static, which the dynamic loader has no part in:
 * to be called first in main().  Returns at once in the program itself, and never
 * in the server that weft makes by running the program's file again.  Other
 * programs do not need it, and may call it. */
WEFT_API void weft_remote_main(void);

WEFT_END_DECLS

#endif
