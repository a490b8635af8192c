/* SPDX-License-Identifier: MIT */
/*
 * weft/error.h - the codes that calls return
 *
 * 0 is success and a negative number says why not: -1 .. -4095 is a negated
 * errno, what lies below is weft's own.  errno itself is never set and never
 * read: a fiber may resume on another thread, where a compiler that has kept
 * the address of errno would look at the wrong one.
 *
 *   threads    everything here may be called from anywhere.
 *   memory     messages are static.
 */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include <errno.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

enum weft_error {
	WEFT_EPERM = -EPERM,	     /* not yours: another task or thread owns it */
	WEFT_EINTR = -EINTR,	     /* interrupted by a signal */
	WEFT_EIO = -EIO,	     /* input or output failed */
	WEFT_EAGAIN = -EAGAIN,	     /* not now: try again */
	WEFT_ENOMEM = -ENOMEM,	     /* out of memory, address space or threads */
	WEFT_EINVAL = -EINVAL,	     /* an argument makes no sense */
	WEFT_EDEADLK = -EDEADLK,     /* the call would wait for itself */
	WEFT_ETIMEDOUT = -ETIMEDOUT, /* your own deadline passed */
	WEFT_ECANCELED = -ECANCELED, /* cancelled: it did not happen */
	WEFT_ESHUTDOWN = -ESHUTDOWN, /* the runtime is shut down, or this is a forked child */
	WEFT_EBUSY = -EBUSY,	     /* somebody else is using it */

	/* weft's own */
	WEFT_ECLOSED = -5000,  /* closed: nothing more goes in or comes out */
	WEFT_EBROKEN = -5001,  /* unusable: its owner ended, or it was aborted */
	WEFT_ENOTASK = -5002,  /* needs a task, and the caller is none */
	WEFT_ECRASHED = -5003, /* the process that did it died */
};

/* One short sentence for a code of this header or any negated errno, without
 * a full stop.  Never NULL. */
WEFT_API const char *weft_strerror(int rc);

WEFT_END_DECLS

#endif
