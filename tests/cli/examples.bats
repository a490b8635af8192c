# SPDX-License-Identifier: MIT
# The jobs of examples/jobs, on inputs whose result is known or computed by others.
load support

jobs=${WEFT_SOURCE_DIR:-$BATS_TEST_DIRNAME/../..}/examples/jobs

# Text that every machine has: this repository's.
text() {
	cat "$jobs"/*.c "$jobs"/../../src/cli/*.c "$jobs"/../../include/weft/*.h
}

@test "word_count: what wc says" {
	text >in
	map "$jobs/word_count.c" in
	exited 0 ""
	read -r lines words bytes <<<"$(LC_ALL=C wc in | awk '{ print $1, $2, $3 }')"
	put "$lines lines, $words words, $bytes bytes"
}

@test "word_count: the most frequent words" {
	text >in
	tr -s '[:space:]' '\n' <in | grep . | LC_ALL=C sort | uniq -c |
		LC_ALL=C sort -k1,1rn -k2 | head -50 | awk '{ printf "%8d  %s\n", $1, $2 }' >expected
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers --set top=50 "$jobs/word_count.c" in | tail -n +2 |
			cmp - expected
	done
	map --set top=x "$jobs/word_count.c" in
	exited 3
	said 'word_count.c: start: top=x is no number$'
}

@test "histogram: a field of a delimited file" {
	printf 'id,colour,note\n1,red,\n2,blue,x\n3,red,"a ""b"", c"\n4,"red",y\r\n' >in.csv
	map --skip 1 --set field=2 "$jobs/histogram.c" in.csv
	exited 0 ""
	put $'       3  red\n       1  blue'
	map --skip 1 --set field=3 "$jobs/histogram.c" in.csv
	put $'       1  \n       1  a "b", c\n       1  x\n       1  y'
	map --set field=4 "$jobs/histogram.c" in.csv
	exited 1 "weft: in.csv: record 1 (byte 0): there are only 3 fields"
}

@test "histogram: what cut, sort and uniq say" {
	perl -e 'srand 5; print join(":", map { int rand 50 } 1 .. 5), "\n" for 1 .. 20000' >in
	cut -d: -f4 in | sort | uniq -c | LC_ALL=C sort -k1,1rn -k2 |
		awk '{ printf "%8d  %s\n", $1, $2 }' >expected
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers --set field=4 --set delimiter=: "$jobs/histogram.c" in |
			cmp - expected
	done
	"$WEFT" map -q --set field=4 --set delimiter='\t' --set top=3 "$jobs/histogram.c" \
		<(tr : '\t' <in) | cmp - <(head -3 expected)
}

@test "filter: in worker processes" {
	text >in
	for what in text=return pattern='^(.)(.).*\2\1$'; do
		"$WEFT" map -q --set "$what" "$jobs/filter.c" in >expected
		"$WEFT" map -q --isolate --set "$what" "$jobs/filter.c" in | cmp - expected
	done
}

@test "filter: what grep says" {
	text >in
	"$WEFT" map -q --set text=return "$jobs/filter.c" in | cmp - <(grep -F return in)
	"$WEFT" map -q --set text=return --set invert "$jobs/filter.c" in |
		cmp - <(grep -v -F return in)
	"$WEFT" map -q --set pattern='^#.*<[a-z]+\.h>$' "$jobs/filter.c" in |
		cmp - <(grep -E '^#.*<[a-z]+\.h>$' in)
	map --set pattern='[' "$jobs/filter.c" in
	exited 3
	said 'filter.c: start: pattern=\[: '
	map "$jobs/filter.c" in
	exited 3
}

@test "filter: stanzas" {
	printf 'Package: a\nSection: games\n\nPackage: b\nSection: net\n' >in
	map --record blank-line --set pattern='^Section: net$' --set separator='\n\n' \
		"$jobs/filter.c" in
	put $'Package: b\nSection: net'
}

@test "json_field: strings are decoded, other values come as they are" {
	cat >in <<-'END'
		{"user": {"name": "Ada", "tags": ["x", "y"]}, "n": 1}
		{"user": {"name": "a\"\\\/\n\t\u00e9\ud83d\ude00\ud83d!"}}
		{"user": {"name": {"first": "A", "second": [1, 2.5e-3, true, null]}}}
		{"user": null, "other": {"name": "no"}}
		{"user": {"name": 1, "name": 2}}
		[1, 2]
		{"user":{"name":-0.5E+2} }
	END
	map --set field=user.name "$jobs/json_field.c" in
	exited 0 ""
	put $'Ada\na"\\/\n\té😀\xef\xbf\xbd!\n{"first": "A", "second": [1, 2.5e-3, true, null]}\n2\n-0.5E+2'
	map --set field=user.tags.1 --set missing=- "$jobs/json_field.c" in
	put $'y\n-\n-\n-\n-\n-\n-'
	map --set field=1 "$jobs/json_field.c" in
	put 2
}

@test "json_field: what is not JSON fails, all of it" {
	cat >in <<-'END'
		{"a": 1
		{"a": 1}}
		{"a": 01}
		{"a": 1.}
		{"a": +1}
		{"a": "x}
		{"a": "\x"}
		{"a": "\u12g4"}
		{"a" 1}
		{"a": 1,}
		[1 2]
		{a: 1}
		tru
		nul

		{"b": 1, "a": ok}
	END
	map --on-error skip --set field=a "$jobs/json_field.c" in
	exited 1
	put ""
	[ "$(grep -c 'no JSON at byte' <<<"$stderr")" -eq 16 ]
	perl -e 'print "[" x 100000' >in
	map --set field=a "$jobs/json_field.c" in
	exited 1
}

@test "debian_sections: packages and size by section" {
	cat >in <<-'END'
		Package: a
		Section: games
		Installed-Size: 1000

		Package: b
		Section: net
		Description: long
		 Section: not this one
		Installed-Size: 500

		Package: c
		Installed-Size: 2

		Package: d
		Section: games
	END
	map --record blank-line "$jobs/debian_sections.c" in
	exited 0 ""
	put $'packages   installed  section
       2      1.0 MB  games
       1      0.5 MB  net
       1      0.0 MB  (none)
       4      1.5 MB  in all'
	echo 'Nonsense: x' >in
	map --record blank-line "$jobs/debian_sections.c" in
	exited 1 "weft: in: record 1 (byte 0): this is no stanza of a package"
}

@test "debian_sections: all packages that apt knows" {
	if ! apt-cache dumpavail >avail 2>err || [ ! -s avail ]; then
		skip "apt knows no packages here"
	fi
	"$WEFT" map -q --record blank-line "$jobs/debian_sections.c" avail >out
	[ "$(awk '/in all$/ { print $1 }' out)" -eq "$(grep -c '^Package:' avail)" ]
}

@test "the jobs compile without a warning" {
	include=$("$WEFT" info --json | sed -n 's/.*"include": "\(.*\)",/\1/p')
	for job in "$jobs"/*.c; do
		${CC:-cc} -std=gnu17 -O2 -Wall -Wextra -Wshadow -Wconversion -Werror -shared -fPIC \
			-I"$include" -o job.so "$job"
	done
}
