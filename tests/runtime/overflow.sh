#!/bin/sh
# SPDX-License-Identifier: MIT
#
# overflow.sh - a frame of 1 MiB does not jump the guard of a fiber's stack
#
# In code compiled with -fstack-clash-protection, as weft and most distributions
# are.  Guards of both kinds.

set -eu
: "${CC:=cc}" "${WEFT_SOURCE_DIR:?}" "${WEFT_BINARY_DIR:?}"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
expected='weft: stack overflow in fiber large (stack of 256 KiB); raise WEFT_STACK_SIZE or .stack_size'

if [ -n "${WEFT_SANITIZE:-}" ]; then
	echo "skipped: sanitizers lay out frames in their own way"
	exit 77
fi
if ! echo 'int x;' | "$CC" -Werror -fstack-clash-protection -c -x c -o "$dir/probe.o" - 2>"$dir/why"; then
	echo "skipped: $CC has no -fstack-clash-protection"
	exit 77
fi
"$CC" -std=gnu17 -O2 -D_GNU_SOURCE -fstack-clash-protection \
	-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" \
	-o "$dir/frame" "$WEFT_SOURCE_DIR/tests/runtime/overflow_frame.c" \
	"$WEFT_BINARY_DIR/libweft.a" -lck -pthread

# shellcheck disable=SC3045 # every sh of Linux has it
ulimit -c 0
for guard in default mprotect; do
	code=0
	WEFT_STACK_GUARD=$guard "$dir/frame" 2>"$dir/said" || code=$?
	# A shell may add a line of its own.
	said=$(head -n 1 "$dir/said")
	if [ $code -ne 139 ] || [ "$said" != "$expected" ]; then
		echo "guard by $guard: exit $code, said: $said"
		exit 1
	fi
done
