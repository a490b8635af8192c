/* SPDX-License-Identifier: MIT */
/*
 * entry.h - what the stub and the library agree on
 */
#ifndef WEFT_ASYNC_STUB_ENTRY_H
#define WEFT_ASYNC_STUB_ENTRY_H

/* "<distance of the entry from where its module is loaded, hex>:<path of the
 * module, empty for the executable>" */
#define WEFT__ENTRY_ENV	  "WEFT_SERVER"
#define WEFT__ENTRY_MAGIC "weft server 0001"

/* The descriptors that a server starts with, beside 0 to 2. */
enum {
	WEFT__ENTRY_CONTROL = 3,     /* the socket to the application */
	WEFT__ENTRY_STUB = 4,	     /* the file of the stub */
	WEFT__ENTRY_APPLICATION = 5, /* a pidfd */
	WEFT__ENTRY_FREE = 6,
};

#define WEFT__ENTRY_STUB_PATH "/proc/self/fd/4"

/* Lies in the library.  The magic is a last look at whether the file at that path
 * still is the file it was. */
struct weft__entry {
	char magic[16];
	void (*serve)(void); /* does not return */
};

#endif
