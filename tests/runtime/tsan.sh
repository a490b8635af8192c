#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tsan.sh - ThreadSanitizer, of gcc and of clang, on fibers that move between threads
#
# It must find nothing where there is nothing, a race between two fibers even if
# they run on one thread, and none there when the edges are drawn.

set -eu
: "${WEFT_SOURCE_DIR:=$(cd "$(dirname "$0")/../.." && pwd)}"

if [ "$(uname -m)" != x86_64 ] && [ "$(uname -m)" != aarch64 ]; then
	echo "skipped: no fibers on $(uname -m)"
	exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tried=0

build() {
	"$1" -std=gnu17 -O1 -g -fsanitize=thread -D_GNU_SOURCE \
		-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" -o "$dir/fibers" \
		"$WEFT_SOURCE_DIR/tests/stress/stress_fiber.c" \
		"$WEFT_SOURCE_DIR"/src/runtime/fiber.c "$WEFT_SOURCE_DIR"/src/runtime/stack.c \
		"$WEFT_SOURCE_DIR"/src/runtime/stackmap.c "$WEFT_SOURCE_DIR"/src/deque/check.c \
		"$WEFT_SOURCE_DIR/src/runtime/switch_$(uname -m).S" -pthread
}

# expect EXIT-CODE THREADS MODE
expect() {
	code=0
	TSAN_OPTIONS=exitcode=66 WEFT_NUM_THREADS=$2 "$dir/fibers" 1 "$3" >"$dir/said" 2>&1 || code=$?
	if [ $code -ne "$1" ]; then
		echo "$cc, $2 threads, $3: exit $code and not $1"
		head -n 40 "$dir/said"
		exit 1
	fi
}

for cc in gcc clang; do
	if ! echo 'int main(void) { return 0; }' |
		"$cc" -fsanitize=thread -x c -o "$dir/probe" - 2>/dev/null || ! "$dir/probe"; then
		echo "no ThreadSanitizer of $cc: left out"
		continue
	fi
	tried=1
	build $cc
	expect 0 1 alone
	expect 0 2 alone
	expect 0 8 alone
	expect 0 1 edges
	expect 66 1 race
	grep -q "Location is global 'shared'" "$dir/said"
done
[ $tried -eq 1 ] || exit 77
