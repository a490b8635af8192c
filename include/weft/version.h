/* SPDX-License-Identifier: MIT */
/*
 * weft/version.h - which weft this is
 *
 * The macros name the headers compiled against; weft_version() names the
 * library that runs.
 */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/base.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0
#define WEFT_VERSION	   "0.1.0"

WEFT_BEGIN_DECLS

/* "major.minor.patch", static. */
WEFT_API const char *weft_version(void);

WEFT_END_DECLS

#endif
