/* SPDX-License-Identifier: MIT */
/*
 * check.h - three ways to say that something cannot be
 *
 *   weft__assert(x)       a mistake of a caller or of ours that is cheap to
 *                         see: debug and sanitizer builds (no NDEBUG, or
 *                         WEFT_DEBUG)
 *   weft__invariant(x)    what a walk over a structure finds: only with
 *                         WEFT_CHECK=2
 *   weft__bug(fmt, ...)   a state that the algorithm proves impossible: always
 *                         there, for going on would corrupt
 *
 * Each prints one line to the standard error and aborts.  In builds without
 * them the conditions are compiled and not evaluated, so that they cannot rot.
 */
#ifndef WEFT_DEQUE_CHECK_H
#define WEFT_DEQUE_CHECK_H

#include "deque/sanitizer.h"

#if !defined(NDEBUG) || WEFT__SANITIZED
#ifndef WEFT_DEBUG
#define WEFT_DEBUG 1
#endif
#endif

#ifndef WEFT_CHECK
#ifdef WEFT_DEBUG
#define WEFT_CHECK 1
#else
#define WEFT_CHECK 0
#endif
#endif

/* Prints "weft: file:line: function: ..." and aborts. */
_Noreturn void weft__bug_at(const char *file, int line, const char *function, const char *fmt, ...)
	__attribute__((cold, format(printf, 4, 5)));

#define weft__bug(...)	   weft__bug_at(__FILE__, __LINE__, __func__, __VA_ARGS__)

#define WEFT__CHECKED(x)   (__builtin_expect(!!(x), 1) ? (void)0 : weft__bug("not true: %s", #x))
#define WEFT__UNCHECKED(x) ((void)sizeof((x) ? 1 : 0))

#ifdef WEFT_DEBUG
#define weft__assert(x) WEFT__CHECKED(x)
#else
#define weft__assert(x) WEFT__UNCHECKED(x)
#endif

#if WEFT_CHECK >= 2
#define weft__invariant(x) WEFT__CHECKED(x)
#else
#define weft__invariant(x) WEFT__UNCHECKED(x)
#endif

#endif
