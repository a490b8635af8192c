/* SPDX-License-Identifier: MIT */
/*
 * error.c - what codes mean in words, and which weft this is
 */
#include <string.h>

#include <weft/error.h>
#include <weft/version.h>

/* The codes of weft/error.h in weft's words; NULL for others. */
static const char *own_words(int rc)
{
	switch (rc) {
	case 0:
		return "success";
	case WEFT_EPERM:
		return "not permitted: another task or thread owns it, or it is too late";
	case WEFT_EINTR:
		return "interrupted by a signal";
	case WEFT_EIO:
		return "input or output failed";
	case WEFT_EAGAIN:
		return "not possible now, try again";
	case WEFT_ENOMEM:
		return "out of memory, address space or threads";
	case WEFT_EINVAL:
		return "an argument makes no sense";
	case WEFT_EDEADLK:
		return "the call would wait for itself";
	case WEFT_ETIMEDOUT:
		return "the deadline passed";
	case WEFT_ECANCELED:
		return "cancelled: it did not happen";
	case WEFT_ESHUTDOWN:
		return "the runtime is shut down, or this is a forked child";
	case WEFT_EBUSY:
		return "somebody else is using it";
	case WEFT_ECLOSED:
		return "closed: nothing more goes in or comes out";
	case WEFT_EBROKEN:
		return "broken: its owner ended, or it was aborted";
	case WEFT_ENOTASK:
		return "only a task can do this, and the caller is none";
	case WEFT_ECRASHED:
		return "the process that did it died";
	default:
		return NULL;
	}
}

/* strerrordesc_np, unlike strerror, never translates, allocates or fails for
 * want of a buffer; it knows nothing of numbers that are no errno. */
const char *weft_strerror(int rc)
{
	const char *words = own_words(rc);

	if (!words && rc < 0 && rc >= -4095)
		words = strerrordesc_np(-rc);
	return words ? words : "unknown error";
}

const char *weft_version(void)
{
	return WEFT_VERSION;
}
