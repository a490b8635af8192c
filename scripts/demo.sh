# SPDX-License-Identifier: MIT
# demo.sh - builds weft, and lets it loose on what this machine has on its disk
#
# On a fresh Debian 12 this is the only command needed: it gets the packages
# too.  It maps a C function over all packages that apt knows, and another one
# over 300 MB of text; first on all cores, then on one.  What it makes in
# between lies in a temporary directory and is removed.
set -eu
cd "$(dirname "$0")/.."

sh scripts/packages.sh build
cmake --preset release
cmake --build --preset release --target weft

weft=$PWD/build/release/weft
jobs=examples/jobs
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

title() {
	printf '\n== %s\n\n' "$1"
}

# Shows a command and runs it.
show() {
	echo "\$ weft $*"
	"$weft" "$@"
}

title "Packages and their installed size, by section of Debian"
apt-cache dumpavail >"$tmp/packages" 2>/dev/null || true
# Without package lists: what is installed.
test -s "$tmp/packages" || cp /var/lib/dpkg/status "$tmp/packages"
show map --record blank-line "$jobs/debian_sections.c" "$tmp/packages"

# Documentation, headers, scripts: whatever of it there is, and again until it
# is long enough.
find /usr/share/doc /usr/share/common-licenses /usr/share/perl /usr/share/perl5 /usr/share/i18n \
	/usr/lib/python3 /usr/include /usr/share/vim /usr/share/cmake* -type f -size -4096k \
	\( -name copyright -o -name '*.h' -o -name '*.p[lmy]' -o -name '*.pod' -o -name '*.txt' \
	-o -name '*.cmake' -o -name 'changelog*' -o -name 'README*' -o -name 'NEWS*' \
	-o -path '*/common-licenses/*' -o -path '*/i18n/*' \) -print0 2>/dev/null |
	LC_ALL=C sort -z | xargs -0 gzip -cdfq >"$tmp/once" || true
test -s "$tmp/once" || cp "$tmp/packages" "$tmp/once"
: >"$tmp/text"
while [ "$(wc -c <"$tmp/text")" -lt 300000000 ]; do
	cat "$tmp/once" >>"$tmp/text"
done

title "Words of $(($(wc -c <"$tmp/text") / 1000000)) MB of text, and the ten most frequent"
show map --set top=10 "$jobs/word_count.c" "$tmp/text"

# seconds OPTION...: of one run
seconds() {
	"$weft" map --json "$@" --set top=10 "$jobs/word_count.c" "$tmp/text" 2>"$tmp/summary" \
		>/dev/null
	sed -n 's/.*"seconds": \([0-9.]*\),.*/\1/p' "$tmp/summary"
}

title "The same on one core and on all, three times each"
workers=$("$weft" info --json | sed -n 's/.*"workers": \([0-9]*\),.*/\1/p')
for _ in 1 2 3; do
	echo "$(seconds -j 1) $(seconds)"
done | awk -v workers="$workers" -v bytes="$(wc -c <"$tmp/text")" '
	{
		printf "   1 worker %7.3f s    %d worker%s %7.3f s\n", $1, workers,
			workers == 1 ? "" : "s", $2
		if (NR == 1 || $1 < one) one = $1
		if (NR == 1 || $2 < all) all = $2
	}
	END {
		printf "\nBest of each: %.0f MB/s on one core, %.0f MB/s on %d: %.2f times as fast.\n",
			bytes / one / 1e6, bytes / all / 1e6, workers, one / all
	}'
