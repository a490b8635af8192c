#!/bin/sh
# SPDX-License-Identifier: MIT
#
# valgrind.sh - memcheck knows the stacks of fibers
#
# In builds with assertions, where it is told of them; else it takes every switch
# for an overflow.

set -eu
: "${CC:=cc}" "${WEFT_SOURCE_DIR:=$(cd "$(dirname "$0")/../.." && pwd)}"

if ! command -v valgrind >/dev/null || [ ! -e /usr/include/valgrind/valgrind.h ]; then
	echo "skipped: no valgrind, or no header of it"
	exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$CC" -std=gnu17 -O1 -gdwarf-4 -D_GNU_SOURCE \
	-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" -o "$dir/fibers" \
	"$WEFT_SOURCE_DIR/tests/stress/stress_fiber.c" \
	"$WEFT_SOURCE_DIR"/src/runtime/fiber.c "$WEFT_SOURCE_DIR"/src/runtime/stack.c \
	"$WEFT_SOURCE_DIR"/src/runtime/stackmap.c "$WEFT_SOURCE_DIR"/src/deque/check.c \
	"$WEFT_SOURCE_DIR/src/runtime/switch_$(uname -m).S" -pthread
valgrind --quiet --error-exitcode=9 "$dir/fibers"
