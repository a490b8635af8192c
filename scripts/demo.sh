#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh - builds weft and runs `weft map` on what this machine has
#
# First the package database of Debian, stanza by stanza; then a text of some
# 300 MB, made of the documentation that every Debian brings, counted word by
# word, with all workers and with one.  Nothing is left behind but build/release.
set -eu
cd "$(dirname "$0")/.."

size_mb=${DEMO_MB:-300}

sh scripts/packages.sh build
echo "building weft: build/release"
cmake --preset release -DWEFT_BUILD_TESTS=OFF -DWEFT_BUILD_BENCH=OFF >/dev/null
cmake --build --preset release >/dev/null

weft=$PWD/build/release/weft
jobs=$PWD/examples/jobs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

say() {
	printf '\n%s\n' "$*"
}

# --- the package database ---------------------------------------------------

apt-cache dumpavail >"$work/packages" 2>/dev/null || :
if [ -s "$work/packages" ]; then
	say "\$ apt-cache dumpavail | weft map --record blank-line examples/jobs/debian_sections.c"
	"$weft" map --record blank-line "$jobs/debian_sections.c" <"$work/packages" >"$work/sections"
	head -n 12 "$work/sections"
	echo "... ($(wc -l <"$work/sections") lines)"
else
	echo "apt-cache knows no packages here ('apt-get update' fetches the lists): left out"
fi

# --- a large text -----------------------------------------------------------

find /usr/share/common-licenses /usr/share/perl /usr/share/perl5 /usr/share/doc /usr/include \
	/usr/lib/python3 -type f \( -name '*.p[lm]' -o -name '*.pod' -o -name '*.txt' -o -name '*.h' \
	-o -name '*.py' -o -name copyright -o -path '*licenses/*' \) -size +1k 2>/dev/null |
	sort | xargs cat >"$work/once" 2>/dev/null || :
while [ "$(wc -c <"$work/once")" -lt $((size_mb * 1000000)) ]; do
	cat "$work/once" "$work/once" >"$work/twice"
	mv "$work/twice" "$work/once"
done
head -c $((size_mb * 1000000)) "$work/once" >"$work/text"
rm "$work/once"

# run NAME ARGUMENTS: the seconds that weft reports.
run() {
	"$weft" map --json "$@" "$jobs/word_count.c" "$work/text" 2>"$work/summary" >"$work/counts"
	sed -n 's/.*"seconds": *\([0-9.]*\).*/\1/p' "$work/summary"
}

say "\$ weft map --set top=5 examples/jobs/word_count.c TEXT     ($size_mb MB)"
run -j 1 --set top=5 >/dev/null # compiles the job and warms the page cache
cat "$work/counts"

all=$("$weft" info | awk '$1 == "workers" { sub(",", "", $2); print $2 }')
one=$(run -j 1 --set top=5)
mv "$work/counts" "$work/counts.1"
many=$(run --set top=5)
cmp -s "$work/counts" "$work/counts.1" || { echo "the results differ" >&2; exit 1; }

say "1 worker and $all workers, same result"
awk -v one="$one" -v many="$many" -v all="$all" -v mb="$size_mb" 'BEGIN {
	printf "1 worker    %6.2f s  %7.0f MB/s\n", one, mb / one
	printf "%d workers   %6.2f s  %7.0f MB/s\n", all, many, mb / many
	printf "speed-up    %6.2f\n", one / many
}'
