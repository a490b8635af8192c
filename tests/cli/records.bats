# SPDX-License-Identifier: MIT
# What a record is: --record, --skip, --limit, --max-record.
load support

# 3 MB, several blocks, of a few letters, so that separators of them abound.
setup_file() {
	export LETTERS=$BATS_FILE_TMPDIR/letters
	perl -e 'srand 7; print substr "aaabc\n", rand 6, 1 for 1 .. 3e6' >"$LETTERS"
}

# The records of a text by a scan from the left: the end of each is the next
# match of the separator.
reference() {
	perl -e '$s = shift; $s =~ s/\\n/\n/g; local $/; $_ = <STDIN>;
		for ($p = 0; $p < length; $p = $i + length $s) {
			$i = index $_, $s, $p;
			$i = length if $i < 0;
			print "<", substr($_, $p, $i - $p), ">\n";
		}' "$1" <"$2"
}

@test "lines are the default" {
	job_brackets
	printf 'one\ntwo\n\nfour\n' >in
	map brackets.c in
	exited 0 ""
	put $'<one>\n<two>\n<>\n<four>'
}

@test "the last line may lack its newline" {
	job_brackets
	printf 'one\ntwo' >in
	map brackets.c in
	exited 0 ""
	put $'<one>\n<two>'
}

@test "an empty file has no records" {
	job_brackets
	: >in
	run --separate-stderr "$WEFT" map brackets.c in
	exited 0
	put ""
	said '^weft: 0 records, 0 B in '
}

@test "a carriage return stays in its line" {
	job_brackets
	printf 'one\r\ntwo\r\n' >in
	map brackets.c in
	put $'<one\r>\n<two\r>'
}

@test "NUL bytes stay in their record" {
	job_brackets
	printf 'a\0b\n\0\n' >in
	"$WEFT" map -q brackets.c in >out
	printf '<a\0b>\n<\0>\n' | cmp - out
}

@test "a record is followed by a NUL, whatever its kind" {
	cat >strings.c <<-'END'
		#include <string.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			return strlen(record) == length ? 0 : weft_fail(job, "%zu", strlen(record));
		}
	END
	for kind in lines blank-line fixed:6 aa c; do
		map --record "$kind" strings.c "$LETTERS"
		exited 0 ""
	done
}

@test "nul: records end with NULs and may hold newlines" {
	job_brackets
	printf 'one\nmore\0two\0three' >in
	map --record nul brackets.c in
	put $'<one\nmore>\n<two>\n<three>'
}

@test "blank-line: stanzas, with any number of empty lines around them" {
	job_brackets
	printf '\n\na\nb\n\n\n\nc\n\nd\n' >in
	map --record blank-line brackets.c in
	put $'<a\nb>\n<c>\n<d>'
	printf 'a\nb\n\nc' >in
	map --record blank-line brackets.c in
	put $'<a\nb>\n<c>'
	printf '\n\n\n' >in
	map --record blank-line brackets.c in
	put ""
}

@test "blank-line: the same stanzas as perl finds, over block borders" {
	job_brackets
	tr 'a' '\n' <"$LETTERS" >in
	"$WEFT" map -q --record blank-line brackets.c in >out
	perl -00 -ne 's/\n+\z//; s/\A\n+//; print "<$_>\n" if length' in | cmp - out
}

@test "fixed:N: so many bytes each, newlines among them" {
	job_brackets
	printf 'abc\nef' >in
	map --record fixed:2 brackets.c in
	exited 0 ""
	put $'<ab>\n<c\n>\n<ef>'
}

@test "fixed:N: a file that ends within a record" {
	job_brackets
	printf 'abcde' >in
	map --record fixed:2 brackets.c in
	exited 1 "weft: in: record 3 (byte 4): the file ends after 1 of 2 bytes"
	put $'<ab>\n<cd>'
}

@test "fixed:N: over block borders" {
	job_brackets
	"$WEFT" map -q --record fixed:70001 brackets.c <(head -c 2800040 "$LETTERS") >out
	perl -e 'local $/ = \70001; while (<STDIN>) { print "<$_>\n" }' <"$LETTERS" |
		head -c 2800160 | cmp - out
}

@test "a string: the same records as a scan from the left finds" {
	job_brackets
	for string in ab '\nc' bcb aaac; do
		"$WEFT" map -q --record "$string" brackets.c "$LETTERS" >out
		reference "$string" "$LETTERS" | cmp - out
	done
}

@test "a string that overlaps itself: the same records as a scan from the left finds" {
	job_brackets
	for string in aa aaa aba abcab '\n\na\n'; do
		"$WEFT" map -q --record "$string" brackets.c "$LETTERS" >out
		reference "$string" "$LETTERS" | cmp - out
	done
	printf 'aaa' >in
	map --record aa brackets.c in
	put $'<>\n<a>'
}

@test "a string may hold escapes" {
	job_brackets
	printf 'one\t--\\two\t--\\' >in
	map --record '\t--\x5c' brackets.c in
	exited 0 ""
	put $'<one>\n<two>'
	map --record '\q' brackets.c in
	exited 2
	map --record '' brackets.c in
	exited 2
}

@test "a single character" {
	job_brackets
	printf 'one;two;' >in
	map --record ';' brackets.c in
	put $'<one>\n<two>'
}

@test "a record does not go from one file to the next" {
	job_brackets
	printf 'one\ntw' >a
	printf 'o\nthree\n' >b
	map brackets.c a b
	put $'<one>\n<tw>\n<o>\n<three>'
}

@test "many files, most of them empty" {
	job_brackets
	mkdir many
	for i in {100..400}; do
		: >"many/$i"
	done
	echo a >many/150
	printf b >many/151
	echo c >many/399
	map brackets.c many/*
	exited 0 ""
	put $'<a>\n<b>\n<c>'
}

@test "--skip and --limit count records over all files" {
	job_brackets
	seq 1 10 >a
	seq 11 20 >b
	map --skip 8 --limit 5 brackets.c a b
	exited 0 ""
	put $'<9>\n<10>\n<11>\n<12>\n<13>'
	map --skip 100 brackets.c a b
	put ""
	map --limit 0 brackets.c a b
	put ""
}

@test "--skip and --limit of every kind of record" {
	job_brackets
	tr 'a' '\n' <"$LETTERS" >in
	for kind in lines blank-line fixed:3 bc c; do
		"$WEFT" map -q --record "$kind" brackets.c <(head -c 2999997 in) >all
		"$WEFT" map -q --skip 3000 --limit 40000 --record "$kind" brackets.c \
			<(head -c 2999997 in) >out
		perl -e 'local $/; my @r = <STDIN> =~ /<.*?>\n/gs; print @r[3000 .. 42999]' <all |
			cmp - out
	done
}

@test "--limit does not wait for input that it does not need" {
	job_brackets
	mkfifo pipe
	# The writer holds the pipe open: reading on would never end.
	exec 7<>pipe
	printf 'one\ntwo\nthree\n' >&7
	map --limit 2 brackets.c pipe
	exec 7>&-
	put $'<one>\n<two>'
}

@test "record and offset in a message count from where the file begins" {
	job_picky
	printf 'one\ntwo\nbad\n' >a
	printf 'one\nbad\n' >b
	map --on-error skip --skip 1 picky.c a b
	exited 1
	said "^weft: a: record 3 (byte 8): what is 'bad'?$"
	said "^weft: b: record 2 (byte 4): what is 'bad'?$"
	put $'two\none'
}

@test "--max-record: a longer record fails, with file, number and offset" {
	job_brackets
	{
		echo short
		head -c 3000000 /dev/zero | tr '\0' x
		echo
		echo last
	} >in
	map --max-record 1M brackets.c in
	exited 1 "weft: in: record 2 (byte 6): longer than 1048576 bytes (--max-record)"
	put "<short>"
	map --max-record 1M --on-error skip brackets.c in
	exited 1 "weft: in: record 2 (byte 6): longer than 1048576 bytes (--max-record)"
	put $'<short>\n<last>'
	map --max-record 1M --skip 2 brackets.c in
	exited 0 ""
	put "<last>"
	map --max-record 3 brackets.c in
	exited 1 "weft: in: record 1 (byte 0): longer than 3 bytes (--max-record)"
}

# A gibibyte where that is quick.
@test "a huge record: a clear message, or, when allowed, a record like any other" {
	local size=$((64 << 20))
	[ "$WEFT_BUILD_TYPE" != Release ] || size=$((1 << 30))
	cat >measure.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)record;
			return weft_emitf(job, "%zu\n", length);
		}
	END
	echo first >in
	truncate -s $((6 + size)) in
	map --max-record $((size / 4)) measure.c in
	exited 1 "weft: in: record 2 (byte 6): longer than $((size / 4)) bytes (--max-record)"
	put 5
	map --max-record "$size" measure.c in
	exited 0 ""
	put $'5\n'"$size"
}
