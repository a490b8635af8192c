/* SPDX-License-Identifier: MIT */
#ifndef WEFT_RUNTIME_SANITIZE_H
#define WEFT_RUNTIME_SANITIZE_H
#endif
