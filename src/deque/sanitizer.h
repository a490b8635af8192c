/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.h - which sanitizer this is compiled under
 *
 * gcc and clang say it in different words.  Each macro is 0 or 1.
 */
#ifndef WEFT_DEQUE_SANITIZER_H
#define WEFT_DEQUE_SANITIZER_H

#ifdef __has_feature
#define WEFT__HAS_FEATURE(x) __has_feature(x)
#else
#define WEFT__HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || WEFT__HAS_FEATURE(address_sanitizer)
#define WEFT__ASAN 1
#else
#define WEFT__ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || WEFT__HAS_FEATURE(thread_sanitizer)
#define WEFT__TSAN 1
#else
#define WEFT__TSAN 0
#endif

#if WEFT__HAS_FEATURE(memory_sanitizer)
#define WEFT__MSAN 1
#else
#define WEFT__MSAN 0
#endif

/* A function that touches what belongs to a thread, and not to the fiber that
 * happens to run on it: fibers take turns there, and ThreadSanitizer knows of no
 * edge between them. */
#if WEFT__TSAN
#define WEFT__OF_THREAD __attribute__((no_sanitize("thread")))
#else
#define WEFT__OF_THREAD
#endif

#define WEFT__SANITIZED (WEFT__ASAN || WEFT__TSAN || WEFT__MSAN)

#endif
