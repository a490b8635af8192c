# SPDX-License-Identifier: MIT
#
# aarch64_barriers.sh - the barriers that the ledgers ask for are in the code
#
# x86-64 orders nearly everything by itself, so a fence that is missing there is
# missing only on aarch64, where these tests do not run.  This one compiles the
# lock-free files for it and looks at the instructions.  Each function becomes a
# word, one letter an instruction:
#
#   L load   S store   X load exclusive   Y store exclusive
#   F full barrier (dmb ish)   A acquire (dmb ishld)   W store-store (dmb ishst)
#
# ldar is read as LA and stlr as FS, which is what they are good for here.
set -eu

src=${WEFT_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
cc=aarch64-linux-gnu-gcc
objdump=aarch64-linux-gnu-objdump
for tool in $cc $objdump; do
	if ! command -v "$tool" >/dev/null; then
		echo "skipped: no $tool"
		exit 77
	fi
done
if ! test -f /usr/include/ck_pr.h; then
	echo "skipped: no headers of ConcurrencyKit in /usr/include"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The inline functions, out of line.
cat >"$dir/inline.c" <<'END'
#include "deque/deque.h"
#include "deque/fifo.h"
#include "deque/spin.h"
int push(struct weft__deque *dq, struct weft__job *job);
int push(struct weft__deque *dq, struct weft__job *job) { return weft__deque_push(dq, job); }
int fifo_push(struct weft__fifo *q, struct weft__job *job);
int fifo_push(struct weft__fifo *q, struct weft__job *job) { return weft__fifo_push(q, job); }
struct weft__job *take(struct weft__fifo *q);
struct weft__job *take(struct weft__fifo *q) { return weft__fifo_take(q); }
void unlock(struct weft__spin *spin);
void unlock(struct weft__spin *spin) { weft__spin_unlock(spin); }
END

# -idirafter: the headers of ConcurrencyKit of the build machine, which say
# x86-64, on purpose; see atomic.h.
compile() {
	$cc -std=gnu17 -O2 -DNDEBUG -D_GNU_SOURCE -fno-inline-functions-called-once \
		-fno-reorder-blocks -I"$src/src" -I"$src/include" -idirafter /usr/include \
		-c "$1" -o "$dir/$2.o"
	$objdump -d --no-show-raw-insn "$dir/$2.o" >"$dir/$2.s"
}
for file in deque inject eventcount; do
	compile "$src/src/deque/$file.c" $file
done
compile "$dir/inline.c" inline

# word FILE FUNCTION
word() {
	awk -v name="<$2>:" '
		$2 == name { inside = 1; next }
		NF == 0 { inside = 0 }
		!inside { next }
		# The stack is nobody else'\''s business.
		/\[sp/ { next }
		$2 == "dmb" && $3 == "ish" { printf "F" }
		$2 == "dmb" && $3 == "ishld" { printf "A" }
		$2 == "dmb" && $3 == "ishst" { printf "W" }
		$2 ~ /^ldxr/ || $2 ~ /^ldaxr/ { printf "X" }
		$2 ~ /^stxr/ || $2 ~ /^stlxr/ { printf "Y" }
		$2 ~ /^ldar/ { printf "LA" }
		$2 ~ /^stlr/ { printf "FS" }
		$2 ~ /^ldr/ || $2 ~ /^ldp/ || $2 ~ /^ldur/ { printf "L" }
		$2 ~ /^str/ || $2 ~ /^stp/ || $2 ~ /^stur/ { printf "S" }
	' "$dir/$1.s"
}

failed=0

# expect FILE FUNCTION PATTERN WHAT
expect() {
	w=$(word "$1" "$2")
	if ! echo "$w" | grep -Eq "$3"; then
		echo "$1: $2 is '$w', which has no '$3': $4"
		failed=1
	fi
}

# Each read-modify-write of a function stands between two full barriers.
expect_full() {
	w=$(word "$1" "$2")
	bare=$(echo "$w" | sed 's/FX*Y*F//g; s/FXYF//g')
	case $w in *X*) ;; *) bare=X ;; esac
	case $bare in *[XY]*)
		echo "$1: $2 is '$w': a read-modify-write is no full barrier"
		failed=1
		;;
	esac
}

expect inline push '^LLLA.*SFS$' 'O1: bottom is a release; O2: top an acquire'
expect deque weft__deque_push_full 'LA.*FS.*FS' 'O2, O4 and O1: ring and bottom are releases'
expect_full deque weft__deque_claim_bottom
expect deque weft__deque_claim_bottom 'FXYFL' 'O3: the exchange of bottom, then top'
expect deque weft__deque_claim_bottom 'FFS$' 'O1: restoring bottom is a release'
expect deque weft__deque_steal '^LA?FLALALLFXYF' 'O3, O1, O4, then the CAS'
expect_full deque weft__deque_steal
expect inline fifo_push '^LLLA.*SFS$' 'O1 and O2 of the FIFO'
expect inline take '^LALALALLFXYF' 'O4, O1, O3 of the FIFO'
expect_full inline take
expect inline unlock '^FS' 'O1 of the lock'
expect_full inject weft__inject_push
expect inject weft__inject_push 'LSFXYF' 'O1: the link is written before the CAS'
expect inject weft__inject_pop '^LALAL' 'O3: newest, then the lock, then oldest'
expect inject weft__inject_pop 'FXYA.*FXYA.*SFS' 'O3: lock, exchange, oldest, unlock'
expect eventcount weft__ec_notify '^F.*XY' 'O1: the count moves after what it tells of'
expect eventcount weft__ec_prepare '^L[AF]' 'O1: an acquire behind the count'
expect eventcount weft__ec_wait 'L[AF]' 'O1: an acquire behind the count'

exit $failed
