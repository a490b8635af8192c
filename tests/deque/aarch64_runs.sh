# SPDX-License-Identifier: MIT
#
# aarch64_runs.sh - the lock-free files work on aarch64, as far as qemu can tell
#
# The stress programs, cross-compiled and run by user-mode emulation: that the
# assembly of ck_pr does what we take it to do, with the sizes and the clobbers
# that we think.  Not memory ordering, which qemu has from the machine below; for
# that there is aarch64_barriers.sh.  The event count runs without ck_ec, for
# whose library the packages are those of another architecture.
set -eu

src=${WEFT_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
cc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
if ! command -v $cc >/dev/null || test -z "$qemu"; then
	echo "skipped: no $cc or no qemu-aarch64"
	exit 77
fi
if ! test -f /usr/include/ck_pr.h; then
	echo "skipped: no headers of ConcurrencyKit in /usr/include"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME FLAGS FILES...
run() {
	name=$1
	flags=$2
	shift 2
	# shellcheck disable=SC2086 # no flags, or several
	$cc -static -std=gnu17 -O2 -D_GNU_SOURCE $flags -I"$src/src" -I"$src/include" \
		-I"$src/tests" -idirafter /usr/include "$src/tests/stress/stress_$name.c" "$@" \
		"$src/src/deque/alloc.c" "$src/src/deque/check.c" -lpthread -o "$dir/$name"
	"$qemu" "$dir/$name"
}

cd "$src/src/deque"
run deque "" deque.c ring.c
run inject "" inject.c
run eventcount -DWEFT_ATOMIC_BUILTIN eventcount.c
