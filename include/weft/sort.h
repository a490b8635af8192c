/* SPDX-License-Identifier: MIT */
#ifndef WEFT_SORT_H
#define WEFT_SORT_H
#endif
