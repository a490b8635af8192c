# SPDX-License-Identifier: MIT
# The programs in README.md work as they stand there: those with a main() are
# compiled and run, those that include <weft/job.h> are given to weft map.
set -eu

if [ -n "$WEFT_SANITIZE" ]; then
	echo "skipped: a user compiles without sanitizers"
	exit 77
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

awk -v dir="$tmp" '
	/^```c$/ { file = dir "/" ++n ".c"; next }
	/^```/ { file = "" }
	file { print > file }' "$WEFT_SOURCE_DIR/README.md"

programs=0
jobs=0
for source in "$tmp"/*.c; do
	if grep -q 'int main(' "$source"; then
		"$CC" -std=c17 -Wall -Werror "-I$WEFT_SOURCE_DIR/include" -o "$tmp/program" \
			"$source" "$WEFT_BINARY_DIR/libweft.so" "-Wl,-rpath,$WEFT_BINARY_DIR"
		"$tmp/program"
		programs=$((programs + 1))
	elif grep -q 'weft/job.h' "$source"; then
		printf 'all is well\nan error\n' | "$WEFT" map -q "$source" - >"$tmp/out"
		cat "$tmp/out"
		test -s "$tmp/out"
		jobs=$((jobs + 1))
	fi
done
test $programs -gt 0 && test $jobs -gt 0
