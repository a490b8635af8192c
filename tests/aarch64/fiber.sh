#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fiber.sh - fibers on aarch64, by a cross compiler and an emulator
#
# Shows that the assembly, the ABI, the tables for unwinding and the fault handler
# are right.  The emulator says nothing about memory ordering or speed, and it
# swallows MADV_GUARD_INSTALL, so guards are by mprotect here.

set -eu
: "${WEFT_SOURCE_DIR:=$(cd "$(dirname "$0")/../.." && pwd)}"

missing() {
	echo "skipped: no $1"
	exit 77
}
gcc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || missing qemu-aarch64
command -v $gcc >/dev/null || missing $gcc
[ -e /usr/include/ck_pr.h ] || missing "headers of ConcurrencyKit"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

build() {
	"$@" -std=gnu17 -g -static -D_GNU_SOURCE -Wall -Wextra -Werror \
		-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" -idirafter /usr/include \
		-o "$dir/fiber" "$WEFT_SOURCE_DIR/tests/aarch64/fiber.c" \
		"$WEFT_SOURCE_DIR"/src/runtime/fiber.c "$WEFT_SOURCE_DIR"/src/runtime/stack.c \
		"$WEFT_SOURCE_DIR"/src/runtime/stackmap.c "$WEFT_SOURCE_DIR"/src/runtime/overflow.c \
		"$WEFT_SOURCE_DIR"/src/runtime/switch_aarch64.S "$WEFT_SOURCE_DIR"/src/deque/check.c \
		-pthread
}

run() {
	echo "== $*"
	build "$@"
	"$qemu" "$dir/fiber"

	code=0
	"$qemu" "$dir/fiber" overflow >"$dir/said" 2>&1 || code=$?
	if [ $code -ne 139 ] || ! grep -qx 'weft: stack overflow in fiber bob (stack of 256 KiB); raise WEFT_STACK_SIZE or .stack_size' "$dir/said"; then
		echo "overflow: exit $code"
		cat "$dir/said"
		exit 1
	fi
}

# shellcheck disable=SC3045 # every sh of Linux has it
ulimit -c 0
run $gcc -O0 -fno-omit-frame-pointer
run $gcc -O2 -fno-omit-frame-pointer
run $gcc -O2 -fno-omit-frame-pointer -mbranch-protection=standard

# clang uses the libraries of the cross gcc.
clang="${CLANG:-clang} --target=aarch64-linux-gnu"
# shellcheck disable=SC2086 # two words
if echo 'int main(void) { return 0; }' | $clang -static -x c -o "$dir/probe" - 2>/dev/null; then
	run $clang -O2 -fno-omit-frame-pointer
else
	echo "clang cannot build for aarch64: left out"
fi
