/* SPDX-License-Identifier: MIT */
/*
 * proc_stub.h - the object that a server is started with, as bytes (stub/stub.c)
 */
#ifndef WEFT_ASYNC_PROC_STUB_H
#define WEFT_ASYNC_PROC_STUB_H

extern const char weft__stub_begin[] __attribute__((visibility("hidden")));
extern const char weft__stub_end[] __attribute__((visibility("hidden")));

#endif
